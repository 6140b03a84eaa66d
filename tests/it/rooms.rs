//! Who imports whom: the table of STYLE.md, checked against every `crate::` path outside of tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const LEAVES: [&str; 4] = ["schema", "seed", "ranges", "vectorized"];

/// What each room may import beside itself and the leaves; `cli` may import everything.
const ROOMS: [(&str, &[&str]); 16] = [
    ("allocator", &[]),
    ("schema", &[]),
    ("seed", &[]),
    ("ranges", &[]),
    ("vectorized", &[]),
    ("device", &[]),
    ("data", &[]),
    ("features", &["data"]),
    ("embedding", &["features", "device"]),
    ("layers", &["device"]),
    ("models", &["layers", "embedding"]),
    ("metrics", &[]),
    ("training", &["features", "embedding", "models", "metrics", "device"]),
    ("report", &["metrics"]),
    ("config", &["data", "features", "embedding", "models", "training"]),
    (
        "cli",
        &["config", "data", "features", "embedding", "models", "training", "metrics", "report", "device", "layers"],
    ),
];

/// The rooms that alone may name a crate.
const CRATES: [(&str, &[&str]); 4] = [
    ("clap", &["cli"]),
    ("plotters", &["report"]),
    ("parquet", &["cli", "data"]),
    ("burn", &["embedding", "layers", "models", "training", "device", "cli"]),
];

#[test]
fn every_room_stands_in_the_table() {
    let known: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let found: BTreeSet<String> = sources().iter().map(|path| room(path)).collect();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for path in sources() {
        let room = room(&path);
        let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == room).unwrap();
        let is_leaf = LEAVES.contains(&room.as_str());
        for import in imports(&without_tests(&fs::read_to_string(&path).unwrap())) {
            let of_a_leaf = LEAVES.contains(&import.as_str()) && !is_leaf;
            if import != room && !of_a_leaf && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{}: `{room}` may not import `{import}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for path in sources() {
        let text = without_tests(&fs::read_to_string(&path).unwrap());
        for (name, rooms) in CRATES {
            if names_crate(&text, name) && !rooms.contains(&room(&path).as_str()) {
                wrong.push(format!("{}: `{name}` stays in {rooms:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_are_found_in_groups_and_in_paths() {
    let text = "use crate::{\n    data::{Row, Input},\n    seed::Seed,\n};\npub use crate::layers::mlp;\nfn f(a: crate::device::D) {}";
    let expected = ["data", "device", "layers", "seed"].map(ToOwned::to_owned);
    assert_eq!(imports(text), BTreeSet::from(expected));
}

#[test]
fn tests_and_comments_are_left_out() {
    let text =
        "use crate::seed; // crate::data\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\nuse crate::ranges;\n";
    assert_eq!(imports(&without_tests(text)), BTreeSet::from(["ranges", "seed"].map(ToOwned::to_owned)));
}

/// All source files of rooms, files of unit tests left out.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(&source_folder(), &mut files);
    files.retain(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !["lib.rs", "main.rs", "tests.rs"].contains(&name)
    });
    files.sort();
    files
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// `src/features/cache.rs` and `src/features.rs` are both of the room `features`.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(source_folder()).unwrap();
    inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The source without comments and without items behind `#[cfg(test)]`; it relies on rustfmt's indentation.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            let first = lines.by_ref().find(|line| !line.trim().starts_with('#')).unwrap_or_default();
            if !first.trim_end().ends_with([';', '}']) {
                lines.by_ref().find(|line| *line == end);
            }
            continue;
        }
        kept.push_str(line.split("//").next().unwrap_or_default());
        kept.push('\n');
    }
    kept
}

/// The first names behind every `crate::`, those of a group one by one.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (start, _) in text.match_indices("crate::") {
        if text[..start].ends_with(is_word) || text[..start].ends_with('$') {
            continue;
        }
        let rest = &text[start + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_names(group)),
            None => found.extend([first_word(rest)]),
        }
    }
    found
}

/// The first name of each part of `a::{b, c}, d::e}`.
fn group_names(group: &str) -> Vec<String> {
    let (mut depth, mut expects_name, mut names) = (0, true, Vec::new());
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expects_name = true,
            _ if expects_name && is_word(character) => {
                names.push(first_word(&group[position..]));
                expects_name = false;
            }
            _ => {}
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|character| is_word(*character)).collect()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether `name::`, `use name;` or a crate of its family, such as `clap_complete`, is named.
fn names_crate(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(start, _)| {
        let before = &text[..start];
        let family: String = text[start + name.len()..].chars().take_while(|character| is_word(*character)).collect();
        let after = &text[start + name.len() + family.len()..];
        let is_name = !before.ends_with(is_word) && (family.is_empty() || family.starts_with('_'));
        is_name && !before.ends_with(['.', '"']) && (after.starts_with("::") || before.ends_with("use "))
    })
}
