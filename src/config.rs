//! The whole config: joins the rooms' own, reads the TOML file, applies `--set`, and keeps the resolved one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use toml_edit::{DocumentMut, Item, Value};

use crate::{
    data::DataConfig, embedding::EmbeddingConfig, features::FeaturesConfig, models::ModelConfig, ranges::Count,
    seed::Seed, training::TrainingConfig,
};

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data: DataConfig,
    #[serde(default)]
    pub features: FeaturesConfig,
    #[serde(default)]
    pub embedding: EmbeddingConfig,
    #[serde(default = "default_model")]
    pub model: ModelConfig,
    #[serde(default)]
    pub training: TrainingConfig,
    /// What `secn compare` compares; a single run doesn't read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<CompareConfig>,
}

/// `[compare]`: which models, how often, and with which settings of their own.
///
/// All trainings share one data, one split and one budget, so `data`, `features`, and of `training` the keys `epochs`,
/// `early_stop`, `evaluate_every`, `seed` and `device` may be set for `all` alone and are never searched. One key of the
/// budget may differ: `training.batch_size`, since the models' published settings do; the outputs show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompareConfig {
    /// Default: the models of the SECN paper's tables, fm nfm afm deepfm xdeepfm secn.
    pub models: Vec<String>,
    /// Trainings a model, each with a seed of its own. Default 1.
    pub seeds: Count,
    /// Of these so many train each candidate of a model's grid; their mean decides. Default 1.
    pub search_seeds: Count,
    /// `[compare.set.NAME]`: dotted keys, within quotes, and their values for one model, or `all`. Default: none.
    pub set: BTreeMap<String, Settings>,
    /// `[compare.grid.NAME]`: dotted keys and the values to try for one model, or `all`; of all combinations the one with
    /// the best `training.early_stop.metric` on the validation part is taken. Default: none.
    pub grid: BTreeMap<String, BTreeMap<String, Vec<toml::Value>>>,
}

/// Dotted keys of the config and their values.
pub type Settings = BTreeMap<String, toml::Value>;

impl Default for CompareConfig {
    fn default() -> Self {
        Self {
            models: ["fm", "nfm", "afm", "deepfm", "xdeepfm", "secn"].map(str::to_owned).into(),
            seeds: Count::new(1).expect("1 is above 0"),
            search_seeds: Count::new(1).expect("1 is above 0"),
            set: BTreeMap::new(),
            grid: BTreeMap::new(),
        }
    }
}

fn default_model() -> ModelConfig {
    ModelConfig::by_name("secn").expect("secn is registered")
}

/// Why a config can't be used. All of them exit with code 2.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{}: expected a config file, found nothing there", path.display())]
    Missing { path: PathBuf },
    #[error("{}: expected a config file that can be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    Invalid { path: PathBuf, message: String },
    #[error("`--set {argument}`: {reason}")]
    Set { argument: String, reason: String },
}

impl ConfigError {
    /// What to do about it: the nearest known key, where one was misspelled.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => {
                Some("`--config` takes a TOML file; `secn models` names one to start from for every model".into())
            }
            Self::Read { .. } => None,
            Self::Invalid { message, .. } => nearest(message).map(|known| format!("did you mean `{known}`?")),
            Self::Set { .. } => {
                Some("`--set training.epochs=2` sets the key `epochs` of the table `[training]`".into())
            }
        }
    }
}

impl Config {
    /// Reads `path` and applies the `--set` arguments, each `KEY=VALUE` with a dotted key and a TOML value.
    ///
    /// # Errors
    /// [`ConfigError`] with the line, what was expected and what was found.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self, ConfigError> {
        Draft::read(path, sets)?.resolve()
    }

    /// The seed by which a random share of the training rows is taken for validation.
    pub fn split_seed(&self) -> Seed {
        self.data.split_seed.unwrap_or(self.training.seed)
    }

    /// The resolved config, every key written out.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a config can be written as TOML")
    }
}

/// A config's text, of which several configs can be made.
#[derive(Clone, Debug)]
pub struct Draft {
    path: PathBuf,
    document: DocumentMut,
    /// The text itself, as long as nothing in it is changed: its errors have the file's own lines.
    text: Option<String>,
}

impl Draft {
    /// Reads `path` and applies the `--set` arguments.
    ///
    /// # Errors
    /// [`ConfigError`] for a file that can't be read or is no TOML, or for a wrong argument.
    pub fn read(path: &Path, sets: &[String]) -> Result<Self, ConfigError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Err(ConfigError::Missing { path }),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let document = match text.parse() {
            Ok(document) => document,
            // serde's message for the same text is the one to show
            Err(error) => {
                let found = toml::from_str::<Config>(&text).err().map(|error| error.to_string());
                let message = found.unwrap_or_else(|| toml_edit::TomlError::to_string(&error));
                return Err(ConfigError::Invalid { path, message });
            }
        };
        let mut draft = Self { path, document, text: Some(text) };
        for argument in sets {
            draft.set_argument(argument)?;
        }
        Ok(draft)
    }

    /// The config, checked.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the line or both keys, what was expected and what was found.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        let text = self.text.clone().unwrap_or_else(|| self.document.to_string());
        let invalid = |message| ConfigError::Invalid { path: self.path.clone(), message };
        // lines count in the changed text, so the message says that it is one
        let changed = if self.text.is_none() { "with what is set beside the file: " } else { "" };
        if let Some(found) = self.other_than_one_model() {
            return Err(invalid(format!("{changed}expected one table `[model.NAME]`, found {found}")));
        }
        let config: Config = toml::from_str(&text).map_err(|error| invalid(format!("{changed}{error}")))?;
        config.embedding.check().map_err(invalid)?;
        config.model.check(config.embedding.dim.get()).map_err(invalid)?;
        Ok(config)
    }

    /// What stands in `[model]` instead of the table of one model, and what to do about it.
    fn other_than_one_model(&self) -> Option<String> {
        let models = self.document.get("model").and_then(Item::as_table_like)?;
        let tables: Vec<String> = models.iter().map(|(name, _)| format!("`[model.{name}]`")).collect();
        match &tables[..] {
            [_] => None,
            [] => Some("`[model]` without one: name a model, see `secn models`".to_owned()),
            _ => Some(format!("{}: remove one", tables.join(" and "))),
        }
    }

    /// Keeps the table of the model `name` alone; where there is none, the model has its defaults.
    pub fn keep_model(&mut self, name: &str) {
        self.text = None;
        let models = self.document.get_mut("model").and_then(Item::as_table_like_mut);
        let kept = models.and_then(|models| models.remove(name));
        let mut models = toml_edit::Table::new();
        models.insert(name, kept.unwrap_or(Item::Table(toml_edit::Table::new())));
        self.document.insert("model", Item::Table(models));
    }

    /// Sets a dotted key.
    ///
    /// # Errors
    /// [`ConfigError::Set`] where the key leads through a value.
    pub fn set(&mut self, key: &str, value: &toml::Value) -> Result<(), ConfigError> {
        self.set_argument(&format!("{key}={value}"))
    }

    fn set_argument(&mut self, argument: &str) -> Result<(), ConfigError> {
        self.text = None;
        set(&mut self.document, argument)
    }
}

fn set(document: &mut DocumentMut, argument: &str) -> Result<(), ConfigError> {
    let error = |reason: &str| ConfigError::Set { argument: argument.to_owned(), reason: reason.to_owned() };
    let (key, text) = argument.split_once('=').ok_or_else(|| error("expected `KEY=VALUE`, found no `=`"))?;
    // a bare word is a string
    let value: Value = text.trim().parse().unwrap_or_else(|_| Value::from(text.trim()));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or_else(|| error("expected a key, found none"))?;
    let mut table = document.as_item_mut();
    for part in parts {
        let entry = table
            .as_table_like_mut()
            .ok_or_else(|| error(&format!("expected a table before `.{part}`, found a value")))?
            .entry(part);
        table = entry.or_insert(Item::Table(toml_edit::Table::new()));
    }
    let table =
        table.as_table_like_mut().ok_or_else(|| error(&format!("expected a table before `.{last}`, found a value")))?;
    table.insert(last, Item::Value(value));
    Ok(())
}

/// The known name nearest to the unknown one, read off serde's message, where half of its letters are right.
fn nearest(message: &str) -> Option<String> {
    let (_, list) = message.split_once("unknown field ").or_else(|| message.split_once("unknown variant "))?;
    let mut names = list.split('`').skip(1).step_by(2);
    let found = names.next()?;
    let distance = |known: &&str| strsim::damerau_levenshtein(found, known);
    let known = names.min_by_key(distance)?;
    (2 * distance(&known) <= found.len().max(known.len())).then(|| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[data]\nformat = \"criteo\"\ntrain = [\"a.txt\"]\n\n[model.secn]\nlayers = 2\n";

    fn load(text: &str, sets: &[&str]) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Config::load(&path, &sets)
    }

    #[test]
    fn the_resolved_config_reads_back_as_itself() {
        let config = load(TEXT, &[]).unwrap();
        assert_eq!(load(&config.to_toml(), &[]).unwrap(), config);
    }

    #[test]
    fn set_takes_numbers_bare_words_and_inline_tables() {
        let sets = [
            "training.epochs=3",
            "training.device=cpu",
            "model.secn.attention={ heads = 2, dim = 8 }",
            "training.schedule={ plateau = { factor = 0.5 } }",
        ];
        let config = load(TEXT, &sets).unwrap();
        assert_eq!(config.training.epochs.get(), 3);
        assert_eq!(config.training.device.to_string(), "cpu");
        let ModelConfig::Secn(secn) = &config.model else { panic!("expected secn, found {:?}", config.model) };
        assert_eq!((secn.layers.get(), secn.attention.unwrap().heads.get()), (2, 2));
    }

    #[test]
    fn a_draft_keeps_one_model_and_takes_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, TEXT).unwrap();
        let draft = Draft::read(&path, &[]).unwrap();
        let mut deepfm = draft.clone();
        deepfm.keep_model("deepfm");
        deepfm.set("model.deepfm.mlp", &toml::Value::from(vec![8, 4])).unwrap();
        deepfm.set("embedding.optimizer", &toml::Value::from("adam")).unwrap();
        let deepfm = deepfm.resolve().unwrap();
        assert_eq!(deepfm.model.name(), "deepfm");
        assert!(deepfm.to_toml().contains("mlp = [\n    8,\n    4,\n]"), "{}", deepfm.to_toml());
        assert!(deepfm.to_toml().contains("optimizer = \"adam\""));
        let mut secn = draft;
        secn.keep_model("secn");
        assert_eq!(secn.resolve().unwrap(), load(TEXT, &[]).unwrap());
    }

    #[test]
    fn an_unknown_key_is_reported_with_its_line_and_the_nearest_known_one() {
        let error = load(&TEXT.replace("layers", "layer"), &[]).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("line 6") && message.contains("unknown field `layer`"), "{message}");
        assert_eq!(error.hint().unwrap(), "did you mean `layers`?");
    }

    #[test]
    fn two_models_are_told_by_their_tables() {
        let error = load(&format!("{TEXT}[model.fm]\n"), &[]).unwrap_err().to_string();
        assert!(error.contains("expected one table `[model.NAME]`, found `[model.secn]` and `[model.fm]`"), "{error}");
        let error = load(&TEXT.replace("[model.secn]\nlayers = 2", "[model]"), &[]).unwrap_err().to_string();
        assert!(error.contains("found `[model]` without one"), "{error}");
        let error = load(TEXT, &["model.fm={}"]).unwrap_err().to_string();
        assert!(error.contains("with what is set beside the file: expected one table"), "{error}");
    }

    #[test]
    fn what_a_schedule_the_early_stop_or_an_attention_leaves_out_has_its_default() {
        let config = load(TEXT, &["model.secn.attention={ dim = 8 }"]).unwrap();
        let ModelConfig::Secn(secn) = &config.model else { panic!("expected secn, found {:?}", config.model) };
        assert_eq!(secn.attention.unwrap().heads.get(), 2);
        let sets = ["training.early_stop={ patience = 5 }", "training.schedule={ warmup = {} }"];
        let training = load(TEXT, &sets).unwrap().training;
        assert_eq!((training.early_stop.metric.key(), training.early_stop.patience), ("logloss", 5));
        assert!(toml::to_string(&training).unwrap().contains("steps = 1000"), "{training:?}");
        let training = load(TEXT, &["training.schedule={ exponential = {} }"]).unwrap().training;
        assert!(toml::to_string(&training).unwrap().contains("factor = 0.9"), "{training:?}");
    }

    #[test]
    fn rules_between_keys_name_both_keys() {
        for (model, names) in [
            ("xdeepfm]\ncin = [7, 8]\nsplit_half = true", ["`model.xdeepfm.cin`", "`model.xdeepfm.split_half`"]),
            ("finalmlp]\nheads = 3", ["`model.finalmlp.first`", "`model.finalmlp.heads`"]),
            ("masknet]\nstructure = \"serial\"\nmlp = [8]", ["`model.masknet.mlp`", "`model.masknet.structure"]),
            ("dcnv3]\n[embedding]\ndim = 7", ["`model.dcnv3`", "`embedding.dim`"]),
        ] {
            let text = TEXT.replace("secn]\nlayers = 2", model);
            let message = load(&text, &[]).unwrap_err().to_string();
            assert!(names.iter().all(|name| message.contains(name)), "{message}");
        }
    }

    #[test]
    fn set_passes_the_same_checks() {
        let error = load(TEXT, &["training.epoch=1"]).unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean `epochs`?");
        assert!(load(TEXT, &["training.epochs"]).is_err());
        assert!(load(TEXT, &["data.format.x=1"]).is_err());
    }
}
