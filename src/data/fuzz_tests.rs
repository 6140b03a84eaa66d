//! Replays what the fuzzer kept in `tests/corpus`, and the same inputs with damage; the reader must hold what `fuzz.rs` asks.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use rand::RngExt;

use super::fuzz::{check_reader, readers};
use crate::seed::Seed;

/// Far beyond what any input of a few KiB takes, on a machine that does other things beside.
const TIME_LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn corpus(reader: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(reader);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// Pieces that mean something to one of the formats.
const PIECES: [&[u8]; 40] = [
    b"NaN",
    b"1e400",
    b"-0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xEF\xBB\xBF",
    b"@data",
    b"@attribute",
    b"@end",
    b"relational",
    b"{",
    b"}",
    b"?",
    b"\"",
    b"\"\"",
    b"'",
    b"\\",
    b",",
    b"\t",
    b":",
    b"%",
    b"\x1E",
    b"\x1F",
    b"Numerical",
    b"Multi-value",
    b"is_sparse = 1",
    b"label",
    b"click",
    b"-1",
    b":1",
    b"18446744073709551616",
    b"PAR1",
    b"\x1F\x8B",
    b"\x28\xB5\x2F\xFD",
    b"[data]",
    b"true",
    b"14102100",
    b"\xFF\xFE",
];

/// Changes an input in one to four places; `other` is what it may be spliced with.
fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut impl RngExt) {
    for _ in 0..random.random_range(1..5) {
        let position = random.random_range(0..=bytes.len());
        let end = (position + random.random_range(1..9)).min(bytes.len());
        match random.random_range(0..7) {
            0 if position < bytes.len() => bytes[position] ^= 1 << random.random_range(0..8),
            1 => bytes.insert(position, random.random()),
            2 => drop(bytes.drain(position..end)),
            3 => {
                let copied = bytes[position..end].to_vec();
                let target = random.random_range(0..=bytes.len());
                bytes.splice(target..target, copied);
            }
            4 => bytes.truncate(position),
            5 if !other.is_empty() => {
                bytes.truncate(position);
                bytes.extend_from_slice(&other[random.random_range(0..other.len())..]);
            }
            _ => drop(bytes.splice(position..position, PIECES[random.random_range(0..PIECES.len())].iter().copied())),
        }
    }
    bytes.truncate(4096);
}

/// Damages the corpus of `reader` until `limit` is over and gives the number of inputs tried. An input that breaks what
/// `check` asks is shown.
pub(crate) fn try_damaged(reader: &str, limit: Duration, check: impl Fn(&[u8]) + std::panic::RefUnwindSafe) -> u64 {
    let corpus = corpus(reader);
    let mut random = Seed(1).stream(reader, &[]);
    let (start, mut tried) = (Instant::now(), 0);
    while start.elapsed() < limit {
        let mut bytes = corpus[random.random_range(0..corpus.len())].1.clone();
        damage(&mut bytes, &corpus[random.random_range(0..corpus.len())].1, &mut random);
        let began = Instant::now();
        let outcome = std::panic::catch_unwind(|| check(&bytes));
        let shown = || bytes.escape_ascii().to_string();
        assert!(outcome.is_ok() && began.elapsed() < TIME_LIMIT, "{reader}, after {tried} inputs: b\"{}\"", shown());
        tried += 1;
    }
    tried
}

#[test]
fn what_the_fuzzer_kept_is_read_or_refused_however_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    for reader in readers() {
        let corpus = corpus(reader);
        let mut outcomes = std::collections::BTreeSet::new();
        for (path, bytes) in &corpus {
            let began = Instant::now();
            outcomes.insert(check_reader(reader, folder.path(), bytes));
            assert!(began.elapsed() < TIME_LIMIT, "{}: {:?}", path.display(), began.elapsed());
        }
        // a corpus of one outcome would show nothing
        assert!(outcomes.len() > 5, "{reader}: {} inputs end in {outcomes:?}", corpus.len());
    }
}

/// `SECN_FUZZ_SECONDS` (default 60) in all; `cargo test --release -- --ignored damaged_rows`.
#[test]
#[ignore = "takes a minute or as long as it is given"]
fn damaged_rows_are_read_or_refused_however_they_are_cut() {
    let seconds: u32 = std::env::var("SECN_FUZZ_SECONDS").map_or(60, |seconds| seconds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let share = Duration::from_secs(seconds.into()) / u32::try_from(readers().count()).unwrap();
    for reader in readers() {
        let tried = try_damaged(reader, share, |bytes| drop(check_reader(reader, folder.path(), bytes)));
        println!("{reader}: {tried} inputs in {share:?}");
    }
}
