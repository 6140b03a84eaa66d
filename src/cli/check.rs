//! `secn check`: the data doctor. What is wrong with data, how large what is built from it gets, and a config to start from.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::Context;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde_json::json;

use super::{
    check_guess::guess,
    check_rows::{FieldFacts, RowFacts, read},
    failure::UsageError,
    terminal::print,
};
use crate::{
    config::Config,
    data::{FormatName, Look, look, resolve},
};

/// Of each file that is read under `--quick`.
const QUICK_BYTES: u64 = 64 << 20;

/// Buckets of a number in the config to start from.
const QUANTILES: u64 = 32;

/// With a larger table, the config to start from has no vectors for partners.
const LARGE_TABLE_BYTES: u64 = 1 << 30;

/// The same with more fields: of 64, the vectors for partners of 4,096 rows take 256 MiB.
const MANY_FIELDS: usize = 64;

const MIB: f64 = 1_048_576.0;

#[derive(Args)]
pub(super) struct CheckArgs {
    /// Files or globs of rows; what they are is found out.
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "config", conflicts_with = "config")]
    data: Vec<String>,
    /// The TOML file whose training rows are checked.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change a key of the config; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", requires = "config", conflicts_with = "data")]
    set: Vec<String>,
    /// Read the first 64 MiB only.
    #[arg(long)]
    quick: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is wrong, where, and what to do.
struct Problem {
    what: String,
    todo: Option<String>,
    /// Nothing can be trained before it is mended.
    grave: bool,
}

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let limit_bytes = if args.quick { QUICK_BYTES } else { u64::MAX };
    let mut problems = Vec::new();
    let (mut config, mut toml) = if let Some(path) = &args.config {
        (Config::load(path, &args.set)?, None)
    } else {
        let (config, toml) = start(&args.data, &mut problems)?;
        (config, Some(toml))
    };
    let facts = read(&config, limit_bytes).with_context(|| {
        let open = problems.first().map(|problem| format!(": {}", problem.what));
        format!("cannot check the rows{}", open.unwrap_or_default())
    })?;
    let looks = look_at(&config, limit_bytes, &mut problems)?;
    add_problems(&facts, &mut problems);
    if let Some(toml) = &mut toml {
        drop_names_of_rows(toml, &facts);
        toml.push_str(&decay_toml(facts.rows));
        toml.push_str(&fields_toml(&facts, config.data.format));
        let model = if has_room_for_partners(&config, &facts) {
            ""
        } else {
            "# vectors for partners take much memory with so many ids, or fields\npartner_dim = 0\n"
        };
        toml.extend(["\n[model.secn]\n", model, "\n[training]\nepochs = 10\nbatch_size = 256\n"]);
        let checked = toml::from_str::<Config>(toml);
        config.model = checked.context("a defect: the config to start from can't be read")?.model;
    }
    let sizes = Sizes::of(&config, &facts);
    if args.json {
        print(&as_json(&config, &facts, &problems, &sizes, toml.as_deref()))?;
    } else {
        print(&as_text(&config, &looks, &facts, &problems, &sizes, toml.as_deref()))?;
    }
    if problems.iter().any(|problem| problem.grave) {
        return Err(anyhow::anyhow!("the data can't be trained on as it is: see the problems above"));
    }
    Ok(())
}

/// A config for files of which nothing is known, and its `[data]`.
fn start(data: &[String], problems: &mut Vec<Problem>) -> anyhow::Result<(Config, String)> {
    let inputs = resolve(data)?;
    let Some(crate::data::Input::File(path)) = inputs.first() else {
        let text =
            "`--data`: expected files, found standard input; save it to a file first, since it is read several times";
        return Err(UsageError(text.to_owned()).into());
    };
    let guess = guess(path)?;
    problems.extend(guess.notes.into_iter().map(|what| Problem { what, todo: None, grave: false }));
    let files: Vec<String> = data.iter().map(|file| format!("{file:?}")).collect();
    let toml = format!(
        "[data]\n{}\ntrain = [{}]\nvalidation = 0.1\n\n[embedding]\ndim = 16\n",
        guess.lines.join("\n"),
        files.join(", ")
    );
    let config = toml::from_str(&toml).with_context(|| format!("cannot make a config for {}", path.display()))?;
    Ok((config, toml))
}

/// What the training files' bytes are like; formats that are no text are passed over.
fn look_at(config: &Config, limit_bytes: u64, problems: &mut Vec<Problem>) -> anyhow::Result<Vec<Look>> {
    if config.data.format == FormatName::Parquet || config.data.train.iter().any(|file| file == "-") {
        return Ok(Vec::new());
    }
    let mut looks = Vec::new();
    for input in resolve(&config.data.train)? {
        let look = look(&input, limit_bytes)?;
        for oddity in &look.oddities {
            let what = format!("{}: {}", oddity.place, oddity.found);
            problems.push(Problem { what, todo: Some(oddity.todo.to_owned()), grave: false });
        }
        looks.push(look);
    }
    Ok(looks)
}

fn add_problems(facts: &RowFacts, problems: &mut Vec<Problem>) {
    let mut add = |what: String, todo: &str, grave| problems.push(Problem { what, todo: Some(todo.to_owned()), grave });
    if let Some((what, todo)) = &facts.first_bad {
        let rows = if facts.bad_rows > 1 { format!(" ({} bad rows in all)", facts.bad_rows) } else { String::new() };
        add(format!("{what}{rows}"), todo.as_deref().unwrap_or("mend the row"), true);
    }
    if facts.rows > 0 && (facts.positives == 0 || facts.positives == facts.rows) {
        let which = if facts.positives == 0 { "0" } else { "1" };
        add(format!("every label is {which}"), "a model needs rows of both; is `data.label` the right column?", true);
    }
    for field in &facts.fields {
        let name = &field.name;
        if field.missing == facts.rows {
            add(format!("`{name}` is empty in all rows"), &format!("`data.drop = [\"{name}\"]` leaves it out"), false);
        } else if field.values == 1 && field.missing == 0 {
            add(
                format!("`{name}` has the same value in all rows"),
                &format!("`data.drop = [\"{name}\"]` leaves it out"),
                false,
            );
        } else if field.names_rows {
            let todo = format!("an identifier of rows teaches nothing: `data.drop = [\"{name}\"]`");
            add(format!("`{name}` has another value in every row"), &todo, false);
        }
        if let Some(text) = &field.only_text {
            let todo = format!("`data.missing = [{text:?}]` reads it as missing, if that is what it means");
            add(
                format!("`{name}` has numbers, but for texts as `{text}`: so it is a field of categories"),
                &todo,
                false,
            );
        }
        if field.tells_label {
            let todo =
                format!("if it is not known before the click, it gives the label away: `data.drop = [\"{name}\"]`");
            add(format!("`{name}` says the same as the label in all rows"), &todo, false);
        }
    }
}

/// Leaves the fields out that have another value in every row.
fn drop_names_of_rows(toml: &mut String, facts: &RowFacts) {
    let names: Vec<&str> =
        facts.fields.iter().filter(|field| field.names_rows).map(|field| field.name.as_str()).collect();
    if !names.is_empty() {
        let line = format!("\n# Another value in every row teaches nothing.\ndrop = {names:?}\n");
        *toml = toml.replacen("[data]\n", &format!("[data]{line}"), 1);
    }
}

/// Keys of fields that a table's text doesn't tell.
fn fields_toml(facts: &RowFacts, format: FormatName) -> String {
    let numeric: Vec<&FieldFacts> =
        facts.fields.iter().filter(|field| field.looks_numeric && !field.names_rows).collect();
    // a feature of these is a category, though its index is a number
    if numeric.is_empty() || matches!(format, FormatName::Libsvm | FormatName::Libffm) {
        return String::new();
    }
    let lines = numeric.iter().map(|field| format!("{:?} = {{ numeric = \"quantile:{QUANTILES}\" }}\n", field.name));
    format!(
        "\n# Amounts. Take out the line of a number that names something (a user, an item, a place): left out, it is a category.\n\
         [features.fields]\n{}",
        lines.collect::<String>()
    )
}

/// A decay that weighs as much as some ten rows: docs/ablation.md finds the best one falling with the rows, and without one few rows
/// are learned by heart in two epochs.
fn decay_toml(rows: u64) -> String {
    const WEIGHT_IN_ROWS: f64 = 10.0;
    const LARGEST: f64 = 1e-2;
    let decay = (WEIGHT_IN_ROWS / rows.max(1) as f64).min(LARGEST);
    format!("# what all weights shrink by at every step; more of it for fewer rows\nweight_decay = {decay:.0e}\n")
}

/// Whether a table with vectors for partners stays small. Rows that were not read may hold any number of ids.
fn has_room_for_partners(config: &Config, facts: &RowFacts) -> bool {
    let ids = |field: &FieldFacts| if field.looks_numeric { field.kept.min(QUANTILES) } else { field.kept };
    let ids: u64 = facts.fields.iter().map(ids).sum();
    let row = config.embedding.row_bytes(config.model.needs(), facts.fields.len()) as u64;
    !facts.cut && facts.fields.len() <= MANY_FIELDS && ids * row <= LARGE_TABLE_BYTES
}

/// What is built from the data, before it is.
struct Sizes {
    vocabulary: u64,
    table_bytes: u64,
    cache_bytes: u64,
    memory_bytes: u64,
}

impl Sizes {
    fn of(config: &Config, facts: &RowFacts) -> Self {
        /// Of a process that holds next to nothing: burn, threads' buffers, the batches on their way.
        const BASE_BYTES: u64 = 150 << 20;
        const VOCABULARY_BYTES_AN_ID: u64 = 20;
        let special = 2 * facts.fields.len() as u64;
        let vocabulary = special + facts.fields.iter().map(|field| field.kept).sum::<u64>();
        let row = config.embedding.row_bytes(config.model.needs(), facts.fields.len()) as u64;
        let table_bytes = vocabulary * row;
        let cache_bytes = facts.rows * (4 * facts.fields.len() as u64 + 1);
        Self {
            vocabulary,
            table_bytes,
            cache_bytes,
            memory_bytes: BASE_BYTES + table_bytes + vocabulary * VOCABULARY_BYTES_AN_ID,
        }
    }
}

fn as_json(config: &Config, facts: &RowFacts, problems: &[Problem], sizes: &Sizes, toml: Option<&str>) -> String {
    let field = |field: &FieldFacts| json!({"name": field.name, "kind": field.kind, "values": field.values, "missing": field.missing, "kept": field.kept});
    let problem = |problem: &Problem| json!({"what": problem.what, "todo": problem.todo, "grave": problem.grave});
    json!({
        "format": config.data.format.as_str(),
        "rows": facts.rows,
        "bad_rows": facts.bad_rows,
        "click_rate": facts.positives as f64 / facts.rows.max(1) as f64,
        "whole": !facts.cut,
        "fields": facts.fields.iter().map(field).collect::<Vec<_>>(),
        "problems": problems.iter().map(problem).collect::<Vec<_>>(),
        "estimates": {
            "vocabulary": sizes.vocabulary,
            "table_bytes": sizes.table_bytes,
            "cache_bytes": sizes.cache_bytes,
            "memory_bytes": sizes.memory_bytes,
        },
        "config": toml,
    })
    .to_string()
}

fn as_text(
    config: &Config,
    looks: &[Look],
    facts: &RowFacts,
    problems: &[Problem],
    sizes: &Sizes,
    toml: Option<&str>,
) -> String {
    let at_least = if facts.cut { "at least " } else { "" };
    let share = 100.0 * facts.positives as f64 / facts.rows.max(1) as f64;
    let mut text = format!(
        "format      {}\nrows        {at_least}{}, {share:.2} % of them positive\n",
        config.data.format.as_str(),
        facts.rows
    );
    let bytes: u64 = looks.iter().map(|look| look.bytes).sum();
    if bytes > 0 {
        let unpacked = if looks.iter().all(|look| look.whole) { "" } else { ", of which the beginning was read" };
        let _ = writeln!(text, "text        {:.1} MiB unpacked{unpacked}", bytes as f64 / MIB);
    }
    let _ = write!(
        text,
        "vocabulary  {at_least}{} ids in {} fields\ntable       {at_least}{:.1} MiB with its moments, for `{}`\n\
         cache       {at_least}{:.1} MiB on the disk\nmemory      about {:.0} MiB in training\n\n",
        sizes.vocabulary,
        facts.fields.len(),
        sizes.table_bytes as f64 / MIB,
        config.model.name(),
        sizes.cache_bytes as f64 / MIB,
        sizes.memory_bytes as f64 / MIB,
    );
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["field", "holds", "values", "with an id", "missing"]);
    for field in &facts.fields {
        let missing = format!("{:.1} %", 100.0 * field.missing as f64 / facts.rows.max(1) as f64);
        let holds = if field.looks_numeric { "numbers as text" } else { &field.kind };
        table.add_row([&field.name, holds, &field.values.to_string(), &field.kept.to_string(), &missing]);
    }
    for column in 2..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    text.push_str(&table.trim_fmt());
    text.push_str("\n\n");
    if problems.is_empty() {
        text.push_str("No problem was found.\n");
    }
    for problem in problems {
        let kind = if problem.grave { "problem" } else { "note" };
        let _ = writeln!(text, "{kind}: {}", problem.what);
        if let Some(todo) = &problem.todo {
            let _ = writeln!(text, "  what to do: {todo}");
        }
    }
    if let Some(toml) = toml {
        let _ = write!(text, "\nA config to start from:\n\n{toml}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::EmbeddingConfig;

    #[test]
    fn sizes_follow_from_what_has_an_id() {
        let config: Config = toml::from_str("[data]\nformat = \"csv\"\ntrain = [\"a.csv\"]\n[model.lr]\n").unwrap();
        let field = FieldFacts { kept: 8, values: 20, ..FieldFacts::default() };
        let facts = RowFacts { rows: 100, fields: vec![field.clone(), field], ..RowFacts::default() };
        let sizes = Sizes::of(&config, &facts);
        // a first-order weight and its moment
        assert_eq!((sizes.vocabulary, sizes.table_bytes, sizes.cache_bytes), (20, 20 * 8, 900));
    }

    #[test]
    fn the_decay_falls_with_the_rows() {
        for (rows, expected) in [(0, 0.01), (100, 0.01), (8_000, 0.001), (45_000_000, 2e-7)] {
            let embedding: EmbeddingConfig = toml::from_str(&decay_toml(rows)).unwrap();
            assert!((embedding.weight_decay.value() / expected - 1.0).abs() < 1e-9, "{rows}: {}", decay_toml(rows));
        }
    }

    #[test]
    fn paths_are_taken_as_they_are() {
        assert!(start(&["-".into()], &mut Vec::new()).is_err());
        assert!(start(&["no/such.csv".into()], &mut Vec::new()).is_err());
    }
}
