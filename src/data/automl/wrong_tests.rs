//! What is wrong with a set, said with its place; no bytes of any of its files make a reader panic.

use std::fs;
use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::tests::{SPARSE_INFO, Set, config};

#[test]
fn a_wrong_info_type_or_name_is_said_with_its_line() {
    let error = |files: &[(&str, &str)]| {
        let set = Set::of(&[&[("a_train.data", "5 6\n"), ("a_train.solution", "1\n")], files].concat());
        set.error("a_train.data", "")
    };
    let cases: [(&[(&str, &str)], &str); 12] = [
        (&[("a_public.info", "\nname 'a'\n")], "a_public.info:2: expected `key = 'value'`, found `name 'a'`"),
        (
            &[("a_public.info", "feat_num = 'many'\n")],
            "a_public.info:1: expected `feat_num = ` a whole number, found `many`",
        ),
        (
            &[("a_public.info", "feat_num = 3")],
            "a_train.data:1: expected 3 values, as many as a_public.info:1 says, found 2",
        ),
        (
            &[("a_public.info", "feat_num = 2\nformat = 'thick'\n")],
            "a_public.info:2: expected `dense`, `sparse` or `sparse_binary`, found `thick`",
        ),
        (
            &[("a_public.info", "feat_num = 99999999999")],
            "a_public.info:1: expected a number of features from 1 to 1048576, found 99999999999",
        ),
        (
            &[("a_public.info", "feat_num = 0")],
            "a_public.info:1: expected a number of features from 1 to 1048576, found 0",
        ),
        (
            &[("a_public.info", "target_num = 3\nlabel_num = 4\n")],
            "a_train.solution:1: expected as many values as there are targets or classes, 3 (a_public.info:1) or 4 \
             (a_public.info:2), found 1",
        ),
        (
            &[("a_feat.type", "Numerical\nBoolean\n")],
            "a_feat.type:2: expected `Numerical`, `Binary`, `Categorical`, `Time` or `Multi-value`, found `Boolean`",
        ),
        (
            &[("a_public.info", "feat_num = 2"), ("a_feat.type", "Numerical\n")],
            "a_feat.type:1: expected 2 feature types, one a line, as many as a_public.info:1 says, found 1",
        ),
        (
            &[("a_feat.type", "Binary\nBinary\n"), ("a_feat.name", "x\ny\nz\n")],
            "a_feat.name:3: expected 2 feature names, one a line, as many as a_feat.type:2 says, found 3",
        ),
        (
            &[("a_feat.name", "x\nx\n")],
            "a_feat.name:2: expected feature names that differ from each other and from `label`, found `x` a second time",
        ),
        (
            &[("a_feat.name", "x\nlabel\n")],
            "a_feat.name:2: expected feature names that differ from each other and from `label`, found `label`",
        ),
    ];
    for (files, expected) in cases {
        assert_eq!(error(files), expected);
    }
}

#[test]
fn a_wrong_row_or_label_is_said_with_its_line() {
    let error = |info: &str, rows: &str, labels: &str| {
        Set::of(&[("a_public.info", info), ("a_train.data", rows), ("a_train.solution", labels)])
            .error("a_train.data", "")
    };
    let sparse = |rows: &str| error(SPARSE_INFO, rows, "1\n0\n");
    let cases = [
        (error("", "1 2\n3\n", "1\n0\n"), "a_train.data:2: expected 2 values, as in the file's first row, found 1"),
        (error("", "1 2\n3 x\n", "1\n0\n"), "a_train.data:2, field `2`: expected a number, found `x`"),
        (error("", "1 2\n3 4\n", "1\n2\n"), "a_train.data:2, field `label`: expected 0 or 1, found `2`"),
        (
            error("", "1 2\n3 4\n", "1\n"),
            "a_train.solution:2: expected a label for the row at a_train.data:2, found the end of the file",
        ),
        (
            error("", "1 2\n3 4\n5 6\n", "1\n\n1\n"),
            "a_train.solution:2: expected a label for the row at a_train.data:2, found an empty line",
        ),
        (
            error("", "1 2\n3 4\n", "1\n0\n1\n"),
            "a_train.data:3: expected a row for the label at a_train.solution:3, found the end of the file",
        ),
        (
            error("", "1 2\n3 4\n", "1\n0 1\n"),
            "a_train.solution:2: expected 1 values, as in the file's first line, found 2",
        ),
        (error("", "1 2\n", ""), "a_train.solution:1: expected labels, a line a row, found an empty file"),
        (error("", "\n \n", "1\n"), "a_train.data: expected rows, found an empty file"),
        (
            error("", "1 2\n", "1 0\n"),
            "a_train.solution:1: expected the task `binary.classification`, found a solution of 2 columns",
        ),
        (
            sparse("1:2\n4:1\n"),
            "a_train.data:2, token 1: expected an index from 1 to 3, the number of features that \
                                a_public.info:2 says, found `4:1`",
        ),
        (
            sparse("1:2\n0:1\n"),
            "a_train.data:2, token 1: expected an index from 1 to 3, the number of features that \
                                a_public.info:2 says, found `0:1`",
        ),
        (sparse("1:2\n2:1 x:1\n"), "a_train.data:2, token 2: expected a whole number for the index, found `x:1`"),
        (sparse("1:2\n2:1 3\n"), "a_train.data:2, token 2: expected `index:value`, found `3`"),
        (sparse("1:2\n2:\n"), "a_train.data:2, token 1: expected `index:value`, found `2:`"),
        (sparse("1:2\n2:1 2:3\n"), "a_train.data:2: expected each index at most once, found `2` twice"),
        (sparse("1:2\n2:many\n"), "a_train.data:2, field `2`: expected a number, found `many`"),
        (
            sparse("1\n2:1\n"),
            "a_train.data:2, token 1: expected an index alone, the rows being sparse and binary, found \
                              `2:1`",
        ),
        (error("", "\n\n:5\n", "1\n"), "a_train.data:3, field `1`: expected a number, found `:5`"),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    let hint = Set::of(&[("a_train.data", "1 2\n"), ("a_train.solution", "1 0\n")]).read("a_train.data", &config(""));
    assert!(hint.unwrap_err().hint().unwrap().contains("data.label = 0"));
}

#[test]
fn a_part_that_was_cut_off_is_named() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let rows: Vec<String> = (0..9_000).map(|row| format!("{row} {}\n", row * 7_919 % 1_000)).collect();
    let rows = rows.concat();
    encoder.write_all(rows.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let set = Set::of(&[("a_train1.data", "1 2\n"), ("a_train1.solution", "1\n")]);
    fs::write(set.path("a_train2.data.gz"), &packed[..packed.len() / 2]).unwrap();
    fs::write(set.path("a_train2.solution"), "1\n".repeat(9_000)).unwrap();
    let error = set.error("a_train.data", "");
    assert_eq!(error, "a_train2.data.gz: expected a complete gzip stream, found its end cut off");
    // a part of which whole lines are left is told by its labels
    fs::remove_file(set.path("a_train2.data.gz")).unwrap();
    fs::write(set.path("a_train2.data"), "0 0\n1 919\n").unwrap();
    let error = set.error("a_train.data", "");
    let expected = "a_train2.data:3: expected a row for the label at a_train2.solution:3, found the end of the file";
    assert_eq!(error, expected);
}

proptest! {
    #[test]
    fn no_bytes_of_any_file_make_a_reader_panic(
        rows in prop::collection::vec(any::<u8>(), 0..120), labels in prop::collection::vec(any::<u8>(), 0..40),
        described in prop::collection::vec(any::<u8>(), 0..60), file in 0..6_usize,
    ) {
        let set = Set::of(&[]);
        let name = ["a_public.info", "a_feat.type", "a_feat.name", "a_label.name", "a_train.data.1", "none"][file];
        for (name, bytes) in [("a_train.data.2", &rows), ("a_train.solution", &labels), (name, &described)] {
            fs::write(set.path(name), bytes).unwrap();
        }
        for lines in ["", "label = 0", "on_bad_row = \"skip\""] {
            let _ = set.read("a_train.data.2", &config(lines));
        }
    }

    #[test]
    fn no_row_of_likely_bytes_makes_a_reader_panic(
        rows in "[0-9:, \nNa.\t\r-]{0,80}", labels in "[01 \n]{0,20}", sparse in 0..2_u8, features in 0..1_200_u64,
    ) {
        let set = Set::of(&[("a_train.data", &rows), ("a_train.solution", &labels)]);
        for info in [String::new(), format!("is_sparse = {sparse}\nfeat_num = {features}\n")] {
            fs::write(set.path("a_public.info"), info).unwrap();
            for lines in ["", "label = 0\non_bad_row = \"skip\""] {
                let _ = set.read("a_train.data", &config(lines));
            }
        }
    }
}
