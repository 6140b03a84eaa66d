//! The run folder: what a training leaves, and all that evaluation, prediction and resuming need.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use burn::tensor::Device;

use super::{failure::UsageError, prepare::row_counts};
use crate::{
    config::Config,
    embedding::{Embedding, FieldDim, Shape},
    features::{Prepared, Vocabulary},
    metrics::{EvaluationRecord, RowCounts, RunRecord},
    models::{Model, Parameters},
    schema::Schema,
    training::load_best,
};

/// The paths inside of a run folder.
pub(super) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder of a new run, or of one to go on with.
    ///
    /// Without `--run` it is `runs/NAME` for the config file `NAME.toml`, or `runs/NAME-2` and so on.
    pub(super) fn prepare(given: Option<&Path>, config: &Path, resume: bool) -> anyhow::Result<Self> {
        let path = given.map_or_else(|| free_folder(config, resume), Path::to_owned);
        let folder = Self { path };
        let used = folder.config().exists();
        if used && !resume {
            let path = folder.path.display();
            let text = format!("{path}: a run is already here; add `--resume`, or name another folder with `--run`");
            return Err(UsageError(text).into());
        }
        let others = |mut entries: fs::ReadDir| entries.any(|entry| entry.is_ok_and(|entry| !is_ours(&entry)));
        if !used && fs::read_dir(&folder.path).is_ok_and(others) {
            let path = folder.path.display();
            let text = format!("{path}: expected a new or an empty folder for the run, found other files in it");
            return Err(UsageError(text).into());
        }
        fs::create_dir_all(folder.checkpoints())
            .with_context(|| format!("cannot make the run folder {}", folder.path.display()))?;
        Ok(folder)
    }

    /// Takes back a folder that no run has begun in.
    pub(super) fn discard_unused(&self) {
        if !self.config().exists() {
            let _ = fs::remove_file(self.path.join("secn.log"));
            let _ = fs::remove_dir(self.checkpoints());
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// The folder of one run of several, new or not.
    pub(super) fn at(path: &Path) -> anyhow::Result<Self> {
        let folder = Self { path: path.to_owned() };
        fs::create_dir_all(folder.checkpoints())
            .with_context(|| format!("cannot make the run folder {}", path.display()))?;
        Ok(folder)
    }

    /// What the run came to, if it ended; it must have had this config and this data.
    pub(super) fn finished(&self, config: &Config, prepared: &Prepared) -> anyhow::Result<Option<RunRecord>> {
        let path = self.result();
        if !path.exists() {
            return Ok(None);
        }
        self.check_config(config)?;
        let [kept, found] = [Config::load(&self.config(), &[])?.training.epochs, config.training.epochs];
        if kept != found {
            let (path, kept, found) = (self.config(), kept.get(), found.get());
            let text = format!("{} has `epochs = {kept}`, found `epochs = {found}` now", path.display());
            return Err(UsageError(text).into());
        }
        let record: Result<RunRecord, _> = serde_json::from_slice(&fs::read(&path)?);
        let record = record.with_context(|| format!("damaged: {}", path.display()))?;
        self.check_data(&record, prepared).context("the data has changed since; name another folder with `--run`")?;
        Ok(Some(record))
    }

    /// A finished run stays true as long as the data has the same rows and the same vocabulary.
    fn check_data(&self, record: &RunRecord, prepared: &Prepared) -> anyhow::Result<()> {
        let found = row_counts(prepared);
        if record.rows != found {
            let shown =
                |rows: RowCounts| format!("{} train, {} validation, {} test", rows.train, rows.validation, rows.test);
            let (path, kept, found) = (self.path.display(), shown(record.rows), shown(found));
            return Err(anyhow!("{path}: expected the rows that were trained on, {kept}, found {found}"));
        }
        self.check_vocabulary(&prepared.vocabulary)
    }

    /// A run that ended and whose last checkpoint is gone would only be trained anew.
    pub(super) fn check_unfinished(&self) -> anyhow::Result<()> {
        if !self.result().exists() {
            return Ok(());
        }
        let path = self.path.display();
        let text = format!(
            "`--resume`: {path} is finished and keeps no `checkpoints/last` to go on from; start from its weights with \
             `--init-from {path}` and another `--run`"
        );
        Err(UsageError(text).into())
    }

    /// The run that `checkpoint` names, and the checkpoint: a run folder means its best one.
    pub(super) fn open(checkpoint: &Path) -> anyhow::Result<(Self, PathBuf)> {
        let folder = Self { path: checkpoint.to_owned() };
        if folder.config().exists() {
            let best = folder.checkpoints().join("best");
            return Ok((folder, best));
        }
        // runs/NAME/checkpoints/best
        let run = checkpoint.ancestors().nth(2).map(|path| Self { path: path.to_owned() });
        run.filter(|run| run.config().exists()).map(|run| (run, checkpoint.to_owned())).ok_or_else(|| {
            let path = checkpoint.display();
            anyhow!("{path}: expected a run folder or a checkpoint inside of one, found no `config.toml` there")
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    pub(super) fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    pub(super) fn result(&self) -> PathBuf {
        self.path.join("result.json")
    }

    pub(super) fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    fn vocabulary(&self) -> PathBuf {
        self.path.join("vocabulary.arrow")
    }

    fn schema(&self) -> PathBuf {
        self.path.join("schema.json")
    }

    /// Opens the log at its end.
    pub(super) fn log(&self) -> anyhow::Result<File> {
        let path = self.path.join("secn.log");
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        opened.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes what makes the folder self-sufficient; the config last, since it marks a run.
    pub(super) fn save(&self, config: &Config, schema: &Schema, vocabulary: &Vocabulary) -> anyhow::Result<()> {
        vocabulary.save(&self.vocabulary())?;
        write(&self.schema(), &serde_json::to_vec_pretty(schema)?)?;
        write(&self.config(), config.to_toml().as_bytes())
    }

    /// A run that is gone on with keeps its config; only what doesn't change the bits of a step may differ.
    pub(super) fn check_config(&self, config: &Config) -> anyhow::Result<()> {
        let mut kept = Config::load(&self.config(), &[])?;
        kept.compare = None;
        let mut comparable = config.clone();
        comparable.compare = None;
        comparable.training.epochs = kept.training.epochs;
        comparable.training.device = kept.training.device;
        comparable.training.checkpoint_minutes = kept.training.checkpoint_minutes;
        comparable.data.cache.clone_from(&kept.data.cache);
        let [found, expected] = [comparable, kept].map(|config| settings(&config.to_toml()));
        let keys: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
        let differences = keys.into_iter().filter(|key| found.get(*key) != expected.get(*key));
        let differences: Vec<_> = differences
            .map(|key| match (expected.get(key), found.get(key)) {
                (Some(expected), Some(found)) => format!("has `{key} = {expected}`, found `{key} = {found}` now"),
                (Some(expected), None) => format!("has `{key} = {expected}`, found none now"),
                (None, found) => format!("has no `{key}`, found `{key} = {}` now", found.map_or("", String::as_str)),
            })
            .collect();
        if differences.is_empty() {
            return Ok(());
        }
        let (path, run) = (self.config(), self.path.display());
        let text = format!(
            "{} {}; a run goes on (`--resume`) with its own settings, another `--run` may start with these and, by \
             `--init-from {run}`, from its weights",
            path.display(),
            differences.join("; ")
        );
        Err(UsageError(text).into())
    }

    /// Whether something would be lost if the run began anew.
    pub(super) fn has_progress(&self) -> bool {
        let last = self.checkpoints().join("last");
        [&last, &last.with_extension("old"), &self.result()].into_iter().any(|path| path.exists())
    }

    /// Weights mean the same ids only under the same vocabulary.
    pub(super) fn check_vocabulary(&self, vocabulary: &Vocabulary) -> anyhow::Result<()> {
        let kept = self.vocabulary();
        let new = kept.with_extension("compared");
        vocabulary.save(&new)?;
        let same = fs::read(&kept).and_then(|kept| Ok(kept == fs::read(&new)?));
        let _ = fs::remove_file(&new);
        if same.with_context(|| format!("cannot read {}", kept.display()))? {
            return Ok(());
        }
        let kept = kept.display();
        Err(anyhow!("expected the data that gave the vocabulary {kept}, found data that gives another one"))
    }

    /// Keeps the first `lines` evaluations, those that the checkpoint knows of.
    pub(super) fn cut_metrics(&self, lines: u64) -> anyhow::Result<()> {
        let path = self.metrics();
        if !path.exists() {
            return Ok(());
        }
        let lines = usize::try_from(lines)?;
        let kept: String = fs::read_to_string(&path)?.split_inclusive('\n').take(lines).collect();
        write(&path, kept.as_bytes())
    }

    /// All evaluations so far.
    pub(super) fn evaluations(&self) -> anyhow::Result<Vec<EvaluationRecord>> {
        let path = self.metrics();
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&path)?;
        let lines: Result<_, _> = text.lines().map(serde_json::from_str).collect();
        lines.with_context(|| format!("damaged: {}", path.display()))
    }

    /// Adds an evaluation.
    pub(super) fn add_metrics(&self, line: &str) -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.metrics())?;
        writeln!(file, "{line}")
    }
}

/// What a preparation that failed may leave behind.
fn is_ours(entry: &fs::DirEntry) -> bool {
    let is_empty_folder = || fs::read_dir(entry.path()).is_ok_and(|mut entries| entries.next().is_none());
    entry.file_name() == "secn.log" || (entry.file_name() == "checkpoints" && is_empty_folder())
}

fn free_folder(config: &Path, resume: bool) -> PathBuf {
    let name = config.file_stem().map_or_else(|| "run".into(), |stem| stem.to_string_lossy().into_owned());
    let numbered =
        |number: u32| Path::new("runs").join(if number == 1 { name.clone() } else { format!("{name}-{number}") });
    let mut number = 1;
    while numbered(number).join("config.toml").exists() {
        number += 1;
    }
    // the newest one is gone on with
    numbered(if resume { number.saturating_sub(1).max(1) } else { number })
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// A trained model with all that turns raw rows into its input.
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) schema: Schema,
    pub(super) vocabulary: std::sync::Arc<Vocabulary>,
    pub(super) model: Model,
    pub(super) embedding: Embedding,
}

impl Loaded {
    /// Reads a run or a checkpoint onto `device`.
    pub(super) fn open(checkpoint: &Path, device: &Device) -> anyhow::Result<Self> {
        let context = || format!("cannot read the run {}", checkpoint.display());
        let (folder, checkpoint) = RunFolder::open(checkpoint).with_context(context)?;
        let config = Config::load(&folder.config(), &[]).with_context(context)?;
        let vocabulary = std::sync::Arc::new(Vocabulary::load(&folder.vocabulary()).with_context(context)?);
        let schema_path = folder.schema();
        let schema = fs::read(&schema_path).map_err(anyhow::Error::from);
        let schema = schema.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        let schema = schema.with_context(|| format!("damaged: {}", schema_path.display())).with_context(context)?;
        let (model, mut embedding) = new_model(&config, &vocabulary, device);
        let (model, _) = load_best(&checkpoint, model, &mut embedding).with_context(context)?;
        Ok(Self { config, schema, vocabulary, model, embedding })
    }
}

/// A model and tables with new weights.
pub(super) fn new_model(config: &Config, vocabulary: &Vocabulary, device: &Device) -> (Model, Embedding) {
    let fields: Vec<_> = (0..vocabulary.fields()).map(|field| vocabulary.field_rows(field)).collect();
    let seed = config.training.seed;
    let mut embedding = Embedding::new(&config.embedding, config.model.needs(), &fields, seed);
    let narrow =
        |(field, name): (usize, &str)| config.embedding.dims.get(name).map(|dim| FieldDim { field, dim: dim.get() });
    embedding.narrow((0..fields.len()).map(|field| (field, vocabulary.field_name(field))).filter_map(narrow).collect());
    let shape = Shape { fields: fields.len(), dim: config.embedding.dim.get() };
    let model = config.model.init(shape, &Parameters::new(seed, device));
    (model, embedding)
}

/// A resolved config's values by their dotted keys; a table without keys is its own value.
fn settings(config: &str) -> BTreeMap<String, String> {
    fn add(settings: &mut BTreeMap<String, String>, key: &str, value: &toml::Value) {
        match value {
            toml::Value::Table(table) if !table.is_empty() => {
                for (name, value) in table {
                    add(settings, &format!("{key}.{name}"), value);
                }
            }
            value => {
                settings.insert(key.trim_start_matches('.').to_owned(), value.to_string());
            }
        }
    }
    let mut found = BTreeMap::new();
    let table: toml::Table = config.parse().expect("a resolved config is TOML");
    add(&mut found, "", &toml::Value::Table(table));
    found
}
