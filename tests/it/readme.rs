//! The README's commands print what it shows, run as written in a copy of what they need.

use std::{fs, path::Path};

use crate::experiment::{secn, stdout};

/// Copies the files below `from` to `to`.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_readmes_commands_print_what_it_shows() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["configs", "data/criteo-sample"] {
        // trycmd runs a file's commands in the folder of its name that ends with `.in`
        copy(&project.join(name), &folder.path().join("README.in").join(name));
    }
    fs::copy(project.join("README.md"), folder.path().join("README.md")).unwrap();
    trycmd::TestCases::new()
        .register_bin("secn", Path::new(env!("CARGO_BIN_EXE_secn")))
        .case(folder.path().join("README.md"))
        .run();
}

#[test]
fn the_readme_lists_every_model_and_format() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for command in ["models", "formats"] {
        let list = stdout(&mut secn(&[command]));
        let names: Vec<&str> = list.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        assert!(names.len() >= 3, "{list}");
        for name in names {
            assert!(readme.contains(&format!("| `{name}` |")), "README.md has no row for `{name}`");
        }
    }
}
