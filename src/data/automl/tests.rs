//! The format as a whole: what rows become.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{DataConfig, DataError, Input, Reader, RowBlock, Wanted, companions, resolve, schema, split};
use crate::schema::{FieldKind, Schema, TimeFormat};

/// A row's label, cells and place.
pub(super) type Row = (Option<u8>, Vec<String>, String);

pub(super) fn config(lines: &str) -> DataConfig {
    toml::from_str(&format!("format = \"automl\"\ntrain = [\"-\"]\n{lines}\n")).unwrap()
}

pub(super) struct Set {
    folder: tempfile::TempDir,
}

impl Set {
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let set = Self { folder: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            fs::write(set.path(name), text).unwrap();
        }
        set
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn read(&self, name: &str, config: &DataConfig) -> Result<Vec<Row>, DataError> {
        let inputs = resolve(&[self.path(name).to_string_lossy().into_owned()])?;
        Ok(read(&inputs, config, true)?.1)
    }

    /// What is wrong, without the folder's name.
    pub(super) fn error(&self, name: &str, lines: &str) -> String {
        let error = self.read(name, &config(lines)).unwrap_err().to_string();
        error.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

pub(super) fn read(
    inputs: &[Input],
    config: &DataConfig,
    label_required: bool,
) -> Result<(Schema, Vec<Row>), DataError> {
    let schema = schema(config, inputs, &|_, kind| kind)?;
    let label = Some(config.label.column.clone());
    let wanted = Wanted { schema: schema.clone(), label, label_required, ..Wanted::default() };
    Ok((schema, read_wanted(inputs, config, wanted)?))
}

pub(super) fn read_wanted(inputs: &[Input], config: &DataConfig, wanted: Wanted) -> Result<Vec<Row>, DataError> {
    let fields = wanted.schema.len();
    let mut reader = Reader::with_block_bytes(config, inputs.to_vec(), wanted, 1 << 14)?;
    let (mut block, mut rows) = (RowBlock::default(), Vec::new());
    while let Some(raw) = reader.next()? {
        split(raw, &mut block)?;
        for row in 0..block.rows() {
            let cell = |field| String::from_utf8_lossy(block.cell(row, field)).replace('\u{1f}', "|");
            let place = block.place(row);
            let file = Path::new(&*place.file).file_name().unwrap().to_string_lossy().into_owned();
            let label = block.has_labels().then(|| block.label(row));
            rows.push((label, (0..fields).map(cell).collect(), format!("{file}:{}", place.line)));
        }
    }
    Ok(rows)
}

fn row(label: u8, cells: &[&str], place: &str) -> Row {
    (Some(label), cells.iter().map(|cell| (*cell).to_owned()).collect(), place.to_owned())
}

const INFO: &str = "usage = ''\nname = 'a'\ntask = 'binary.classification'\nfeat_num =     3\ntarget_num = 1\nlabel_num = 2\n\
                    is_sparse =  0\ntrain_num = 7\n";
pub(super) const SPARSE_INFO: &str = "task = 'binary.classification'\nfeat_num = 3\nis_sparse = 1";

#[test]
fn dense_rows_have_their_labels_from_the_solution() {
    let types = "Categorical\nnumerical\nBinary\n";
    let set = Set::of(&[
        ("a_public.info", INFO),
        ("a_feat.type", types),
        ("a_feat.name", "colour\nsize of it\nround\n"),
        ("a_train.data", "2.0 1.5 0 \r\n\nNaN NaN 1\n3\t-2  1"),
        ("a_train.solution", "1\n0 \n1\n"),
    ]);
    let (schema, rows) = read(&[Input::File(set.path("a_train.data"))], &config(""), true).unwrap();
    let fields: Vec<_> = schema.fields.iter().map(|field| (field.name.as_str(), field.kind)).collect();
    let expected =
        [("colour", FieldKind::Categorical), ("size of it", FieldKind::Numeric), ("round", FieldKind::Categorical)];
    assert_eq!(fields, expected);
    let expected = [
        row(1, &["2", "1.5", "0"], "a_train.data:1"),
        row(0, &["", "", "1"], "a_train.data:3"),
        row(1, &["3", "-2", "1"], "a_train.data:4"),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_position_is_that_of_a_value_in_its_row() {
    let set = Set::of(&[("a_train.data", "1 0.5 u1\n2 0.25 u2\n"), ("a_train.solution", "1\n0\n")]);
    let inputs = [Input::File(set.path("a_train.data"))];
    let config = config("group = 2\nweight = 1");
    let schema = schema(&config, &inputs, &|_, kind| kind).unwrap();
    assert_eq!(schema.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["1"]);
}

#[test]
fn rows_without_any_companion_are_dense_and_have_no_label() {
    let set = Set::of(&[("a_test.data", "1 2\n3 4\n")]);
    let inputs = [Input::File(set.path("a_test.data"))];
    let field = |name: &str| crate::schema::Field { name: name.into(), kind: FieldKind::Numeric, column: None };
    let schema = Schema { fields: vec![field("1"), field("2")] };
    let rows = read_wanted(&inputs, &config(""), Wanted { schema, ..Wanted::default() }).unwrap();
    assert_eq!(rows[1], (None, vec!["3".into(), "4".into()], "a_test.data:2".into()));
    let error = set.error("a_test.data", "");
    assert!(error.starts_with("a_test.data: expected its labels in a solution beside it"), "{error}");
}

#[test]
fn an_omitted_value_is_0_and_an_empty_sparse_line_is_a_row() {
    let solution = ("a_train.solution", "1\n0\n1\n0\n");
    let expected = [
        row(1, &["0", "2.5", "0"], "a_train.data:1"),
        row(0, &["0", "0", "0"], "a_train.data:2"),
        row(1, &["1", "0", ""], "a_train.data:3"),
        row(0, &["0", "0", "0"], "a_train.data:4"),
    ];
    for info in [SPARSE_INFO, "feat_num = 3"] {
        let set = Set::of(&[("a_public.info", info), ("a_train.data", "2:2.5 \n\n3:NaN 1:1\n\n"), solution]);
        assert_eq!(set.read("a_train.data", &config("")).unwrap(), expected, "{info}");
    }
    let set =
        Set::of(&[("a_public.info", SPARSE_INFO), ("a_train.data", "2 3\n\n1 \n"), ("a_train.solution", "1\n0\n1")]);
    let expected = [
        row(1, &["0", "1", "1"], "a_train.data:1"),
        row(0, &["0", "0", "0"], "a_train.data:2"),
        row(1, &["1", "0", "0"], "a_train.data:3"),
    ];
    assert_eq!(set.read("a_train.data", &config("")).unwrap(), expected);
}

#[test]
fn without_an_info_the_rows_tell_their_form_and_their_features() {
    let fields = |rows: &str| {
        let set = Set::of(&[("a_train.data", rows), ("a_train.solution", "1\n0\n1\n")]);
        let (schema, rows) = read(&[Input::File(set.path("a_train.data"))], &config(""), true).unwrap();
        (schema.len(), rows[0].1.clone())
    };
    assert_eq!(fields("1:5 4:6\n2:1\n\n"), (4, ["5", "0", "0", "6"].map(String::from).to_vec()));
    assert_eq!(fields("1 4\n2\n3 4\n"), (4, ["1", "0", "0", "1"].map(String::from).to_vec()));
    assert_eq!(fields("1 4\n2 3\n3 4\n"), (2, ["1", "4"].map(String::from).to_vec()));
}

#[test]
fn many_sparse_features_are_one_field_of_several_values() {
    let info = "task = 'binary.classification'\nfeat_num = 61188\nis_sparse = 1\n";
    let files =
        [("a_public.info", info), ("a_train.data", "7:2.0 61188:1 9:0\n\n5:0.5\n"), ("a_train.solution", "1\n0\n1\n")];
    let set = Set::of(&files);
    let (schema, rows) = read(&[Input::File(set.path("a_train.data"))], &config(""), true).unwrap();
    assert_eq!((schema.fields[0].name.as_str(), schema.fields[0].kind), ("features", FieldKind::MultiValue));
    let expected = [
        row(1, &["7:2|61188:1"], "a_train.data:1"),
        row(0, &[""], "a_train.data:2"),
        row(1, &["5:0.5"], "a_train.data:3"),
    ];
    assert_eq!(rows, expected);
    fs::write(set.path("a_train.data"), "7 61188\n9\n\n").unwrap();
    assert_eq!(set.read("a_train.data", &config("")).unwrap()[0], row(1, &["7|61188"], "a_train.data:1"));
    fs::write(set.path("a_train.data"), "7:2\n9:x\n\n").unwrap();
    let error = set.error("a_train.data", "");
    assert_eq!(error, "a_train.data:2, token 1: expected `index:value` with a number for the value, found `9:x`");
}

#[test]
fn times_and_several_values_are_those_of_automl3() {
    let set = Set::of(&[
        ("a_feat.type", "Time\nMulti-value\nTime\nTime\nTime\n"),
        ("a_train1.data", "1413896400 12,7 2014-10-21T13:00 5.5 1413896400123\nNaN NaN NaN NaN NaN\n"),
        ("a_train1.solution", "1\n0\n"),
    ]);
    let (schema, rows) = read(&[Input::File(set.path("a_train1.data"))], &config(""), true).unwrap();
    let kinds: Vec<_> = schema.fields.iter().map(|field| field.kind).collect();
    let time = FieldKind::Time;
    assert_eq!(
        kinds,
        [
            time(TimeFormat::Unix),
            FieldKind::MultiValue,
            time(TimeFormat::Iso),
            FieldKind::Numeric,
            time(TimeFormat::UnixMilliseconds)
        ]
    );
    assert_eq!(rows[0].1, ["1413896400", "12|7", "2014-10-21T13:00", "5.5", "1413896400123"]);
    assert_eq!(rows[1].1, [""; 5]);
}

#[test]
fn numbered_parts_are_read_as_one_in_their_order() {
    let parts: Vec<(String, String, String)> = (1..=11)
        .map(|number| {
            let label = if number % 2 == 0 { "0\n" } else { "1\n" };
            (format!("a_train{number}.data"), format!("{number} 5\n"), label.to_owned())
        })
        .collect();
    let set = Set::of(&[]);
    for (name, rows, labels) in &parts {
        fs::write(set.path(name), rows).unwrap();
        fs::write(set.path(&name.replace(".data", ".solution")), labels).unwrap();
    }
    let expected: Vec<Row> = (1..=11_u8)
        .map(|number| row(number % 2, &[&number.to_string(), "5"], &format!("a_train{number}.data:1")))
        .collect();
    for name in ["a_train.data", "a_train*.data"] {
        assert_eq!(set.read(name, &config("")).unwrap(), expected, "{name}");
    }
    fs::remove_file(set.path("a_train4.data")).unwrap();
    let error = set.error("a_train.data", "");
    assert_eq!(error, "a_train.data: expected the part 4, found the part 5 in its place");
}

#[test]
fn parts_may_share_a_solution() {
    let files = [("a_train.data.1", "1 5\n\n2 5\n"), ("a_train.data.2", "3 5\n"), ("a_train.solution", "1\n0\n1\n")];
    let set = Set::of(&files);
    let expected = [
        row(1, &["1", "5"], "a_train.data.1:1"),
        row(0, &["2", "5"], "a_train.data.1:3"),
        row(1, &["3", "5"], "a_train.data.2:1"),
    ];
    assert_eq!(set.read("a_train.data", &config("")).unwrap(), expected);
    assert_eq!(set.read("a_train.data.2", &config("")).unwrap(), expected[2..]);
    fs::write(set.path("a_train.solution"), "1\n0\n1\n1\n").unwrap();
    let error = set.error("a_train.data", "");
    assert!(error.starts_with("a_train.data.2:2: expected a row for the label at "), "{error}");
    fs::write(set.path("a_train.solution"), "1\n").unwrap();
    let error = set.error("a_train.data.2", "");
    assert_eq!(
        error,
        "a_train.solution:2: expected a label for the row 2 of the earlier parts, found the end of the file"
    );
}

#[test]
fn a_column_of_several_targets_may_be_chosen() {
    let info = "task = 'multilabel.classification'\ntarget_num = 3\nfeat_num = 1\n";
    let set = Set::of(&[
        ("a_public.info", info),
        ("a_train.data", "5\n6\n"),
        ("a_train.solution", "0 1 0\n1 1 0 \n"),
        ("a_label.name", "one\ntwo\nthree\n"),
    ]);
    let labels = |lines: &str| {
        let rows = set.read("a_train.data", &config(lines)).unwrap();
        rows.into_iter().map(|row| row.0.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(labels("label = 0"), [0, 1]);
    assert_eq!(labels("label = \"two\""), [1, 1]);
    assert_eq!(labels("label = \"three\""), [0, 0]);
    let error = set.error("a_train.data", "label = 3");
    assert_eq!(error, "a_train.solution: expected a column `3` (`data.label`), found 3 columns, counted from 0");
    let error = set.read("a_train.data", &config("label = \"tow\"")).unwrap_err();
    assert!(error.hint().unwrap().contains("`two`"), "{error}");
}

#[test]
fn numbers_and_classes_become_two_classes_on_request() {
    let files = |task: &str| format!("task = '{task}'\nfeat_num = 1\n");
    let regression = files("regression");
    let set =
        Set::of(&[("a_public.info", &regression), ("a_train.data", "5\n6\n"), ("a_train.solution", "93600\n5e5\n")]);
    let labels = |lines: &str| {
        let rows = set.read("a_train.data", &config(lines)).unwrap();
        rows.into_iter().map(|row| row.0.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(labels("label = { column = 0, at_least = 100_000 }"), [0, 1]);
    assert_eq!(labels("positive = \"93600\"\nnegative = \"*\""), [1, 0]);
    let error = set.read("a_train.data", &config("")).unwrap_err();
    assert!(
        error.to_string().ends_with("a_public.info:1: expected the task `binary.classification`, found `regression`")
    );
    assert!(error.hint().unwrap().contains("at_least"));
}

#[test]
fn bad_rows_are_left_out_with_their_labels_on_request() {
    let set = Set::of(&[
        ("a_public.info", SPARSE_INFO),
        ("a_train.data", "1:2\n9:1\n2:x\n3:1\n"),
        ("a_train.solution", "1\n0\n1\n0\n"),
    ]);
    let rows = set.read("a_train.data", &config("on_bad_row = \"skip\"")).unwrap();
    let expected = [row(1, &["2", "0", "0"], "a_train.data:1"), row(0, &["0", "0", "1"], "a_train.data:4")];
    assert_eq!(rows, expected);
}

#[test]
fn the_companions_of_an_input_are_told_for_this_format_alone() {
    let set = Set::of(&[("a_train.data", ""), ("a_train.solution", "")]);
    let input = Input::File(set.path("a_train.data"));
    assert_eq!(companions(&config(""), &input), [set.path("a_train.solution")]);
    let csv: DataConfig = toml::from_str("format = \"csv\"\ntrain = [\"-\"]").unwrap();
    assert!(companions(&csv, &input).is_empty() && companions(&config(""), &Input::Stdin).is_empty());
}
