//! The room as a whole: each format gives the same rows however its bytes are cut, and says what is wrong with others.

use std::path::PathBuf;

use proptest::prelude::*;

use super::{
    ColumnRef, DataConfig, DataError, FormatName, Input, LabelValues, Reader, RowBlock, Wanted, schema, split,
};
use crate::schema::FieldKind;

pub(super) type Rows = Vec<(Option<u8>, Vec<Vec<u8>>, u64)>;

pub(super) fn config(format: FormatName) -> DataConfig {
    toml::from_str(&format!("format = \"{}\"\ntrain = [\"-\"]\n", format.as_str())).unwrap()
}

/// Sets made by others, in `shared/data` beside the project's folder or above it.
pub(super) fn shared_data() -> Option<PathBuf> {
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    project.ancestors().map(|folder| folder.join("shared/data")).find(|folder| folder.is_dir())
}

pub(super) struct Written {
    _folder: tempfile::TempDir,
    pub(super) path: PathBuf,
}

pub(super) fn write(bytes: &[u8]) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.txt");
    std::fs::write(&path, bytes).unwrap();
    Written { _folder: folder, path }
}

pub(super) fn read(
    config: &DataConfig,
    bytes: &[u8],
    block_bytes: usize,
    label_required: bool,
) -> Result<Rows, DataError> {
    let written = write(bytes);
    let inputs = vec![Input::File(written.path.clone())];
    let schema = schema(config, &inputs, &|_, kind| kind)?;
    let fields = schema.len();
    let label = Some(config.label.column.clone());
    let wanted = Wanted { schema, label, label_required, ..Wanted::default() };
    let mut reader = Reader::with_block_bytes(config, inputs, wanted, block_bytes)?;
    let (mut block, mut rows) = (RowBlock::default(), Rows::new());
    while let Some(raw) = reader.next()? {
        split(raw, &mut block)?;
        for row in 0..block.rows() {
            let cells = (0..fields).map(|field| block.cell(row, field).to_vec()).collect();
            rows.push((block.has_labels().then(|| block.label(row)), cells, block.place(row).line));
        }
    }
    Ok(rows)
}

pub(super) fn criteo_line(label: &str, first: &str) -> String {
    let mut cells = vec![label.to_owned(), first.to_owned()];
    cells.extend((2..=13).map(|number| number.to_string()));
    cells.extend((0..26).map(|number| format!("{:08x}", number * 77)));
    cells.join("\t")
}

pub(super) fn message(format: FormatName, text: &str) -> String {
    let error = read(&config(format), text.as_bytes(), 1 << 20, true).unwrap_err().to_string();
    // the folder's name changes
    error.split_once("rows.txt").map_or(error.clone(), |(_, rest)| format!("rows.txt{rest}"))
}

proptest! {
    #[test]
    fn criteo_rows_do_not_depend_on_the_cut(
        numbers in prop::collection::vec("-?[0-9]{0,5}", 1..8), block in 1_usize..300, crlf: bool, last: bool,
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let lines: Vec<String> =
            numbers.iter().map(|number| criteo_line("1", if number == "-" { "" } else { number })).collect();
        let mut text = lines.join(end);
        if last {
            text.push_str(end);
        }
        let config = config(FormatName::Criteo);
        let whole = read(&config, text.as_bytes(), 1 << 20, true).unwrap();
        prop_assert_eq!(whole.len(), numbers.len());
        prop_assert_eq!(read(&config, text.as_bytes(), block, true).unwrap(), whole);
    }

    #[test]
    fn csv_rows_are_those_of_the_csv_crate_however_cut(
        cells in prop::collection::vec(("[ab,\"\n]{0,6}", "[ab,\"\r\n]{0,6}"), 1..6), block in 1_usize..80,
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["label", "x", "y"]).unwrap();
        for (x, y) in &cells {
            writer.write_record(["1", x, y]).unwrap();
        }
        let text = writer.into_inner().unwrap();
        let rows = read(&config(FormatName::Csv), &text, block, true).unwrap();
        let expected: Vec<Vec<Vec<u8>>> =
            cells.iter().map(|(x, y)| [x, y].map(|cell| cell.as_bytes().trim_ascii().to_vec()).into()).collect();
        prop_assert_eq!(rows.into_iter().map(|(_, cells, _)| cells).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), block in 1_usize..64) {
        for format in FormatName::ALL {
            let _ = read(&config(*format), &bytes, block, false);
        }
    }
}

#[test]
fn tsv_quotes_are_text_and_lines_are_counted() {
    let rows = read(&config(FormatName::Tsv), b"label\tx\n0\t\"a\n\n1\tb\"\n", 4, true).unwrap();
    assert_eq!(rows, vec![(Some(0), vec![b"\"a".to_vec()], 2), (Some(1), vec![b"b\"".to_vec()], 4)]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_cell() {
    let rows = read(&config(FormatName::Csv), b"\xEF\xBB\xBFlabel,x\n1,a\n", 3, true).unwrap();
    assert_eq!(rows, vec![(Some(1), vec![b"a".to_vec()], 2)]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let bad = format!("{}\n{}\n", criteo_line("1", "7"), criteo_line("0", "4e"));
    assert_eq!(message(FormatName::Criteo, &bad), "rows.txt:2, field `I1`: expected a number, found `4e`");
    let bad = format!("{}\n", criteo_line("2", "7"));
    assert_eq!(message(FormatName::Criteo, &bad), "rows.txt:1, field `label`: expected 0 or 1, found `2`");
    let bad = format!("{}\n1\t2\n", criteo_line("1", "7"));
    assert_eq!(message(FormatName::Criteo, &bad), "rows.txt:2: expected 40 cells, found 2");
    let bad = criteo_line("1", "7").replace('\t', ",");
    assert!(message(FormatName::Criteo, &bad).starts_with("rows.txt:1: expected 40 tab-separated cells, found `1,7,2"));
    assert_eq!(message(FormatName::Criteo, ""), "rows.txt: expected rows, found an empty file");
    assert_eq!(message(FormatName::Csv, "label,x\n"), "rows.txt: expected rows, found only a header");
    assert_eq!(
        message(FormatName::Csv, "label,x\n1,\"a\n"),
        "rows.txt:2: expected a closing quote, found the end of the file"
    );
    assert_eq!(message(FormatName::Csv, "label,x\n1,a,b\n"), "rows.txt:2: expected 2 cells, found 3");
    assert_eq!(message(FormatName::Csv, "label,x\n\n\r\n"), "rows.txt: expected rows, found only a header");
    assert_eq!(
        message(FormatName::Criteo, "1\t2\t3\n"),
        "rows.txt:1: expected 40 tab-separated cells, found `1\\t2\\t3`"
    );
    let missing = message(FormatName::Csv, "labels,x\n1,a\n");
    assert!(missing.contains("expected a column `label`"), "{missing}");
}

#[test]
fn rows_without_a_label_are_fine_where_none_is_required() {
    let line = criteo_line("1", "7");
    let (_, unlabelled) = line.split_once('\t').unwrap();
    let rows = read(&config(FormatName::Criteo), unlabelled.as_bytes(), 64, false).unwrap();
    assert_eq!((rows.len(), rows[0].0, rows[0].1.len()), (1, None, 39));
    let error = read(&config(FormatName::Criteo), unlabelled.as_bytes(), 64, true).unwrap_err();
    assert!(matches!(error, DataError::NoLabel { .. }), "{error}");
}

#[test]
fn bad_rows_are_left_out_and_counted_on_request() {
    let mut config = config(FormatName::Criteo);
    config.on_bad_row = super::OnBadRow::Skip;
    let text =
        [criteo_line("1", "7"), criteo_line("x", "7"), criteo_line("0", "y"), "1\t2".into(), criteo_line("0", "8")];
    let rows = read(&config, text.join("\n").as_bytes(), 100, true).unwrap();
    assert_eq!(rows.iter().map(|(label, _, line)| (*label, *line)).collect::<Vec<_>>(), [(Some(1), 1), (Some(0), 5)]);
}

#[test]
fn numbers_and_columns_by_position_are_read() {
    let written = write(b"x,y,clicked\n1.5,a,yes\n,b,no\n");
    let mut config = config(FormatName::Csv);
    config.label.column = ColumnRef::Position(2);
    config.positive = LabelValues::from("yes");
    let inputs = vec![Input::File(written.path.clone())];
    let kind = |name: &str, kind| if name == "x" { FieldKind::Numeric } else { kind };
    let schema = schema(&config, &inputs, &kind).unwrap();
    let extra = vec![ColumnRef::Name("y".into())];
    let wanted = Wanted { schema, label: Some(config.label.column.clone()), label_required: true, extra, weight: None };
    let mut reader = Reader::open(&config, inputs, wanted).unwrap();
    let mut block = RowBlock::default();
    split(reader.next().unwrap().unwrap(), &mut block).unwrap();
    assert_eq!((block.label(0), block.label(1)), (1, 0));
    assert!((block.number(0, 0) - 1.5).abs() < 1e-12 && block.number(1, 0).is_nan());
    assert_eq!(block.extra(1, 0), b"b");
}

#[test]
fn records_with_and_without_quotes_may_take_turns() {
    let text = b"label,x,y\n1,a,b\n0,\"c\nd\",\"e\"\"f\"\n\n1,g\"h,i\r\n0,\"j\",k\0l\r\n";
    let rows = read(&config(FormatName::Csv), text, 1 << 20, true).unwrap();
    let cells = |x: &[u8], y: &[u8]| vec![x.to_vec(), y.to_vec()];
    let expected = vec![
        (Some(1), cells(b"a", b"b"), 2),
        (Some(0), cells(b"c\nd", b"e\"f"), 3),
        (Some(1), cells(b"g\"h", b"i"), 6),
        (Some(0), cells(b"j", b"k\0l"), 7),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn the_nearest_column_is_named_only_where_one_is_like_it() {
    let hint = |header: &str| {
        let text = format!("{header}\n1,a\n");
        let error = read(&config(FormatName::Csv), text.as_bytes(), 64, true).unwrap_err();
        error.hint()
    };
    assert!(hint("LABEL,x").unwrap().contains("`LABEL`"));
    assert!(!hint("id,x").unwrap().contains("nearest"));
}

#[test]
fn spaces_around_the_positive_label_do_not_matter() {
    let mut config = config(FormatName::Csv);
    config.positive = LabelValues::from(" >50K");
    let rows = read(&config, b"label,x\n >50K,a\n<=50K,b\n", 64, true).unwrap();
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [Some(1), Some(0)]);
}

#[test]
fn columns_without_a_header_are_named_by_the_config() {
    let mut named = config(FormatName::Csv);
    named.columns = ["label", "x", "y"].map(String::from).to_vec();
    let rows = read(&named, b"1, a,b\n0,c,d\n", 4, true).unwrap();
    assert_eq!(
        rows,
        [(Some(1), vec![b"a".to_vec(), b"b".to_vec()], 1), (Some(0), vec![b"c".to_vec(), b"d".to_vec()], 2)]
    );
    let labelled = write(b"1,a,b\n");
    let schema = schema(&named, &[Input::File(labelled.path.clone())], &|_, kind| kind).unwrap();
    let unlabelled = write(b"a,b\n");
    let wanted = Wanted { schema, label: Some(named.label.column.clone()), ..Wanted::default() };
    let mut reader = Reader::open(&named, vec![Input::File(unlabelled.path.clone())], wanted).unwrap();
    let mut block = RowBlock::default();
    split(reader.next().unwrap().unwrap(), &mut block).unwrap();
    assert_eq!((block.has_labels(), block.cell(0, 0), block.cell(0, 1)), (false, &b"a"[..], &b"b"[..]));
    let error = |bytes: &[u8]| read(&named, bytes, 64, true).unwrap_err();
    assert!(matches!(error(b"label,x,y\n1,a,b\n"), DataError::Header { .. }));
    assert!(matches!(error(b"1,a,b,c\n"), DataError::Columns { expected: 3, found: 4, .. }));
}

#[test]
fn a_separator_missing_texts_and_weights_are_the_configs() {
    let mut config = config(FormatName::Csv);
    config.separator = toml::Value::String(";".into()).try_into().unwrap();
    config.missing = vec!["NA".into()];
    let rows = read(&config, b"label;x;y\nyes;\"a;b\"; NA\nno;c,d;1.0\n", 4, true).unwrap();
    let cells = |x: &[u8], y: &[u8]| vec![x.to_vec(), y.to_vec()];
    assert_eq!(rows, [(Some(1), cells(b"a;b", b""), 2), (Some(0), cells(b"c,d", b"1"), 3)]);
    config.weight = Some(ColumnRef::Name("y".into()));
    let written = write(b"label;x;y\n1;a;0.5\n1;a;-1\n");
    let inputs = vec![Input::File(written.path.clone())];
    let schema = schema(&config, &inputs, &|_, kind| kind).unwrap();
    assert_eq!(schema.len(), 1);
    let wanted = Wanted { schema, weight: config.weight.clone(), ..Wanted::default() };
    let mut reader = Reader::open(&config, inputs, wanted).unwrap();
    let error = split(reader.next().unwrap().unwrap(), &mut RowBlock::default()).unwrap_err().to_string();
    assert!(error.ends_with(":3, column `y` (`data.weight`): expected a weight from 0 on, found `-1`"), "{error}");
}

#[test]
fn values_are_parted_where_a_field_has_several() {
    let written = write(b"label,x\n1,a| b||c\n0,\n");
    let config = config(FormatName::Csv);
    let inputs = vec![Input::File(written.path.clone())];
    let schema = schema(&config, &inputs, &|_, _| FieldKind::MultiValue).unwrap();
    let mut reader = Reader::open(&config, inputs, Wanted { schema, ..Wanted::default() }).unwrap();
    let mut block = RowBlock::default();
    split(reader.next().unwrap().unwrap(), &mut block).unwrap();
    assert_eq!(block.values(0, 0, b'|').collect::<Vec<_>>(), [&b"a"[..], b"b", b"c"]);
    assert_eq!(block.values(1, 0, b'|').count(), 0);
}

#[test]
fn comments_are_no_rows_whatever_the_cut_and_lines_are_counted() {
    let texts = [
        (FormatName::Csv, "|1x3, a title\nlabel,x\n1,a\n| one, two, three\n0,\"b\n|c\"\n|end"),
        (FormatName::Tsv, "|\nlabel\tx\n1\ta\n| one\ttwo\tthree\n0\tb|c\n\n|end\r\n"),
        (FormatName::Libsvm, "| 1:1\n1 5:1\n| one: two\n0 6:1\n|"),
    ];
    for (format, text) in texts {
        let mut config = config(format);
        config.comment = "|".into();
        let whole = read(&config, text.as_bytes(), 1 << 20, true).unwrap();
        let header = u64::from(format != FormatName::Libsvm);
        let found: Vec<(Option<u8>, u64)> = whole.iter().map(|(label, _, line)| (*label, *line)).collect();
        assert_eq!(found, [(Some(1), 2 + header), (Some(0), 4 + header)], "{format:?}");
        for block in 1..text.len() {
            assert_eq!(read(&config, text.as_bytes(), block, true).unwrap(), whole, "{format:?}, {block}");
        }
    }
    let mut config = config(FormatName::Csv);
    config.comment = "|".into();
    let error = read(&config, b"|only\n|comments\n", 4, true).unwrap_err().to_string();
    assert!(error.ends_with("expected rows, found an empty file"), "{error}");
}
