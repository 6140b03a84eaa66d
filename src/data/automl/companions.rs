//! Which files belong together: the names of a ChaLearn set's parts and of what stands beside them.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::DataError;

/// Endings of packed files, each of which may stand behind any name.
const PACKED: [&str; 3] = ["", ".gz", ".zst"];

/// A file of rows by its name: `NAME_train.data`, or one of the numbered parts `NAME_train3.data` and `NAME_train.data.3`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    folder: PathBuf,
    /// `NAME_train`.
    stem: String,
    number: Option<u64>,
    /// Whether the number stands behind `.data`.
    is_behind: bool,
}

impl Part {
    /// `None` where the name isn't that of a file of rows.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let name = PACKED[1..].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        if let Some((front, digits)) = name.rsplit_once('.')
            && let (Some(stem), Some(number)) = (front.strip_suffix(".data"), part_number(digits))
        {
            return Some(Self { folder, stem: stem.to_owned(), number: Some(number), is_behind: true });
        }
        let stem = name.strip_suffix(".data")?;
        let front = stem.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let number = part_number(&stem[front.len()..]).filter(|_| set_name(front).is_some());
        let stem = if number.is_some() { front } else { stem };
        Some(Self { folder, stem: stem.to_owned(), number, is_behind: false })
    }

    /// `NAME`.
    fn set(&self) -> &str {
        set_name(&self.stem).unwrap_or(&self.stem)
    }

    /// The file of this name in the same folder, plain or packed.
    fn beside(&self, name: &str) -> Option<PathBuf> {
        let paths = PACKED.iter().map(|ending| self.folder.join(format!("{name}{ending}")));
        paths.into_iter().find(|path| path.is_file())
    }

    fn own_solution(&self) -> Option<PathBuf> {
        let stem = &self.stem;
        self.beside(&match self.number {
            Some(number) if self.is_behind => format!("{stem}.solution.{number}"),
            Some(number) => format!("{stem}{number}.solution"),
            None => format!("{stem}.solution"),
        })
    }

    /// All parts that are numbered in the same way, by their numbers.
    fn parts(&self) -> Vec<(u64, PathBuf)> {
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let names = entries.filter_map(|entry| Some(self.folder.join(entry.ok()?.file_name())));
        let numbered = names.filter_map(|path| {
            let part = Self::of(&path)?;
            let is_one = part.stem == self.stem && part.is_behind == self.is_behind && path.is_file();
            is_one.then_some((part.number?, path))
        });
        let mut parts: Vec<_> = numbered.collect();
        // of a plain and a packed file of one number the plain one, whose name is the shorter one
        parts.sort_by_key(|(number, path)| (*number, path.as_os_str().len()));
        parts.dedup_by_key(|(number, _)| *number);
        parts
    }
}

fn part_number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// What stands before `_train`, `_valid` or `_test`.
fn set_name(stem: &str) -> Option<&str> {
    ["_train", "_valid", "_test"].iter().find_map(|ending| stem.strip_suffix(ending))
}

/// The parts of the file `path`, in the order of their numbers, where there are parts instead of it.
///
/// # Errors
/// For a number that is missing among them.
pub(in crate::data) fn parts(path: &Path) -> Result<Option<Vec<PathBuf>>, DataError> {
    let Some(whole) = Part::of(path).filter(|part| part.number.is_none()) else { return Ok(None) };
    for is_behind in [false, true] {
        let parts = Part { is_behind, ..whole.clone() }.parts();
        if !parts.is_empty() {
            check_numbers(path, &parts)?;
            return Ok(Some(parts.into_iter().map(|(_, path)| path).collect()));
        }
    }
    Ok(None)
}

fn check_numbers(path: &Path, parts: &[(u64, PathBuf)]) -> Result<(), DataError> {
    // parts are counted from 1, or from 0
    let first = parts.first().map_or(1, |(number, _)| (*number).min(1));
    match (first..).zip(parts).find(|(expected, (found, _))| expected != found) {
        None => Ok(()),
        Some((expected, (found, _))) => {
            Err(DataError::PartMissing { path: path.to_string_lossy().into_owned(), expected, found: *found })
        }
    }
}

/// The files that tell about a file of rows.
#[derive(Debug, Default)]
pub(super) struct Companions {
    pub(super) info: Option<PathBuf>,
    pub(super) feature_types: Option<PathBuf>,
    pub(super) feature_names: Option<PathBuf>,
    pub(super) label_names: Option<PathBuf>,
    pub(super) solution: Option<SolutionFile>,
}

/// The file of a part's labels.
#[derive(Debug)]
pub(super) struct SolutionFile {
    pub(super) path: PathBuf,
    /// The parts whose labels stand before this part's, where one file has the labels of all parts.
    pub(super) earlier: Vec<PathBuf>,
    /// Whether this part's labels are the file's last ones.
    pub(super) is_last: bool,
}

impl Companions {
    /// What there is beside `path`.
    ///
    /// # Errors
    /// For a missing part, where one solution has the labels of all parts.
    pub(super) fn of(path: &Path) -> Result<Self, DataError> {
        let Some(part) = Part::of(path) else { return Ok(Self::default()) };
        let set = part.set();
        let beside = |ending: &str| part.beside(&format!("{set}{ending}"));
        Ok(Self {
            info: beside("_public.info").or_else(|| beside(".info")),
            feature_types: beside("_feat.type"),
            feature_names: beside("_feat.name"),
            label_names: beside("_label.name"),
            solution: solution(path, &part)?,
        })
    }
}

fn solution(path: &Path, part: &Part) -> Result<Option<SolutionFile>, DataError> {
    if let Some(path) = part.own_solution() {
        return Ok(Some(SolutionFile { path, earlier: Vec::new(), is_last: true }));
    }
    let (Some(number), Some(solution)) = (part.number, part.beside(&format!("{}.solution", part.stem))) else {
        return Ok(None);
    };
    let mut parts = part.parts();
    check_numbers(path, &parts)?;
    let is_last = parts.last().is_none_or(|(last, _)| *last == number);
    parts.retain(|(other, _)| *other < number);
    let earlier = parts.into_iter().map(|(_, path)| path).collect();
    Ok(Some(SolutionFile { path: solution, earlier, is_last }))
}

/// All files beside `path` that its rows follow from.
pub(in crate::data) fn companions(path: &Path) -> Vec<PathBuf> {
    // what is wrong with the parts is said when the rows are read
    let found = Companions::of(path).unwrap_or_default();
    let described = [found.info, found.feature_types, found.feature_names, found.label_names];
    let mut all: Vec<PathBuf> = described.into_iter().flatten().collect();
    if let Some(SolutionFile { path, earlier, .. }) = found.solution {
        all.push(path);
        all.extend(earlier);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(path: &str) -> Option<(String, String, Option<u64>)> {
        Part::of(Path::new(path)).map(|part| (part.set().to_owned(), part.stem.clone(), part.number))
    }

    #[test]
    fn a_name_tells_set_and_part() {
        let found = |set: &str, stem: &str, number| Some((set.to_owned(), stem.to_owned(), number));
        assert_eq!(part("a/ada_train.data"), found("ada", "ada_train", None));
        assert_eq!(part("ada_train12.data.gz"), found("ada", "ada_train", Some(12)));
        assert_eq!(part("ada_test.data.3"), found("ada", "ada_test", Some(3)));
        assert_eq!(part("ada_test.data.3.zst"), found("ada", "ada_test", Some(3)));
        assert_eq!(part("31_bac_valid.data"), found("31_bac", "31_bac_valid", None));
        assert_eq!(part("set2.data"), found("set2", "set2", None));
        assert_eq!(part("ada_train.csv"), None);
        assert_eq!(part("ada_train.data.old"), None);
    }

    #[test]
    fn companions_stand_beside_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a_public.info", "a_feat.type.gz", "a_train.solution", "a_test1.solution", "a_test.solution.2"] {
            fs::write(path(name), "").unwrap();
        }
        let names = |data: &str| companions(&path(data));
        let described = [path("a_public.info"), path("a_feat.type.gz")];
        assert_eq!(names("a_train.data.gz"), [&described[..], &[path("a_train.solution")]].concat());
        assert_eq!(names("a_test1.data"), [&described[..], &[path("a_test1.solution")]].concat());
        assert_eq!(names("a_test.data.2"), [&described[..], &[path("a_test.solution.2")]].concat());
        assert_eq!(names("a_valid.data"), described);
        assert!(names("b_train.data").is_empty() && names("rows.csv").is_empty());
    }

    #[test]
    fn one_solution_may_have_the_labels_of_all_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a_train.data.1", "a_train.data.2.gz", "a_train.data.10", "a_train.solution"] {
            fs::write(path(name), "").unwrap();
        }
        let error = Companions::of(&path("a_train.data.2.gz")).unwrap_err().to_string();
        assert!(error.ends_with("expected the part 3, found the part 10 in its place"), "{error}");
        fs::rename(path("a_train.data.10"), path("a_train.data.3")).unwrap();
        let solution = Companions::of(&path("a_train.data.2.gz")).unwrap().solution.unwrap();
        assert_eq!((solution.path, solution.earlier), (path("a_train.solution"), vec![path("a_train.data.1")]));
        assert!(!solution.is_last);
        assert!(Companions::of(&path("a_train.data.3")).unwrap().solution.unwrap().is_last);
    }

    #[test]
    fn a_file_in_parts_goes_by_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for number in (1..=10).rev() {
            fs::write(path(&format!("a_train{number}.data")), "").unwrap();
        }
        fs::write(path("a_train2.data.gz"), "").unwrap();
        let expected: Vec<_> = (1..=10).map(|number| path(&format!("a_train{number}.data"))).collect();
        assert_eq!(parts(&path("a_train.data")).unwrap().unwrap(), expected);
        assert_eq!(parts(&path("a_test.data")).unwrap(), None);
        assert_eq!(parts(&path("a_train3.data")).unwrap(), None);
        fs::remove_file(path("a_train1.data")).unwrap();
        assert!(matches!(parts(&path("a_train.data")), Err(DataError::PartMissing { expected: 1, found: 2, .. })));
    }
}
