//! libsvm and libffm: tokens as cells, whatever the cut, and what is wrong with one.

use super::{
    FormatName, Input, Reader, RowBlock, Wanted, schema, split,
    tests::{config, message, read, write},
};
use crate::schema::FieldKind;

/// Rows with both line ends, blanks at line ends, a blank line and none at the end.
const LIBSVM_ROWS: &[u8] = b"1 266:1 1244:1.0 7:1\r\n-1 138:1\t1296:1  7:1 \r\n\n0 1:1 2:1 3:1 \n+1 1:1 2:1 3:1";
const LIBFFM_ROWS: &[u8] = b"1 0:266:1 2:7:1\r\n-1 12:5:1 2:8:1.0 \r\n\n0\t0:1:1  \n1 2:9:1 0:3:1";

#[test]
fn libsvm_rows_do_not_depend_on_the_cut() {
    let config = config(FormatName::Libsvm);
    let row = |label: u8, cells: [&str; 3], line: u64| {
        (Some(label), cells.iter().map(|cell| cell.as_bytes().to_vec()).collect::<Vec<_>>(), line)
    };
    let expected = vec![
        row(1, ["266", "1244", "7"], 1),
        row(0, ["138", "1296", "7"], 2),
        row(0, ["1", "2", "3"], 4),
        row(1, ["1", "2", "3"], 5),
    ];
    for block in 1..=LIBSVM_ROWS.len() {
        assert_eq!(read(&config, LIBSVM_ROWS, block, true).unwrap(), expected, "{block}");
    }
}

#[test]
fn libffm_rows_do_not_depend_on_the_cut_and_lack_fields() {
    let config = config(FormatName::Libffm);
    let row = |label: u8, cells: [&str; 3], line: u64| {
        (Some(label), cells.iter().map(|cell| cell.as_bytes().to_vec()).collect::<Vec<_>>(), line)
    };
    let expected = vec![
        row(1, ["266", "7", ""], 1),
        row(0, ["", "8", "5"], 2),
        row(0, ["1", "", ""], 4),
        row(1, ["3", "9", ""], 5),
    ];
    for block in 1..=LIBFFM_ROWS.len() {
        assert_eq!(read(&config, LIBFFM_ROWS, block, true).unwrap(), expected, "{block}");
    }
}

#[test]
fn libsvm_fields_are_positions_and_libffm_fields_numbers() {
    let names = |format, text: &[u8]| {
        let written = write(text);
        let schema = schema(&config(format), &[Input::File(written.path.clone())], &|_, kind| kind).unwrap();
        schema.fields.into_iter().map(|field| field.name).collect::<Vec<_>>()
    };
    assert_eq!(names(FormatName::Libsvm, LIBSVM_ROWS), ["1", "2", "3"]);
    assert_eq!(names(FormatName::Libffm, LIBFFM_ROWS), ["0", "2", "12"]);
}

#[test]
fn what_is_wrong_with_a_token_is_said_with_its_number() {
    let after_a_sound_row = |format, line: &str| {
        let first = if format == FormatName::Libsvm { "1 5:1 6:1" } else { "1 0:5:1 3:6:1" };
        message(format, &format!("{first}\n{line}\n"))
    };
    let cases = [
        (
            FormatName::Libsvm,
            "1 5:1",
            "rows.txt:2: expected 2 tokens behind the label, as in the file's first row, found 1",
        ),
        (FormatName::Libsvm, "1 5:1 6:1 7:1", "found 3"),
        (
            FormatName::Libsvm,
            "1 5:1 6:0.5",
            "rows.txt:2, token 2: expected the value 1, since a feature is a category, found `6:0.5`",
        ),
        (FormatName::Libsvm, "1 5:1 6", "rows.txt:2, token 2: expected `index:1`, found `6`"),
        (FormatName::Libsvm, "1 x:1 6:1", "token 1: expected `index:1` with a whole number for the index, found `x:1`"),
        (FormatName::Libsvm, "5:1 6:1", "token 1: expected a label before it, found `5:1`"),
        (FormatName::Libsvm, "2 5:1 6:1", "rows.txt:2, field `label`: expected 0 or 1, found `2`"),
        (FormatName::Libffm, "1 0:5:x", "token 1, field `0`: expected the value 1, since the field is one category"),
        (
            FormatName::Libffm,
            "1 0:5:2 3:6:inf 3:1:1",
            "token 2: expected a finite number for the value, found `3:6:inf`",
        ),
        (FormatName::Libffm, "1 3:5", "token 1: expected `field:index:value`, found `3:5`"),
        (
            FormatName::Libffm,
            "1 -3:5:1",
            "token 1: expected `field:index:value` with a whole number for the field, found `-3:5:1`",
        ),
    ];
    for (format, line, expected) in cases {
        let found = after_a_sound_row(format, line);
        assert!(found.contains(expected), "{line}: {found}");
    }
    let rows = message(FormatName::Libsvm, "1,5,6\n");
    assert!(rows.contains("expected `label index:1 …`, separated by blanks, found `1,5,6`"), "{rows}");
    let error = read(&config(FormatName::Libsvm), b"1 0:5:1 1:6:1\n", 64, true).unwrap_err();
    assert!(error.hint().unwrap().contains("libffm"), "{error}");
    let rows = message(FormatName::Libsvm, "5:1 6:1\n");
    assert_eq!(rows, "rows.txt: expected a label before each row's tokens, found none");
}

#[test]
fn tokens_without_a_label_are_fine_where_none_is_required() {
    let cells = |cells: [&str; 2]| cells.iter().map(|cell| cell.as_bytes().to_vec()).collect::<Vec<_>>();
    for (format, text) in [(FormatName::Libsvm, "5:1 6:1\n"), (FormatName::Libffm, "3:6:1 0:5:1\n")] {
        let mut config = config(format);
        config.on_bad_row = super::OnBadRow::Skip;
        let names = if format == FormatName::Libsvm { ["1", "2"] } else { ["0", "3"] };
        let field = |name: &str| crate::schema::Field { name: name.into(), kind: FieldKind::Categorical, column: None };
        let wanted =
            Wanted { schema: crate::schema::Schema { fields: names.map(field).to_vec() }, ..Wanted::default() };
        let written = write(text.as_bytes());
        let mut reader = Reader::open(&config, vec![Input::File(written.path.clone())], wanted).unwrap();
        let mut block = RowBlock::default();
        split(reader.next().unwrap().unwrap(), &mut block).unwrap();
        assert_eq!((block.rows(), block.has_labels()), (1, false));
        assert_eq!(vec![block.cell(0, 0).to_vec(), block.cell(0, 1).to_vec()], cells(["5", "6"]));
    }
}

#[test]
fn a_field_that_the_training_rows_lack_is_a_bad_token() {
    let mut config = config(FormatName::Libffm);
    config.drop = vec!["3".into()];
    let written = write(b"1 0:5:1 3:6:1\n0 0:5:1 4:1:1\n");
    let field = crate::schema::Field { name: "0".into(), kind: FieldKind::Categorical, column: None };
    let wanted = Wanted { schema: crate::schema::Schema { fields: vec![field] }, ..Wanted::default() };
    let mut reader = Reader::open(&config, vec![Input::File(written.path.clone())], wanted).unwrap();
    let error = split(reader.next().unwrap().unwrap(), &mut RowBlock::default()).unwrap_err().to_string();
    assert!(error.ends_with("rows.txt:2, token 2: expected one of the data's fields, found `4:1:1`"), "{error}");
}

/// Several values of a field apart and together, a lone value, and blanks at line ends.
const SEVERAL: &[u8] = b"1 17:3:0.25 0:0:0.3651 2:7:1 17:4:-2 17:3:1e-3 \r\n0 2:8:1 0:1:.5\t\n1 17:9:1 2:7:1";

/// The schema that the sample gives, and its rows' cells, lines and labels.
fn read_several(config: &super::DataConfig, text: &[u8], block: usize) -> (Vec<FieldKind>, super::tests::Rows) {
    let written = write(text);
    let schema = schema(config, &[Input::File(written.path.clone())], &|_, kind| kind).unwrap();
    (schema.fields.iter().map(|field| field.kind).collect(), read(config, text, block, true).unwrap())
}

#[test]
fn a_libffm_field_that_is_repeated_or_has_values_has_several_values_with_weights() {
    use FieldKind::{Categorical, WeightedValues};
    let row = |label: u8, cells: [&str; 3], line: u64| {
        (Some(label), cells.iter().map(|cell| cell.as_bytes().to_vec()).collect::<Vec<_>>(), line)
    };
    let expected = vec![
        row(1, ["0:0.3651", "7", "3:0.25\u{1f}4:-2\u{1f}3:1e-3"], 1),
        row(0, ["1:.5", "8", ""], 2),
        row(1, ["", "7", "9:1"], 3),
    ];
    for block in 1..=SEVERAL.len() {
        let (kinds, rows) = read_several(&config(FormatName::Libffm), SEVERAL, block);
        assert_eq!(kinds, [WeightedValues, Categorical, WeightedValues]);
        assert_eq!(rows, expected, "{block}");
    }
}

#[test]
fn what_a_field_of_one_category_cannot_have_is_told_with_the_key_that_reads_it() {
    let field = |name: &str| crate::schema::Field { name: name.into(), kind: FieldKind::Categorical, column: None };
    let wanted = Wanted { schema: crate::schema::Schema { fields: vec![field("0"), field("3")] }, ..Wanted::default() };
    let cases = [
        (
            "1 0:5:1 3:6:0.5",
            "token 2, field `3`: expected the value 1, since the field is one category, found `3:6:0.5`",
        ),
        (
            "1 3:6:1 0:5:1 3:7:1",
            "token 3, field `3`: expected a field of one category at most once in a row, found `3:7:1`",
        ),
    ];
    for (line, expected) in cases {
        let written = write(format!("1 0:5:1 3:6:1\n{line}\n").as_bytes());
        let inputs = vec![Input::File(written.path.clone())];
        let mut reader = Reader::open(&config(FormatName::Libffm), inputs, wanted.clone()).unwrap();
        let error = split(reader.next().unwrap().unwrap(), &mut RowBlock::default()).unwrap_err();
        assert!(error.to_string().ends_with(&format!("rows.txt:2, {expected}")), "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("`features.fields.3 = { separator = \"|\", weighted = true }`"), "{hint}");
    }
}

#[test]
fn a_libffm_column_that_is_no_field_may_have_any_values() {
    let mut config = config(FormatName::Libffm);
    config.drop = vec!["17".into(), "0".into()];
    let (kinds, rows) = read_several(&config, SEVERAL, 1 << 20);
    assert_eq!(kinds, [FieldKind::Categorical]);
    let cells: Vec<&[u8]> = rows.iter().map(|(_, cells, _)| &*cells[0]).collect();
    assert_eq!(cells, [b"7", b"8", b"7"]);
}
