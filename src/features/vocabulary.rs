//! Features → ids. Each field has its own ids: missing, out-of-vocabulary, then its values by falling count.

use std::ops::Range;

use rayon::prelude::*;

use super::config::MemoryLimit;
use super::count::{Counted, CountedValues};
use super::derived::Derived;
use super::error::FeaturesError;
use super::keys::{NumberMap, TextKey, TextMap};
use super::many::Many;
use super::numeric::{Buckets, Scale, between_knots, quantile_bucket, quantile_edges};
use super::plan::{FieldPlan, Transform};
use super::spill::{Spill, spilled_draft};

/// A field's ids, from its first one on: a cell without text or number,
pub(super) const MISSING: u32 = 0;
/// a value that isn't in the vocabulary,
pub(super) const UNKNOWN: u32 = 1;
/// and the values, the most frequent first.
pub(super) const FIRST_VALUE: u32 = 2;

/// The ids of all features. They depend on the training rows alone, not on threads or hash order.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    fields: Vec<FieldVocabulary>,
    /// The training rows of each id; empty where hashing gives ids.
    counts: Vec<u32>,
    /// From where the last fields get their ids.
    derived: Derived,
}

/// One field's ids.
#[derive(Clone, Debug)]
pub(super) struct FieldVocabulary {
    pub(super) name: String,
    pub(super) ids: Range<u32>,
    pub(super) lookup: Lookup,
    /// Where the field has several values in a row.
    pub(super) many: Option<Many>,
}

impl FieldVocabulary {
    /// Ids a row.
    pub(super) fn columns(&self) -> usize {
        match (&self.lookup, self.many) {
            (Lookup::Piecewise(_), _) => 2,
            (_, many) => many.map_or(1, |many| many.columns),
        }
    }
}

/// From a cell to an id, counted from the field's first one.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    Text(TextMap<u32>),
    Buckets(Buckets, NumberMap<u32>),
    /// The upper edges of all buckets but the last.
    Quantile(Vec<f64>),
    /// Knots, each with an id; a number is two of them.
    Piecewise(Vec<f64>),
    /// One id, and a value.
    Scaled(Scale),
    HashedText,
    HashedNumber(Buckets),
    /// From the ids of other fields.
    Derived,
}

/// A field before it is known where its ids start.
pub(super) struct Draft {
    pub(super) lookup: Lookup,
    /// The training rows of each id.
    pub(super) counts: Vec<u32>,
    /// The id of each draft of an id; none where ids don't follow from the numbers of values.
    pub(super) ids: Vec<u32>,
}

impl Vocabulary {
    /// From the first pass; with each field's id of each draft, which has no meaning where counts stand on the disk.
    ///
    /// # Errors
    /// For too many ids, counts that can't be read, or a vocabulary beyond `features.max_memory`.
    pub(super) fn build(
        plan: &[FieldPlan],
        counted: Vec<Counted>,
        spill: &Spill,
    ) -> Result<(Self, Vec<Vec<u32>>), FeaturesError> {
        let most: Vec<usize> = counted.iter().map(|counted| counted.most).collect();
        let drafts = plan.par_iter().zip(counted).map(|(field, counted)| {
            if counted.runs.is_empty() { Ok(draft(field, counted)) } else { spilled_draft(field, counted, spill) }
        });
        let drafts: Vec<Draft> = drafts.collect::<Result<_, _>>()?;
        let mut vocabulary = Self::from_parts(Vec::with_capacity(plan.len()), Vec::new());
        let sizes = drafts.iter().map(|draft| draft.counts.len() as u64);
        let ranges = id_ranges(sizes)?;
        let mut drafted = Vec::with_capacity(plan.len());
        for (((field, most), draft), ids) in plan.iter().zip(most).zip(drafts).zip(ranges) {
            let Draft { lookup, counts, ids: mut of_drafts } = draft;
            for id in &mut of_drafts {
                *id += ids.start;
            }
            drafted.push(of_drafts);
            // no more columns than the training rows need
            let many = field.many.map(|many| Many { columns: most.max(1), ..many });
            vocabulary.fields.push(FieldVocabulary { name: field.name.clone(), ids, lookup, many });
            vocabulary.counts.extend(counts);
        }
        spill.check("the vocabulary", vocabulary.bytes() as u64)?;
        Ok((vocabulary, drafted))
    }

    /// Without a first pass: `ids` in all, shared out equally.
    pub(super) fn hashed(plan: &[FieldPlan], ids: usize) -> Result<Self, FeaturesError> {
        const FEWEST: u64 = 4;
        let each = (ids as u64 / plan.len() as u64).max(FEWEST);
        let ranges = id_ranges(plan.iter().map(|_| each))?;
        let field = |(field, ids): (&FieldPlan, Range<u32>)| {
            let lookup = match field.transform {
                Transform::Buckets(buckets) => Lookup::HashedNumber(buckets),
                _ => Lookup::HashedText,
            };
            FieldVocabulary { name: field.name.clone(), ids, lookup, many: field.many }
        };
        Ok(Self::from_parts(plan.iter().zip(ranges).map(field).collect(), Vec::new()))
    }

    pub(super) fn from_parts(fields: Vec<FieldVocabulary>, counts: Vec<u32>) -> Self {
        Self { fields, counts, derived: Derived::default() }
    }

    /// With the fields of `derived` behind all others; their rows are counted by [`Self::add_counts`].
    pub(super) fn with_derived(mut self, derived: Derived) -> Result<Self, FeaturesError> {
        let all = derived.names_and_ids(&self);
        let sizes = std::iter::once(self.table_rows() as u64).chain(all.iter().map(|(_, ids)| *ids));
        let ranges = id_ranges(sizes.collect::<Vec<_>>().into_iter())?;
        for ((name, _), ids) in all.into_iter().zip(ranges.into_iter().skip(1)) {
            self.fields.push(FieldVocabulary { name, ids, lookup: Lookup::Derived, many: None });
        }
        self.derived = derived;
        Ok(self)
    }

    /// Adds the training rows of the ids behind those that were counted.
    pub(super) fn add_counts(&mut self, counts: &[u32]) {
        self.counts.extend(counts);
        debug_assert_eq!(self.counts.len(), self.table_rows(), "every id is counted");
    }

    pub(super) fn add_count(&mut self, count: u32) {
        self.counts.push(count);
    }

    pub(super) fn lookup_mut(&mut self, field: usize) -> &mut Lookup {
        &mut self.fields[field].lookup
    }

    pub(super) fn derived(&self) -> &Derived {
        &self.derived
    }

    pub(super) fn derived_mut(&mut self) -> &mut Derived {
        &mut self.derived
    }

    /// The number of ids, and so of the table's rows.
    pub fn table_rows(&self) -> usize {
        self.fields.last().map_or(0, |field| field.ids.end as usize)
    }

    /// The number of fields, derived ones and all.
    pub fn fields(&self) -> usize {
        self.fields.len()
    }

    /// The ids of a field; disjoint, and ascending by field.
    pub fn field_rows(&self, field: usize) -> Range<u32> {
        self.fields[field].ids.clone()
    }

    /// A field's name.
    pub fn field_name(&self, field: usize) -> &str {
        &self.fields[field].name
    }

    /// Whether a feature's vector may be multiplied by something else than 1.
    pub fn has_values(&self) -> bool {
        let with_values = |field: &FieldVocabulary| {
            field.many.is_some() || matches!(field.lookup, Lookup::Scaled(_) | Lookup::Piecewise(_))
        };
        self.fields.iter().any(with_values)
    }

    /// The field of each column of ids behind those of the fields: of the second and later values of a row.
    pub(super) fn extra_columns(&self) -> Vec<u32> {
        let further = |field: &FieldVocabulary| field.columns() - 1;
        (0..).zip(&self.fields).flat_map(|(number, field)| std::iter::repeat_n(number, further(field))).collect()
    }

    /// The training rows of each id; empty where hashing gives ids.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// The memory that the vocabulary takes, in bytes.
    pub fn bytes(&self) -> usize {
        let lookup = |field: &FieldVocabulary| match &field.lookup {
            Lookup::Text(map) => map.bytes(),
            Lookup::Buckets(_, map) => map.bytes(),
            Lookup::Quantile(edges) | Lookup::Piecewise(edges) => size_of_val(&edges[..]),
            Lookup::Scaled(_) | Lookup::HashedText | Lookup::HashedNumber(_) | Lookup::Derived => 0,
        };
        self.fields.iter().map(lookup).sum::<usize>() + size_of_val(&self.counts[..]) + self.derived.bytes()
    }

    /// Holds the vocabulary and a table of `row_bytes` a row to `features.max_memory`.
    ///
    /// # Errors
    /// With the figure and the ways out.
    pub fn check_memory(&self, row_bytes: usize, limit: MemoryLimit) -> Result<(), FeaturesError> {
        let found_bytes = self.bytes() as u64 + self.table_rows() as u64 * row_bytes as u64;
        match limit.bytes() {
            Some(limit_bytes) if found_bytes > limit_bytes => {
                let what = format!("the vocabulary and a table of {} rows", self.table_rows());
                Err(FeaturesError::Memory { limit_bytes, found_bytes, what })
            }
            _ => Ok(()),
        }
    }

    /// All fields, the derived ones last.
    pub(super) fn field_vocabularies(&self) -> &[FieldVocabulary] {
        &self.fields
    }
}

/// One range a field, from 0 on without gaps.
fn id_ranges(sizes: impl Iterator<Item = u64> + Clone) -> Result<Vec<Range<u32>>, FeaturesError> {
    let found = sizes.clone().sum();
    if u32::try_from(found).is_err() {
        return Err(FeaturesError::TooManyIds { found });
    }
    let mut end = 0;
    Ok(sizes
        .map(|size| {
            let start = end;
            end += u32::try_from(size).expect("the sum of all sizes is below 2^32");
            start..end
        })
        .collect())
}

fn draft(plan: &FieldPlan, Counted { missing, values, met, .. }: Counted) -> Draft {
    let special = [missing, 0];
    let limits = Limits { min_count: plan.min_count, max_size: plan.max_size };
    let mut of_drafts = vec![UNKNOWN; met as usize + 1];
    of_drafts[0] = MISSING;
    match values {
        CountedValues::Texts(map) => {
            let entries = map.into_entries().map(|(text, met)| ((text, met.number), met.rows));
            let (values, counts) = by_falling_count(entries, limits, special, |left, right| left.0.cmp(&right.0));
            let hex = values.iter().filter(|(value, _)| matches!(value, TextKey::Hex(_))).count();
            let mut ids = TextMap::with_capacity(hex, values.len() - hex, UNKNOWN);
            for ((value, number), id) in values.into_iter().zip(FIRST_VALUE..) {
                of_drafts[number as usize + 1] = id;
                ids.insert(value, id);
            }
            Draft { lookup: Lookup::Text(ids), counts, ids: of_drafts }
        }
        CountedValues::Buckets(buckets, map) => {
            let entries = map.entries().map(|(bucket, met)| ((bucket, met.number), met.rows));
            let (values, counts) = by_falling_count(entries, limits, special, |left, right| left.0.total_cmp(&right.0));
            let mut ids = NumberMap::new(UNKNOWN);
            for ((value, number), id) in values.into_iter().zip(FIRST_VALUE..) {
                of_drafts[number as usize + 1] = id;
                *ids.entry(value) = id;
            }
            Draft { lookup: Lookup::Buckets(buckets, ids), counts, ids: of_drafts }
        }
        CountedValues::Numbers(map, buckets) => {
            let training = map.entries().map(|(value, met)| (value, met.rows));
            let training: Vec<(f64, u32)> = training.filter(|(_, count)| *count > 0).collect();
            if matches!(plan.transform, Transform::Piecewise(_)) {
                return piecewise_draft(training, buckets, special);
            }
            let edges = quantile_edges(training, buckets);
            let counts = quantile_counts(&edges, map.entries().map(|(value, met)| (value, met.rows)), special);
            for (value, met) in map.entries() {
                of_drafts[met.number as usize + 1] = quantile_id(&edges, value);
            }
            Draft { lookup: Lookup::Quantile(edges), counts, ids: of_drafts }
        }
        CountedValues::Moments(moments) => scaled_draft(moments.scale(), vec![missing, 0, moments.rows]),
        CountedValues::Extremes(extremes) => scaled_draft(extremes.scale(), vec![missing, 0, extremes.rows]),
    }
}

fn scaled_draft(scale: Scale, counts: Vec<u32>) -> Draft {
    Draft { lookup: Lookup::Scaled(scale), counts, ids: Vec::new() }
}

#[expect(clippy::cast_possible_truncation, reason = "there are at most 65,536 buckets")]
fn quantile_id(edges: &[f64], number: f64) -> u32 {
    FIRST_VALUE + quantile_bucket(edges, number) as u32
}

/// The rows of each id of the buckets between `edges`.
pub(super) fn quantile_counts(edges: &[f64], counted: impl Iterator<Item = (f64, u32)>, special: [u32; 2]) -> Vec<u32> {
    let mut counts = special.to_vec();
    counts.resize(FIRST_VALUE as usize + edges.len() + 1, 0);
    for (number, rows) in counted {
        let count = &mut counts[quantile_id(edges, number) as usize];
        *count = count.saturating_add(rows);
    }
    counts
}

fn piecewise_draft(counted: Vec<(f64, u32)>, buckets: u32, special: [u32; 2]) -> Draft {
    let numbers = counted.iter().map(|(number, _)| *number);
    let outer = numbers.clone().min_by(f64::total_cmp).zip(numbers.max_by(f64::total_cmp));
    let knots = knots(quantile_edges(counted.clone(), buckets), outer);
    let counts = knot_counts(&knots, counted.into_iter(), special);
    Draft { lookup: Lookup::Piecewise(knots), counts, ids: Vec::new() }
}

/// The knots at `edges` and at the least and the greatest number, where there are any.
pub(super) fn knots(edges: Vec<f64>, outer: Option<(f64, f64)>) -> Vec<f64> {
    let Some((least, greatest)) = outer else { return vec![0.0] };
    let mut knots = edges;
    knots.extend([least, greatest]);
    knots.sort_unstable_by(f64::total_cmp);
    knots.dedup();
    knots
}

/// The rows of each id of `knots`: a knot's are those whose numbers are nearest to it.
pub(super) fn knot_counts(knots: &[f64], counted: impl Iterator<Item = (f64, u32)>, special: [u32; 2]) -> Vec<u32> {
    let mut counts = special.to_vec();
    counts.resize(FIRST_VALUE as usize + knots.len(), 0);
    for (number, rows) in counted {
        let (below, share) = between_knots(knots, number);
        let count = &mut counts[FIRST_VALUE as usize + below + usize::from(share > 0.5)];
        *count = count.saturating_add(rows);
    }
    counts
}

/// Which values have an id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Those that stand in so many rows,
    pub(super) min_count: u32,
    /// and of these the most frequent ones, so many.
    pub(super) max_size: usize,
}

/// The values within the limits, most frequent first and ties by value; and the rows of each id, those of all other values being
/// out-of-vocabulary.
pub(super) fn by_falling_count<V>(
    entries: impl Iterator<Item = (V, u32)>,
    Limits { min_count, max_size }: Limits,
    [missing, mut unknown]: [u32; 2],
    compare: impl Fn(&V, &V) -> std::cmp::Ordering,
) -> (Vec<V>, Vec<u32>) {
    let falling = |left: &(V, u32), right: &(V, u32)| right.1.cmp(&left.1).then_with(|| compare(&left.0, &right.0));
    let mut kept = Vec::new();
    for (value, count) in entries {
        if count < min_count {
            unknown = unknown.saturating_add(count);
            continue;
        }
        kept.push((value, count));
        if kept.len() / 2 >= max_size {
            // so that no more than twice as many are held as have an id
            kept.select_nth_unstable_by(max_size, falling);
            for (_, count) in kept.drain(max_size..) {
                unknown = unknown.saturating_add(count);
            }
        }
    }
    kept.sort_unstable_by(falling);
    for (_, count) in kept.drain(max_size.min(kept.len())..) {
        unknown = unknown.saturating_add(count);
    }
    let mut counts = Vec::with_capacity(kept.len() + 2);
    counts.extend([missing, unknown]);
    counts.extend(kept.iter().map(|(_, count)| *count));
    (kept.into_iter().map(|(value, _)| value).collect(), counts)
}
