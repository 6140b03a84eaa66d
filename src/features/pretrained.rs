//! Vectors that were trained elsewhere → the ids whose values they stand for.

use super::{
    error::FeaturesError,
    plan::nearest_name,
    vocabulary::{FIRST_VALUE, Lookup, Vocabulary},
};
use crate::data::{VectorSource, read_vectors};

/// The vectors of those of a field's values that are in the vocabulary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pretrained {
    /// Distinct, in the file's order.
    pub ids: Vec<u32>,
    /// `[ids, dim]`
    pub vectors: Vec<f32>,
    pub dim: usize,
    /// Vectors in the file.
    pub read: u64,
    /// Values of the field in the vocabulary.
    pub values: u64,
}

impl Vocabulary {
    /// Reads the vectors of `field`, each of which shall have `dim` numbers.
    ///
    /// # Errors
    /// [`FeaturesError::Pretrained`] for a field that isn't there or has no values to find, for vectors of another size and
    /// for two vectors of one value; [`FeaturesError::Data`] for a file that can't be read.
    pub fn pretrained(&self, field: &str, source: &VectorSource, dim: usize) -> Result<Pretrained, FeaturesError> {
        let wrong = |expected: String, found: String| {
            let nearest = None;
            FeaturesError::Pretrained { field: field.to_owned(), expected, found, nearest }
        };
        let fields = self.field_vocabularies();
        let Some(vocabulary) = fields.iter().find(|vocabulary| vocabulary.name == field) else {
            let nearest = nearest_name(fields.iter().map(|field| field.name.as_str()), field);
            let (expected, found) = ("one of the fields".to_owned(), "none of this name".to_owned());
            return Err(FeaturesError::Pretrained { field: field.to_owned(), expected, found, nearest });
        };
        let Lookup::Text(map) = &vocabulary.lookup else {
            let expected = "a field of categories beside `features.vocabulary = \"exact\"`".to_owned();
            return Err(wrong(expected, vocabulary.lookup.described().to_owned()));
        };
        let first = vocabulary.ids.start;
        let mut pretrained = Pretrained { dim, values: vocabulary.values(), ..Pretrained::default() };
        let mut taken = vec![false; vocabulary.ids.len()];
        read_vectors(source, |key, vector| {
            if vector.len() != dim {
                let found = format!("{} in {}", vector.len(), source.path.display());
                return Err(wrong(
                    format!("vectors of {dim} numbers (`embedding.dim`, `embedding.dims.{field}`)"),
                    found,
                ));
            }
            pretrained.read += 1;
            if let Some(id) = map.get(key) {
                if std::mem::replace(&mut taken[id as usize], true) {
                    let key = String::from_utf8_lossy(key);
                    return Err(wrong(
                        format!("one vector a value in {}", source.path.display()),
                        format!("two of `{key}`"),
                    ));
                }
                pretrained.ids.push(first + id);
                pretrained.vectors.extend_from_slice(vector);
            }
            Ok(())
        })?;
        Ok(pretrained)
    }
}

impl Lookup {
    /// What a field is whose values have no vectors of their own.
    fn described(&self) -> &'static str {
        match self {
            Self::Text(_) => "categories",
            Self::HashedText | Self::HashedNumber(_) => "hashed values, several of which may have one id",
            Self::Derived => "a field that follows from others",
            Self::Buckets(..) | Self::Quantile(_) | Self::Piecewise(_) | Self::Scaled(_) => "numbers or times",
        }
    }
}

impl super::vocabulary::FieldVocabulary {
    fn values(&self) -> u64 {
        u64::from(self.ids.end - self.ids.start - FIRST_VALUE)
    }
}
