//! Both passes over the raw files, or the cache that an earlier preparation left.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{
    cache::{CacheLayout, CacheWriter},
    codes::Coder,
    config::{FeaturesConfig, VocabularyConfig},
    count::{self, AllCounted, Counters},
    derived::{DerivedPlan, ThirdPass, derive},
    draft::DraftWriter,
    encode::LeftOut,
    error::{FeaturesError, io_error},
    event::{Pass, PrepareEvent},
    key::{Fingerprint, check_unchanged, fingerprints, identity, key},
    parts::Splitter,
    plan::{FieldPlan, column_kind, fields, plan},
    prepared::{Latest, Manifest, Prepared, changed, open, own_folder, replace, write_durably},
    stream::{stream, stream_rows},
    vocabulary::Vocabulary,
};
use crate::{
    data::{DataConfig, Input, SplitBy, Validation, Wanted, resolve, schema, spool_stdin},
    schema::Schema,
    seed::Seed,
};

/// The inputs of all parts.
struct Inputs {
    train: Vec<Input>,
    validation: Vec<Input>,
    test: Vec<Input>,
    /// Standard input on the disk, to be removed in the end.
    spooled: Option<PathBuf>,
}

/// Prepares the data, or finds it prepared.
///
/// # Errors
/// [`FeaturesError`] for a wrong config, rows that can't be read, or a cache that can't be written.
pub fn prepare(
    data: &DataConfig,
    features: &FeaturesConfig,
    seed: Seed,
    observe: &mut dyn FnMut(PrepareEvent),
) -> Result<Prepared, FeaturesError> {
    let start = Instant::now();
    let inputs = Inputs::find(data, features)?;
    let columns = schema(data, &inputs.train, &|name, kind| column_kind(features, name, kind))?;
    let schema = fields(features, columns);
    let plan = plan(features, &schema)?;
    let derived = DerivedPlan::new(features, &plan)?;
    let identity = identity(data, features, seed);
    let mut files = fingerprints(data, inputs.all())?;
    if let Validation::Rows(numbers) = &data.validation {
        files.push(Fingerprint::of(numbers)?);
    }
    let key = key(&identity, &files);
    let folder = data.cache.join(&key);
    let latest = data.cache.join(format!("{identity}.json"));
    let reusable = !inputs.all().any(|input| matches!(input, Input::Stdin)) && inputs.spooled.is_none();
    if reusable && folder.exists() {
        match open(&folder, start, true) {
            Ok(prepared) => return Ok(prepared),
            Err(error) => observe(PrepareEvent::Rebuilding { reason: error.to_string() }),
        }
    } else if let Some(reason) = changed(&latest, &files) {
        observe(PrepareEvent::Rebuilding { reason });
    }
    let (schema, plan, derived, inputs_ref) = (&schema, &plan, &derived, &inputs);
    let work = Work { data, features, seed, schema, plan, derived, inputs: inputs_ref, files: &files, observe };
    let built = work.build(&folder);
    if let Some(spooled) = &inputs.spooled {
        let _ = fs::remove_file(spooled);
    }
    built?;
    let json = serde_json::to_vec(&Latest { key, files }).expect("fingerprints can be written as JSON");
    write_durably(&latest.with_extension("new"), &json)?;
    fs::rename(latest.with_extension("new"), &latest).map_err(io_error(&latest))?;
    open(&folder, start, false)
}

impl Inputs {
    fn find(data: &DataConfig, features: &FeaturesConfig) -> Result<Self, FeaturesError> {
        let mut inputs = Self { train: resolve(&data.train)?, validation: vec![], test: vec![], spooled: None };
        if let Validation::Files(files) = &data.validation {
            inputs.validation = resolve(files)?;
        }
        if !data.test.is_empty() {
            inputs.test = resolve(&data.test)?;
        }
        if inputs.all().filter(|input| matches!(input, Input::Stdin)).count() > 1 {
            return Err(FeaturesError::StdinTwice);
        }
        let twice = features.vocabulary == VocabularyConfig::Exact || data.split_by == SplitBy::Order;
        if let Some(input) = inputs.train.iter_mut().find(|input| matches!(input, Input::Stdin)).filter(|_| twice) {
            fs::create_dir_all(&data.cache).map_err(io_error(&data.cache))?;
            let path = data.cache.join(format!("stdin-{}.rows", std::process::id()));
            spool_stdin(&path)?;
            *input = Input::File(path.clone());
            inputs.spooled = Some(path);
        }
        Ok(inputs)
    }

    fn all(&self) -> impl Iterator<Item = &Input> {
        self.train.iter().chain(&self.validation).chain(&self.test)
    }
}

/// What the first pass gives.
struct FirstPass {
    vocabulary: Vocabulary,
    /// Each field's id of each draft.
    ids: Vec<Vec<u32>>,
    left_out: LeftOut,
    /// None where counts stand on the disk.
    drafts: Option<DraftWriter>,
}

/// One preparation.
struct Work<'a> {
    data: &'a DataConfig,
    features: &'a FeaturesConfig,
    seed: Seed,
    schema: &'a Schema,
    plan: &'a [FieldPlan],
    derived: &'a DerivedPlan,
    inputs: &'a Inputs,
    files: &'a [Fingerprint],
    observe: &'a mut dyn FnMut(PrepareEvent),
}

impl Work<'_> {
    fn build(mut self, folder: &Path) -> Result<(), FeaturesError> {
        let temporary = own_folder(folder)?;
        let written = self.write(&temporary);
        let unchanged = written.and_then(|()| check_unchanged(self.files));
        if let Err(error) = unchanged.and_then(|()| replace(&temporary, folder)) {
            let _ = fs::remove_dir_all(&temporary);
            return Err(error);
        }
        Ok(())
    }

    /// The group's column, then the validation's.
    fn extra(&self) -> Vec<crate::data::ColumnRef> {
        let mut extra: Vec<_> = self.data.group.iter().cloned().collect();
        if let Validation::Column { column, .. } = &self.data.validation {
            extra.push(column.clone());
        }
        extra
    }

    fn wanted(&self, extra: Vec<crate::data::ColumnRef>) -> Wanted {
        let label = Some(self.data.label.column.clone());
        let weight = self.data.weight.clone();
        Wanted { schema: self.schema.clone(), label, label_required: true, weight, extra }
    }

    fn splitter(&self) -> Result<Splitter, FeaturesError> {
        let column = usize::from(self.data.group.is_some());
        Splitter::new(&self.data.validation, self.data.split_by, self.seed, column, || {
            let (blocks, _) = stream_rows(self.data, self.inputs.train.clone(), self.wanted(vec![]), &Coder::new(&[]))?;
            let mut rows = 0;
            for block in blocks {
                rows += block?.0.rows() as u64;
            }
            Ok(rows)
        })
    }

    /// The vocabulary, and the training part with the validation rows among it.
    fn count_and_write(&mut self, folder: &Path, split: bool) -> Result<(Vocabulary, LeftOut), FeaturesError> {
        let splitter = self.splitter()?;
        match self.features.vocabulary {
            VocabularyConfig::Exact if self.plan.iter().all(FieldPlan::is_numbered) => {
                let layout = CacheLayout {
                    fields: self.plan.iter().map(|field| field.name.clone()).collect(),
                    extra: Vec::new(),
                    table_rows: 0,
                    has_values: false,
                    has_weights: self.data.weight.is_some(),
                    has_groups: self.data.group.is_some(),
                };
                let group = self.data.group.as_ref().map(|_| 0);
                let writer = DraftWriter::create(folder, &layout, split, group)?;
                let FirstPass { vocabulary, ids, left_out, drafts } = self.count(folder, &splitter, Some(writer))?;
                let Some(drafts) = drafts else { return self.write_train(folder, vocabulary, &splitter, split) };
                self.renumber(drafts, vocabulary.table_rows(), ids)?;
                Ok((vocabulary, left_out))
            }
            VocabularyConfig::Exact => {
                let vocabulary = self.count(folder, &splitter, None)?.vocabulary;
                self.write_train(folder, vocabulary, &splitter, split)
            }
            VocabularyConfig::Hash(ids) => {
                let vocabulary = Vocabulary::hashed(self.plan, ids.get())?;
                self.write_train(folder, vocabulary, &splitter, split)
            }
        }
    }

    /// Pass 1.
    fn count(
        &mut self,
        folder: &Path,
        splitter: &Splitter,
        writer: Option<DraftWriter>,
    ) -> Result<FirstPass, FeaturesError> {
        let (threads, limit) = (rayon::current_num_threads(), self.features.max_memory);
        let mut counters = Counters::start(self.plan, threads, limit, folder, writer);
        let (blocks, progress) =
            stream_rows(self.data, self.inputs.train.clone(), self.wanted(self.extra()), &Coder::new(self.plan))?;
        let (mut number, mut left_out) = (0, LeftOut::default());
        let mut told = false;
        for block in blocks {
            let (block, codes) = block?;
            let rows = block.rows();
            left_out.rows += block.skipped();
            let trains = (0..rows).map(|row| !splitter.validates(number + row as u64, &block, row)).collect();
            counters.push(count::Work { block, codes, trains })?;
            number += rows as u64;
            if !told && counters.spilled() {
                told = true;
                (self.observe)(PrepareEvent::Spilling { limit });
            }
            let (bytes, total_bytes) = (progress.read(), progress.total);
            (self.observe)(PrepareEvent::Progress { pass: Pass::Counting, rows: number, bytes, total_bytes });
        }
        splitter.check(&self.data.validation, number)?;
        let AllCounted { counted, spill, drafts } = counters.finish()?;
        if spill.happened() && !told {
            (self.observe)(PrepareEvent::Spilling { limit });
        }
        let (vocabulary, ids) = Vocabulary::build(self.plan, counted, &spill)?;
        Ok(FirstPass { vocabulary, ids, left_out, drafts })
    }

    /// Pass 2 over drafts.
    fn renumber(&mut self, drafts: DraftWriter, table_rows: usize, ids: Vec<Vec<u32>>) -> Result<(), FeaturesError> {
        let ids = Arc::new(ids);
        let DraftWriter { train, validation, .. } = drafts;
        let train = ("train", train, " beside the validation rows");
        let validation = validation.map(|validation| ("validation", validation, " among the training rows"));
        for (part, mut writer, because) in [Some(train), validation].into_iter().flatten() {
            let observe = &mut self.observe;
            writer.renumber(&ids, table_rows, |rows, bytes, total_bytes| {
                observe(PrepareEvent::Progress { pass: Pass::Encoding, rows, bytes, total_bytes: Some(total_bytes) });
            })?;
            check_rows(part, writer.finish()?, because)?;
        }
        Ok(())
    }

    /// Passes 1 and 2, and pass 3 behind the training rows; the rows of other files get all of their ids at once.
    fn write(&mut self, folder: &Path) -> Result<(), FeaturesError> {
        let mut parts = vec!["train"];
        let has_validation = self.data.validation != Validation::None;
        if has_validation {
            parts.push("validation");
        }
        let split = has_validation && self.inputs.validation.is_empty();
        let (vocabulary, mut left_out) = self.count_and_write(folder, split)?;
        let vocabulary = &self.derive(folder, Arc::new(vocabulary), split)?;
        if has_validation && !split {
            let inputs = self.inputs.validation.clone();
            left_out += self.write_part(folder, "validation", inputs, vocabulary)?;
        }
        if !self.inputs.test.is_empty() {
            parts.push("test");
            left_out += self.write_part(folder, "test", self.inputs.test.clone(), vocabulary)?;
        }
        vocabulary.save(&folder.join("vocabulary.arrow"))?;
        let mut files = BTreeMap::new();
        for name in parts.into_iter().chain(["vocabulary"]).map(|part| format!("{part}.arrow")) {
            let path = folder.join(&name);
            files.insert(name, fs::metadata(&path).map_err(io_error(&path))?.len());
        }
        let manifest = Manifest { schema: self.schema.clone(), left_out, files };
        let json = serde_json::to_vec_pretty(&manifest).expect("a manifest can be written as JSON");
        write_durably(&folder.join("manifest.json"), &json)
    }

    /// Pass 3.
    fn derive(
        &mut self,
        folder: &Path,
        vocabulary: Arc<Vocabulary>,
        split: bool,
    ) -> Result<Arc<Vocabulary>, FeaturesError> {
        if self.derived.is_empty() {
            return Ok(vocabulary);
        }
        let pass = Pass::Deriving;
        (self.observe)(PrepareEvent::Progress { pass, rows: 0, bytes: 0, total_bytes: None });
        let (has_weights, has_groups) = (self.data.weight.is_some(), self.data.group.is_some());
        let pass =
            ThirdPass { folder, plan: self.derived, features: self.features, seed: self.seed, has_weights, has_groups };
        let others: &[&str] = if split { &["validation"] } else { &[] };
        Ok(Arc::new(derive(&pass, Arc::unwrap_or_clone(vocabulary), others)?))
    }

    fn write_train(
        &mut self,
        folder: &Path,
        vocabulary: Vocabulary,
        splitter: &Splitter,
        split: bool,
    ) -> Result<(Vocabulary, LeftOut), FeaturesError> {
        let vocabulary = Arc::new(vocabulary);
        let mut train = CacheWriter::create(&folder.join("train.arrow"), self.layout(&vocabulary))?;
        let validation = split.then(|| CacheWriter::create(&folder.join("validation.arrow"), self.layout(&vocabulary)));
        let mut validation = validation.transpose()?;
        let extra = self.extra();
        let (mut number, mut left_out) = (0, LeftOut::default());
        self.encode(self.inputs.train.clone(), extra, &vocabulary, |block| {
            let rows = block.encoded.rows();
            let validates = |row: &usize| splitter.validates(number + *row as u64, &block.rows, *row);
            train.push(&block.encoded, (0..rows).filter(|row| !validates(row)))?;
            if let Some(validation) = &mut validation {
                validation.push(&block.encoded, (0..rows).filter(validates))?;
            }
            number += rows as u64;
            left_out += block.left_out();
            Ok(())
        })?;
        splitter.check(&self.data.validation, number)?;
        check_rows("train", train.finish()?, " beside the validation rows")?;
        if let Some(validation) = validation {
            check_rows("validation", validation.finish()?, " among the training rows")?;
        }
        Ok((Arc::unwrap_or_clone(vocabulary), left_out))
    }

    fn write_part(
        &mut self,
        folder: &Path,
        part: &'static str,
        inputs: Vec<Input>,
        vocabulary: &Arc<Vocabulary>,
    ) -> Result<LeftOut, FeaturesError> {
        let mut writer = CacheWriter::create(&folder.join(format!("{part}.arrow")), self.layout(vocabulary))?;
        let mut left_out = LeftOut::default();
        let extra = self.data.group.iter().cloned().collect();
        self.encode(inputs, extra, vocabulary, |block| {
            left_out += block.left_out();
            writer.push(&block.encoded, 0..block.encoded.rows())
        })?;
        check_rows(part, writer.finish()?, "")?;
        Ok(left_out)
    }

    fn encode(
        &mut self,
        inputs: Vec<Input>,
        extra: Vec<crate::data::ColumnRef>,
        vocabulary: &Arc<Vocabulary>,
        mut write: impl FnMut(super::EncodedBlock) -> Result<(), FeaturesError>,
    ) -> Result<(), FeaturesError> {
        let group = self.data.group.as_ref().map(|_| 0);
        let mut blocks = stream(self.data, inputs, self.wanted(extra), group, Arc::clone(vocabulary))?;
        let mut rows = 0;
        while let Some(block) = blocks.next() {
            let block = block?;
            rows += block.encoded.rows() as u64;
            write(block)?;
            let (bytes, total_bytes) = (blocks.bytes_read(), blocks.bytes_total());
            (self.observe)(PrepareEvent::Progress { pass: Pass::Encoding, rows, bytes, total_bytes });
        }
        Ok(())
    }

    fn layout(&self, vocabulary: &Vocabulary) -> CacheLayout {
        CacheLayout::of(vocabulary, self.data.weight.is_some(), self.data.group.is_some())
    }
}

fn check_rows(part: &'static str, rows: u64, because: &'static str) -> Result<(), FeaturesError> {
    if rows > 0 { Ok(()) } else { Err(FeaturesError::NoRows { part, because }) }
}
