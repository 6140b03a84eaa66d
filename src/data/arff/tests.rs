//! The format as a whole: what rows become, and what is told of wrong ones.

use std::fs;

use super::super::{
    DataConfig, DataError, Input, Reader, RowBlock, Wanted, resolve, schema, split, tests::shared_data,
};
use crate::schema::FieldKind;

type Rows = Vec<(u8, Vec<String>, u64)>;
/// Fields, rows, and how many were left out.
type Read = (Vec<(String, FieldKind)>, Rows, u64);

fn config(lines: &str) -> DataConfig {
    toml::from_str(&format!("format = \"arff\"\ntrain = [\"-\"]\n{lines}\n")).unwrap()
}

fn read(inputs: &[Input], config: &DataConfig) -> Result<Read, DataError> {
    let schema = schema(config, inputs, &|_, kind| kind)?;
    let fields: Vec<_> = schema.fields.iter().map(|field| (field.name.clone(), field.kind)).collect();
    let label = Some(config.label.column.clone());
    let wanted = Wanted { schema, label, label_required: true, ..Wanted::default() };
    let mut reader = Reader::with_block_bytes(config, inputs.to_vec(), wanted, 50)?;
    let (mut block, mut rows, mut skipped) = (RowBlock::default(), Rows::new(), 0);
    while let Some(raw) = reader.next()? {
        split(raw, &mut block)?;
        skipped += block.skipped();
        for row in 0..block.rows() {
            let cell = |field| String::from_utf8_lossy(block.cell(row, field)).into_owned();
            rows.push((block.label(row), (0..fields.len()).map(cell).collect(), block.place(row).line));
        }
    }
    Ok((fields, rows, skipped))
}

fn read_text(text: &str, lines: &str) -> Result<Read, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.arff");
    fs::write(&path, text).unwrap();
    read(&[Input::File(path)], &config(lines))
}

fn cells(text: &str) -> Vec<(u8, Vec<String>)> {
    let (_, rows, _) =
        read_text(text, "label = \"class\"\npositive = \"yes\"").unwrap_or_else(|error| panic!("{error}"));
    rows.into_iter().map(|(label, cells, _)| (label, cells)).collect()
}

const HEAD: &str = "% a comment\n@RELATION 'a b'\n\n@attribute 'x y' NUMERIC\n@Attribute c {p, 'q r' , \"s,t\"}\n\
    @attribute t string\n@attribute d date \"yyyy-MM-dd\"\n@attribute class {no,yes}\n@DATA\n";

#[test]
fn dense_rows_are_read_by_all_quoting_rules() {
    let text = format!(
        "{HEAD}1.50,p,'it\\'s',\"2014-10-21\",yes\n% none\n\n?,'q r',?,?,no\n-3 , \"s,t\" , a b , '?' ,  yes\n"
    );
    let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
    let expected = vec![
        (1, row(["1.5", "p", "it's", "2014-10-21"])),
        (0, row(["", "q r", "", ""])),
        (1, row(["-3", "s,t", "a b", "?"])),
    ];
    for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}"), text.trim_end().to_owned()] {
        assert_eq!(cells(&text), expected, "{text:?}");
    }
    let (fields, rows, _) = read_text(&text, "label = \"class\"\npositive = \"yes\"").unwrap();
    let [number, category] = [FieldKind::Numeric, FieldKind::Categorical];
    let expected = [("x y", number), ("c", category), ("t", category), ("d", category)];
    assert_eq!(fields, expected.map(|(name, kind)| (name.to_owned(), kind)));
    assert_eq!(rows.iter().map(|row| row.2).collect::<Vec<_>>(), [10, 13, 14]);
    // without commas blanks part the values
    assert_eq!(cells("@attribute a real\n@attribute class {no,yes}\n@data\n1\tyes\n2   no\n").len(), 2);
}

#[test]
fn sparse_rows_mean_zero_and_the_first_value_where_they_say_nothing() {
    let text = format!("{HEAD}{{0 2, 4 yes}}\n{{}}\n{{ 1 'q r' , 2 \"z\", 3 ?}}\n{{4 yes, 0 1.0}}\n");
    let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
    let expected = vec![
        (1, row(["2", "p", "", ""])),
        (0, row(["0", "p", "", ""])),
        (0, row(["0", "q r", "z", ""])),
        (1, row(["1", "p", "", ""])),
    ];
    assert_eq!(cells(&text), expected);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (rows, expected) in [
        ("1,p,a,b\n", ":10: expected 5 values, found 4"),
        ("1,p,a,b,yes,7\n", ":10: expected 5 values, found 6"),
        ("1,u,a,b,yes\n", ":10, value 2: expected one of the values that `c` is declared with, or `?`, found `u`"),
        ("1,p,'a,b,yes\n", ":10, value 3: expected a closing quote"),
        ("1,p,'a'b,c,yes\n", ":10, value 3: expected a comma behind the closing quote, found `b,c,yes`"),
        ("1,p,,b,yes\n", ":10, value 3: expected a value, or `?` for a missing one, found an empty cell"),
        ("1,p,a,b,yes,{2}\n", ":10, value 6: expected no weight of the row"),
        ("x,p,a,b,yes\n", ":10, field `x y`: expected a number, found `x`"),
        ("{5 1}\n", ":10, value 1: expected an index from 0 to 4 and a value, found `5`"),
        ("{-1 1}\n", ":10, value 1: expected an index from 0 to 4 and a value, found `-1`"),
        ("{0 1, 0 2}\n", ":10, value 2: expected each index once in a row, found `0`"),
        ("{0 1\n", ":10, value 1: expected a comma or a closing brace, found an empty cell"),
        ("{0 1}, {2}\n", ":10: expected nothing behind the closing brace"),
        ("", "rows.arff: expected rows, found only a header"),
    ] {
        let label = "label = \"class\"\npositive = \"yes\"";
        let error = read_text(&format!("{HEAD}{rows}"), label).unwrap_err().to_string();
        assert!(error.contains(expected), "{rows}: {error}");
        if !rows.is_empty() {
            let skipping = format!("{label}\non_bad_row = \"skip\"");
            let (_, left, skipped) = read_text(&format!("{HEAD}{rows}2,p,a,b,no\n"), &skipping).unwrap();
            assert_eq!((left.len(), skipped), (1, 1), "{rows}");
        }
    }
    for (head, expected) in [
        ("", "rows.arff: expected rows, found an empty file"),
        ("@relation a\n@attribute x real\n", ":2: expected `@data` behind the attributes, found the end of the file"),
        ("@relation a\n@data\n1\n", ":2: expected attributes before `@data`, found `none`"),
        ("@attribute x {a,b\n@data\n", ":1: expected a closing brace"),
        ("@attribute x {}\n@data\n", ":1: expected at least one value in the braces"),
        ("@attribute 'x real\n@data\n", ":1: expected a closing quote"),
        ("@attribute x\n@data\n", ":1: expected `numeric`"),
        ("@attribute x float\n@data\n", ":1: expected `numeric`"),
        ("@attribute x relational\n@attribute y real\n@end x\n@data\n", "found `a relational one`"),
        ("label,x\n1,a\n", ":1: expected `@relation`, `@attribute` or `@data`, found `label,x`"),
    ] {
        let error = read_text(head, "").unwrap_err();
        let message = error.to_string().replace("found none", "found `none`");
        assert!(message.contains(expected), "{head}: {message}");
    }
}

#[test]
fn no_text_makes_the_reader_panic() {
    const PIECES: [&str; 16] = [
        "@data\n",
        "@attribute a {b}",
        "'",
        "\"",
        "\\",
        "{",
        "}",
        ",",
        "\n",
        " 0 ",
        "b",
        "?",
        "%",
        "\u{fe}",
        "1e9",
        "\t",
    ];
    for turn in 0..3_000_u64 {
        let piece = |number: u64| PIECES[usize::try_from(crate::seed::mix(turn, number) % 16).unwrap()];
        let random: String = (0..turn % 40).map(piece).collect();
        let _ = read_text(&random, "label = \"a\"");
        let _ = read_text(&format!("{HEAD}{random}"), "label = \"class\"\npositive = \"yes\"");
    }
}

/// The row counts and oddities are those of the folders' READMEs.
#[test]
fn shared_files_are_read() {
    let Some(shared) = shared_data() else {
        println!("skipped: shared/data is not there");
        return;
    };
    let good = "label = \"class\"\npositive = \"good\"";
    for (name, lines, rows, fields) in [
        ("adult-arff/adult.arff.gz", "label = \"class\"\npositive = \">50K\"", 32_561, 14),
        ("openml-arff/sklearn_id_3.arff.gz", "label = \"class\"\npositive = \"won\"", 3_196, 36),
        ("openml-arff/sklearn_id_40945.arff.gz", "label = \"survived\"", 1_309, 13),
        ("openml-arff/sklearn_id_40675.arff.gz", "label = 9", 163, 9),
        ("openml-arff/sklearn_id_292.arff.gz", "label = 0", 85, 14),
        ("openml-arff/sklearn_id_561.arff.gz", "label = { column = \"class\", at_least = 100 }", 209, 7),
        (
            "openml-arff/sklearn_id_61.arff.gz",
            "label = \"class\"\npositive = \"Iris-setosa\"\nnegative = \"*\"",
            150,
            4,
        ),
        ("openml-arff/sklearn_id_62.arff.gz", "label = \"type\"\npositive = \"mammal\"\nnegative = \"*\"", 101, 17),
        ("openml-arff/sklearn_id_1.arff.gz", "label = \"class\"\npositive = \"3\"\nnegative = \"*\"", 11, 38),
        ("openml-arff/sklearn_id_2.arff.gz", "label = \"class\"\npositive = \"3\"\nnegative = \"*\"", 11, 38),
        ("openml-arff/sklearn_id_40589.arff.gz", "label = \"amazed.suprised\"", 13, 77),
        ("openml-arff/sklearn_id_40966.arff.gz", "label = \"Genotype\"\npositive = \"Ts65Dn\"", 7, 81),
        ("openml-arff/sklearn_id_42074.arff.gz", "label = { column = \"points\", at_least = 90 }", 10, 9),
        ("openml-arff/sklearn_id_42585.arff.gz", "label = 0\npositive = \"Gentoo\"\nnegative = \"*\"", 344, 6),
        ("openml-arff/sklearn_id_1590.arff.gz", "label = \"class\"\npositive = \">50K\"", 10, 14),
        ("openml-arff/sklearn_id_1119.arff.gz", "label = \"class\"\npositive = \">50K\"", 10, 15),
        ("openml-arff/kc2_train.arff", "label = 21", 469, 21),
        ("openml-arff/kc2_test.arff", "label = 21", 53, 21),
        ("openml-arff/germancredit_train.arff", good, 700, 20),
        ("openml-arff/germancredit_test.arff", good, 300, 20),
    ] {
        let inputs = resolve(&[shared.join(name).to_string_lossy().into_owned()]).unwrap();
        let (found_fields, found, _) = read(&inputs, &config(lines)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((found.len(), found_fields.len()), (rows, fields), "{name}");
    }
    // tasks of several classes and of numbers are told by their first label that is neither 0 nor 1
    for (name, label, line, found) in [
        ("sklearn_id_1.arff.gz", "class", 161, "3"),
        ("sklearn_id_2.arff.gz", "class", 161, "3"),
        ("sklearn_id_61.arff.gz", "class", 73, "Iris-setosa"),
        ("sklearn_id_62.arff.gz", "type", 25, "mammal"),
        ("sklearn_id_561.arff.gz", "class", 95, "199"),
        ("sklearn_id_40966.arff.gz", "class", 85, "c-CS-m"),
        ("sklearn_id_42074.arff.gz", "points", 16, "96"),
        ("sklearn_id_42585.arff.gz", "species", 89, "Adelie"),
    ] {
        let inputs = resolve(&[shared.join("openml-arff").join(name).to_string_lossy().into_owned()]).unwrap();
        let error = read(&inputs, &config(&format!("label = \"{label}\""))).unwrap_err();
        let expected = format!("{name}:{line}, field `{label}`: expected 0 or 1, found `{found}`");
        assert!(error.to_string().ends_with(&expected) && error.hint().is_some(), "{expected}: {error}");
    }
    // several labels, none of which is named as one
    let inputs =
        resolve(&[shared.join("openml-arff/sklearn_id_40589.arff.gz").to_string_lossy().into_owned()]).unwrap();
    let error = read(&inputs, &config("")).unwrap_err();
    assert!(
        error.to_string().contains("expected a column `label` (`data.label`)") && error.hint().is_some(),
        "{error}"
    );
}
