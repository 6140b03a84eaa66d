//! Pass 3: the prepared rows' ids → statistics, counts and crosses → rows with the derived fields.
//!
//! Each combination is one thread's work from the first row to the last, so results don't depend on the number of
//! threads. Memory: the combinations themselves, 4 bytes a training row, and 8 more for each combination that is being
//! worked on; of these only as many at a time as fit 1 GiB.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::{
    Combination, CountOf, Counts, Cross, Derived, DerivedPlan, Seen, Smoothing, Statistic,
    earlier::{EarlierFile, Memory, ROW_BYTES, order, visit},
    fill::Earlier,
    statistic::{Count, count_bucket, edges},
};
use crate::{
    features::{
        cache::{Cache, CacheLayout, CacheWriter},
        config::FeaturesConfig,
        encode::Encoded,
        error::{FeaturesError, io_error},
        vocabulary::Vocabulary,
    },
    seed::Seed,
};

/// Rows that are read, filled by several threads, and written at a time; and those that a thread fills.
const GROUP_ROWS: usize = 1 << 14;
const PIECE_ROWS: usize = 1 << 11;

/// What the third pass works on.
pub(in crate::features) struct ThirdPass<'a> {
    /// The folder with the encoded parts.
    pub(in crate::features) folder: &'a Path,
    pub(in crate::features) plan: &'a DerivedPlan,
    pub(in crate::features) features: &'a FeaturesConfig,
    pub(in crate::features) seed: Seed,
    pub(in crate::features) has_weights: bool,
    pub(in crate::features) has_groups: bool,
}

/// Adds the derived fields to the training part in the folder, and to those of `others` that are there.
///
/// # Errors
/// When files can't be read or written, or the combinations take more memory than allowed.
pub(in crate::features) fn derive(
    pass: &ThirdPass,
    base: Vocabulary,
    others: &[&str],
) -> Result<Vocabulary, FeaturesError> {
    let train_path = set_aside(pass.folder, "train")?;
    let train = Cache::open(&train_path)?;
    let earlier_path = pass.folder.join("earlier.new");
    let earlier = EarlierFile::create(&earlier_path, train.rows())?;
    let derived = pass.derived(&base, &train, &earlier)?;
    let mut vocabulary = base.with_derived(derived)?;
    let counts = pass.rewrite("train", &train, &vocabulary, Some(&earlier))?;
    vocabulary.add_counts(&counts);
    drop(train);
    for path in [&train_path, &earlier_path] {
        fs::remove_file(path).map_err(io_error(path))?;
    }
    for part in others {
        let path = set_aside(pass.folder, part)?;
        pass.rewrite(part, &Cache::open(&path)?, &vocabulary, None)?;
        fs::remove_file(&path).map_err(io_error(&path))?;
    }
    Ok(vocabulary)
}

/// Makes room for a part's new file.
fn set_aside(folder: &Path, part: &str) -> Result<PathBuf, FeaturesError> {
    let (path, aside) = (folder.join(format!("{part}.arrow")), folder.join(format!("{part}-base.arrow")));
    fs::rename(&path, &aside).map_err(io_error(&path))?;
    Ok(aside)
}

impl ThirdPass<'_> {
    fn derived(&self, base: &Vocabulary, train: &Cache, earlier: &EarlierFile) -> Result<Derived, FeaturesError> {
        let mut derived = Derived::default();
        let memory = Memory::new(self.features.max_memory);
        if let Some(config) = &self.features.target_statistics {
            let clicks: u64 = (0..train.rows()).map(|row| u64::from(train.label(row))).sum();
            let click_rate = clicks as f64 / train.rows().max(1) as f64;
            derived.smoothing = Smoothing { prior: config.prior.value(), click_rate };
            let visits = Visits {
                buckets: Some(config.buckets.get()),
                counts: config.counts,
                train,
                order: order(train.rows(), self.seed),
                smoothing: derived.smoothing,
                memory: &memory,
                earlier,
                first_column: 0,
            };
            derived.statistics = visits.statistics(&self.plan.statistics, base)?;
        }
        if let Some(config) = &self.features.counts {
            let rows = u32::try_from(train.rows()).expect("a training part has fewer than 2^32 rows");
            let visits = Visits {
                buckets: None,
                counts: if config.of == CountOf::Before { Counts::Earlier } else { Counts::Others },
                train,
                order: (0..rows).collect(),
                smoothing: derived.smoothing,
                memory: &memory,
                earlier,
                first_column: derived.statistics.len(),
            };
            derived.statistics.extend(visits.statistics(&self.plan.counts, base)?);
        }
        let min_count = self.features.min_count.get();
        let cross = |fields: &Vec<usize>| Cross::count(Combination::new(fields, base)?, train, min_count, &memory);
        derived.crosses = self.plan.crosses.par_iter().map(cross).collect::<Result<_, _>>()?;
        Ok(derived)
    }

    /// Writes a part with the derived fields; gives the rows of each of their ids.
    fn rewrite(
        &self,
        part: &str,
        base: &Cache,
        vocabulary: &Vocabulary,
        earlier: Option<&EarlierFile>,
    ) -> Result<Vec<u32>, FeaturesError> {
        let path = self.folder.join(format!("{part}.arrow"));
        let mut writer = CacheWriter::create(&path, CacheLayout::of(vocabulary, self.has_weights, self.has_groups))?;
        let first_id = vocabulary.field_rows(base.fields()).start;
        let mut counts = vec![0_u32; vocabulary.table_rows() - first_id as usize];
        for first in (0..base.rows()).step_by(GROUP_ROWS) {
            let rows = first..(first + GROUP_ROWS).min(base.rows());
            let statistics = vocabulary.derived().statistics.len();
            let columns = earlier.map(|file| file.read(statistics, rows.clone())).transpose()?;
            for encoded in fill_group(base, vocabulary, &rows, columns.as_deref()) {
                let derived = encoded.ids.chunks_exact(encoded.columns);
                let derived = derived.flat_map(|ids| &ids[base.fields()..vocabulary.fields()]);
                derived.for_each(|id| counts[(id - first_id) as usize] += 1);
                writer.push(&encoded, 0..encoded.rows())?;
            }
        }
        writer.finish()?;
        Ok(counts)
    }
}

/// What all statistics are made from.
struct Visits<'a> {
    /// The most buckets of a statistic; none where there are counts alone.
    buckets: Option<u32>,
    counts: Counts,
    train: &'a Cache,
    order: Vec<u32>,
    smoothing: Smoothing,
    memory: &'a Memory,
    earlier: &'a EarlierFile,
    /// The first of this visit's columns in the file.
    first_column: usize,
}

impl Visits<'_> {
    fn statistics(&self, plan: &[Vec<usize>], base: &Vocabulary) -> Result<Vec<Statistic>, FeaturesError> {
        const EARLIER_BYTES: usize = 1 << 30;
        let fit = (EARLIER_BYTES / (ROW_BYTES * self.train.rows().max(1))).max(1);
        let at_once = if fit < rayon::current_num_threads() { fit } else { plan.len().max(1) };
        let mut statistics = Vec::with_capacity(plan.len());
        for (number, some) in plan.chunks(at_once).enumerate() {
            let first = self.first_column + number * at_once;
            let some = some.par_iter().enumerate();
            let some = some.map(|(column, fields)| self.statistic(first + column, Combination::new(fields, base)?));
            statistics.extend(some.collect::<Result<Vec<_>, FeaturesError>>()?);
        }
        Ok(statistics)
    }

    fn statistic(&self, column: usize, combination: Combination) -> Result<Statistic, FeaturesError> {
        let (earlier, seen) = visit(&combination, self.train, &self.order, self.memory)?;
        self.earlier.write(column, &earlier)?;
        let edges = self.buckets.map(|buckets| edges(&earlier, self.smoothing, buckets));
        let most = seen.values().map(|seen| seen.rows).max().unwrap_or(0);
        let count = (self.counts != Counts::None)
            .then(|| Count { buckets: count_bucket(most) + 1, others: self.counts == Counts::Others });
        Ok(Statistic { combination, seen, edges, count })
    }
}

/// Some rows with the derived fields, in pieces by several threads.
fn fill_group(
    base: &Cache,
    vocabulary: &Vocabulary,
    rows: &Range<usize>,
    columns: Option<&[Vec<Seen>]>,
) -> Vec<Encoded> {
    let pieces: Vec<usize> = rows.clone().step_by(PIECE_ROWS).collect();
    let fill = |first: &usize| {
        let piece = *first..(first + PIECE_ROWS).min(rows.end);
        let mut encoded = widened(base, vocabulary.fields(), piece.clone());
        let within = piece.start - rows.start..piece.end - rows.start;
        let earlier = columns.map(|columns| Earlier { columns, rows: within });
        vocabulary.fill_derived(&mut encoded, earlier.as_ref());
        encoded
    };
    pieces.par_iter().map(fill).collect()
}

/// Rows of a cache with room for more fields.
fn widened(base: &Cache, fields: usize, rows: Range<usize>) -> Encoded {
    let more = fields - base.fields();
    let extra = std::sync::Arc::clone(base.extra());
    let mut encoded = Encoded { columns: base.columns() + more, extra, ..Encoded::default() };
    encoded.ids.reserve(rows.len() * encoded.columns);
    for row in rows {
        let (ids, further) = base.ids(row).split_at(base.fields());
        encoded.ids.extend(ids.iter().copied().chain(std::iter::repeat_n(0, more)).chain(further.iter().copied()));
        if let Some(values) = base.values(row) {
            let (values, further) = values.split_at(base.fields());
            let values = values.iter().copied().chain(std::iter::repeat_n(1.0, more));
            encoded.values.extend(values.chain(further.iter().copied()));
        }
        encoded.labels.push(base.label(row));
        encoded.weights.extend(base.weight(row));
        encoded.groups.extend(base.group(row));
    }
    encoded
}
