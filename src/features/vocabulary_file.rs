//! The vocabulary as an Arrow file that other tools read: a row an id with its field, value and training rows.

use std::{
    collections::HashMap,
    fs::{self, File},
    ops::Range,
    path::Path,
    sync::Arc,
};

use arrow_array::{
    Array, RecordBatch,
    builder::{BinaryBuilder, StringBuilder},
    cast::AsArray,
    types::{UInt32Type, UInt64Type},
    {UInt32Array, UInt64Array},
};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use super::{
    error::{FeaturesError, arrow_error, damaged, io_error},
    keys::{NumberMap, TextKey, TextMap},
    mapped::read_mapped,
    numeric::Scale,
    vocabulary::{FIRST_VALUE, FieldVocabulary, Lookup, UNKNOWN, Vocabulary},
};

/// Rows of a record batch.
const BATCH_ROWS: usize = 1 << 18;
/// The metadata's key of all that isn't a row.
const FIELDS: &str = "secn.fields";

/// What the file tells of a field beside its rows.
#[derive(Serialize, Deserialize)]
struct FieldRecord {
    name: String,
    ids: Range<u32>,
    lookup: LookupRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LookupRecord {
    Text,
    Log2Bucket,
    Quantile { edges: Vec<f64> },
    Scaled { offset: f64, unit: f64, lowest: f64, highest: f64 },
    HashedText,
    HashedNumber,
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
        let mut rows = Rows::new(&schema);
        for (field, counts) in self.field_vocabularies().iter().zip(self.field_counts()) {
            for ((value, id), count) in values(field).into_iter().zip(field.ids.clone()).zip(counts) {
                rows.push(&field.name, value.as_deref(), id, *count);
                if rows.ids.len() == BATCH_ROWS {
                    writer.write(&rows.take().map_err(arrow_error(&temporary))?).map_err(arrow_error(&temporary))?;
                }
            }
        }
        writer.write(&rows.take().map_err(arrow_error(&temporary))?).map_err(arrow_error(&temporary))?;
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
        let (schema, batches, _) = read_mapped(path)?;
        let records =
            schema.metadata().get(FIELDS).ok_or_else(|| damaged(path, "expected a vocabulary, found none"))?;
        let records: Vec<FieldRecord> =
            serde_json::from_str(records).map_err(|error| damaged(path, error.to_string()))?;
        let mut fields: Vec<FieldVocabulary> = records.into_iter().map(empty_field).collect();
        let mut counts = Vec::new();
        for batch in &batches {
            read_batch(batch, &mut fields, &mut counts)
                .ok_or_else(|| damaged(path, "expected the columns of a vocabulary, found others"))?;
        }
        let ids = fields.last().map_or(0, |field| field.ids.end as usize);
        if !counts.is_empty() && counts.len() != ids {
            return Err(damaged(path, format!("expected {ids} ids, found {}", counts.len())));
        }
        Ok(Self::from_parts(fields, counts))
    }

    fn arrow_schema(&self) -> Schema {
        let columns = vec![
            Field::new("field", DataType::Utf8, false),
            Field::new("value", DataType::Binary, true),
            Field::new("id", DataType::UInt32, false),
            Field::new("count", DataType::UInt64, false),
        ];
        let records: Vec<FieldRecord> = self.field_vocabularies().iter().map(record).collect();
        let json = serde_json::to_string(&records).expect("a field's record can be written as JSON");
        Schema::new(columns).with_metadata(HashMap::from([(FIELDS.to_owned(), json)]))
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
        Lookup::Log2Bucket(_) => LookupRecord::Log2Bucket,
        Lookup::Quantile(edges) => LookupRecord::Quantile { edges: edges.clone() },
        Lookup::Scaled(Scale { offset, unit, lowest, highest }) => {
            LookupRecord::Scaled { offset: *offset, unit: *unit, lowest: *lowest, highest: *highest }
        }
        Lookup::HashedText => LookupRecord::HashedText,
        Lookup::HashedNumber => LookupRecord::HashedNumber,
    };
    FieldRecord { name: field.name.clone(), ids: field.ids.clone(), lookup }
}

fn empty_field(record: FieldRecord) -> FieldVocabulary {
    let values = record.ids.len().saturating_sub(FIRST_VALUE as usize);
    let lookup = match record.lookup {
        LookupRecord::Text => Lookup::Text(TextMap::with_capacity(values, 0)),
        LookupRecord::Log2Bucket => Lookup::Log2Bucket(NumberMap::new(UNKNOWN)),
        LookupRecord::Quantile { edges } => Lookup::Quantile(edges),
        LookupRecord::Scaled { offset, unit, lowest, highest } => {
            Lookup::Scaled(Scale { offset, unit, lowest, highest })
        }
        LookupRecord::HashedText => Lookup::HashedText,
        LookupRecord::HashedNumber => Lookup::HashedNumber,
    };
    FieldVocabulary { name: record.name, ids: record.ids, lookup }
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
        Lookup::Log2Bucket(map) => {
            for (number, id) in map.entries() {
                values[id as usize] = Some(number.to_string().into_bytes());
            }
        }
        Lookup::Quantile(_) | Lookup::Scaled(_) | Lookup::HashedText | Lookup::HashedNumber => {}
    }
    values
}

/// `None` for other columns or values than [`Vocabulary::save`] writes.
fn read_batch(batch: &RecordBatch, fields: &mut [FieldVocabulary], counts: &mut Vec<u32>) -> Option<()> {
    let values = batch.column_by_name("value")?.as_binary_opt::<i32>()?;
    let ids = batch.column_by_name("id")?.as_primitive_opt::<UInt32Type>()?;
    let rows = batch.column_by_name("count")?.as_primitive_opt::<UInt64Type>()?;
    for row in 0..batch.num_rows() {
        let id = ids.value(row);
        counts.push(u32::try_from(rows.value(row)).ok()?);
        if values.is_null(row) {
            continue;
        }
        let field = fields.partition_point(|field| field.ids.end <= id);
        let field = fields.get_mut(field)?;
        let own_id = id.checked_sub(field.ids.start)?;
        match &mut field.lookup {
            Lookup::Text(map) => map.insert(TextKey::of(values.value(row)), own_id),
            Lookup::Log2Bucket(map) => {
                *map.entry(std::str::from_utf8(values.value(row)).ok()?.parse().ok()?) = own_id;
            }
            _ => return None,
        }
    }
    Some(())
}

/// Rows of the file that is being written.
struct Rows {
    schema: Arc<Schema>,
    fields: StringBuilder,
    values: BinaryBuilder,
    ids: Vec<u32>,
    counts: Vec<u64>,
}

impl Rows {
    fn new(schema: &Arc<Schema>) -> Self {
        let (fields, values) = (StringBuilder::new(), BinaryBuilder::new());
        Self { schema: Arc::clone(schema), fields, values, ids: Vec::new(), counts: Vec::new() }
    }

    fn push(&mut self, field: &str, value: Option<&[u8]>, id: u32, count: u32) {
        self.fields.append_value(field);
        self.values.append_option(value);
        self.ids.push(id);
        self.counts.push(u64::from(count));
    }

    fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(
            Arc::clone(&self.schema),
            vec![
                Arc::new(self.fields.finish()),
                Arc::new(self.values.finish()),
                Arc::new(UInt32Array::from(std::mem::take(&mut self.ids))),
                Arc::new(UInt64Array::from(std::mem::take(&mut self.counts))),
            ],
        )
    }
}
