//! What is said about a set's features: `NAME_public.info`, `NAME_feat.type` and `NAME_feat.name`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{DataError, Input, Place, error::shown_cell, input::Text, made::Lines};
use super::{LABEL, companions::Companions};

/// A value with the line that says it.
#[derive(Clone, Debug)]
pub(super) struct Stated<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// The keys of an info file that matter to a reader. Its numbers of rows don't: sets that were cut keep those of the whole.
#[derive(Debug, Default)]
pub(super) struct Info {
    pub(super) task: Option<Stated<String>>,
    pub(super) target_num: Option<Stated<u64>>,
    pub(super) label_num: Option<Stated<u64>>,
    pub(super) is_sparse: Option<Stated<u64>>,
    pub(super) format: Option<Stated<String>>,
    feat_num: Option<Stated<u64>>,
    feat_type: Option<FeatureType>,
}

/// What a feature's values are, as `NAME_feat.type` spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FeatureType {
    Numerical,
    Binary,
    Categorical,
    Time,
    MultiValue,
}

impl FeatureType {
    const ALL: [(&str, Self); 5] = [
        ("Numerical", Self::Numerical),
        ("Binary", Self::Binary),
        ("Categorical", Self::Categorical),
        ("Time", Self::Time),
        ("Multi-value", Self::MultiValue),
    ];

    fn of(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, kind)| *kind)
    }
}

/// A set's features, as far as they are described.
#[derive(Debug, Default)]
pub(super) struct Description {
    pub(super) info: Info,
    /// How many features there are, and where that is said.
    pub(super) count: Option<Stated<u64>>,
    types: Vec<FeatureType>,
    names: Vec<String>,
}

impl Description {
    /// # Errors
    /// For a line that is none of the file's kind, and for files that disagree about the number of features.
    pub(super) fn read(files: &Companions) -> Result<Self, DataError> {
        let info = files.info.as_deref().map(Info::read).transpose()?.unwrap_or_default();
        let mut description = Self { count: info.feat_num.clone(), info, ..Self::default() };
        if let Some(path) = &files.feature_types {
            description.types = list(path, feature_type)?;
            description.check_count(description.types.len(), path, "feature types, one a line")?;
        }
        if let Some(path) = &files.feature_names {
            let names = list(path, |line, place| Ok((text(line), place)))?;
            check_names(&names)?;
            description.names = names.into_iter().map(|(name, _)| name).collect();
            description.check_count(description.names.len(), path, "feature names, one a line")?;
        }
        Ok(description)
    }

    fn check_count(&mut self, found: usize, path: &Path, what: &str) -> Result<(), DataError> {
        let place = Place { file: file_name(path), line: found as u64 };
        match &self.count {
            None => self.count = Some(Stated { value: found as u64, place }),
            Some(count) if count.value == found as u64 => {}
            Some(count) => {
                let expected = format!("{} {what}, as many as {} says", count.value, count.place);
                return Err(DataError::stated(place, expected, found.to_string(), "mend the file that is wrong"));
            }
        }
        Ok(())
    }

    /// The type of a feature, the first being 0; `default` where nothing says it.
    pub(super) fn feature_type(&self, feature: usize, default: FeatureType) -> FeatureType {
        self.types.get(feature).copied().or(self.info.feat_type).unwrap_or(default)
    }

    /// Whether `NAME_feat.type` tells the types.
    pub(super) fn has_types(&self) -> bool {
        !self.types.is_empty()
    }

    /// Whether all features are numbers.
    pub(super) fn are_numbers(&self, default: FeatureType) -> bool {
        match self.types.as_slice() {
            [] => self.feature_type(0, default) == FeatureType::Numerical,
            types => types.iter().all(|kind| matches!(kind, FeatureType::Numerical | FeatureType::Binary)),
        }
    }

    /// The name of a feature, the first being 0; its number from 1 on where it has none.
    pub(super) fn name(&self, feature: usize) -> String {
        self.names.get(feature).cloned().unwrap_or_else(|| (feature + 1).to_string())
    }
}

fn feature_type(line: &[u8], place: Place) -> Result<FeatureType, DataError> {
    let found = FeatureType::of(&text(line));
    found.ok_or_else(|| {
        let expected = "`Numerical`, `Binary`, `Categorical`, `Time` or `Multi-value`";
        DataError::stated(place, expected, shown_cell(line), "each line is the type of one feature")
    })
}

fn check_names(names: &[(String, Place)]) -> Result<(), DataError> {
    let mut sorted: Vec<(&String, &Place)> = names.iter().map(|(name, place)| (name, place)).collect();
    sorted.sort_by_key(|(name, place)| (*name, place.line));
    let twice = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1]);
    let Some((name, place)) = twice.or_else(|| sorted.iter().find(|(name, _)| *name == LABEL).copied()) else {
        return Ok(());
    };
    let found = if name == LABEL { format!("`{name}`") } else { format!("`{name}` a second time") };
    let expected = format!("feature names that differ from each other and from `{LABEL}`");
    Err(DataError::stated(place.clone(), expected, found, "rename the feature"))
}

impl Info {
    fn read(path: &Path) -> Result<Self, DataError> {
        let mut info = Self::default();
        for (line, place) in list(path, |line, place| Ok((text(line), place)))? {
            let Some((key, value)) = line.split_once('=') else {
                let found = shown_cell(line.as_bytes());
                return Err(DataError::stated(place, "`key = 'value'`", found, "each line is a key and its value"));
            };
            info.set(unquoted(key), unquoted(value), place)?;
        }
        Ok(info)
    }

    fn set(&mut self, key: &str, value: &str, place: Place) -> Result<(), DataError> {
        let stated = || Some(Stated { value: value.to_owned(), place: place.clone() });
        match key {
            "task" => self.task = stated(),
            "format" => self.format = stated(),
            "feat_type" => self.feat_type = FeatureType::of(value),
            "feat_num" => self.feat_num = number(key, value, place)?,
            "target_num" => self.target_num = number(key, value, place)?,
            "label_num" => self.label_num = number(key, value, place)?,
            "is_sparse" => self.is_sparse = number(key, value, place)?,
            _ => {}
        }
        Ok(())
    }
}

fn number(key: &str, value: &str, place: Place) -> Result<Option<Stated<u64>>, DataError> {
    if let Ok(value) = value.parse() {
        return Ok(Some(Stated { value, place }));
    }
    let (expected, found) = (format!("`{key} = ` a whole number"), shown_cell(value.as_bytes()));
    Err(DataError::stated(place, expected, found, "write the number, or leave the line out"))
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['\'', '"']).trim()
}

/// What a small file's lines say, without blanks around them; blank lines say nothing.
pub(super) fn list<T>(
    path: &Path,
    mut item: impl FnMut(&[u8], Place) -> Result<T, DataError>,
) -> Result<Vec<T>, DataError> {
    let mut lines = open_lines(path)?;
    let (file, mut items) = (file_name(path), Vec::new());
    while let Some((line, number)) = lines.next()? {
        let line = line.trim_ascii();
        if !line.is_empty() {
            items.push(item(line, Place { file: Arc::clone(&file), line: number })?);
        }
    }
    Ok(items)
}

/// The lines of a companion, plain or packed.
pub(super) fn open_lines(path: &Path) -> Result<Lines, DataError> {
    Ok(Lines::new(Text::rows(&Input::File(PathBuf::from(path)), &Arc::default())?))
}

pub(super) fn file_name(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

pub(super) fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}
