//! Every shipped config can be read, and every model has its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use secn::{config::Config, models::MODELS};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn every_config_is_read_and_passes_its_checks() {
    let mut files = Vec::new();
    collect(&root().join("configs"), &mut files);
    for path in &files {
        Config::load(path, &[]).unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(files.len() >= 2 * MODELS.len(), "expected two configs a model, found {} in all", files.len());
}

#[test]
fn every_model_has_its_configs() {
    for model in MODELS {
        for path in [model.config.to_owned(), format!("configs/criteo_x4/{}.toml", model.name)] {
            let config = Config::load(&root().join(&path), &[]).unwrap();
            assert_eq!(config.model.name(), model.name, "{path}");
        }
    }
}

/// The keys that a table knows, as its error for another key names them.
fn known_keys(table: &str) -> Vec<String> {
    let text = format!("[data]\nformat = \"csv\"\ntrain = [\"a.csv\"]\n{table}\nno_such_key = 1\n");
    let message = toml::from_str::<Config>(&text).unwrap_err().message().to_owned();
    let (_, expected) = message.split_once("expected").unwrap_or_else(|| panic!("{table}: {message}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_stands_in_the_docs() {
    let docs = fs::read_to_string(root().join("docs/config.md")).unwrap();
    let section = |title: &str| {
        let (_, rest) = docs.split_once(&format!("{title}\n")).unwrap_or_else(|| panic!("no section {title}"));
        rest.split("\n#").next().unwrap().to_owned()
    };
    for (title, table) in [
        ("## `[data]`", ""),
        ("## `[features]`", "[features]"),
        ("### `[features.fields.NAME]`", "[features.fields.a]"),
        ("### `[features.fields.NAME.time]`", "[features.fields.a.time]"),
        ("### `[features.target_statistics]`", "[features.target_statistics]"),
        ("### `[features.counts]`", "[features.counts]"),
        ("## `[embedding]`", "[embedding]"),
        ("### `[model.secn]`", "[model.secn]"),
        ("## `[training]`", "[training]"),
        ("## `[compare]`", "[compare]"),
    ] {
        let section = section(title);
        let keys = known_keys(table);
        assert!(keys.len() >= 2, "{title}: {keys:?}");
        for key in &keys {
            assert!(section.contains(&format!("| `{key}` |")), "docs/config.md has no row for `{key}` in {title}");
        }
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        for row in rows {
            assert!(keys.iter().any(|key| key == row), "docs/config.md: `{row}` is no key of {title}");
        }
    }
    for model in MODELS.iter().filter(|model| !["lr", "fm", "fwfm", "secn"].contains(&model.name)) {
        let models = section("## `[model.NAME]`");
        let row = models
            .lines()
            .find(|line| line.split('|').nth(1).is_some_and(|names| names.contains(&format!("`{}`", model.name))));
        let row = row.unwrap_or_else(|| panic!("docs/config.md has no row for the model `{}`", model.name));
        for key in known_keys(&format!("[model.{}]", model.name)) {
            assert!(row.contains(&format!("`{key}")), "docs/config.md lacks `{key}` of `{}`", model.name);
        }
    }
}
