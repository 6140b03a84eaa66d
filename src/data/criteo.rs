//! Criteo's display advertising logs: no header, tabs, the label, I1 to I13, C1 to C26, an empty cell for missing.
//!
//! The same layout for the Kaggle challenge's file and the 1 TB logs; a test file has no label column.

use memchr::memchr_iter;

use super::{
    DataConfig, DataError, Format, Place,
    error::excerpt,
    layout::{FixedLabel, Head},
    records::Records,
    rows::split_lines,
};
use crate::schema::FieldKind;

const LABEL: &str = "label";
const FIXED_LABEL: FixedLabel =
    FixedLabel { name: LABEL, without: "40 cells a row with the label first, found 39, which has no label column" };
const INTEGERS: usize = 13;
const CATEGORIES: usize = 26;

pub(super) const CRITEO: Format = Format {
    about: "Criteo's logs: label, 13 integers and 26 categories, separated by tabs, without a header",
    open: None,
    records: Records::Lines,
    fixed_names: Some(names),
    head,
    sample: None,
    label: Some(FIXED_LABEL),
    kind,
    split: |bytes, first_line, rows| split_lines(b'\t', bytes, first_line, rows),
};

fn field_names() -> Vec<String> {
    let integers = (1..=INTEGERS).map(|number| format!("I{number}"));
    integers.chain((1..=CATEGORIES).map(|number| format!("C{number}"))).collect()
}

fn names() -> Vec<String> {
    let mut names = vec![LABEL.to_owned()];
    names.extend(field_names());
    names
}

fn kind(name: &str) -> FieldKind {
    if name.starts_with('I') { FieldKind::Numeric } else { FieldKind::Categorical }
}

fn head(record: &[u8], place: &Place, _config: &DataConfig) -> Result<Head, DataError> {
    const FIELDS: usize = INTEGERS + CATEGORIES;
    const COLUMNS: usize = FIELDS + 1;
    let cells = memchr_iter(b'\t', record).count() + 1;
    match cells {
        COLUMNS => Ok(Head { names: names(), kinds: None, is_header: false, hidden: 0, numbering: None }),
        FIELDS => Ok(Head { names: field_names(), kinds: None, is_header: false, hidden: 0, numbering: None }),
        // no later line can be right either, so this is not a bad row that could be left out
        found => Err(DataError::Separator {
            place: place.clone(),
            expected: "40 tab-separated cells",
            beginning: excerpt(record),
            seems: [',', ';', '|', ' ']
                .into_iter()
                .find(|separator| found == 1 && record.contains(&(*separator as u8))),
        }),
    }
}
