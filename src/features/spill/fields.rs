//! The ids of a field whose counts stand on the disk.

use std::cmp::Ordering;

use super::Spill;
use super::runs::{Runs, key_number};
use crate::features::count::{Counted, CountedValues};
use crate::features::error::FeaturesError;
use crate::features::keys::{NumberMap, TextKey, TextMap};
use crate::features::numeric::sorted_quantile_edges;
use crate::features::plan::{FieldPlan, Transform};
use crate::features::vocabulary::{
    Draft, FIRST_VALUE, Limits, Lookup, UNKNOWN, by_falling_count, knot_counts, knots, quantile_counts,
};

/// The ids of a field by its runs and what is left in memory; its rows' drafts have none.
///
/// # Errors
/// When files can't be read or written, or the values that have an id take too much memory.
pub(in crate::features) fn spilled_draft(
    plan: &FieldPlan,
    mut counted: Counted,
    spill: &Spill,
) -> Result<Draft, FeaturesError> {
    counted.spill(spill)?;
    let special = [counted.missing, 0];
    let (lookup, counts) = match counted.values {
        CountedValues::Texts(_) => texts(&counted.runs, plan, special, spill)?,
        CountedValues::Buckets(buckets, _) => {
            let bytes =
                |kept: usize, _: &[u8]| if kept > NumberMap::<u32>::SMALL { size_of::<(u64, u32)>() } else { 0 };
            let order = |left: &f64, right: &f64| left.total_cmp(right);
            let (values, counts) = kept(&counted.runs, plan, special, spill, (bytes, key_number, order))?;
            let mut ids = NumberMap::new(UNKNOWN);
            for (value, id) in values.into_iter().zip(FIRST_VALUE..) {
                *ids.entry(value) = id;
            }
            (Lookup::Buckets(buckets, ids), counts)
        }
        CountedValues::Numbers(_, buckets) => {
            counted.runs.join(spill)?;
            quantiles(&counted.runs, plan, buckets, special)?
        }
        CountedValues::Moments(_) | CountedValues::Extremes(_) => unreachable!("sums take no memory"),
    };
    Ok(Draft { lookup, counts, ids: Vec::new() })
}

fn texts(runs: &Runs, plan: &FieldPlan, special: [u32; 2], spill: &Spill) -> Result<(Lookup, Vec<u32>), FeaturesError> {
    let bytes = |_: usize, text: &[u8]| {
        // where their number is limited, it may yet make way for one of 8 hex digits
        if plan.max_size < usize::MAX || TextKey::is_hex(text) {
            size_of::<(u32, u32)>()
        } else {
            size_of::<(Vec<u8>, u32)>() + text.len()
        }
    };
    let (values, counts) = kept(runs, plan, special, spill, (bytes, TextKey::of, TextKey::cmp))?;
    let hex = values.iter().filter(|value| matches!(value, TextKey::Hex(_))).count();
    let mut ids = TextMap::with_capacity(hex, values.len() - hex, UNKNOWN);
    for (value, id) in values.into_iter().zip(FIRST_VALUE..) {
        ids.insert(value, id);
    }
    Ok((Lookup::Text(ids), counts))
}

/// The values that have an id, in the ids' order, and the rows of each id. Of the functions the first gives the least memory that the
/// so-manieth of them takes in a lookup, the second the value of a run's key.
fn kept<V>(
    runs: &Runs,
    plan: &FieldPlan,
    special: [u32; 2],
    spill: &Spill,
    (bytes, value, order): (impl Fn(usize, &[u8]) -> usize, impl Fn(&[u8]) -> V, impl Fn(&V, &V) -> Ordering),
) -> Result<(Vec<V>, Vec<u32>), FeaturesError> {
    // each has a mark in the map and its count too
    const MORE_BYTES: usize = 1 + size_of::<u32>();
    let limits = Limits { min_count: plan.min_count, max_size: plan.max_size };
    let (mut kept, mut unknown) = (0_usize, 0_u32);
    let take = |key: &[u8], rows: u32| {
        if rows < limits.min_count {
            unknown = unknown.saturating_add(rows);
            return Ok(None);
        }
        kept += 1;
        if kept <= limits.max_size {
            spill.keep(bytes(kept, key) + MORE_BYTES)?;
        }
        Ok(Some((value(key), rows)))
    };
    let (values, mut counts) = runs.walk(take, |entries| by_falling_count(entries, limits, special, order))?;
    let rows = &mut counts[UNKNOWN as usize];
    *rows = rows.saturating_add(unknown);
    Ok((values, counts))
}

/// Of one run, which is read several times instead of being held.
fn quantiles(
    runs: &Runs,
    plan: &FieldPlan,
    buckets: u32,
    special: [u32; 2],
) -> Result<(Lookup, Vec<u32>), FeaturesError> {
    let number = |key: &[u8], rows: u32| Ok(Some((key_number(key), rows)));
    let mut all = (0, 0);
    let mut outer = None;
    runs.walk(number, |counted| {
        for (number, rows) in counted {
            all = (all.0 + 1, all.1 + u128::from(rows));
            outer = Some((outer.map_or(number, |(least, _)| least), number));
        }
    })?;
    let (numbers, rows) = all;
    let edges = runs.walk(number, |counted| sorted_quantile_edges(counted, numbers, rows, buckets))?;
    if matches!(plan.transform, Transform::Piecewise(_)) {
        let knots = knots(edges, outer);
        let counts = runs.walk(number, |counted| knot_counts(&knots, counted, special))?;
        return Ok((Lookup::Piecewise(knots), counts));
    }
    let counts = runs.walk(number, |counted| quantile_counts(&edges, counted, special))?;
    Ok((Lookup::Quantile(edges), counts))
}
