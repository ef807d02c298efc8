//! Hostile content for every parser of the list in `fuzz/parsers.rs`: some hundred mutations of its seeds, the same in
//! every run. Each must give `Ok` or an error. `fuzz/README.md` says how to run millions, guided by coverage.

#[path = "../../fuzz/parsers.rs"]
mod parsers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use parsers::{PARSERS, Parser};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::hostile::watch;

/// Mutations per parser.
const INPUTS: u64 = 1000;

/// Set where the test runs in a process of its own.
const CHILD: &str = "SGAS_TEST_FUZZ_CHILD";

/// Numbers that lie where a size belongs.
const LIES: [u64; 8] = [0, 1, 0xFF, 0x7FFF, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, u64::MAX, 1 << 40];

/// Words that lie where a number belongs.
const WORDS: [&str; 8] = ["-1", "18446744073709551616", "1e400", "nan", "99999999", "0", "\"", "\n"];

fn seeds(parser: &Parser) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(parser.name);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has no seeds", parser.name);
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// One to four changes: bits, bytes, words and sizes that lie, parts cut out, doubled or taken from another seed, the
/// end cut off.
fn mutate(seeds: &[Vec<u8>], generator: &mut ChaCha8Rng) -> Vec<u8> {
    let mut content = seeds[generator.random_range(0..seeds.len())].clone();
    for _ in 0..generator.random_range(1..5) {
        if content.is_empty() {
            break;
        }
        let at = generator.random_range(0..content.len());
        let end = generator.random_range(at..=content.len().min(at + 64));
        match generator.random_range(0..8) {
            0 => content[at] ^= 1 << generator.random_range(0..8),
            1 => content[at] = generator.random(),
            2 => content.truncate(at),
            3 => drop(content.drain(at..end)),
            4 => drop(content.splice(at..at, content[at..end].to_vec())),
            5 => {
                let other = &seeds[generator.random_range(0..seeds.len())];
                let from = generator.random_range(0..=other.len());
                content.splice(at..end, other[from..other.len().min(from + 64)].iter().copied());
            }
            6 => {
                let lie = LIES[generator.random_range(0..LIES.len())].to_le_bytes();
                let width = 1 << generator.random_range(0..4);
                content.splice(at..content.len().min(at + width), lie[..width].iter().copied());
            }
            _ => drop(content.splice(at..end.min(at + 2), WORDS[generator.random_range(0..WORDS.len())].bytes())),
        }
    }
    content
}

/// In a process of its own, whose memory and time are watched.
#[test]
fn hostile_content_gives_errors_and_nothing_worse() {
    if std::env::var_os(CHILD).is_some() {
        return read_mutations();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "fuzz::hostile_content_gives_errors_and_nothing_worse", "--nocapture"]).env(CHILD, "1");
    let (code, text) = watch(command, folder.path());
    assert!(code == 0 && text.contains("1 passed"), "{text}");
}

fn read_mutations() {
    let mut problems = Vec::new();
    for parser in &PARSERS {
        let seeds = seeds(parser);
        // Mutations of what is refused at once would show little.
        let refused = seeds.iter().filter_map(|seed| (parser.read)(seed).err()).collect::<Vec<_>>();
        assert!(refused.len() < seeds.len(), "{} refuses all its seeds: {refused:?}", parser.name);
        let mut generator = ChaCha8Rng::seed_from_u64(16);
        for input in 0..INPUTS {
            let content = mutate(&seeds, &mut generator);
            if catch_unwind(AssertUnwindSafe(|| drop((parser.read)(&content)))).is_err() {
                problems.push(format!("{} panics on mutation {input}: {}", parser.name, content.escape_ascii()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_parser_is_a_fuzz_target() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let targets = manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let targets: Vec<&str> = targets.filter(|name| *name != "sgas-fuzz").collect();
    assert_eq!(targets, PARSERS.iter().map(|parser| parser.name).collect::<Vec<_>>());
}
