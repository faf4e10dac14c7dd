//! The corpora of the fuzz targets, replayed; and each seed in many mutations, the same every time.

#[path = "../fuzz/entries.rs"]
mod entries;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::{Duration, Instant},
};

use entries::ENTRIES;

/// Mutations of all seeds of a target.
const MUTATIONS: usize = 2500;
/// They end when this is over, whatever the machine.
const WITHIN: Duration = Duration::from_secs(10);
/// Bytes of an input at most.
const LONGEST: usize = 4096;

/// Pieces that mean something to some reader.
const TOKENS: [&[u8]; 22] = [
    b"null",
    b"{}",
    b"[]",
    b"-1",
    b"1e9",
    b"9223372036854775808",
    b"\"\"",
    b"\"$patch\":\"delete\",",
    b"\"$retainKeys\":[],",
    b"\"$setElementOrder/containers\":[],",
    b"k8s\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"~1",
    b"/-",
    b"in (a)",
    b"!=",
    b",",
    b"Ki",
    b"e-9",
    b"\"f:a\":{},",
    b"\xc3",
    b"\0",
];

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{target} has no corpus");
    seeds
}

/// Numbers that look random and are the same every time (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % below.max(1)
    }
}

/// Changes an input in a few places.
fn mutate(dice: &mut Dice, seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut data = seeds[dice.roll(seeds.len())].1.clone();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(data.len() + 1);
        match dice.roll(7) {
            0 => data.truncate(at),
            1 => data.splice(at..at, TOKENS[dice.roll(TOKENS.len())].iter().copied()).for_each(drop),
            2 => {
                let end = at + dice.roll(data.len() - at + 1);
                data.drain(at..end).for_each(drop);
            }
            3 => {
                // Part of another seed, or of the same.
                let other = &seeds[dice.roll(seeds.len())].1;
                let from = dice.roll(other.len() + 1);
                let piece = other[from..from + dice.roll(other.len() - from + 1)].to_vec();
                data.splice(at..at, piece).for_each(drop);
            }
            kind if at < data.len() => match kind {
                4 => data[at] ^= 1 << dice.roll(8),
                5 => data[at] = dice.roll(256) as u8,
                _ => data[at] = data[at].wrapping_add(1),
            },
            _ => {}
        }
    }
    data.truncate(LONGEST);
    data
}

/// Runs one input, and says which one it was when it breaks.
fn run(target: &str, entry: fn(&[u8]), name: &str, data: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| entry(data)));
    assert!(outcome.is_ok(), "{target}, {name}: {}", data.escape_ascii());
}

#[test]
fn every_input_of_the_corpora_is_taken() {
    for (target, entry) in ENTRIES {
        for (name, data) in corpus(target) {
            run(target, entry, &name, &data);
        }
    }
}

#[test]
fn mutations_of_the_corpora_are_taken() {
    for (at, (target, entry)) in ENTRIES.into_iter().enumerate() {
        let (seeds, mut dice, since) = (corpus(target), Dice(0x9e37_79b9_7f4a_7c15 + at as u64), Instant::now());
        let many = std::env::var("NODEPLANE_MUTATIONS").ok().and_then(|many| many.parse().ok());
        let within = if many.is_some() { Duration::from_secs(3600) } else { WITHIN / ENTRIES.len() as u32 };
        for _ in 0..many.unwrap_or(MUTATIONS) {
            if since.elapsed() > within {
                break;
            }
            run(target, entry, "a mutation", &mutate(&mut dice, &seeds));
        }
    }
}

/// A seed that no reader understands proves nothing.
#[test]
fn seeds_are_understood() {
    for (name, data) in corpus("protobuf").iter().filter(|(name, _)| !name.starts_with("bad-")) {
        let object = nodeplane_api::protobuf::decode(data, ("v1", "Pod"));
        assert!(object.is_ok(), "{name}: {object:?}");
    }
    for (name, data) in corpus("objects").iter().filter(|(name, _)| !name.starts_with("bad-")) {
        let value: serde_json::Value = serde_json::from_slice(data).unwrap();
        let text = |field: &str| value[field].as_str().unwrap_or_default();
        let kind = nodeplane_api::kinds::by_api_version(text("apiVersion"), text("kind"));
        let decoded = (kind.unwrap_or_else(|| panic!("{name}: no kind")).shape.decode)(value.clone());
        assert!(decoded.is_ok_and(|decoded| decoded.unknown.is_empty()), "{name}");
    }
}
