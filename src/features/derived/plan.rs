//! Which combinations of fields the config asks for.

use std::collections::BTreeSet;

use super::{Choice, Counts};
use crate::features::{
    config::{FeaturesConfig, VocabularyConfig},
    error::FeaturesError,
    plan::{FieldPlan, Transform, nearest_name},
};
use crate::ranges::Within;

const STATISTICS: &str = "features.target_statistics";
const FIELDS: &str = "features.target_statistics.fields";
const COMBINATIONS: &str = "features.target_statistics.combinations";
const COUNTS: &str = "features.counts";
const COUNTED_FIELDS: &str = "features.counts.fields";
const COUNTED_COMBINATIONS: &str = "features.counts.combinations";
const CROSS: &str = "features.cross";

/// Combinations as ascending positions of fields; those of fewer fields first, then in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::features) struct DerivedPlan {
    pub(super) statistics: Vec<Vec<usize>>,
    pub(super) counts: Vec<Vec<usize>>,
    pub(super) crosses: Vec<Vec<usize>>,
}

impl DerivedPlan {
    /// # Errors
    /// For names that the data doesn't have, fields without ids of their own, and beside `{ hash = N }`.
    pub(in crate::features) fn new(features: &FeaturesConfig, plan: &[FieldPlan]) -> Result<Self, FeaturesError> {
        let (statistics, counts) = (features.target_statistics.as_ref(), features.counts.as_ref());
        let given =
            [(STATISTICS, statistics.is_some()), (COUNTS, counts.is_some()), (CROSS, !features.cross.is_empty())];
        let Some((key, _)) = given.into_iter().find(|(_, given)| *given) else {
            return Ok(Self::default());
        };
        if features.vocabulary != VocabularyConfig::Exact {
            let expected = "`features.vocabulary = \"exact\"` beside it";
            return Err(wrong(key, expected, "`{ hash = N }`, which counts nothing"));
        }
        if counts.is_some() && statistics.is_some_and(|statistics| statistics.counts != Counts::None) {
            let found = "`features.target_statistics` with counts of its own";
            return Err(wrong(COUNTS, "`features.target_statistics.counts = \"none\"` beside it", found));
        }
        let statistics = statistics.map(|config| {
            let keys = [STATISTICS, FIELDS, COMBINATIONS];
            listed(keys, &config.fields, config.order, &config.combinations, plan)
        });
        let counts = counts.map(|config| {
            let keys = [COUNTS, COUNTED_FIELDS, COUNTED_COMBINATIONS];
            listed(keys, &config.fields, config.order, &config.combinations, plan)
        });
        Ok(Self {
            statistics: statistics.transpose()?.unwrap_or_default(),
            counts: counts.transpose()?.unwrap_or_default(),
            crosses: crosses(&features.cross, plan)?,
        })
    }

    pub(in crate::features) fn is_empty(&self) -> bool {
        self.statistics.is_empty() && self.counts.is_empty() && self.crosses.is_empty()
    }
}

/// All combinations up to `order` of the fields chosen, and those that are named; `keys` are the section, its list of
/// fields and its list of combinations.
fn listed(
    [section, fields_key, combinations_key]: [&'static str; 3],
    fields: &Choice<String>,
    order: Within<1, 4>,
    named: &[Vec<String>],
    plan: &[FieldPlan],
) -> Result<Vec<Vec<usize>>, FeaturesError> {
    let fields = match fields {
        Choice::All => categories(plan, fields_key, 1)?,
        Choice::Listed(names) => positions(names, plan, fields_key)?,
    };
    let order = usize::try_from(order.get()).expect("an order is at most 4");
    let mut all: Vec<Vec<usize>> = (1..=order).flat_map(|size| combinations(&fields, size)).collect();
    for names in named {
        if names.is_empty() {
            return Err(wrong(combinations_key, "at least one field in each", "an empty list"));
        }
        all.push(positions(names, plan, combinations_key)?);
    }
    if all.is_empty() {
        return Err(wrong(section, "at least one field or combination", "none"));
    }
    Ok(sorted(all))
}

fn crosses(choice: &Choice<Vec<String>>, plan: &[FieldPlan]) -> Result<Vec<Vec<usize>>, FeaturesError> {
    let crosses = match choice {
        Choice::All => combinations(&categories(plan, CROSS, 2)?, 2),
        Choice::Listed(crosses) => {
            if let Some(short) = crosses.iter().find(|names| names.len() < 2) {
                return Err(wrong(CROSS, "at least two fields in each", &format!("{short:?}")));
            }
            crosses.iter().map(|names| positions(names, plan, CROSS)).collect::<Result<_, _>>()?
        }
    };
    Ok(sorted(crosses))
}

/// Each once.
fn sorted(combinations: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let distinct: BTreeSet<(usize, Vec<usize>)> =
        combinations.into_iter().map(|fields| (fields.len(), fields)).collect();
    distinct.into_iter().map(|(_, fields)| fields).collect()
}

/// All categorical fields.
fn categories(plan: &[FieldPlan], key: &'static str, at_least: usize) -> Result<Vec<usize>, FeaturesError> {
    let fields: Vec<usize> = plan
        .iter()
        .enumerate()
        .filter(|(_, field)| field.transform == Transform::Text && field.many.is_none())
        .map(|(position, _)| position)
        .collect();
    if fields.len() < at_least {
        let expected = if at_least == 1 { "a categorical field" } else { "two categorical fields" };
        return Err(wrong(key, expected, &format!("{}", fields.len())));
    }
    Ok(fields)
}

/// The ascending positions of the fields of these names.
fn positions(names: &[String], plan: &[FieldPlan], key: &'static str) -> Result<Vec<usize>, FeaturesError> {
    let mut positions = BTreeSet::new();
    for name in names {
        let Some(position) = plan.iter().position(|field| field.name == *name) else {
            let nearest = nearest_name(plan.iter().map(|field| field.name.as_str()), name);
            let found = format!("`{name}`");
            return Err(FeaturesError::Combination { key, expected: "the names of the data's fields", found, nearest });
        };
        if matches!(plan[position].transform, Transform::Standardize | Transform::MinMax) {
            let found = format!("`{name}`, whose values are multiplied");
            return Err(wrong(key, "fields whose values have ids", &found));
        }
        if plan[position].many.is_some() {
            return Err(wrong(key, "fields of one value in a row", &format!("`{name}`, which has several")));
        }
        if !positions.insert(position) {
            return Err(wrong(key, "each field at most once in a list", &format!("`{name}` twice")));
        }
    }
    Ok(positions.into_iter().collect())
}

/// All combinations of so many of the items, in their order.
fn combinations(items: &[usize], size: usize) -> Vec<Vec<usize>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (position, first) in items.iter().enumerate() {
        for mut rest in combinations(&items[position + 1..], size - 1) {
            rest.insert(0, *first);
            all.push(rest);
        }
    }
    all
}

fn wrong(key: &'static str, expected: &'static str, found: &str) -> FeaturesError {
    FeaturesError::Combination { key, expected, found: found.to_owned(), nearest: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::numeric::Buckets;

    fn plan_of(text: &str) -> Result<DerivedPlan, String> {
        let features: FeaturesConfig = toml::from_str(text).unwrap();
        let field = |(name, transform): (&str, Transform)| FieldPlan {
            name: name.into(),
            transform,
            many: None,
            min_count: 1,
            max_size: usize::MAX,
        };
        let fields = [
            ("a", Transform::Text),
            ("x", Transform::Buckets(Buckets::Log2)),
            ("b", Transform::Text),
            ("z", Transform::MinMax),
            ("c", Transform::Text),
        ];
        DerivedPlan::new(&features, &fields.map(field)).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_derived_by_default() {
        assert!(plan_of("").unwrap().is_empty());
        assert!(plan_of("cross = []").unwrap().is_empty());
    }

    #[test]
    fn all_combinations_are_those_of_categorical_fields_in_order() {
        let plan = plan_of("target_statistics = {}").unwrap();
        assert_eq!(plan.statistics, [vec![0], vec![2], vec![4], vec![0, 2], vec![0, 4], vec![2, 4]]);
        let plan = plan_of("target_statistics = { order = 4 }").unwrap();
        assert_eq!(plan.statistics.len(), 7);
        assert_eq!(plan_of("cross = \"all-pairs\"").unwrap().crosses, [[0, 2], [0, 4], [2, 4]]);
        assert_eq!(plan_of("counts = {}").unwrap().counts, [[0], [2], [4]]);
        let plan = plan_of("counts = { fields = [\"x\"] }\ntarget_statistics = { order = 1, counts = \"none\" }");
        assert_eq!(plan.map(|plan| (plan.statistics.len(), plan.counts)), Ok((3, vec![vec![1]])));
    }

    #[test]
    fn lists_are_put_in_order_and_told_once() {
        let text = "target_statistics = { fields = [\"x\"], order = 1, combinations = [[\"c\", \"a\"], [\"x\"], [\"a\", \"c\"]] }";
        assert_eq!(plan_of(text).unwrap().statistics, [vec![1], vec![0, 4]]);
        let plan = plan_of("cross = [[\"b\", \"a\", \"x\"], [\"a\", \"b\"]]").unwrap();
        assert_eq!(plan.crosses, [vec![0, 2], vec![0, 1, 2]]);
    }

    #[test]
    fn wrong_lists_are_named_with_their_key() {
        for (text, parts) in [
            ("cross = [[\"a\", \"d\"]]", ["`features.cross`", "found `d`"]),
            ("cross = [[\"a\"]]", ["`features.cross`", "at least two fields"]),
            ("cross = [[\"a\", \"a\"]]", ["`features.cross`", "found `a` twice"]),
            ("cross = [[\"a\", \"z\"]]", ["`features.cross`", "`z`, whose values are multiplied"]),
            ("target_statistics = { fields = [] }", ["`features.target_statistics`", "at least one"]),
            ("target_statistics = { combinations = [[]] }", ["`features.target_statistics.combinations`", "empty"]),
            ("target_statistics = {}\nvocabulary = { hash = 9 }", ["`features.target_statistics`", "exact"]),
            ("counts = {}\nvocabulary = { hash = 9 }", ["`features.counts`", "exact"]),
            ("counts = { fields = [\"d\"] }", ["`features.counts.fields`", "found `d`"]),
            ("counts = {}\ntarget_statistics = {}", ["`features.counts`", "counts = \"none\""]),
        ] {
            let message = plan_of(text).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
        }
    }

    #[test]
    fn keys_survive_writing_and_wrong_values_are_reported_with_their_line() {
        let text = "cross = [[\"a\", \"b\"]]\n[target_statistics]\nfields = [\"a\"]\norder = 3\ncounts = \"earlier\"\n[counts]\nof = \"before\"\n";
        let config: FeaturesConfig = toml::from_str(text).unwrap();
        assert_eq!(toml::from_str::<FeaturesConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
        for line in [
            "cross = \"all\"",
            "target_statistics.fields = \"some\"",
            "target_statistics.order = 5",
            "target_statistics.prior = -1",
            "target_statistics.buckets = 1",
            "target_statistics.counts = true",
            "target_statistics.depth = 1",
            "counts.of = \"earlier\"",
        ] {
            let message = toml::from_str::<FeaturesConfig>(&format!("\n{line}\n")).unwrap_err().to_string();
            assert!(message.contains("line 2"), "{line}: {message}");
        }
    }
}
