//! Bytes → rows: finds the input files, reads them in blocks of whole records and splits these into rows of cells.
//!
//! The line through this room: [`resolve`] turns paths and globs into [`Input`]s, [`schema`] reads the fields from the first
//! one's head, a [`Reader`] cuts all of them into [`RawBlock`]s (in order, on one thread), and [`split`] turns a block into a
//! [`RowBlock`] (pure, so on any thread). A format is one file and one line of the registry below.

mod arff;
mod automl;
mod avazu;
#[cfg(test)]
mod broken_tests;
mod cells;
mod config;
mod criteo;
mod delimited;
mod error;
mod foreign;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
pub(crate) mod fuzz_tests;
mod input;
mod label;
mod layout;
mod libsvm;
#[cfg(test)]
mod libsvm_tests;
mod made;
mod parquet;
mod reader;
mod records;
mod rows;
mod search;
mod sniff;
mod stdin;
#[cfg(test)]
mod tests;
mod time;
mod tokens;
mod vectors;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::schema::FieldKind;

pub use config::{ColumnRef, DataConfig, OnBadRow, SplitBy, Validation};
pub use error::{DataError, Place};
pub use foreign::{decoded, decodes};
pub use input::{Input, resolve};
pub use label::{LabelConfig, LabelValues};
pub use layout::{Wanted, schema};
pub use reader::{RawBlock, Reader};
pub use records::Separator;
pub use rows::{RowBlock, split};
pub use sniff::{Look, Oddity, beginning, columns, look, whole};
pub use stdin::spool_stdin;
pub use vectors::{VectorSource, read_vectors};

use layout::{FixedLabel, Head, Sample};
use records::Records;

/// Builds [`FormatName`] from the lines of the registry.
macro_rules! registry {
    ($($name:ident = $spelling:literal => $format:path;)*) => {
        /// The name of a format, as `data.format` spells it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum FormatName {
            $(#[serde(rename = $spelling)] $name,)*
        }

        impl FormatName {
            /// All formats, in the registry's order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The spelling in the config.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $spelling,)* }
            }

            const fn format(self) -> &'static Format {
                match self { $(Self::$name => &$format,)* }
            }
        }
    };
}

registry! {
    Criteo = "criteo" => criteo::CRITEO;
    Avazu = "avazu" => avazu::AVAZU;
    Automl = "automl" => automl::AUTOML;
    Arff = "arff" => arff::ARFF;
    Csv = "csv" => delimited::CSV;
    Tsv = "tsv" => delimited::TSV;
    Libsvm = "libsvm" => libsvm::LIBSVM;
    Libffm = "libffm" => libsvm::LIBFFM;
    Parquet = "parquet" => parquet::PARQUET;
}

impl FormatName {
    /// One line for people: what such a file looks like.
    pub const fn about(self) -> &'static str {
        self.format().about
    }
}

/// The files beside an input that its rows follow from too; none for most formats.
pub fn companions(config: &DataConfig, input: &Input) -> Vec<PathBuf> {
    match (config.format, input) {
        (FormatName::Automl, Input::File(path)) => automl::companions(path),
        _ => Vec::new(),
    }
}

/// What the reader has to know about a format of text.
#[derive(Debug)]
struct Format {
    about: &'static str,
    /// Opens a file that isn't text of one record a row; its rows are made into such text.
    open: Option<made::Open>,
    /// Where records end.
    records: Records,
    /// The columns' names where no file has to be read for them, with the label at [`Format::label`].
    fixed_names: Option<fn() -> Vec<String>>,
    /// The columns that a file's first record tells of.
    head: fn(record: &[u8], place: &Place, config: &DataConfig) -> Result<Head, DataError>,
    /// Where the columns beside those of the first record's head are named, if not there.
    sample: Option<Sample>,
    /// The label's column where `data.label` has no say.
    label: Option<FixedLabel>,
    /// A column's kind before the features have their say, where the head tells none.
    kind: fn(name: &str) -> FieldKind,
    /// Adds the rows of a block's bytes; may rewrite them in place (quotes).
    split: fn(bytes: &mut [u8], first_line: u64, rows: &mut RowBlock) -> Result<(), DataError>,
}

impl Format {
    /// What lines start with that are no rows; none in text that is made of other files.
    fn comment<'a>(&self, config: &'a DataConfig) -> &'a [u8] {
        if self.open.is_none() { config.comment.as_bytes() } else { &[] }
    }

    /// Where records end; the separator of CSV is the config's.
    fn records(&self, config: &DataConfig) -> Records {
        match self.records {
            Records::Quoted { .. } if self.open.is_none() => Records::Quoted { separator: config.separator.0 },
            records => records,
        }
    }
}
