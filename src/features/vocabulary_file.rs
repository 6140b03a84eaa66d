//! The vocabulary as an Arrow file that other tools read: a row an id with its field, value and training rows.
//!
//! With derived fields there are two more columns, `key` and `clicks`, and behind the ids a row for each combination
//! that a statistic has seen.

use std::{
    collections::HashMap,
    fs::{self, File},
    ops::Range,
    path::Path,
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef, RecordBatch,
    builder::{BinaryBuilder, StringBuilder},
    cast::AsArray,
    types::{UInt32Type, UInt64Type},
    {UInt32Array, UInt64Array},
};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use super::{
    derived::{Derived, DerivedRecord, KeyedRow, Seen},
    error::{FeaturesError, arrow_error, damaged, io_error},
    keys::{NumberMap, TextKey, TextMap},
    many::Many,
    mapped::{MappedFile, read_mapped},
    numeric::{Buckets, Scale},
    vocabulary::{FIRST_VALUE, FieldVocabulary, Lookup, UNKNOWN, Vocabulary},
};

/// Rows of a record batch.
const BATCH_ROWS: usize = 1 << 18;
/// The metadata's key of all that isn't a row.
const FIELDS: &str = "secn.fields";
/// The metadata's key of what derived fields follow from, where there are any.
const DERIVED: &str = "secn.derived";

/// What the file tells of a field beside its rows.
#[derive(Serialize, Deserialize)]
struct FieldRecord {
    name: String,
    ids: Range<u32>,
    lookup: LookupRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    many: Option<Many>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LookupRecord {
    Text,
    Buckets { by: Buckets },
    Quantile { edges: Vec<f64> },
    Piecewise { knots: Vec<f64> },
    Scaled { offset: f64, unit: f64, lowest: f64, highest: f64 },
    HashedText,
    HashedNumber { by: Buckets },
    Derived,
}

impl Vocabulary {
    /// Writes the vocabulary beside `path`, then renames it into place.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), FeaturesError> {
        let temporary = path.with_extension("new");
        let file = File::create(&temporary).map_err(io_error(&temporary))?;
        let schema = Arc::new(self.arrow_schema());
        let mut writer = FileWriter::try_new_buffered(file, &schema).map_err(arrow_error(&temporary))?;
        self.write_rows(&schema, &mut |batch| writer.write(&batch)).map_err(arrow_error(&temporary))?;
        let buffered = writer.into_inner().map_err(arrow_error(&temporary))?;
        let file = buffered.into_inner().map_err(|error| io_error(&temporary)(error.into_error()))?;
        file.sync_all().map_err(io_error(&temporary))?;
        fs::rename(&temporary, path).map_err(io_error(path))
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// When the file can't be read or isn't a vocabulary.
    pub fn load(path: &Path) -> Result<Self, FeaturesError> {
        let MappedFile { schema, batches, .. } = read_mapped(path)?;
        let records =
            schema.metadata().get(FIELDS).ok_or_else(|| damaged(path, "expected a vocabulary, found none"))?;
        let records: Vec<FieldRecord> =
            serde_json::from_str(records).map_err(|error| damaged(path, error.to_string()))?;
        if !are_in_order(&records) {
            return Err(damaged(path, "expected each field's ids behind those of the field before it, found others"));
        }
        // never more room than the file has rows, whatever it says of its fields
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let fields = records.into_iter().map(|record| empty_field(record, rows)).collect();
        let mut vocabulary = Self::from_parts(fields, Vec::new());
        if let Some(record) = schema.metadata().get(DERIVED) {
            let record: DerivedRecord =
                serde_json::from_str(record).map_err(|error| damaged(path, error.to_string()))?;
            if !record.is_within(vocabulary.fields()) {
                return Err(damaged(path, "expected derived fields that follow from those before them, found others"));
            }
            let derived =
                Derived::from_record(record, &vocabulary).map_err(|error| damaged(path, error.to_string()))?;
            *vocabulary.derived_mut() = derived;
        }
        for batch in &batches {
            read_batch(batch, &mut vocabulary)
                .ok_or_else(|| damaged(path, "expected the columns of a vocabulary, found others"))?;
        }
        let (ids, found) = (vocabulary.table_rows(), vocabulary.counts().len());
        if found > 0 && found != ids {
            return Err(damaged(path, format!("expected {ids} ids, found {found}")));
        }
        Ok(vocabulary)
    }

    fn arrow_schema(&self) -> Schema {
        let mut columns = vec![
            Field::new("field", DataType::Utf8, false),
            Field::new("value", DataType::Binary, true),
            Field::new("id", DataType::UInt32, false),
            Field::new("count", DataType::UInt64, false),
        ];
        let records: Vec<FieldRecord> = self.field_vocabularies().iter().map(record).collect();
        let json = serde_json::to_string(&records).expect("a field's record can be written as JSON");
        let mut metadata = HashMap::from([(FIELDS.to_owned(), json)]);
        if self.derived().fields() > 0 {
            // behind the ids: the rows and clicks of each combination, `id` being the statistic's number
            columns.push(Field::new("key", DataType::UInt64, true));
            columns.push(Field::new("clicks", DataType::UInt32, true));
            let json = serde_json::to_string(&self.derived().record()).expect("a record can be written as JSON");
            metadata.insert(DERIVED.to_owned(), json);
        }
        Schema::new(columns).with_metadata(metadata)
    }

    fn write_rows(
        &self,
        schema: &Arc<Schema>,
        write: &mut dyn FnMut(RecordBatch) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        let mut rows = Rows::new(schema);
        let mut push = |field: &str, value: Option<&[u8]>, row: NumbersOfRow| {
            rows.push(field, value, row);
            if rows.ids.len() == BATCH_ROWS { write(rows.take()?) } else { Ok(()) }
        };
        for ((position, field), counts) in self.field_vocabularies().iter().enumerate().zip(self.field_counts()) {
            // ids by a hash have no rows in the file, and there may be 2^32 of them
            if counts.is_empty() {
                continue;
            }
            let keys = self.cross_keys(position);
            for (((value, key), id), count) in values(field).into_iter().zip(keys).zip(field.ids.clone()).zip(counts) {
                push(&field.name, value.as_deref(), NumbersOfRow { id, count: *count, key, clicks: None })?;
            }
        }
        for KeyedRow { statistic, key, seen } in self.derived().keyed_rows() {
            let numbers = NumbersOfRow { id: statistic, count: seen.rows, key: Some(key), clicks: Some(seen.clicks) };
            push("", None, numbers)?;
        }
        write(rows.take()?)
    }

    /// The key of each id of a cross; none for other fields and for missing and out-of-vocabulary.
    fn cross_keys(&self, field: usize) -> Vec<Option<u64>> {
        let mut keys = vec![None; self.field_rows(field).len()];
        let base = self.fields() - self.derived().fields();
        let crossed = field.checked_sub(base).and_then(|derived| self.derived().cross_keys(derived));
        for (id, key) in crossed.into_iter().flatten() {
            keys[id as usize] = Some(key);
        }
        keys
    }

    /// The training rows of each field's ids; empty slices where hashing gives ids.
    fn field_counts(&self) -> impl Iterator<Item = &[u32]> {
        self.field_vocabularies()
            .iter()
            .map(|field| self.counts().get(field.ids.start as usize..field.ids.end as usize).unwrap_or_default())
    }
}

fn record(field: &FieldVocabulary) -> FieldRecord {
    let lookup = match &field.lookup {
        Lookup::Text(_) => LookupRecord::Text,
        Lookup::Buckets(by, _) => LookupRecord::Buckets { by: *by },
        Lookup::Quantile(edges) => LookupRecord::Quantile { edges: edges.clone() },
        Lookup::Piecewise(knots) => LookupRecord::Piecewise { knots: knots.clone() },
        Lookup::Scaled(Scale { offset, unit, lowest, highest }) => {
            LookupRecord::Scaled { offset: *offset, unit: *unit, lowest: *lowest, highest: *highest }
        }
        Lookup::HashedText => LookupRecord::HashedText,
        Lookup::HashedNumber(by) => LookupRecord::HashedNumber { by: *by },
        Lookup::Derived => LookupRecord::Derived,
    };
    FieldRecord { name: field.name.clone(), ids: field.ids.clone(), lookup, many: field.many }
}

fn are_in_order(records: &[FieldRecord]) -> bool {
    let starts = std::iter::once(0).chain(records.iter().map(|record| record.ids.end));
    records.iter().zip(starts).all(|(record, start)| record.ids.start == start && record.ids.end >= start)
}

fn empty_field(record: FieldRecord, most_values: usize) -> FieldVocabulary {
    let values = record.ids.len().saturating_sub(FIRST_VALUE as usize).min(most_values);
    let lookup = match record.lookup {
        LookupRecord::Text => Lookup::Text(TextMap::with_capacity(values, 0, UNKNOWN)),
        LookupRecord::Buckets { by } => Lookup::Buckets(by, NumberMap::new(UNKNOWN)),
        LookupRecord::Quantile { edges } => Lookup::Quantile(edges),
        LookupRecord::Piecewise { knots } => Lookup::Piecewise(knots),
        LookupRecord::Scaled { offset, unit, lowest, highest } => {
            Lookup::Scaled(Scale { offset, unit, lowest, highest })
        }
        LookupRecord::HashedText => Lookup::HashedText,
        LookupRecord::HashedNumber { by } => Lookup::HashedNumber(by),
        LookupRecord::Derived => Lookup::Derived,
    };
    FieldVocabulary { name: record.name, ids: record.ids, lookup, many: record.many }
}

/// The value of each of a field's ids; none for missing, out-of-vocabulary, and buckets or scales.
fn values(field: &FieldVocabulary) -> Vec<Option<Vec<u8>>> {
    let mut values = vec![None; field.ids.len()];
    match &field.lookup {
        Lookup::Text(map) => {
            for (key, id) in map.entries() {
                values[id as usize] = Some(key.text(&mut [0; 8]).to_vec());
            }
        }
        Lookup::Buckets(_, map) => {
            for (number, id) in map.entries() {
                values[id as usize] = Some(number.to_string().into_bytes());
            }
        }
        Lookup::Quantile(_)
        | Lookup::Piecewise(_)
        | Lookup::Scaled(_)
        | Lookup::HashedText
        | Lookup::HashedNumber(_)
        | Lookup::Derived => {}
    }
    values
}

/// `None` for other columns or values than [`Vocabulary::save`] writes.
fn read_batch(batch: &RecordBatch, vocabulary: &mut Vocabulary) -> Option<()> {
    let values = batch.column_by_name("value")?.as_binary_opt::<i32>()?;
    let ids = batch.column_by_name("id")?.as_primitive_opt::<UInt32Type>()?;
    let rows = batch.column_by_name("count")?.as_primitive_opt::<UInt64Type>()?;
    let keys = batch.column_by_name("key").and_then(|column| column.as_primitive_opt::<UInt64Type>());
    let clicks = batch.column_by_name("clicks").and_then(|column| column.as_primitive_opt::<UInt32Type>());
    for row in 0..batch.num_rows() {
        let (id, count) = (ids.value(row), u32::try_from(rows.value(row)).ok()?);
        let key = keys.filter(|keys| keys.is_valid(row)).map(|keys| keys.value(row));
        if let (Some(key), Some(clicks)) = (key, clicks.filter(|clicks| clicks.is_valid(row))) {
            let seen = Seen { rows: count, clicks: clicks.value(row) };
            vocabulary.derived_mut().insert(&KeyedRow { statistic: id, key, seen })?;
            continue;
        }
        vocabulary.add_count(count);
        let value = values.is_valid(row).then(|| values.value(row));
        insert_value(vocabulary, id, value, key)?;
    }
    Some(())
}

/// `None` for an id or a value that the field can't have.
fn insert_value(vocabulary: &mut Vocabulary, id: u32, value: Option<&[u8]>, key: Option<u64>) -> Option<()> {
    if value.is_none() && key.is_none() {
        return Some(());
    }
    let fields = vocabulary.field_vocabularies();
    let position = fields.partition_point(|field| field.ids.end <= id);
    let own_id = id.checked_sub(fields.get(position)?.ids.start)?;
    if let Some(key) = key {
        let base = vocabulary.fields() - vocabulary.derived().fields();
        return vocabulary.derived_mut().insert_cross(position.checked_sub(base)?, key, own_id);
    }
    let value = value?;
    match vocabulary.lookup_mut(position) {
        Lookup::Text(map) => map.insert(TextKey::of(value), own_id),
        Lookup::Buckets(_, map) => *map.entry(std::str::from_utf8(value).ok()?.parse().ok()?) = own_id,
        _ => return None,
    }
    Some(())
}

/// All of a row but its texts.
#[derive(Clone, Copy)]
struct NumbersOfRow {
    id: u32,
    count: u32,
    /// The combination of ids that a derived field has the id or the statistic of.
    key: Option<u64>,
    clicks: Option<u32>,
}

/// Rows of the file that is being written.
struct Rows {
    schema: Arc<Schema>,
    fields: StringBuilder,
    values: BinaryBuilder,
    ids: Vec<u32>,
    counts: Vec<u64>,
    keys: Vec<Option<u64>>,
    clicks: Vec<Option<u32>>,
}

impl Rows {
    fn new(schema: &Arc<Schema>) -> Self {
        let (fields, values) = (StringBuilder::new(), BinaryBuilder::new());
        let (ids, counts, keys, clicks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { schema: Arc::clone(schema), fields, values, ids, counts, keys, clicks }
    }

    fn push(&mut self, field: &str, value: Option<&[u8]>, row: NumbersOfRow) {
        self.fields.append_value(field);
        self.values.append_option(value);
        self.ids.push(row.id);
        self.counts.push(u64::from(row.count));
        self.keys.push(row.key);
        self.clicks.push(row.clicks);
    }

    fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.fields.finish()),
            Arc::new(self.values.finish()),
            Arc::new(UInt32Array::from(std::mem::take(&mut self.ids))),
            Arc::new(UInt64Array::from(std::mem::take(&mut self.counts))),
        ];
        let (keys, clicks) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.clicks));
        if self.schema.fields().len() > columns.len() {
            columns.push(Arc::new(UInt64Array::from(keys)));
            columns.push(Arc::new(UInt32Array::from(clicks)));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}
