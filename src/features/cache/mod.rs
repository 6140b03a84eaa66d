//! Encoded rows in an Arrow IPC file, read by mmap without a copy. One record batch has 65,536 rows.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, FixedSizeListArray, Float32Array, RecordBatch, UInt8Array, UInt32Array, UInt64Array};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{DataType, Field};

mod renumber;
mod write;

pub use self::write::{CacheLayout, CacheWriter};

use super::batch::Batch;
use super::error::{FeaturesError, damaged};
use super::mapped::{MappedFile, Pages, read_mapped};

/// Rows of one record batch, so that a row is found by a shift.
const BATCH_ROWS: usize = 1 << 16;
/// Rows that are asked for before the first of them is copied: a batch's lie anywhere.
const ROWS_AHEAD: usize = 8;
/// Where the footer says how many rows a table needs for the ids, which is known only once all are written. Older caches say it in
/// their schema.
const TABLE_ROWS: &str = "table_rows";

/// Encoded rows on the disk; a clone shares them.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Mapped>);

#[derive(Debug)]
struct Mapped {
    pages: Pages,
    rows: usize,
    columns: usize,
    extra: Arc<[u32]>,
    table_rows: usize,
    chunks: Vec<Chunk>,
}

/// One record batch's columns, within the mapped file.
#[derive(Debug)]
struct Chunk {
    ids: ScalarBuffer<u32>,
    values: Option<ScalarBuffer<f32>>,
    labels: ScalarBuffer<u8>,
    weights: Option<ScalarBuffer<f32>>,
    groups: Option<ScalarBuffer<u64>>,
}

impl Cache {
    /// Maps the file at `path`, which must not change from now on.
    ///
    /// # Errors
    /// When the file can't be read or isn't as [`CacheWriter`] leaves it.
    pub fn open(path: &Path) -> Result<Self, FeaturesError> {
        let MappedFile { schema, metadata, batches, pages } = read_mapped(path)?;
        let columns = match schema.field_with_name("ids").map(Field::data_type) {
            Ok(DataType::FixedSizeList(_, columns)) => usize::try_from(*columns).unwrap_or(0),
            _ => return Err(damaged(path, "expected a column `ids` of lists, found none")),
        };
        let table_rows = metadata.get(TABLE_ROWS).or_else(|| schema.metadata().get(TABLE_ROWS));
        let table_rows = table_rows.and_then(|rows| rows.parse().ok());
        let table_rows =
            table_rows.ok_or_else(|| damaged(path, "expected `table_rows` in the metadata, found none"))?;
        let extra = schema.metadata().get("extra").and_then(|extra| serde_json::from_str::<Vec<u32>>(extra).ok());
        let extra = extra.filter(|extra| extra.len() < columns);
        let extra = extra.ok_or_else(|| damaged(path, "expected `extra` in the metadata, found none"))?;
        let mut rows = 0;
        let mut chunks = Vec::with_capacity(batches.len());
        for (number, batch) in batches.iter().enumerate() {
            rows += batch.num_rows();
            if batch.num_rows() != BATCH_ROWS && number + 1 < batches.len() {
                return Err(damaged(path, format!("expected {BATCH_ROWS} rows a batch, found {}", batch.num_rows())));
            }
            chunks.push(chunk(batch).ok_or_else(|| damaged(path, "expected the columns of a cache, found others"))?);
        }
        Ok(Self(Arc::new(Mapped { pages, rows, columns, extra: extra.into(), table_rows, chunks })))
    }

    pub fn rows(&self) -> usize {
        self.0.rows
    }

    /// Ids a row.
    pub fn columns(&self) -> usize {
        self.0.columns
    }

    /// The number of fields.
    pub fn fields(&self) -> usize {
        self.0.columns - self.0.extra.len()
    }

    /// The field of each column behind those of the fields, see [`Encoded::extra`](super::Encoded::extra).
    pub(super) fn extra(&self) -> &Arc<[u32]> {
        &self.0.extra
    }

    /// All ids are below it.
    pub fn table_rows(&self) -> usize {
        self.0.table_rows
    }

    /// The file's size.
    pub fn bytes(&self) -> u64 {
        self.0.pages.bytes()
    }

    /// Leaves what was read to the system; it is read from the file again where it is asked for.
    pub(super) fn release(&self) {
        self.0.pages.release();
    }

    /// The ids of a row, one a column.
    ///
    /// # Panics
    /// For a row beyond the last, as all that take a row do.
    #[inline]
    pub fn ids(&self, row: usize) -> &[u32] {
        let (chunk, cells) = self.cells(row);
        &chunk.ids[cells]
    }

    /// What the features' vectors are multiplied by, where that isn't 1 everywhere.
    #[inline]
    pub fn values(&self, row: usize) -> Option<&[f32]> {
        let (chunk, cells) = self.cells(row);
        chunk.values.as_ref().map(|values| &values[cells])
    }

    /// 0 or 1.
    #[inline]
    pub fn label(&self, row: usize) -> u8 {
        self.0.chunks[row / BATCH_ROWS].labels[row % BATCH_ROWS]
    }

    /// What the row's loss is multiplied by, where rows have weights.
    #[inline]
    pub fn weight(&self, row: usize) -> Option<f32> {
        self.0.chunks[row / BATCH_ROWS].weights.as_ref().map(|weights| weights[row % BATCH_ROWS])
    }

    /// A hash of the group, where there are groups.
    #[inline]
    pub fn group(&self, row: usize) -> Option<u64> {
        self.0.chunks[row / BATCH_ROWS].groups.as_ref().map(|groups| groups[row % BATCH_ROWS])
    }

    #[inline]
    fn cells(&self, row: usize) -> (&Chunk, Range<usize>) {
        let first = row % BATCH_ROWS * self.0.columns;
        (&self.0.chunks[row / BATCH_ROWS], first..first + self.0.columns)
    }

    /// A batch of `rows` in the order given, without its distinct ids.
    pub(super) fn batch(&self, rows: impl ExactSizeIterator<Item = usize> + Clone) -> Batch {
        let mut ids = Vec::with_capacity(rows.len() * self.columns());
        let mut ahead = rows.clone();
        let mut asked: usize = ahead.by_ref().take(ROWS_AHEAD).map(|row| self.ask(row)).sum();
        for row in rows.clone() {
            asked += ahead.next().map_or(0, |row| self.ask(row));
            ids.extend_from_slice(self.ids(row));
        }
        std::hint::black_box(asked);
        Batch {
            rows: rows.len(),
            columns: self.columns(),
            extra: Arc::clone(self.extra()),
            ids,
            values: self.batch_values(rows.clone()),
            labels: rows.clone().map(|row| f32::from(self.label(row))).collect(),
            weights: rows.clone().filter_map(|row| self.weight(row)).collect(),
            groups: rows.filter_map(|row| self.group(row)).collect(),
            ..Batch::default()
        }
    }

    /// Brings a row's ids nearer.
    #[inline]
    fn ask(&self, row: usize) -> usize {
        let ids = self.ids(row);
        ids.first().zip(ids.last()).map_or(0, |(first, last)| (first ^ last) as usize)
    }

    fn batch_values(&self, rows: impl ExactSizeIterator<Item = usize>) -> Option<Vec<f32>> {
        self.0.chunks.first()?.values.as_ref()?;
        let mut all = Vec::with_capacity(rows.len() * self.columns());
        for row in rows {
            all.extend_from_slice(self.values(row).unwrap_or_default());
        }
        Some(all)
    }
}

/// The columns of one record batch; `None` where they are of other types.
fn chunk(batch: &RecordBatch) -> Option<Chunk> {
    let list = |name| batch.column_by_name(name)?.as_any().downcast_ref::<FixedSizeListArray>();
    let values = match batch.column_by_name("values") {
        Some(_) => Some(list("values")?.values().as_any().downcast_ref::<Float32Array>()?.values().clone()),
        None => None,
    };
    let groups = match batch.column_by_name("group") {
        Some(column) => Some(column.as_any().downcast_ref::<UInt64Array>()?.values().clone()),
        None => None,
    };
    let weights = match batch.column_by_name("weight") {
        Some(column) => Some(column.as_any().downcast_ref::<Float32Array>()?.values().clone()),
        None => None,
    };
    let labels = batch.column_by_name("label")?.as_any().downcast_ref::<UInt8Array>()?.values().clone();
    let ids = list("ids")?.values().as_any().downcast_ref::<UInt32Array>()?.values().clone();
    Some(Chunk { ids, values, labels, weights, groups })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::features::encode::Encoded;

    /// Of ids alone.
    pub(super) fn layout(fields: usize, table_rows: usize) -> CacheLayout {
        CacheLayout {
            fields: (0..fields).map(|field| format!("f{field}")).collect(),
            extra: Vec::new(),
            table_rows,
            has_values: false,
            has_weights: false,
            has_groups: false,
        }
    }

    /// A cache of so many rows, in which no id stands twice.
    pub(in crate::features) fn cache_of(rows: usize, fields: usize) -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.arrow");
        let layout = layout(fields, rows * fields);
        let encoded = Encoded {
            columns: fields,
            ids: (0..u32::try_from(rows * fields).unwrap()).collect(),
            labels: (0..rows).map(|row| u8::from(row % 3 == 0)).collect(),
            ..Encoded::default()
        };
        let mut writer = CacheWriter::create(&path, layout).unwrap();
        writer.push(&encoded, 0..rows).unwrap();
        assert_eq!(writer.finish().unwrap(), rows as u64);
        (folder, Cache::open(&path).unwrap())
    }

    #[test]
    fn rows_are_read_as_they_were_written_over_several_record_batches() {
        let rows = BATCH_ROWS + 5;
        let (_folder, cache) = cache_of(rows, 2);
        assert_eq!((cache.rows(), cache.fields()), (rows, 2));
        for row in [0, BATCH_ROWS - 1, BATCH_ROWS, rows - 1] {
            let first = u32::try_from(row * 2).unwrap();
            assert_eq!(cache.ids(row), [first, first + 1]);
            assert_eq!(cache.label(row), u8::from(row % 3 == 0));
        }
    }
}
