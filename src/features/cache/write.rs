//! What a cache's rows look like, and how they are written.

use std::fs::File;
use std::io::{BufWriter, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, UInt8Array, UInt32Array, UInt64Array};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use super::{BATCH_ROWS, TABLE_ROWS};
use crate::features::{
    encode::Encoded,
    error::{FeaturesError, arrow_error, io_error},
    vocabulary::Vocabulary,
};

/// What a cache's rows look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLayout {
    /// The fields' names, in order.
    pub fields: Vec<String>,
    /// The field of each column behind those of the fields, see [`Encoded::extra`].
    pub extra: Vec<u32>,
    /// All ids are below it.
    pub table_rows: usize,
    /// Whether features have values.
    pub has_values: bool,
    /// Whether rows have weights.
    pub has_weights: bool,
    /// Whether rows belong to groups.
    pub has_groups: bool,
}

impl CacheLayout {
    /// The rows that `vocabulary` encodes.
    pub(in crate::features) fn of(vocabulary: &Vocabulary, has_weights: bool, has_groups: bool) -> Self {
        Self {
            fields: (0..vocabulary.fields()).map(|field| vocabulary.field_name(field).to_owned()).collect(),
            extra: vocabulary.extra_columns(),
            table_rows: vocabulary.table_rows(),
            has_values: vocabulary.has_values(),
            has_weights,
            has_groups,
        }
    }

    fn columns(&self) -> usize {
        self.fields.len() + self.extra.len()
    }

    fn schema(&self) -> SchemaRef {
        let mut columns = vec![Field::new("ids", self.list(DataType::UInt32), false)];
        if self.has_values {
            columns.push(Field::new("values", self.list(DataType::Float32), false));
        }
        columns.push(Field::new("label", DataType::UInt8, false));
        if self.has_weights {
            columns.push(Field::new("weight", DataType::Float32, false));
        }
        if self.has_groups {
            columns.push(Field::new("group", DataType::UInt64, false));
        }
        let names = serde_json::to_string(&self.fields).expect("names are text");
        let extra = serde_json::to_string(&self.extra).expect("numbers are JSON");
        let metadata = [("fields".to_owned(), names), ("extra".to_owned(), extra)];
        Arc::new(Schema::new(columns).with_metadata(std::collections::HashMap::from(metadata)))
    }

    fn list(&self, item: DataType) -> DataType {
        let columns = i32::try_from(self.columns()).expect("there are fewer than 2^31 columns");
        DataType::FixedSizeList(list_item(item), columns)
    }
}

fn list_item(item: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", item, false))
}

/// Writes a cache row by row; nothing reads it before [`Self::finish`].
pub struct CacheWriter {
    pub(super) path: PathBuf,
    pub(super) layout: CacheLayout,
    schema: SchemaRef,
    writer: FileWriter<BufWriter<File>>,
    pending: Encoded,
    pub(super) rows: u64,
    /// Where each record batch starts.
    pub(super) batches: Vec<u64>,
}

impl CacheWriter {
    /// # Errors
    /// When the file can't be written.
    pub fn create(path: &Path, layout: CacheLayout) -> Result<Self, FeaturesError> {
        let schema = layout.schema();
        let file = File::create(path).map_err(io_error(path))?;
        let writer = FileWriter::try_new(BufWriter::new(file), &schema).map_err(arrow_error(path))?;
        let pending = Encoded { columns: layout.columns(), ..Encoded::default() };
        Ok(Self { path: path.into(), layout, schema, writer, pending, rows: 0, batches: Vec::new() })
    }

    /// Adds those of `encoded`'s rows that `keep` names, in their order.
    ///
    /// # Errors
    /// When the file can't be written.
    ///
    /// # Panics
    /// For rows that aren't as the layout says.
    pub fn push(&mut self, encoded: &Encoded, keep: impl Iterator<Item = usize>) -> Result<(), FeaturesError> {
        let columns = encoded.columns;
        for row in keep {
            let cells = row * columns..(row + 1) * columns;
            self.pending.ids.extend_from_slice(&encoded.ids[cells.clone()]);
            if self.layout.has_values {
                self.pending.values.extend_from_slice(&encoded.values[cells]);
            }
            self.pending.labels.push(encoded.labels[row]);
            if self.layout.has_weights {
                self.pending.weights.push(encoded.weights[row]);
            }
            if self.layout.has_groups {
                self.pending.groups.push(encoded.groups[row]);
            }
            if self.pending.labels.len() == BATCH_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), FeaturesError> {
        let columns = self.pending.columns;
        let next = Encoded { columns, ids: Vec::with_capacity(BATCH_ROWS * columns), ..Encoded::default() };
        let full = std::mem::replace(&mut self.pending, next);
        self.rows += full.labels.len() as u64;
        let start = self.position()?;
        self.batches.push(start);
        let error = arrow_error(&self.path);
        let batch = record_batch(full, &self.layout, &self.schema).map_err(&error)?;
        self.writer.write(&batch).map_err(error)
    }

    /// Writes the rows that fill no batch, behind which no more may come, and gives the file's length.
    pub(super) fn write_pending(&mut self) -> Result<u64, FeaturesError> {
        if !self.pending.labels.is_empty() {
            self.flush()?;
        }
        self.position()
    }

    /// The length of what was written.
    fn position(&mut self) -> Result<u64, FeaturesError> {
        self.writer.flush().map_err(arrow_error(&self.path))?;
        let mut file: &File = self.writer.get_ref().get_ref();
        file.stream_position().map_err(io_error(&self.path))
    }

    /// Completes the file, brings it to the disk and gives its rows.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn finish(mut self) -> Result<u64, FeaturesError> {
        self.write_pending()?;
        self.writer.write_metadata(TABLE_ROWS, self.layout.table_rows.to_string());
        let buffered = self.writer.into_inner().map_err(arrow_error(&self.path))?;
        let file = buffered.into_inner().map_err(|error| io_error(&self.path)(error.into_error()))?;
        file.sync_all().map_err(io_error(&self.path))?;
        Ok(self.rows)
    }
}

fn record_batch(rows: Encoded, layout: &CacheLayout, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let width = i32::try_from(rows.columns).expect("there are fewer than 2^31 columns");
    let list = |item: DataType, values: ArrayRef| {
        FixedSizeListArray::try_new(list_item(item), width, values, None).map(|list| Arc::new(list) as ArrayRef)
    };
    let mut columns = vec![list(DataType::UInt32, Arc::new(UInt32Array::from(rows.ids)))?];
    if layout.has_values {
        columns.push(list(DataType::Float32, Arc::new(Float32Array::from(rows.values)))?);
    }
    columns.push(Arc::new(UInt8Array::from(rows.labels)));
    if layout.has_weights {
        columns.push(Arc::new(Float32Array::from(rows.weights)));
    }
    if layout.has_groups {
        columns.push(Arc::new(UInt64Array::from(rows.groups)));
    }
    RecordBatch::try_new(schema.clone(), columns)
}
