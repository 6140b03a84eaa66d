//! Fields of several values in a row: how they are parted, weighed and pooled.

use serde::{Deserialize, Serialize};

/// How the vectors of a row's values become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    #[default]
    Sum,
    Mean,
}

/// One field of several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Many {
    /// What parts the values, beside what a reader parts itself.
    pub(super) separator: u8,
    pub(super) pooling: Pooling,
    /// Whether a value may have a weight behind a colon.
    pub(super) weighted: bool,
    /// The most values of a row that are read; what follows them is left out.
    pub(super) columns: usize,
}

impl Many {
    /// A value and its weight: 1, or the number behind the last colon of `value:number`.
    #[inline]
    pub(super) fn weighed<'a>(&self, value: &'a [u8]) -> (&'a [u8], f32) {
        if !self.weighted {
            return (value, 1.0);
        }
        let number = memchr::memrchr(b':', value).and_then(|colon| {
            let number: f32 = std::str::from_utf8(&value[colon + 1..]).ok()?.trim().parse().ok()?;
            number.is_finite().then_some((&value[..colon], number))
        });
        number.unwrap_or((value, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc};

    use super::*;
    use crate::{
        data::{DataConfig, Wanted, resolve},
        features::{FeaturesConfig, LeftOut, Prepared, Vocabulary, epoch, prepare, stream},
        ranges::Portion,
        seed::Seed,
    };

    fn prepared(folder: &Path, rows: &str, features: &str) -> Prepared {
        let (train, cache) = (folder.join("train.csv"), folder.join("cache"));
        fs::write(&train, rows).unwrap();
        let data = format!("format = \"csv\"\ntrain = [{train:?}]\ncache = {cache:?}\n");
        let features: FeaturesConfig = toml::from_str(features).unwrap();
        prepare(&toml::from_str(&data).unwrap(), &features, Seed(1), &mut |_| ()).unwrap()
    }

    const ROWS: &str = "label,tags,x\n1,a|b|a,p\n0,,q\n1,b,q\n0,c|a,p\n";

    #[test]
    fn several_values_stand_in_the_fields_column_and_behind_all_fields() {
        let folder = tempfile::tempdir().unwrap();
        let features = "min_count = 1\n[fields.tags]\nseparator = \"|\"\n";
        let Prepared { train, vocabulary, .. } = prepared(folder.path(), ROWS, features);
        // tags: missing 0, unknown 1, a 2, b 3, c 4; x: missing 5, unknown 6, p 7, q 8
        assert_eq!((train.fields(), train.columns()), (2, 4));
        let ids: Vec<&[u32]> = (0..4).map(|row| train.ids(row)).collect();
        assert_eq!(ids, [[2, 7, 3, 2], [0, 8, 0, 0], [3, 8, 0, 0], [4, 7, 2, 0]]);
        let values: Vec<&[f32]> = (0..4).map(|row| train.values(row).unwrap()).collect();
        let [one, none] = [1.0, 0.0];
        assert_eq!(
            values,
            [[one, one, one, one], [none, one, none, none], [one, one, none, none], [one, one, one, none]]
        );
        assert_eq!(vocabulary.counts(), [1, 0, 3, 2, 1, 0, 0, 2, 2]);
        let mut batches = epoch(&train, Seed(1), 0, 4, 0, 4, Portion::WHOLE);
        let batch = batches.next().unwrap();
        assert_eq!((batch.fields(), batch.columns), (2, 4));
        assert_eq!(batch.unique_starts.len(), 3);
        assert!(batch.unique[..batch.unique_starts[1]].iter().all(|id| *id < 5));
    }

    #[test]
    fn a_mean_of_weighed_values_shares_out_their_weights() {
        let folder = tempfile::tempdir().unwrap();
        let rows = "label,tags,x\n1,a:3|b,p\n0,b:0.5,q\n1,a|b|c,p\n";
        let features =
            "min_count = 1\n[fields.tags]\nseparator = \"|\"\npooling = \"mean\"\nweighted = true\nmax_values = 2\n";
        let Prepared { train, summary, .. } = prepared(folder.path(), rows, features);
        // c was cut off, so it has no id: b has 3 rows, a 2
        assert_eq!(summary.left_out, LeftOut { rows: 0, cells: 1 });
        assert_eq!(train.ids(0), [3, 6, 2]);
        assert_eq!(train.values(0).unwrap(), [0.75, 1.0, 0.25]);
        assert_eq!(train.values(1).unwrap(), [1.0, 1.0, 0.0]);
        assert_eq!(train.values(2).unwrap(), [0.5, 1.0, 0.5]);
    }

    #[test]
    fn a_saved_vocabulary_encodes_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let features = "min_count = 1\n[fields.tags]\nseparator = \"|\"\n[fields.x]\nnumeric = \"piecewise:2\"\n";
        let rows = "label,tags,x\n1,a|b,1\n0,,2\n1,b,5\n0,c|a,\n";
        let Prepared { train, vocabulary, schema, .. } = prepared(folder.path(), rows, features);
        let path = folder.path().join("vocabulary.arrow");
        vocabulary.save(&path).unwrap();
        let loaded = Arc::new(Vocabulary::load(&path).unwrap());
        let data: DataConfig = toml::from_str("format = \"csv\"\ntrain = [\"-\"]\n").unwrap();
        let inputs = resolve(&[folder.path().join("train.csv").to_string_lossy().into_owned()]).unwrap();
        let wanted = Wanted { schema, ..Wanted::default() };
        let block = stream(&data, inputs, wanted, None, loaded).unwrap().next().unwrap().unwrap();
        for row in 0..4 {
            let columns = row * train.columns()..(row + 1) * train.columns();
            assert_eq!(block.encoded.ids[columns.clone()], *train.ids(row));
            assert_eq!(block.encoded.values[columns], *train.values(row).unwrap());
        }
        // x: missing 5, unknown 6, knots 1, 2 and 5; what has no number has neither knot
        assert_eq!(train.ids(1), [0, 8, 0, 9]);
        assert_eq!(train.values(3).unwrap(), [1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn libffms_values_are_weights_unless_the_config_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let (train, cache) = (folder.path().join("train.ffm"), folder.path().join("cache"));
        fs::write(&train, "1 1:3:0.25 0:0:1 1:4:-2\n0 0:0:1 1:4:0.5 \n").unwrap();
        let data = format!("format = \"libffm\"\ntrain = [{train:?}]\ncache = {cache:?}\n");
        let prepared = |features: &str| {
            let features: FeaturesConfig = toml::from_str(&format!("min_count = 1\n{features}")).unwrap();
            prepare(&toml::from_str(&data).unwrap(), &features, Seed(1), &mut |_| ()).unwrap().train
        };
        // 0: missing 0, unknown 1, its index 2; 1: missing 3, unknown 4, 4 is 5, 3 is 6
        let train = prepared("");
        assert_eq!([train.ids(0), train.ids(1)], [[2, 6, 5], [2, 5, 3]]);
        assert_eq!([train.values(0).unwrap(), train.values(1).unwrap()], [[1.0, 0.25, -2.0], [1.0, 0.5, 0.0]]);
        let train = prepared("[fields.1]\npooling = \"mean\"\n");
        assert_eq!(train.values(0).unwrap(), [1.0, 0.25 / 2.25, -2.0 / 2.25]);
        let train = prepared("[fields.1]\nweighted = false\n");
        assert_eq!([train.ids(0), train.ids(1)], [[2, 6, 5], [2, 5, 3]]);
        assert_eq!([train.values(0).unwrap(), train.values(1).unwrap()], [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]);
    }

    #[test]
    fn a_weight_is_the_number_behind_the_last_colon() {
        let many = Many { separator: b'|', pooling: Pooling::Sum, weighted: true, columns: 3 };
        assert_eq!(many.weighed(b"a:2.5"), (&b"a"[..], 2.5));
        assert_eq!(many.weighed(b"a:b:-1"), (&b"a:b"[..], -1.0));
        assert_eq!(many.weighed(b"a"), (&b"a"[..], 1.0));
        assert_eq!(many.weighed(b"a:b"), (&b"a:b"[..], 1.0));
        assert_eq!(many.weighed(b"a:inf"), (&b"a:inf"[..], 1.0));
        assert_eq!(Many { weighted: false, ..many }.weighed(b"a:2"), (&b"a:2"[..], 1.0));
    }
}
