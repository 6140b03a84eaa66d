//! From a file alone to the `[data]` that reads it: format, separator, header and label.

use std::{collections::BTreeSet, path::Path};

use super::check_header::{FirstLine, first_line, is_criteo_header, is_criteo_row};
use crate::{
    data::{DataConfig, DataError, FormatName, Input, Reader, RowBlock, Wanted, beginning, columns, split},
    schema::{Field, FieldKind, Schema},
};

/// Bytes of text, and rows, from which guesses are made.
const SAMPLE_BYTES: usize = 1 << 18;
const SAMPLE_ROWS: usize = 20_000;
/// Names that labels have in public data sets, the surest first.
const LABELS: [&str; 16] = [
    "label",
    "click",
    "clicked",
    "clk",
    "is_click",
    "is_clicked",
    "target",
    "y",
    "class",
    "outcome",
    "income",
    "survived",
    "conversion",
    "converted",
    "is_attributed",
    "action",
];

/// Labels that need no `data.positive`.
const PAIRS: [[&str; 2]; 4] = [["0", "1"], ["-1", "1"], ["no", "yes"], ["false", "true"]];

const NO_CRITEO_LABEL: &str = "the label is missing: the columns are Criteo's I1 to I13 and C1 to C26 alone, as in a test file, \
    whose rows `predict` scores";

/// What `[data]` has to say of a file.
pub(super) struct Guess {
    /// Lines of TOML, without `train`.
    pub(super) lines: Vec<String>,
    /// What no guess was made of or what may be guessed wrong, and what to do about it; the gravest first.
    pub(super) notes: Vec<String>,
}

/// # Errors
/// [`DataError`] for a file that can't be read.
pub(super) fn guess(path: &Path) -> Result<Guess, DataError> {
    let input = Input::File(path.to_owned());
    let name = path.to_string_lossy().to_lowercase();
    let plain = Path::new(name.trim_end_matches(".gz").trim_end_matches(".zst"));
    let ends_with = |ending: &str| plain.extension().is_some_and(|extension| extension == ending);
    if ends_with("parquet") {
        return with_label(&input, vec![format_line(FormatName::Parquet)]);
    }
    let text = beginning(&input, SAMPLE_BYTES)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(text.len(), |end| end + 1);
    let text = String::from_utf8_lossy(&text[..whole]).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(200).collect();
    let first = lines.first().copied().unwrap_or_default();
    let lower = first.to_lowercase();
    if ends_with("arff") || lower.starts_with('%') || lower.starts_with("@relation") {
        return with_label(&input, vec![format_line(FormatName::Arff)]);
    }
    if ends_with("data") && !first.contains([',', '\t']) {
        return Ok(Guess { lines: vec![format_line(FormatName::Automl)], notes: Vec::new() });
    }
    let names: Vec<&str> = first.split(',').collect();
    if names.contains(&"id") && names.contains(&"hour") && names.contains(&"C1") && names.contains(&"device_id") {
        return Ok(Guess { lines: vec![format_line(FormatName::Avazu)], notes: Vec::new() });
    }
    let colons = first.split_whitespace().skip(1).map(|token| token.matches(':').count()).max().unwrap_or(0);
    match colons {
        2 if !first.contains(',') => {
            return Ok(Guess { lines: vec![format_line(FormatName::Libffm)], notes: Vec::new() });
        }
        1 if !first.contains([',', '\t']) => {
            return Ok(Guess { lines: vec![format_line(FormatName::Libsvm)], notes: Vec::new() });
        }
        _ => {}
    }
    let tab_parted: Vec<String> = first.split('\t').map(str::to_owned).collect();
    if is_criteo_row(&tab_parted) {
        return Ok(Guess { lines: vec![format_line(FormatName::Criteo)], notes: vec![NO_CRITEO_LABEL.to_owned()] });
    }
    let tabs = tab_parted.len() - 1;
    if (tabs == 39 || tabs == 38) && first.split('\t').next().is_some_and(|cell| cell.parse::<i64>().is_ok()) {
        return Ok(Guess { lines: vec![format_line(FormatName::Criteo)], notes: Vec::new() });
    }
    table(&input, &lines)
}

fn format_line(format: FormatName) -> String {
    format!("format = \"{}\"", format.as_str())
}

/// A table of text: the separator that parts most lines alike, and whether the first line names the columns.
fn table(input: &Input, lines: &[&str]) -> Result<Guess, DataError> {
    let parted = |separator: &char| {
        let counts: Vec<usize> = lines.iter().map(|line| line.matches(*separator).count()).collect();
        let first = counts.first().copied().unwrap_or(0);
        let alike = counts.iter().filter(|count| **count == first).count();
        (first > 0).then(|| (alike * 100 / counts.len().max(1), first))
    };
    let separators = ['\t', ',', ';', '|'];
    let best = separators.iter().filter_map(|separator| Some((parted(separator)?, *separator))).max();
    let Some((_, separator)) = best else {
        let open = "no separator was found: tabs, `,`, `;` and `|` part no line".to_owned();
        return Ok(Guess { lines: vec![format_line(FormatName::Csv)], notes: vec![open] });
    };
    let cells = |line: &str| -> Vec<String> {
        line.split(separator).map(|cell| cell.trim_matches('"').trim().to_owned()).collect()
    };
    let first = cells(lines[0]);
    let others: Vec<Vec<String>> = lines[1..].iter().map(|line| cells(line)).collect();
    let FirstLine { is_header, note } = first_line(&first, &others);
    let format = if separator == '\t' { FormatName::Tsv } else { FormatName::Csv };
    let mut toml = vec![format_line(format)];
    if !matches!(separator, '\t' | ',') {
        toml.push(format!("separator = \"{separator}\""));
    }
    if !is_header {
        let names: Vec<String> = (0..first.len()).map(|column| format!("\"c{column}\"")).collect();
        toml.push(format!("columns = [{}]", names.join(", ")));
    }
    if is_criteo_header(&first) || is_criteo_row(&first) {
        return Ok(Guess { lines: toml, notes: vec![NO_CRITEO_LABEL.to_owned()] });
    }
    let mut guess = with_label(input, toml)?;
    guess.notes.extend(note);
    Ok(guess)
}

/// Adds the label of a table whose columns have names.
fn with_label(input: &Input, mut lines: Vec<String>) -> Result<Guess, DataError> {
    let config: DataConfig = toml::from_str(&format!("{}\ntrain = [\"-\"]\non_bad_row = \"skip\"\n", lines.join("\n")))
        .expect("the lines are keys of `[data]`");
    let columns = columns(&config, input)?;
    let values = sample(&config, input, &columns)?;
    let two = |values: &BTreeSet<String>| values.iter().filter(|value| !value.is_empty()).count() == 2;
    // a third value may be a bad row, which is told of
    let pair = |values: &BTreeSet<String>| {
        let has = |text: &str| values.iter().any(|value| value.eq_ignore_ascii_case(text));
        PAIRS.iter().any(|[negative, positive]| has(negative) && has(positive))
    };
    let written = |values: &BTreeSet<String>| {
        let known = ["0", "1", "-1", "0.0", "1.0", "true", "false", "yes", "no"];
        two(values) && values.iter().all(|value| value.is_empty() || known.contains(&value.to_lowercase().as_str()))
    };
    let named = LABELS.iter().find_map(|label| columns.iter().position(|(name, _)| name.eq_ignore_ascii_case(label)));
    let last = columns.len().saturating_sub(1);
    let chosen = named
        .filter(|column| two(&values[*column]) || pair(&values[*column]))
        .or_else(|| [0, last].into_iter().find(|column| written(&values[*column])))
        .or_else(|| (0..columns.len()).find(|column| written(&values[*column])))
        .or_else(|| [last, 0].into_iter().find(|column| two(&values[*column])))
        .or(named);
    let Some(column) = chosen else {
        let open = "no column has two values: name the label's by `data.label`, or split numbers by `{ column = …, at_least = … }`";
        return Ok(Guess { lines, notes: vec![open.to_owned()] });
    };
    lines.push(format!("label = {:?}", columns[column].0));
    let mut notes = Vec::new();
    let taken = format!("`{}` is taken for the label by its values alone", columns[column].0);
    match named {
        Some(named) if named != column => {
            let found: Vec<String> = values[named].iter().map(|value| format!("`{value}`")).collect();
            let name = &columns[named].0;
            notes
                .push(format!("`{name}` has a label's name, but not two values (found {}); {taken}", found.join(", ")));
        }
        None => notes.push(format!("no column has a label's name; {taken}")),
        Some(_) => {}
    }
    let is_written = written(&values[column]) || (named == Some(column) && pair(&values[column]));
    if !is_written {
        let found: Vec<&String> = values[column].iter().filter(|value| !value.is_empty()).collect();
        if let [_, positive] = found[..] {
            lines.push(format!("positive = {positive:?}"));
            notes.push(format!(
                "which of the label's values `{}` and `{positive}` is the positive one is a guess",
                found[0]
            ));
        } else {
            notes.push(format!(
                "the column `{}` has more than two values: `data.label = {{ column = …, at_least = … }}` splits numbers, `data.positive` and `data.negative = \"*\"` take one value",
                columns[column].0
            ));
        }
    }
    Ok(Guess { lines, notes })
}

/// The first distinct values of each column, at most three.
fn sample(
    config: &DataConfig,
    input: &Input,
    columns: &[(String, FieldKind)],
) -> Result<Vec<BTreeSet<String>>, DataError> {
    const MOST_VALUES: usize = 3;
    let field =
        |(name, _): &(String, FieldKind)| Field { name: name.clone(), kind: FieldKind::Categorical, column: None };
    let schema = Schema { fields: columns.iter().map(field).collect() };
    let wanted = Wanted { schema, ..Wanted::default() };
    let mut reader = Reader::open(config, vec![input.clone()], wanted)?;
    let (mut values, mut block, mut rows) = (vec![BTreeSet::new(); columns.len()], RowBlock::default(), 0);
    while rows < SAMPLE_ROWS
        && let Some(raw) = reader.next()?
    {
        split(raw, &mut block)?;
        rows += block.rows();
        for (field, values) in values.iter_mut().enumerate() {
            for cell in block.cells(field, 0..block.rows()) {
                if values.len() < MOST_VALUES {
                    values.insert(String::from_utf8_lossy(cell).into_owned());
                }
            }
        }
    }
    Ok(values)
}
