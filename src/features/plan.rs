//! What is done with each field: the config's say, resolved by the data's schema.

use super::config::{FeaturesConfig, FieldConfig, VocabularyConfig, default_parts};
use super::error::FeaturesError;
use super::many::Many;
use super::numeric::{Buckets, Numeric, TimePart};
use crate::data::Separator;
use crate::schema::{Field, FieldKind, Schema};

/// Parts nothing in a text; only what a reader parts itself is parted.
const NO_SEPARATOR: u8 = 0x1F;

/// One field's way from cell to id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldPlan {
    pub(super) name: String,
    pub(super) transform: Transform,
    /// Where the field has several values in a row.
    pub(super) many: Option<Many>,
    pub(super) min_count: u32,
    /// At most so many values have an id.
    pub(super) max_size: usize,
}

impl FieldPlan {
    /// Whether a row has one id, which follows from its value's number.
    pub(super) fn is_numbered(&self) -> bool {
        let numbered = matches!(self.transform, Transform::Text | Transform::Buckets(_) | Transform::Quantile(_));
        numbered && self.many.is_none()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    Text,
    Buckets(Buckets),
    Quantile(u32),
    Piecewise(u32),
    Standardize,
    MinMax,
}

/// The kind that the column `name` is read as, where the format knows it as `default`.
pub fn column_kind(features: &FeaturesConfig, name: &str, default: FieldKind) -> FieldKind {
    let own = features.fields.get(name);
    if let Some(time) = own.and_then(|field| field.time.as_ref()) {
        return FieldKind::Time(time.format);
    }
    let weighted = own.and_then(|field| field.weighted).unwrap_or(default == FieldKind::WeightedValues);
    let several = if weighted { FieldKind::WeightedValues } else { FieldKind::MultiValue };
    if own.is_some_and(|field| field.separator.is_some()) {
        return several;
    }
    match (own.and_then(|field| field.numeric), default) {
        (Some(Numeric::Category), _) => FieldKind::Categorical,
        (Some(_), _) => FieldKind::Numeric,
        (None, FieldKind::Numeric) if features.numeric == Numeric::Category => FieldKind::Categorical,
        (None, default) if default.has_several() => several,
        (None, default) => default,
    }
}

/// The fields that the columns of `schema` become: a column of times is a field a part.
pub(super) fn fields(features: &FeaturesConfig, schema: Schema) -> Schema {
    let mut fields = Vec::with_capacity(schema.len());
    for field in schema.fields {
        let FieldKind::Time(_) = field.kind else {
            fields.push(field);
            continue;
        };
        let time = features.fields.get(&field.name).and_then(|own| own.time.as_ref());
        for part in time.map_or_else(default_parts, |time| time.parts.clone()) {
            let name = part_name(part, &field.name);
            fields.push(Field { name, kind: field.kind, column: Some(field.name.clone()) });
        }
    }
    Schema { fields }
}

fn part_name(part: TimePart, column: &str) -> String {
    format!("{}({column})", part.as_str())
}

/// # Errors
/// For a field of the config that the data doesn't have, for no field at all, and for a transform that `hash` can't do.
pub(super) fn plan(features: &FeaturesConfig, schema: &Schema) -> Result<Vec<FieldPlan>, FeaturesError> {
    if schema.is_empty() {
        return Err(FeaturesError::NoFields);
    }
    if let Some(field) = features
        .fields
        .keys()
        .find(|name| !schema.fields.iter().any(|field| field.name == **name || field.column() == **name))
    {
        let nearest = nearest_name(schema.fields.iter().map(Field::column), field);
        return Err(FeaturesError::UnknownField { field: field.clone(), nearest });
    }
    check_passes(features, schema)?;
    schema.fields.iter().map(|field| field_plan(features, field)).collect()
}

/// The name that is most like an unknown one.
pub(super) fn nearest_name<'a>(names: impl Iterator<Item = &'a str>, unknown: &str) -> Option<String> {
    // a field that is made of a column has the column's name in brackets
    let of_column = format!("({unknown})");
    let alike = |name: &&str| if name.ends_with(&of_column) { 1.0 } else { strsim::jaro_winkler(name, unknown) };
    names.max_by(|left, right| alike(left).total_cmp(&alike(right))).map(ToOwned::to_owned)
}

fn field_plan(features: &FeaturesConfig, field: &Field) -> Result<FieldPlan, FeaturesError> {
    let own = features.fields.get(&field.name).or_else(|| features.fields.get(field.column()));
    check_keys(field, own)?;
    let transform = match (field.kind, own.and_then(|field| field.numeric).unwrap_or(features.numeric)) {
        (FieldKind::Categorical | FieldKind::MultiValue | FieldKind::WeightedValues, _)
        | (FieldKind::Numeric, Numeric::Category) => Transform::Text,
        (FieldKind::Time(_), _) => Transform::Buckets(Buckets::Time(part(field))),
        (FieldKind::Numeric, Numeric::Log2Bucket) => Transform::Buckets(Buckets::Log2),
        (FieldKind::Numeric, Numeric::Quantile(buckets)) => Transform::Quantile(buckets),
        (FieldKind::Numeric, Numeric::Piecewise(buckets)) => Transform::Piecewise(buckets),
        (FieldKind::Numeric, Numeric::Standardize) => Transform::Standardize,
        (FieldKind::Numeric, Numeric::MinMax) => Transform::MinMax,
    };
    let max_size = match own.and_then(|field| field.max_size).unwrap_or(features.max_size) {
        0 => usize::MAX,
        limit => limit as usize,
    };
    Ok(FieldPlan {
        name: field.name.clone(),
        transform,
        many: field.kind.has_several().then(|| many(own, field.kind == FieldKind::WeightedValues)),
        min_count: own.and_then(|field| field.min_count).unwrap_or(features.min_count).get(),
        max_size,
    })
}

/// The part that a field of a column of times is.
fn part(field: &Field) -> TimePart {
    const ALL: [TimePart; 4] = [TimePart::Hour, TimePart::Weekday, TimePart::Weekend, TimePart::Day];
    let part = ALL.into_iter().find(|part| part_name(*part, field.column()) == field.name);
    part.expect("a field of times was made for one of the parts")
}

fn many(own: Option<&FieldConfig>, weighted: bool) -> Many {
    const VALUES: usize = 64;
    Many {
        separator: own.and_then(|field| field.separator).map_or(NO_SEPARATOR, Separator::byte),
        pooling: own.and_then(|field| field.pooling).unwrap_or_default(),
        weighted,
        columns: own.and_then(|field| field.max_values).map_or(VALUES, |values| values.get() as usize),
    }
}

/// Keys of several values are for fields of several values, and the ways to read a column exclude each other.
fn check_keys(field: &Field, own: Option<&FieldConfig>) -> Result<(), FeaturesError> {
    let Some(own) = own else { return Ok(()) };
    let wrong = |key, beside| Err(FeaturesError::FieldKeys { field: field.column().to_owned(), key, beside });
    let of_many = [
        ("pooling", own.pooling.is_some()),
        ("max_values", own.max_values.is_some()),
        ("weighted", own.weighted.is_some()),
    ];
    if let Some((key, _)) = of_many.into_iter().find(|(_, given)| *given && !field.kind.has_several()) {
        return wrong(key, "a field of several values, which `separator` makes it");
    }
    match own {
        FieldConfig { time: Some(_), separator: Some(_), .. } => wrong("time", "no `separator` beside it"),
        FieldConfig { time: Some(_), numeric: Some(_), .. } => wrong("time", "no `numeric` beside it"),
        FieldConfig { separator: Some(_), numeric: Some(_), .. } => wrong("separator", "no `numeric` beside it"),
        FieldConfig { time: Some(time), .. } if time.parts.is_empty() => wrong("time.parts", "at least one part"),
        _ => Ok(()),
    }
}

/// With hashing there is no first pass, so no statistics.
fn check_passes(features: &FeaturesConfig, schema: &Schema) -> Result<(), FeaturesError> {
    if features.vocabulary == VocabularyConfig::Exact {
        return Ok(());
    }
    for field in schema.fields.iter().filter(|field| field.kind == FieldKind::Numeric) {
        let own = features.fields.get(&field.name).and_then(|field| field.numeric);
        let numeric = own.unwrap_or(features.numeric);
        if numeric.needs_statistics() {
            let key = match own {
                Some(_) => format!("features.fields.{}.numeric", field.name),
                None => "features.numeric".into(),
            };
            return Err(FeaturesError::NeedsFirstPass { key, numeric });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Field;

    fn schema(features: &FeaturesConfig) -> Schema {
        let field = |name: &str, default| {
            let kind = column_kind(features, name, default);
            Field { name: name.into(), kind, column: None }
        };
        let columns = vec![field("I1", FieldKind::Numeric), field("C1", FieldKind::Categorical)];
        fields(features, Schema { fields: columns })
    }

    fn transforms(text: &str) -> Result<Vec<Transform>, String> {
        let features: FeaturesConfig = toml::from_str(text).unwrap();
        let plan = plan(&features, &schema(&features)).map_err(|error| error.to_string())?;
        Ok(plan.into_iter().map(|field| field.transform).collect())
    }

    #[test]
    fn a_field_has_its_own_transform_or_the_common_one() {
        assert_eq!(transforms("").unwrap(), [Transform::Buckets(Buckets::Log2), Transform::Text]);
        assert_eq!(transforms("numeric = \"category\"").unwrap(), [Transform::Text, Transform::Text]);
        assert_eq!(transforms("fields.I1.numeric = \"category\"").unwrap(), [Transform::Text, Transform::Text]);
        let both = transforms("numeric = \"standardize\"\nfields.C1.numeric = \"quantile:4\"");
        assert_eq!(both.unwrap(), [Transform::Standardize, Transform::Quantile(4)]);
    }

    #[test]
    fn the_nearest_name_of_a_column_of_times_is_one_of_its_fields() {
        let nearest = |unknown| nearest_name(["tags", "hour(t)", "user"].into_iter(), unknown);
        assert_eq!(nearest("t").as_deref(), Some("hour(t)"));
        assert_eq!(nearest("usr").as_deref(), Some("user"));
    }

    #[test]
    fn a_time_becomes_a_field_a_part() {
        let features: FeaturesConfig =
            toml::from_str("fields.C1.time = { format = \"iso\", parts = [\"day\"] }").unwrap();
        let schema = schema(&features);
        assert_eq!(schema.fields[1].name, "day(C1)");
        assert_eq!(schema.fields[1].column(), "C1");
        let plan = plan(&features, &schema).unwrap();
        assert_eq!(plan[1].transform, Transform::Buckets(Buckets::Time(TimePart::Day)));
    }

    #[test]
    fn keys_that_exclude_each_other_are_named() {
        for (text, key) in [
            ("fields.C1.pooling = \"mean\"", "`features.fields.C1.pooling`"),
            ("fields.C1 = { separator = \"|\", numeric = \"min-max\" }", "`features.fields.C1.separator`"),
            ("fields.C1 = { separator = \"|\", time = { format = \"iso\" } }", "`features.fields.C1.time`"),
            ("fields.C1.time = { format = \"iso\", parts = [] }", "features.fields"),
        ] {
            let message = transforms(text).unwrap_err();
            assert!(message.contains(key), "{text}: {message}");
        }
        assert!(transforms("fields.C1 = { separator = \"|\", pooling = \"mean\" }").is_ok());
    }

    #[test]
    fn an_unknown_field_is_named_with_the_nearest() {
        let features: FeaturesConfig = toml::from_str("fields.I11.min_count = 3").unwrap();
        let error = plan(&features, &schema(&features)).unwrap_err();
        assert!(error.to_string().contains("`features.fields.I11`"));
        assert_eq!(error.hint().unwrap(), "the nearest field is `I1`");
    }

    #[test]
    fn hashing_refuses_what_needs_statistics_and_names_both_keys() {
        let message = transforms("numeric = \"min-max\"\nvocabulary = { hash = 100 }").unwrap_err();
        assert!(message.contains("`features.numeric = \"min-max\"`") && message.contains("features.vocabulary"));
        let message = transforms("fields.I1.numeric = \"quantile:8\"\nvocabulary = { hash = 100 }").unwrap_err();
        assert!(message.contains("`features.fields.I1.numeric = \"quantile:8\"`"), "{message}");
        assert!(transforms("vocabulary = { hash = 100 }").is_ok());
    }
}
