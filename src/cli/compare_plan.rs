//! What `[compare]` asks for: every model's candidates, each a config of its own, all checked before the first training.

use std::{collections::BTreeMap, ops::Range};

use anyhow::Context;

use super::{compare::CompareArgs, failure::UsageError};
use crate::{
    config::{CompareConfig, Config, Draft, Settings},
    data::Validation,
    models::ModelConfig,
    ranges::Count,
    seed::Seed,
};

/// The name in `[compare.set]` and `[compare.grid]` that means every model.
const ALL: &str = "all";

/// A comparison before its first training.
pub(super) struct Plan {
    /// What all trainings share.
    pub(super) config: Config,
    /// The models, in the order in which they are trained.
    pub(super) entrants: Vec<Entrant>,
    seeds: Count,
    search_seeds: Count,
}

/// A model and all that is tried for it.
pub(super) struct Entrant {
    pub(super) model: String,
    /// At least one.
    pub(super) candidates: Vec<Variant>,
}

/// One config of a model.
pub(super) struct Variant {
    /// What `[compare.set]` gives and, of each list of `[compare.grid]`, one value.
    pub(super) settings: Settings,
    /// Of the training with the first seed.
    pub(super) config: Config,
}

impl Plan {
    /// Reads the config, applies the flags, and checks what each model's trainings would be.
    pub(super) fn read(args: &CompareArgs) -> anyhow::Result<Self> {
        let mut draft = Draft::read(&args.config.config, &args.config.set)?;
        let compare = under_flags(draft.resolve()?.compare.unwrap_or_default(), args);
        check_names(&compare)?;
        check_keys(&compare)?;
        for (key, value) in compare.set.get(ALL).into_iter().flatten() {
            draft.set(key, value)?;
        }
        if let Some(device) = args.machine.device {
            draft.set("training.device", &device.to_string().into())?;
        }
        let config = draft.resolve()?;
        check_parts(&compare, &config)?;
        let entrant = |model: &String| {
            let variant = |settings| Variant::new(&draft, &config, model, settings);
            let candidates = candidates(&compare, model).into_iter().map(variant).collect::<anyhow::Result<_>>()?;
            Ok(Entrant { model: model.clone(), candidates })
        };
        let entrants = compare.models.iter().map(entrant).collect::<anyhow::Result<_>>()?;
        Ok(Self { config, entrants, seeds: compare.seeds, search_seeds: compare.search_seeds })
    }

    /// One a training of each model.
    pub(super) fn seeds(&self) -> Range<u64> {
        let first = self.config.training.seed.0;
        first..first + self.seeds.get() as u64
    }

    /// One a training of each candidate.
    pub(super) fn search_seeds(&self) -> Range<u64> {
        let first = self.config.training.seed.0;
        first..first + self.search_seeds.get() as u64
    }

    /// The configs of all candidates of all models.
    pub(super) fn configs(&self) -> Vec<&Config> {
        self.entrants.iter().flat_map(|entrant| &entrant.candidates).map(|candidate| &candidate.config).collect()
    }
}

impl Variant {
    fn new(draft: &Draft, common: &Config, model: &str, settings: Settings) -> anyhow::Result<Self> {
        let mut draft = draft.clone();
        draft.keep_model(model);
        for (key, value) in &settings {
            draft.set(key, value)?;
        }
        let mut config = draft.resolve().with_context(|| format!("the settings of `{model}`"))?;
        if let Some(key) = unshared(&config, common) {
            let text = format!(
                "`[compare]`: the settings of `{model}` may not change `{key}`: all models share one data, one split and \
                 one budget; set it in the config itself or in `[compare.set.{ALL}]`, with one value for all"
            );
            return Err(UsageError(text).into());
        }
        config.compare = None;
        config.data.split_seed = Some(common.split_seed());
        Ok(Self { settings, config })
    }

    /// The config of the training with another seed.
    pub(super) fn with_seed(&self, seed: u64) -> Config {
        let mut config = self.config.clone();
        config.training.seed = Seed(seed);
        config
    }
}

/// What all trainings share by their keys, where a model's config has another value. `training.batch_size` is not among
/// them: the models' published settings differ in it, and every training sees the same rows equally often.
fn unshared(config: &Config, common: &Config) -> Option<&'static str> {
    let (own, all) = (&config.training, &common.training);
    let shared = [
        ("data", config.data == common.data),
        ("features", config.features == common.features),
        ("training.epochs", own.epochs == all.epochs),
        ("training.early_stop", own.early_stop == all.early_stop),
        ("training.evaluate_every", own.evaluate_every == all.evaluate_every),
        ("training.seed", own.seed == all.seed),
        ("training.device", own.device == all.device),
    ];
    shared.into_iter().find(|(_, same)| !same).map(|(key, _)| key)
}

fn under_flags(mut compare: CompareConfig, args: &CompareArgs) -> CompareConfig {
    if !args.models.is_empty() {
        compare.models.clone_from(&args.models);
    }
    if let Some(seeds) = args.seeds {
        compare.seeds = Count::new(seeds.get()).expect("a number that isn't 0 counts");
    }
    compare
}

fn check_names(compare: &CompareConfig) -> anyhow::Result<()> {
    let models = &compare.models;
    if let Some((_, twice)) = models.iter().enumerate().find(|(place, model)| models[..*place].contains(model)) {
        let text = format!("the model `{twice}` is named twice; `--seeds N` repeats a training");
        return Err(UsageError(text).into());
    }
    let keyed = compare.set.keys().chain(compare.grid.keys()).filter(|name| *name != ALL);
    match models.iter().chain(keyed).find(|name| ModelConfig::by_name(name).is_none()) {
        Some(name) => {
            Err(UsageError(format!("expected a model's name, found `{name}`; `secn models` lists them")).into())
        }
        None => Ok(()),
    }
}

/// A key without a dot would replace a whole table of the config; a list without values leaves no candidate.
fn check_keys(compare: &CompareConfig) -> anyhow::Result<()> {
    let set = compare.set.iter().flat_map(|(name, keys)| keys.keys().map(move |key| ("set", name, key)));
    let grid = compare.grid.iter().flat_map(|(name, lists)| lists.keys().map(move |key| ("grid", name, key)));
    for (table, name, key) in set.chain(grid) {
        let place = format!("`[compare.{table}.{name}]`");
        if !key.contains('.') {
            let expected = "expected a dotted key within quotes, such as `\"training.batch_size\"`";
            return Err(UsageError(format!("{place}: {expected}, found `{key}`")).into());
        }
        if name == ALL && key.starts_with("model.") {
            let text = format!("{place}: expected keys of all models, found `{key}`; name it under its model");
            return Err(UsageError(text).into());
        }
    }
    for (name, lists) in &compare.grid {
        if let Some((key, _)) = lists.iter().find(|(_, values)| values.is_empty()) {
            let text = format!("`[compare.grid.{name}]`: expected values to try for `{key}`, found none");
            return Err(UsageError(text).into());
        }
    }
    Ok(())
}

fn check_parts(compare: &CompareConfig, config: &Config) -> anyhow::Result<()> {
    if config.data.test.is_empty() {
        return Err(UsageError("models are compared on test rows: name them as `data.test`".to_owned()).into());
    }
    if !compare.grid.is_empty() && config.data.validation == Validation::None {
        let text = "`[compare.grid]` chooses on validation rows: name them as `data.validation`";
        return Err(UsageError(text.to_owned()).into());
    }
    Ok(())
}

/// The model's settings with all combinations of its lists in `[compare.grid]`; without any, one candidate.
fn candidates(compare: &CompareConfig, model: &str) -> Vec<Settings> {
    let fixed = [ALL, model].into_iter().filter_map(|name| compare.set.get(name)).flatten();
    let fixed: Settings = fixed.map(|(key, value)| (key.clone(), value.clone())).collect();
    let lists: BTreeMap<_, _> = [ALL, model].into_iter().filter_map(|name| compare.grid.get(name)).flatten().collect();
    let mut candidates = vec![fixed];
    for (key, values) in lists {
        let with = |candidate: &Settings, value: &toml::Value| {
            let mut candidate = candidate.clone();
            candidate.insert(key.clone(), value.clone());
            candidate
        };
        candidates =
            candidates.iter().flat_map(|candidate| values.iter().map(move |value| with(candidate, value))).collect();
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::settings_line;

    fn compare(text: &str) -> CompareConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn candidates_are_all_combinations_and_a_models_own_list_goes_before_that_of_all() {
        let text = "[set.all]\n\"training.epochs\" = 2\n[grid.all]\n\"embedding.dim\" = [4, 8]\n\
                    \"embedding.l2\" = [0.0, 1e-5]\n[grid.lr]\n\"embedding.dim\" = [16]\n";
        let compare = compare(text);
        assert_eq!((candidates(&compare, "fm").len(), candidates(&compare, "lr").len()), (4, 2));
        let lr: Vec<String> = candidates(&compare, "lr").iter().map(settings_line).collect();
        let of = |l2: &str| format!("embedding.dim = 16, embedding.l2 = {l2}, training.epochs = 2");
        assert_eq!(lr, [of("0.0"), of("0.00001")]);
    }

    #[test]
    fn keys_that_would_replace_a_table_or_are_of_one_model_are_refused() {
        for (text, expected) in [
            ("[set.lr]\ntraining.batch_size = 64\n", "`[compare.set.lr]`: expected a dotted key"),
            ("[grid.all]\n\"model.secn.layers\" = [2]\n", "`[compare.grid.all]`: expected keys of all models"),
            ("[grid.lr]\n\"embedding.l2\" = []\n", "expected values to try for `embedding.l2`"),
        ] {
            let error = check_keys(&compare(text)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(check_keys(&compare("[set.lr]\n\"training.batch_size\" = 64\n")).is_ok());
    }
}
