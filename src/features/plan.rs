//! What is done with each field: the config's say, resolved by the data's schema.

use super::config::{FeaturesConfig, VocabularyConfig};
use super::error::FeaturesError;
use super::numeric::Numeric;
use crate::schema::{FieldKind, Schema};

/// One field's way from cell to id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldPlan {
    pub(super) name: String,
    pub(super) transform: Transform,
    pub(super) min_count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    Text,
    Log2Bucket,
    Quantile(u32),
    Standardize,
    MinMax,
}

/// The kind that the field `name` is read as, where the format knows it as `default`.
pub(super) fn field_kind(features: &FeaturesConfig, name: &str, default: FieldKind) -> FieldKind {
    let own = features.fields.get(name).and_then(|field| field.numeric);
    match (own, default) {
        (_, FieldKind::MultiValue) => FieldKind::MultiValue,
        (Some(Numeric::Category), _) | (None, FieldKind::Categorical) => FieldKind::Categorical,
        (None, FieldKind::Numeric) if features.numeric == Numeric::Category => FieldKind::Categorical,
        (Some(_), _) | (None, FieldKind::Numeric) => FieldKind::Numeric,
    }
}

/// # Errors
/// For a field of the config that the data doesn't have, for no field at all, and for a transform that `hash` can't do.
pub(super) fn plan(features: &FeaturesConfig, schema: &Schema) -> Result<Vec<FieldPlan>, FeaturesError> {
    if schema.is_empty() {
        return Err(FeaturesError::NoFields);
    }
    if let Some(field) = features.fields.keys().find(|name| schema.position(name).is_none()) {
        let nearest = nearest_name(schema.fields.iter().map(|field| field.name.as_str()), field);
        return Err(FeaturesError::UnknownField { field: field.clone(), nearest });
    }
    check_passes(features, schema)?;
    Ok(schema.fields.iter().map(|field| field_plan(features, &field.name, field.kind)).collect())
}

/// The name that is most like an unknown one.
pub(super) fn nearest_name<'a>(names: impl Iterator<Item = &'a str>, unknown: &str) -> Option<String> {
    let alike = |name: &&str| strsim::jaro_winkler(name, unknown);
    names.max_by(|left, right| alike(left).total_cmp(&alike(right))).map(ToOwned::to_owned)
}

fn field_plan(features: &FeaturesConfig, name: &str, kind: FieldKind) -> FieldPlan {
    let own = features.fields.get(name);
    let transform = match (kind, own.and_then(|field| field.numeric).unwrap_or(features.numeric)) {
        (FieldKind::Categorical | FieldKind::MultiValue, _) | (FieldKind::Numeric, Numeric::Category) => {
            Transform::Text
        }
        (FieldKind::Numeric, Numeric::Log2Bucket) => Transform::Log2Bucket,
        (FieldKind::Numeric, Numeric::Quantile(buckets)) => Transform::Quantile(buckets),
        (FieldKind::Numeric, Numeric::Standardize) => Transform::Standardize,
        (FieldKind::Numeric, Numeric::MinMax) => Transform::MinMax,
    };
    let min_count = own.and_then(|field| field.min_count).unwrap_or(features.min_count).get();
    FieldPlan { name: name.into(), transform, min_count }
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
        let field = |name: &str, default| Field { name: name.into(), kind: field_kind(features, name, default) };
        Schema { fields: vec![field("I1", FieldKind::Numeric), field("C1", FieldKind::Categorical)] }
    }

    fn transforms(text: &str) -> Result<Vec<Transform>, String> {
        let features: FeaturesConfig = toml::from_str(text).unwrap();
        let plan = plan(&features, &schema(&features)).map_err(|error| error.to_string())?;
        Ok(plan.into_iter().map(|field| field.transform).collect())
    }

    #[test]
    fn a_field_has_its_own_transform_or_the_common_one() {
        assert_eq!(transforms("").unwrap(), [Transform::Log2Bucket, Transform::Text]);
        assert_eq!(transforms("numeric = \"category\"").unwrap(), [Transform::Text, Transform::Text]);
        assert_eq!(transforms("fields.I1.numeric = \"category\"").unwrap(), [Transform::Text, Transform::Text]);
        let both = transforms("numeric = \"standardize\"\nfields.C1.numeric = \"quantile:4\"");
        assert_eq!(both.unwrap(), [Transform::Standardize, Transform::Quantile(4)]);
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
