//! `[features.target_statistics]` and `features.cross` of the config.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};

use crate::ranges::{NonNegative, Within};

/// Ordered target statistics (Prokhorenkova et al. 2018, arXiv 1706.09516, section 3.2): fields that say how often rows
/// with the same values were clicked, without a look at the row's own label or at those of later rows.
///
/// The training rows are visited in a seeded order. A row's statistic is `(Σ label + prior · p) / (count + prior)` over
/// the rows before it that have its values, p being the click rate of the training part; any other row (validation,
/// test, eval, predict) has the one over all training rows. It becomes a category by quantiles, so that models see one
/// more field, `ts(C1,C2)`. Values are told apart by their ids: those below `features.min_count` share a statistic,
/// missing is a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatisticsConfig {
    /// `"all"` categorical fields, or a list of names; numeric fields count by their buckets. Default: `"all"`.
    #[serde(deserialize_with = "all_or_list", serialize_with = "write_all_or_list")]
    pub fields: Choice<String>,
    /// Each of the fields alone (1), and also all pairs (2), triples (3), quadruples (4) of them. Default: 2.
    pub order: Within<1, 4>,
    /// Combinations beside these, each a list of names of any length. Default: none.
    pub combinations: Vec<Vec<String>>,
    /// How many rows the training part's click rate counts for in each statistic. Default: 1.
    pub prior: NonNegative,
    /// At most so many quantiles of the training rows' statistics; a combination that wasn't seen before has an id of
    /// its own. Default: 32.
    pub buckets: Within<2, 65_536>,
    /// A field `count(C1,C2)` beside each statistic: `floor(log2(1 + count))` of the rows with the same values.
    /// Default: `"others"`.
    pub counts: Counts,
}

impl Default for StatisticsConfig {
    fn default() -> Self {
        Self {
            fields: Choice::All,
            order: Within::new(2).expect("2 is within 1 and 4"),
            combinations: Vec::new(),
            prior: NonNegative::new(1.0).expect("1 is not negative"),
            buckets: Within::new(32).expect("32 is within 2 and 65,536"),
            counts: Counts::default(),
        }
    }
}

/// How often rows with the same values were seen, whatever their labels: fields `count(C1,C2)`, each the bucket
/// `floor(log2(1 + count))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CountsConfig {
    /// `"all"` categorical fields, or a list of names; numeric fields count by their buckets. Default: `"all"`.
    #[serde(deserialize_with = "all_or_list", serialize_with = "write_all_or_list")]
    pub fields: Choice<String>,
    /// Each of the fields alone (1), and also all pairs (2), triples (3), quadruples (4) of them. Default: 1.
    pub order: Within<1, 4>,
    /// Combinations beside these, each a list of names of any length. Default: none.
    pub combinations: Vec<Vec<String>>,
    /// Which training rows count for a training row. Default: `"others"`.
    pub of: CountOf,
}

impl Default for CountsConfig {
    fn default() -> Self {
        Self {
            fields: Choice::All,
            order: Within::new(1).expect("1 is within 1 and 4"),
            combinations: Vec::new(),
            of: CountOf::default(),
        }
    }
}

/// Which rows a training row's count is of; for any other row it is of all training rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountOf {
    /// Those before it in the order of the files: a history, for rows in the order of time.
    Before,
    /// All but the row itself.
    #[default]
    Others,
}

/// Which rows a count beside a statistic is of; for rows that don't train it is always of all training rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counts {
    /// No such field.
    None,
    /// Those before the row in the order of the statistics: a history. Training rows have smaller counts than others.
    Earlier,
    /// All training rows but the row itself, so that training rows and others have counts of one kind. Labels play no
    /// part.
    #[default]
    Others,
}

/// Everything there is, by a word, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<T> {
    All,
    Listed(Vec<T>),
}

impl<T> Choice<T> {
    /// Whether nothing is chosen.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(list) if list.is_empty())
    }
}

const ALL: &str = "all";
const ALL_PAIRS: &str = "all-pairs";

fn all_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Choice<String>, D::Error> {
    deserializer.deserialize_any(ChoiceVisitor { word: ALL, list: "a list of fields' names", item: PhantomData })
}

fn write_all_or_list<S: Serializer>(choice: &Choice<String>, serializer: S) -> Result<S::Ok, S::Error> {
    write_choice(choice, ALL, serializer)
}

/// Reads `features.cross`.
pub(in crate::features) fn all_pairs_or_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Choice<Vec<String>>, D::Error> {
    let list = "a list of crosses, each a list of fields' names";
    deserializer.deserialize_any(ChoiceVisitor { word: ALL_PAIRS, list, item: PhantomData })
}

pub(in crate::features) fn write_all_pairs_or_list<S: Serializer>(
    choice: &Choice<Vec<String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    write_choice(choice, ALL_PAIRS, serializer)
}

fn write_choice<T: Serialize, S: Serializer>(choice: &Choice<T>, word: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match choice {
        Choice::All => serializer.serialize_str(word),
        Choice::Listed(list) => list.serialize(serializer),
    }
}

/// Reads a word or a list, and leaves errors their line.
struct ChoiceVisitor<T> {
    word: &'static str,
    list: &'static str,
    item: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ChoiceVisitor<T> {
    type Value = Choice<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\" or {}", self.word, self.list)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Choice<T>, E> {
        if text == self.word { Ok(Choice::All) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Choice<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = sequence.next_element()? {
            list.push(item);
        }
        Ok(Choice::Listed(list))
    }
}
