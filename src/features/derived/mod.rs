//! Fields that follow from other fields' ids: ordered target statistics, counts, and crosses.
//!
//! The line through this folder: a [`DerivedPlan`] names the combinations of fields, [`derive()`] makes the third pass
//! over the prepared training rows, and [`Derived`] is what it leaves in the vocabulary, from which any other row gets
//! its ids.

mod combination;
mod config;
mod cross;
mod earlier;
mod fill;
mod pass;
mod plan;
mod record;
mod statistic;
#[cfg(test)]
mod tests;

pub use config::{Choice, CountOf, Counts, CountsConfig, StatisticsConfig};

pub(super) use combination::Combination;
pub(super) use cross::Cross;
pub(super) use fill::Derived;
pub(super) use pass::{ThirdPass, derive};
pub(super) use plan::DerivedPlan;
pub(super) use record::{DerivedRecord, KeyedRow};
pub(super) use statistic::{Seen, Smoothing, Statistic};

pub(super) use config::{all_pairs_or_list, write_all_pairs_or_list};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// A map of combinations of ids, each a number, see [`Combination::key`].
type KeyMap<V> = HashMap<u64, V, FixedState>;
