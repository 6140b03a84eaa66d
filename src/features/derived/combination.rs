//! A combination of fields, and the number that stands for its values in a row.

use crate::features::{
    error::FeaturesError,
    vocabulary::{MISSING, Vocabulary},
};

/// Some fields whose ids, taken together, are one value.
#[derive(Clone, Debug)]
pub(in crate::features) struct Combination {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    field: usize,
    first_id: u32,
    ids: u64,
}

impl Combination {
    /// # Errors
    /// Where the fields have 2^64 combinations or more, so that no number stands for each.
    pub(in crate::features) fn new(fields: &[usize], vocabulary: &Vocabulary) -> Result<Self, FeaturesError> {
        let part = |field: &usize| {
            let ids = vocabulary.field_rows(*field);
            Part { field: *field, first_id: ids.start, ids: u64::from(ids.end - ids.start) }
        };
        let combination = Self { parts: fields.iter().map(part).collect() };
        let keys = combination.parts.iter().try_fold(1_u64, |keys, part| keys.checked_mul(part.ids));
        match keys {
            Some(_) => Ok(combination),
            None => Err(FeaturesError::TooManyCombinations { fields: combination.name(vocabulary) }),
        }
    }

    pub(in crate::features) fn fields(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().map(|part| part.field)
    }

    /// `C1,C2`
    pub(in crate::features) fn name(&self, vocabulary: &Vocabulary) -> String {
        self.fields().map(|field| vocabulary.field_name(field)).collect::<Vec<_>>().join(",")
    }

    /// The number of the values in a row of `ids`: each field's own id is a digit, in the base of its number of ids.
    #[inline]
    pub(super) fn key(&self, ids: &[u32]) -> u64 {
        self.parts.iter().fold(0, |key, part| key * part.ids + u64::from(ids[part.field] - part.first_id))
    }

    /// Whether all of the fields are missing in a row of `ids`.
    #[inline]
    pub(super) fn is_missing(&self, ids: &[u32]) -> bool {
        self.parts.iter().all(|part| ids[part.field] - part.first_id == MISSING)
    }
}
