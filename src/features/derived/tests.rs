//! Derived fields as a whole: against sums by hand, without leakage, and the same on every way to an id.

use std::{fmt::Write as _, fs, path::Path, sync::Arc};

use proptest::prelude::*;

use super::{
    Combination, Derived, Seen, Smoothing,
    earlier::{Memory, order, visit},
    statistic::{count_id, edges, statistic_id},
};
use crate::{
    data::{DataConfig, Wanted, resolve},
    features::{
        Cache, CacheLayout, CacheWriter, Encoded, FeaturesConfig, MemoryLimit, Prepared, Vocabulary, prepare, stream,
        vocabulary::{FIRST_VALUE, FieldVocabulary, Lookup, MISSING, UNKNOWN},
    },
    seed::Seed,
};

/// A label and three cells, of which the empty one is missing.
type Row = (bool, [String; 3]);

const SEED: Seed = Seed(7);

fn rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    let cell = || "[abc]{0,1}";
    prop::collection::vec((any::<bool>(), [cell(), cell(), cell()]), 4..most)
}

fn csv(rows: &[Row]) -> String {
    let mut text = String::from("label,x,y,z\n");
    for (label, [x, y, z]) in rows {
        writeln!(text, "{},{x},{y},{z}", u8::from(*label)).unwrap();
    }
    text
}

/// The first half of the rows trains; the last quarter, at least one row, validates; the rest are the test part.
fn prepared(folder: &Path, rows: &[Row], features: &str) -> (Prepared, DataConfig) {
    let (train_end, test_end) = (rows.len() / 2, rows.len() - (rows.len() / 4).max(1));
    let (train, test) = (folder.join("train.csv"), folder.join("test.csv"));
    let mut train_rows = rows[..train_end].to_vec();
    train_rows.extend_from_slice(&rows[test_end..]);
    fs::write(&train, csv(&train_rows)).unwrap();
    fs::write(&test, csv(&rows[train_end..test_end])).unwrap();
    let numbers = folder.join("validation.txt");
    let lines: Vec<String> = (train_end..train_rows.len()).map(|number| number.to_string()).collect();
    fs::write(&numbers, lines.join("\n")).unwrap();
    let cache = folder.join("cache");
    let data = format!(
        "format = \"csv\"\ntrain = [{train:?}]\ntest = [{test:?}]\nvalidation = {{ rows = {numbers:?} }}\ncache = {cache:?}\n"
    );
    let data: DataConfig = toml::from_str(&data).unwrap();
    let features: FeaturesConfig = toml::from_str(features).unwrap();
    (prepare(&data, &features, SEED, &mut |_| ()).unwrap(), data)
}

fn all_ids(cache: &Cache) -> Vec<Vec<u32>> {
    (0..cache.rows()).map(|row| cache.ids(row).to_vec()).collect()
}

/// The rows among `others` that have `row`'s cells in `fields`.
fn seen<'a>(row: &Row, fields: &[usize], others: impl Iterator<Item = &'a Row>) -> Seen {
    let same = |other: &&Row| fields.iter().all(|field| other.1[*field] == row.1[*field]);
    let labels: Vec<u32> = others.filter(same).map(|other| u32::from(other.0)).collect();
    Seen { rows: u32::try_from(labels.len()).unwrap(), clicks: labels.iter().sum() }
}

/// What the derived fields of a row are by hand, `earlier` being the training rows that its statistic may see.
fn expected_ids(
    vocabulary: &Vocabulary,
    row: &Row,
    combinations: &[&[usize]],
    earlier: &[&Row],
    counted: &[&Row],
) -> Vec<u32> {
    let Derived { statistics, smoothing, .. } = vocabulary.derived();
    let mut ids = Vec::new();
    let mut field = 3;
    for (fields, statistic) in combinations.iter().zip(statistics) {
        let known = seen(row, fields, earlier.iter().copied());
        let count = seen(row, fields, counted.iter().copied()).rows;
        let edges = statistic.edges.as_ref().unwrap();
        ids.push(vocabulary.field_rows(field).start + statistic_id(edges, known, *smoothing));
        ids.push(vocabulary.field_rows(field + 1).start + count_id(count));
        field += 2;
    }
    ids
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn statistics_and_counts_are_those_summed_by_hand(rows in rows(60), others: bool) {
        const COMBINATIONS: [&[usize]; 7] = [&[0], &[1], &[2], &[0, 1], &[0, 2], &[1, 2], &[0, 1, 2]];
        let folder = tempfile::tempdir().unwrap();
        let counts = if others { "others" } else { "earlier" };
        let features = format!(
            "min_count = 1\n[target_statistics]\norder = 3\nprior = 0.5\nbuckets = 4\ncounts = \"{counts}\"\n"
        );
        let (prepared, _) = prepared(folder.path(), &rows, &features);
        let vocabulary = &prepared.vocabulary;
        let (train, other_rows) = rows.split_at(rows.len() / 2);
        let order = order(train.len(), SEED);
        for (position, row) in order.iter().enumerate() {
            let number = *row as usize;
            let earlier: Vec<&Row> = order[..position].iter().map(|row| &train[*row as usize]).collect();
            let all_but_one: Vec<&Row> = [&train[..number], &train[number + 1..]].into_iter().flatten().collect();
            let counted = if others { &all_but_one } else { &earlier };
            let expected = expected_ids(vocabulary, &train[number], &COMBINATIONS, &earlier, counted);
            prop_assert_eq!(&prepared.train.ids(number)[3..], &expected[..]);
        }
        let (test, validation) = other_rows.split_at(prepared.test.as_ref().unwrap().rows());
        for (part, rows) in [(&prepared.test, test), (&prepared.validation, validation)] {
            let all: Vec<&Row> = train.iter().collect();
            for (row, ids) in rows.iter().zip(all_ids(part.as_ref().unwrap())) {
                prop_assert_eq!(&ids[3..], &expected_ids(vocabulary, row, &COMBINATIONS, &all, &all)[..]);
            }
        }
        let ids: Vec<u32> = all_ids(&prepared.train).concat();
        let counts: Vec<u32> = (0..u32::try_from(vocabulary.table_rows()).unwrap())
            .map(|id| u32::try_from(ids.iter().filter(|other| **other == id).count()).unwrap())
            .collect();
        prop_assert_eq!(vocabulary.counts(), &counts[..]);
    }

    #[test]
    fn crosses_have_an_id_for_each_frequent_combination(rows in rows(60), min_count in 1_u32..4) {
        let folder = tempfile::tempdir().unwrap();
        let features = format!("min_count = {min_count}\ncross = [[\"z\", \"x\"]]\n");
        let (prepared, _) = prepared(folder.path(), &rows, &features);
        let vocabulary = &prepared.vocabulary;
        prop_assert_eq!(vocabulary.field_name(3), "cross(x,z)");
        let first = vocabulary.field_rows(3).start;
        let train = all_ids(&prepared.train);
        let is_missing = |ids: &[u32]| [0, 2].iter().all(|field| ids[*field] == vocabulary.field_rows(*field).start);
        for ids in train.iter().chain(&all_ids(prepared.test.as_ref().unwrap())) {
            let same = train.iter().filter(|other| (other[0], other[2]) == (ids[0], ids[2])).count();
            let own = ids[3] - first;
            prop_assert_eq!(own == MISSING, is_missing(ids));
            prop_assert_eq!(own >= FIRST_VALUE, !is_missing(ids) && same >= min_count as usize);
            let same_id = train.iter().filter(|other| other[3] == ids[3]).count();
            prop_assert!(own < FIRST_VALUE || same == same_id);
        }
    }

    #[test]
    fn a_label_changes_no_row_before_it(labels in prop::collection::vec(any::<bool>(), 1..80), changed in 0_usize..80) {
        let (cells, folder) = (labels.len(), tempfile::tempdir().unwrap());
        let vocabulary = two_fields();
        let combination = Combination::new(&[0, 1], &vocabulary).unwrap();
        let changed = changed % labels.len();
        let order = order(cells, SEED);
        let memory = Memory::new(MemoryLimit::default());
        let mut visits = Vec::new();
        for flip in [false, true] {
            let label = |row: usize| u8::from(labels[row] != (flip && row == order[changed] as usize));
            let cache = small_cache(&folder.path().join(format!("{flip}.arrow")), cells, label);
            visits.push(visit(&combination, &cache, &order, &memory).unwrap().0);
        }
        for row in &order[..=changed] {
            prop_assert_eq!(visits[0][*row as usize], visits[1][*row as usize]);
        }
    }

    #[test]
    fn every_way_to_an_id_is_the_same(rows in rows(80)) {
        let features = "min_count = 2\ncross = \"all-pairs\"\n[target_statistics]\nbuckets = 8\n";
        let folder = tempfile::tempdir().unwrap();
        let (prepared, data) = prepared(folder.path(), &rows, features);
        // written and read again
        let path = folder.path().join("vocabulary.arrow");
        prepared.vocabulary.save(&path).unwrap();
        let loaded = Vocabulary::load(&path).unwrap();
        let again = folder.path().join("again.arrow");
        loaded.save(&again).unwrap();
        prop_assert_eq!(fs::read(&path).unwrap(), fs::read(&again).unwrap());
        prop_assert_eq!(loaded.counts(), prepared.vocabulary.counts());
        // raw rows, with and without labels
        let test = prepared.test.as_ref().unwrap();
        for label in [None, Some(data.label.column.clone())] {
            let wanted = Wanted { schema: prepared.schema.clone(), label, label_required: false, ..Wanted::default() };
            let inputs = resolve(&data.test).unwrap();
            let blocks = stream(&data, inputs, wanted, None, Arc::new(loaded.clone())).unwrap();
            let ids: Vec<u32> = blocks.flat_map(|block| block.unwrap().encoded.ids).collect();
            prop_assert_eq!(ids, all_ids(test).concat());
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let rows: Vec<Row> = (0..5000_u32)
        .map(|row| {
            let cell = |many: u32, salt: u32| (row.wrapping_mul(2_654_435_761).rotate_left(salt) % many).to_string();
            (row.is_multiple_of(3), [cell(50, 3), cell(7, 11), cell(400, 17)])
        })
        .collect();
    let features = "cross = \"all-pairs\"\n[target_statistics]\norder = 3\n";
    let outcomes = [1, 3].map(|threads| {
        let folder = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (prepared, _) = pool.install(|| prepared(folder.path(), &rows, features));
        let path = folder.path().join("vocabulary.arrow");
        prepared.vocabulary.save(&path).unwrap();
        let parts = [Some(&prepared.train), prepared.validation.as_ref(), prepared.test.as_ref()];
        (fs::read(&path).unwrap(), parts.map(|part| all_ids(part.unwrap())))
    });
    assert_eq!(outcomes[0], outcomes[1]);
}

#[test]
fn a_preparation_is_found_again_and_leaves_no_other_files() {
    let rows: Vec<Row> =
        (0_u32..40).map(|row| (row.is_multiple_of(2), ["a", "b", "c"].map(ToOwned::to_owned))).collect();
    let folder = tempfile::tempdir().unwrap();
    let features = "[target_statistics]\n";
    let (first, _) = prepared(folder.path(), &rows, features);
    let files: Vec<_> = fs::read_dir(folder.path().join("cache")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let prepared_folder = files.iter().find(|path| path.is_dir()).unwrap();
    let mut names: Vec<String> =
        fs::read_dir(prepared_folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["manifest.json", "test.arrow", "train.arrow", "validation.arrow", "vocabulary.arrow"]);
    let names: Vec<&str> = (0..first.vocabulary.fields()).map(|field| first.vocabulary.field_name(field)).collect();
    assert_eq!(names[3..7], ["ts(x)", "count(x)", "ts(y)", "count(y)"]);
    assert_eq!(names[11..], ["ts(x,z)", "count(x,z)", "ts(y,z)", "count(y,z)"]);
    assert!(first.vocabulary.bytes() > 0);
}

#[test]
fn an_unseen_combination_has_an_id_of_its_own() {
    let smoothing = Smoothing { prior: 1.0, click_rate: 0.5 };
    let earlier: Vec<Seen> = (0..100).map(|rows| Seen { rows, clicks: rows / 2 }).collect();
    assert!(edges(&earlier, smoothing, 4).len() <= 3);
    let id = |rows, clicks| statistic_id(&[0.5], Seen { rows, clicks }, smoothing);
    assert_eq!([id(0, 0), id(2, 0), id(2, 2)], [UNKNOWN, FIRST_VALUE, FIRST_VALUE + 1]);
}

/// A history: how often a value stands in the rows above, whatever the labels; beside a statistic or alone.
#[test]
fn counts_alone_are_of_the_rows_above_or_of_all_others() {
    let letters = ["a", "b", "a", "a", "", "b", "a", "c", "a", "b", "a", "a"];
    let row = |letter: &str| (letter == "a", [letter, "y", "z"].map(ToOwned::to_owned));
    let rows: Vec<Row> = letters.map(row).into();
    for (of, statistics, expected) in [
        ("before", "", [0, 0, 1, 2, 0, 1]),
        ("others", "", [2, 1, 2, 2, 0, 1]),
        ("before", "[target_statistics]\ncounts = \"none\"\n", [0, 0, 1, 2, 0, 1]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let features = format!("min_count = 1\n[counts]\nfields = [\"x\"]\nof = \"{of}\"\n{statistics}");
        let (prepared, _) = prepared(folder.path(), &rows, &features);
        let field = prepared.vocabulary.fields() - 1;
        assert_eq!(prepared.vocabulary.field_name(field), "count(x)");
        let first = prepared.vocabulary.field_rows(field).start;
        let found: Vec<u32> = all_ids(&prepared.train).iter().map(|ids| ids[field]).collect();
        assert_eq!(found, expected.map(|count| first + count_id(count)), "{of} {statistics}");
        // all of the training rows count for a row of the test part: 3 of "a", none of "c"
        let test = all_ids(prepared.test.as_ref().unwrap());
        assert_eq!([test[0][field], test[1][field]], [3, 0].map(|count| first + count_id(count)), "{of}");
    }
}

#[test]
fn too_many_combinations_are_named() {
    let field = |name: &str, ids| FieldVocabulary { name: name.into(), ids, lookup: Lookup::HashedText, many: None };
    let half = u32::MAX / 2;
    let fields = vec![field("a", 0..half), field("b", half..u32::MAX - 9), field("c", u32::MAX - 9..u32::MAX)];
    let vocabulary = Vocabulary::from_parts(fields, Vec::new());
    assert!(Combination::new(&[0, 1], &vocabulary).is_ok());
    let error = Combination::new(&[0, 1, 2], &vocabulary).unwrap_err();
    assert!(error.to_string().contains("`a,b,c`") && error.hint().is_some(), "{error}");
}

#[test]
fn the_memory_of_combinations_is_limited() {
    // few values, but nearly every combination of two once
    let cells = |row: u32| [row % 101, row % 97, row % 89].map(|cell| cell.to_string());
    let rows: Vec<Row> = (0..4000).map(|row: u32| (row.is_multiple_of(2), cells(row))).collect();
    let folder = tempfile::tempdir().unwrap();
    let train = folder.path().join("train.csv");
    fs::write(&train, csv(&rows)).unwrap();
    let cache = folder.path().join("cache");
    let data = format!("format = \"csv\"\ntrain = [{train:?}]\ncache = {cache:?}\n");
    let data: DataConfig = toml::from_str(&data).unwrap();
    for derived in ["[target_statistics]\norder = 3", "cross = [[\"x\", \"y\"], [\"x\", \"z\"], [\"y\", \"z\"]]"] {
        let text = format!("min_count = 1\nmax_memory = \"300KiB\"\n{derived}\n");
        let features: FeaturesConfig = toml::from_str(&text).unwrap();
        let error = prepare(&data, &features, SEED, &mut |_| ()).unwrap_err().to_string();
        assert!(error.contains("at most 300.0 KiB for the combinations of fields"), "{error}");
    }
}

/// Fields of 4 and 3 ids.
fn two_fields() -> Vocabulary {
    let field = |name: &str, ids| FieldVocabulary { name: name.into(), ids, lookup: Lookup::HashedText, many: None };
    Vocabulary::from_parts(vec![field("a", 0..4), field("b", 4..7)], Vec::new())
}

fn small_cache(path: &Path, rows: usize, label: impl Fn(usize) -> u8) -> Cache {
    let layout = CacheLayout {
        fields: vec!["a".into(), "b".into()],
        extra: Vec::new(),
        table_rows: 7,
        has_values: false,
        has_weights: false,
        has_groups: false,
    };
    let mut encoded = Encoded { columns: 2, ..Encoded::default() };
    for row in 0..rows {
        let number = u32::try_from(row).unwrap();
        encoded.ids.extend([number % 4, 4 + number / 2 % 3]);
        encoded.labels.push(label(row));
    }
    let mut writer = CacheWriter::create(path, layout).unwrap();
    writer.push(&encoded, 0..rows).unwrap();
    writer.finish().unwrap();
    Cache::open(path).unwrap()
}
