//! Rows → ids → batches: the vocabulary, the prepared cache, shuffling and the threads that make batches ahead.
//!
//! The line through this room: [`prepare()`] counts the training rows' values (pass 1), builds the [`Vocabulary`],
//! encodes all rows to ids and writes them to a [`Cache`] (pass 2), adds the fields that follow from others (pass 3,
//! where the config has any), or finds all that prepared already. [`epoch`] gives a cache's rows as shuffled
//! [`Batch`]es for training, [`ordered`] in order for scoring, and [`stream()`] encodes raw files on the fly.

mod batch;
mod batches;
mod cache;
mod codes;
mod config;
mod count;
mod derived;
mod draft;
mod encode;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod hex_map;
mod key;
mod keys;
mod many;
mod mapped;
mod numeric;
mod parts;
mod pipeline;
mod plan;
mod prepare;
mod prepared;
mod pretrained;
mod shuffle;
mod spill;
mod stream;
mod vocabulary;
mod vocabulary_file;

pub use batch::Batch;
pub use batches::{Batches, epoch, ordered};
pub use cache::{Cache, CacheLayout, CacheWriter};
pub use config::{FeaturesConfig, FieldConfig, MemoryLimit, TimeConfig, VocabularyConfig};
pub use derived::{Choice, CountOf, Counts, CountsConfig, StatisticsConfig};
pub use encode::{Encoded, LeftOut};
pub use error::FeaturesError;
pub use event::{Pass, PrepareEvent};
pub use many::Pooling;
pub use numeric::{Numeric, TimePart};
pub use plan::column_kind;
pub use prepare::prepare;
pub use prepared::{PrepareSummary, Prepared};
pub use pretrained::Pretrained;
pub use stream::{EncodedBlock, Stream, stream};
pub use vocabulary::Vocabulary;
