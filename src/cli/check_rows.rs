//! One pass over the rows of a config: what each field holds, and what that makes of vocabulary, table and cache.

use std::collections::HashMap;

use anyhow::Context;

use crate::{
    config::Config,
    data::{DataConfig, DataError, OnBadRow, Reader, RowBlock, Wanted, resolve, schema, split},
    features::column_kind,
    schema::FieldKind,
    seed::mix,
};

/// Values that are counted in all fields together; beyond them, new ones are left out and the figures are lower bounds.
const MOST_VALUES: usize = 16_000_000;
/// Of a text that stands in a remark.
const SHOWN_LETTERS: usize = 40;

/// What one field holds.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldFacts {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) missing: u64,
    pub(super) values: u64,
    /// Values in as many training rows as have an id.
    pub(super) kept: u64,
    /// All values are numbers, and more than a few.
    pub(super) looks_numeric: bool,
    /// Every row has another value, and none is a number with a fraction: a name of the row, not an amount.
    pub(super) names_rows: bool,
    /// The first text that is no number, where nearly all values are numbers.
    pub(super) only_text: Option<String>,
    /// The label stands in it.
    pub(super) tells_label: bool,
}

/// What the rows hold.
#[derive(Clone, Debug, Default)]
pub(super) struct RowFacts {
    pub(super) rows: u64,
    pub(super) positives: u64,
    pub(super) bad_rows: u64,
    /// The first row that can't be read.
    pub(super) first_bad: Option<(String, Option<String>)>,
    pub(super) fields: Vec<FieldFacts>,
    /// Whether the figures are lower bounds.
    pub(super) cut: bool,
}

#[derive(Default)]
struct Counting {
    counts: HashMap<u64, u32>,
    missing: u64,
    numbers: u64,
    /// A number with a fraction was there.
    has_fractions: bool,
    /// The first text that is no number.
    text: Option<String>,
    /// Of each of the two first values, how often the label was 0 and 1.
    labels: HashMap<u64, [u64; 2]>,
}

/// Reads up to `limit_bytes` of the config's training rows.
pub(super) fn read(config: &Config, limit_bytes: u64) -> anyhow::Result<RowFacts> {
    let data = DataConfig { on_bad_row: OnBadRow::Skip, ..config.data.clone() };
    let inputs = resolve(&data.train)?;
    let schema = schema(&data, &inputs, &|name, kind| column_kind(&config.features, name, kind))?;
    let label = Some(data.label.column.clone());
    let wanted =
        Wanted { schema: schema.clone(), label, label_required: true, weight: data.weight.clone(), extra: Vec::new() };
    let mut facts = RowFacts { first_bad: first_bad(&config.data, &wanted, limit_bytes)?, ..RowFacts::default() };
    let mut reader = Reader::open(&data, inputs, wanted)?;
    let (mut counting, mut block, mut values) = (Vec::new(), RowBlock::default(), 0);
    counting.resize_with(schema.len(), Counting::default);
    while let Some(raw) = reader.next().context("cannot read the rows")? {
        split(raw, &mut block)?;
        facts.rows += block.rows() as u64;
        facts.bad_rows += block.skipped();
        facts.positives += (0..block.rows()).map(|row| u64::from(block.label(row))).sum::<u64>();
        for (field, counting) in counting.iter_mut().enumerate() {
            values += counting.add(&block, field, schema.fields[field].kind, values < MOST_VALUES);
        }
        facts.cut |= values >= MOST_VALUES;
        if reader.bytes_read() >= limit_bytes {
            facts.cut = true;
            break;
        }
    }
    let min_count = config.features.min_count.get();
    let fields = schema.fields.iter().zip(counting);
    facts.fields =
        fields.map(|(field, counting)| counting.facts(&field.name, field.kind, facts.rows, min_count)).collect();
    Ok(facts)
}

/// What is wrong with the first bad row, and what to do about it.
fn first_bad(data: &DataConfig, wanted: &Wanted, limit_bytes: u64) -> anyhow::Result<Option<(String, Option<String>)>> {
    let strict = DataConfig { on_bad_row: OnBadRow::Fail, ..data.clone() };
    let mut reader = Reader::open(&strict, resolve(&data.train)?, wanted.clone())?;
    let mut block = RowBlock::default();
    let told = |error: &DataError| Some((error.to_string(), error.hint()));
    loop {
        match reader.next() {
            Ok(Some(raw)) => {
                if let Err(error) = split(raw, &mut block) {
                    return Ok(told(&error));
                }
            }
            Ok(None) => return Ok(None),
            Err(error) => return Ok(told(&error)),
        }
        if reader.bytes_read() >= limit_bytes {
            return Ok(None);
        }
    }
}

impl Counting {
    /// Counts a block; gives the number of new values.
    fn add(&mut self, block: &RowBlock, field: usize, kind: FieldKind, takes_new: bool) -> usize {
        let before = self.counts.len();
        let count = |counting: &mut Self, key: u64, row: usize| {
            if takes_new || counting.counts.contains_key(&key) {
                *counting.counts.entry(key).or_default() += 1;
            }
            if counting.labels.len() < 3 || counting.labels.contains_key(&key) {
                counting.labels.entry(key).or_default()[usize::from(block.label(row))] += 1;
            }
        };
        match kind {
            FieldKind::Numeric | FieldKind::Time(_) => {
                for (row, number) in block.numbers(field, 0..block.rows()).enumerate() {
                    if number.is_nan() {
                        self.missing += 1;
                    } else {
                        self.numbers += 1;
                        // as `log2-bucket`, the default for numbers, has it
                        let bucket = if number > 2.0 { (number.ln() * number.ln()).floor() } else { number };
                        count(self, bucket.to_bits(), row);
                    }
                }
            }
            FieldKind::MultiValue | FieldKind::WeightedValues => {
                for row in 0..block.rows() {
                    let mut none = true;
                    for value in block.values(row, field, 0x1F) {
                        none = false;
                        let colon = value.iter().rposition(|byte| *byte == b':');
                        let end = colon.filter(|_| kind == FieldKind::WeightedValues).unwrap_or(value.len());
                        count(self, hash(&value[..end]), row);
                    }
                    self.missing += u64::from(none);
                }
            }
            FieldKind::Categorical => {
                for (row, cell) in block.cells(field, 0..block.rows()).enumerate() {
                    if cell.is_empty() {
                        self.missing += 1;
                    } else {
                        let text = std::str::from_utf8(cell).unwrap_or_default();
                        if let Some(number) = text.parse().ok().filter(|number: &f64| number.is_finite()) {
                            self.numbers += 1;
                            self.has_fractions |= number.fract() != 0.0;
                        } else if self.text.is_none() {
                            self.text = Some(String::from_utf8_lossy(cell).chars().take(SHOWN_LETTERS).collect());
                        }
                        count(self, hash(cell), row);
                    }
                }
            }
        }
        self.counts.len() - before
    }

    fn facts(self, name: &str, kind: FieldKind, rows: u64, min_count: u32) -> FieldFacts {
        const FEW_VALUES: usize = 20;
        /// Of fewer rows, all may differ by chance.
        const MANY_ROWS: u64 = 100;
        let present = rows - self.missing.min(rows);
        let pure = |labels: &[u64; 2]| labels[0] == 0 || labels[1] == 0;
        FieldFacts {
            name: name.to_owned(),
            kind: match kind {
                FieldKind::Numeric => "numbers",
                FieldKind::Categorical => "categories",
                FieldKind::MultiValue | FieldKind::WeightedValues => "several values",
                FieldKind::Time(_) => "times",
            }
            .to_owned(),
            missing: self.missing,
            values: self.counts.len() as u64,
            kept: self.counts.values().filter(|count| **count >= min_count).count() as u64,
            looks_numeric: kind == FieldKind::Categorical
                && present > 0
                && self.numbers == present
                && self.counts.len() > FEW_VALUES,
            names_rows: kind == FieldKind::Categorical
                && !self.has_fractions
                && self.missing == 0
                && self.counts.len() as u64 == rows
                && rows > MANY_ROWS,
            only_text: self.text.filter(|_| self.numbers * 100 >= present * 95 && self.counts.len() > FEW_VALUES),
            tells_label: self.counts.len() == 2 && self.labels.len() == 2 && self.labels.values().all(pure),
        }
    }
}

fn hash(text: &[u8]) -> u64 {
    let mut words = text.chunks_exact(8);
    let mut hash = mix(text.len() as u64, 0);
    for word in words.by_ref() {
        hash = mix(hash, u64::from_le_bytes(word.try_into().expect("a word has 8 bytes")));
    }
    words.remainder().iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}
