//! Files as they shouldn't be: each is read as documented here, or refused with its place and what to do.

use super::{
    FormatName, OnBadRow,
    tests::{config, criteo_line, message, read},
};

/// Labels and the cells of a CSV file.
fn csv(text: &str) -> Vec<(Option<u8>, Vec<String>)> {
    table(FormatName::Csv, text.as_bytes())
}

fn table(format: FormatName, bytes: &[u8]) -> Vec<(Option<u8>, Vec<String>)> {
    let rows = read(&config(format), bytes, 7, true).unwrap_or_else(|error| panic!("{format:?}: {error}"));
    let text = |cell: Vec<u8>| String::from_utf8_lossy(&cell).into_owned();
    rows.into_iter().map(|(label, cells, _)| (label, cells.into_iter().map(text).collect())).collect()
}

fn row(label: u8, cells: &[&str]) -> (Option<u8>, Vec<String>) {
    (Some(label), cells.iter().map(|cell| (*cell).to_owned()).collect())
}

/// What the message has, and what the hint has.
fn assert_refused(format: FormatName, text: &str, expected: &str, hint: &str) {
    let error = read(&config(format), text.as_bytes(), 1 << 20, true).unwrap_err();
    assert!(error.to_string().contains(expected), "{text:?}: {error}");
    let shown = error.hint().unwrap_or_default();
    assert!(shown.contains(hint), "{text:?}: {shown}");
}

const PLAIN: &str = "label,x,y\n1,a,b\n0,c,\n";

#[test]
fn line_ends_marks_and_blank_lines_change_nothing() {
    let expected = [row(1, &["a", "b"]), row(0, &["c", ""])];
    for text in [
        PLAIN.to_owned(),
        PLAIN.replace('\n', "\r\n"),
        PLAIN.trim_end().to_owned(),
        format!("\u{feff}{PLAIN}"),
        format!("\n\r\n{PLAIN}\n\r\n\n"),
        PLAIN.replace("b\n", "b\n\n\r\n"),
        PLAIN.replace(',', " , "),
        PLAIN.replace("1,a,b", "1,\"a\",\"b\""),
    ] {
        assert_eq!(csv(&text), expected, "{text:?}");
        let tabs = text.replace(',', "\t");
        if !text.contains('"') {
            assert_eq!(table(FormatName::Tsv, tabs.as_bytes()), expected, "{tabs:?}");
        }
    }
    let (one, other) = (criteo_line("1", "7"), criteo_line("0", ""));
    let expected = table(FormatName::Criteo, format!("{one}\n{other}\n").as_bytes());
    for text in [format!("{one}\r\n{other}\r\n"), format!("\u{feff}{one}\n{other}"), format!("\n{one}\n\n{other}\n\n")]
    {
        assert_eq!(table(FormatName::Criteo, text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn lines_that_carriage_returns_part_are_refused() {
    for (format, text) in [
        (FormatName::Csv, PLAIN.replace('\n', "\r")),
        (FormatName::Tsv, PLAIN.replace(',', "\t").replace('\n', "\r")),
        (FormatName::Criteo, format!("{}\r{}\r", criteo_line("1", "7"), criteo_line("0", "8"))),
        (FormatName::Libsvm, "1 1:1\r0 2:1\r".into()),
    ] {
        assert_refused(format, &text, "rows.txt:1: expected lines that end with a line feed", "tr '\\r' '\\n'");
    }
    // in a later line it is a part of its cell, in quotes it always is
    assert_eq!(csv("label,x\n1,a\rb\n"), [row(1, &["a\rb"])]);
    assert_eq!(csv("label,\"x\ry\"\n1,\"a\rb\"\n"), [row(1, &["a\rb"])]);
}

#[test]
fn bytes_of_any_kind_are_a_category() {
    let rows = read(&config(FormatName::Csv), b"label,x\n1,a\0b\n0,\xff\xfe\n1,\xc3\xa4\n", 5, true).unwrap();
    let cells: Vec<&[u8]> = rows.iter().map(|(_, cells, _)| cells[0].as_slice()).collect();
    assert_eq!(cells, [&b"a\0b"[..], b"\xff\xfe", b"\xc3\xa4"]);
    // text of two bytes a character is none
    let wide: Vec<u8> = PLAIN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xff\xfe", wide.as_slice()].concat();
    let error = read(&config(FormatName::Csv), &marked, 64, true).unwrap_err();
    assert!(error.to_string().contains("UTF-16") && error.hint().is_some(), "{error}");
}

#[test]
fn quotes_guard_separators_and_line_ends_in_csv_alone() {
    let expected = [row(1, &["a,\n\"b\""]), row(0, &["c"])];
    assert_eq!(csv("label,x\n1,\"a,\n\"\"b\"\"\"\n0,c\n"), expected);
    assert_eq!(table(FormatName::Tsv, b"label\tx\n1\t\"a\n0\t\"\"\n"), [row(1, &["\"a"]), row(0, &["\"\""])]);
}

#[test]
fn a_mark_behind_a_files_start_is_a_part_of_its_cell_in_quoted_rows_and_others() {
    let marked = "\u{feff}a";
    assert_eq!(csv("x,label\n\u{feff}a,1\n\u{feff}a,\"0\"\n"), [row(1, &[marked]), row(0, &[marked])]);
    assert_refused(FormatName::Csv, "\u{feff}\u{feff}", "rows.txt:1: expected a header separated by commas", "");
}

#[test]
fn ragged_rows_are_told_with_their_line_or_left_out() {
    for (text, expected) in [
        ("label,x,y\n1,a,b\n0,c\n", "rows.txt:3: expected 3 cells, found 2"),
        ("label,x,y\n1,a,b\n0,c,d,e\n", "rows.txt:3: expected 3 cells, found 4"),
        ("label,x,y\n1,\"a\nb\",c\n\n0,c\n", "rows.txt:5: expected 3 cells, found 2"),
        // a last line that was cut off
        ("label,x,y\n1,a,b\n0,", "rows.txt:3: expected 3 cells, found 2"),
    ] {
        assert_refused(FormatName::Csv, text, expected, "on_bad_row");
        let mut skipping = config(FormatName::Csv);
        skipping.on_bad_row = OnBadRow::Skip;
        assert_eq!(read(&skipping, text.as_bytes(), 3, true).unwrap().len(), 1, "{text:?}");
    }
}

#[test]
fn headers_where_there_should_be_none_and_the_reverse_are_told() {
    let repeated = PLAIN.replace("0,c", "label,x,y\n0,c");
    assert_refused(
        FormatName::Csv,
        &repeated,
        "rows.txt:3, field `label`: expected 0 or 1, found `label`",
        "repeat the header",
    );
    assert_refused(
        FormatName::Csv,
        "1,a,b\n0,c,d\n",
        "expected a column `label` (`data.label`), found 3 other columns (`1`, `a`, `b`)",
        "`data.columns`",
    );
    let named = format!("{}\n{}\n", criteo_line("label", "I1"), criteo_line("1", "7"));
    assert_refused(
        FormatName::Criteo,
        &named,
        "rows.txt:1, field `label`: expected 0 or 1",
        "leave `data.columns` out",
    );
    let mut without = config(FormatName::Csv);
    without.columns = ["label", "x", "y"].map(str::to_owned).into();
    let error = read(&without, PLAIN.as_bytes(), 64, true).unwrap_err();
    assert!(error.to_string().contains("rows.txt:1: expected a row, found a header"), "{error}");
    // a header's names may have blanks, but not come twice where they are used
    assert_refused(FormatName::Csv, "label,x,x\n1,a,b\n", "expected one column `x`, found two", "");
}

#[test]
fn empty_and_overlong_files_are_told() {
    assert_eq!(message(FormatName::Csv, ""), "rows.txt: expected rows, found an empty file");
    assert_eq!(message(FormatName::Csv, "\n\n"), "rows.txt: expected rows, found an empty file");
    assert_eq!(message(FormatName::Csv, "label,x\n"), "rows.txt: expected rows, found only a header");
    // a column without any value is missing everywhere
    assert_eq!(csv("label,x,y\n1,,b\n0,,c\n"), [row(1, &["", "b"]), row(0, &["", "c"])]);
}

#[test]
fn numbers_beyond_integers_are_categories_as_written() {
    let huge = "123456789012345678901234567890";
    assert_eq!(csv(&format!("label,x\n1,{huge}\n0,-{huge}\n")), [row(1, &[huge]), row(0, &[&format!("-{huge}")])]);
    assert_eq!(
        csv("label,x\n1,1\n0,1.0\n1,1.50\n0,1e0\n"),
        [row(1, &["1"]), row(0, &["1"]), row(1, &["1.5"]), row(0, &["1e0"])]
    );
    for number in ["inf", "-inf", "1e400"] {
        let text = format!("{}\n", criteo_line("1", number));
        assert_refused(FormatName::Criteo, &text, "field `I1`: expected a finite number", "on_bad_row");
    }
    // missing, and beyond an i64
    for number in ["nan", huge] {
        table(FormatName::Criteo, format!("{}\n", criteo_line("1", number)).as_bytes());
    }
}

#[test]
fn a_title_before_rows_without_a_header_is_refused_or_left_out() {
    let mut named = config(FormatName::Csv);
    named.columns = ["label", "x", "y"].map(String::from).to_vec();
    let text = b"|a title\n1,a,b\n";
    let error = read(&named, text, 64, true).unwrap_err();
    assert!(error.to_string().contains(":1: expected the 3 columns of `data.columns`, found 1 cells"), "{error}");
    named.on_bad_row = OnBadRow::Skip;
    assert_eq!(read(&named, text, 64, true).unwrap(), [(Some(1), vec![b"a".to_vec(), b"b".to_vec()], 2)]);
}
