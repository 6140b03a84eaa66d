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
