//! Runs that are killed at random moments and at random system calls, and disks that fail at every call of a
//! checkpoint: what goes on comes to what the unbroken run gives, to the bit.
//!
//! `make test` does a few of them; `make kill-test` many, and writes what came out to `benches/results/kills.md`.

use super::faults::{CALLS, Fault, count, inject};
use super::images::smoke;
use super::{assert_equal_runs, output, search, train};
use assert_cmd::Command;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How many kills there are in all; a few where it is not set.
const KILLS: &str = "SGAS_TEST_KILLS";
/// Where the report goes; nowhere where it is not set.
const REPORT: &str = "SGAS_TEST_KILLS_REPORT";
/// Decides where kills fall.
const SEED: u64 = 20_261_126;

/// A run that is short, and keeps its state within epochs.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    command: fn(&Path, &str) -> Command,
}

const CASES: [Case; 8] = [
    Case { name: "points search", command: |folder, more| search(folder, &format!("{PACE} --criterion 2 {more}")) },
    Case {
        name: "points train",
        command: |folder, more| {
            train(folder, &format!("{PACE} --set data.validation=0.25 --set train.epochs=6 {more}"))
        },
    },
    Case {
        name: "images search",
        command: |folder, more| smoke(folder, "search", "images", &format!("{PACE} {more}")),
    },
    Case {
        name: "images train",
        command: |folder, more| {
            smoke(
                folder,
                "train",
                "images",
                &format!("{PACE} --genotype Cri1_CIFAR_Best --set train.drop_path=0.4 {more}"),
            )
        },
    },
    Case {
        name: "graphs search",
        command: |folder, more| smoke(folder, "search", "graphs", &format!("{PACE} {more}")),
    },
    Case {
        name: "graphs train",
        command: |folder, more| {
            let settings = "--genotype Cri2_PPI_1 --set train.drop_path=0.4 --set train.epochs=6";
            smoke(folder, "train", "graphs", &format!("{PACE} {settings} {more}"))
        },
    },
    Case { name: "clouds search", command: |folder, more| smoke(folder, "search", "s3dis", &format!("{PACE} {more}")) },
    Case {
        name: "clouds train (ResGCN)",
        command: |folder, more| {
            let settings = "--model resgcn --set resgcn.stochastic=0.8 --amp bf16";
            smoke(folder, "train", "s3dis", &format!("{PACE} {settings} {more}"))
        },
    },
];

/// Every second step.
const PACE: &str = "--set checkpoint.steps=2";

/// Kills of a kind and what they hit.
#[derive(Default)]
struct Tally {
    kills: usize,
    runs: usize,
    /// Kills after the run had ended already.
    late: usize,
}

/// Starts the command, and kills it after `delay`; `Err` with its time where it ended before.
fn kill_after(command: &Command, delay: Duration) -> Result<(), Duration> {
    let mut process = std::process::Command::new(command.get_program());
    process.args(command.get_args()).current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => process.env(name, value),
            None => process.env_remove(name),
        };
    }
    let begun = Instant::now();
    let mut child = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while begun.elapsed() < delay && child.try_wait().unwrap().is_none() {
        std::thread::sleep(delay.saturating_sub(begun.elapsed()).min(Duration::from_millis(5)));
    }
    child.kill().unwrap();
    if child.wait().unwrap().code().is_none() { Ok(()) } else { Err(begun.elapsed()) }
}

/// Kills a run again and again, goes on each time by the same command, and compares what comes out in the end.
fn kill_and_compare(case: Case, kills: usize, by_calls: bool, random: &mut impl Rng) -> Tally {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    output(&mut (case.command)(folder.path(), "--out whole"));
    let mut whole = begun.elapsed();
    let calls = if by_calls { count(&mut (case.command)(folder.path(), "--out counted"), "counted", CALLS) } else { 0 };
    let mut tally = Tally::default();
    while tally.kills < kills {
        let name = format!("cut{}", tally.runs);
        tally.runs += 1;
        let mut is_first = true;
        // Mostly one kill a run, sometimes several.
        loop {
            let mut command = (case.command)(folder.path(), &format!("--out {name} --resume"));
            let was_killed = if by_calls {
                // A run that goes on has fewer calls left.
                inject(&mut command, &name, CALLS, random.random_range(1..=calls), Fault::Kill);
                let code = command.output().unwrap().status.code();
                assert!(code.is_none_or(|code| code == 0), "{}: exit code {code:?}", case.name);
                code.is_none()
            } else {
                let killed = kill_after(&command, whole.mul_f64(random.random_range(0.0..1.1)));
                // Other work may have made the unbroken run slow; one that goes on has less to do.
                whole = killed.err().filter(|_| is_first).map_or(whole, |ended| whole.min(ended));
                killed.is_ok()
            };
            is_first = false;
            tally.kills += usize::from(was_killed);
            tally.late += usize::from(!was_killed);
            if !was_killed || tally.kills >= kills || random.random_bool(0.6) {
                break;
            }
        }
        output(&mut (case.command)(folder.path(), &format!("--out {name} --resume")));
        assert_equal_runs(&folder.path().join("whole"), &folder.path().join(&name));
    }
    tally
}

#[test]
fn killed_runs_go_on_to_the_bit_wherever_they_are_killed() {
    let wanted: usize = std::env::var(KILLS).map_or(8, |text| text.parse().expect("a number of kills"));
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut rows = BTreeMap::new();
    for (number, case) in CASES.into_iter().enumerate() {
        // Few kills are dealt to the cases in turn, by the clock and by calls.
        let share = |kind: usize| (wanted + 2 * CASES.len() - 1 - (2 * number + kind)) / (2 * CASES.len());
        for (kind, by_calls) in [false, true].into_iter().enumerate() {
            let tally = kill_and_compare_some(case, share(kind), by_calls, &mut random);
            rows.insert((number, kind), tally);
        }
    }
    let total: usize = rows.values().map(|tally| tally.kills).sum();
    assert!(total >= wanted, "{total}");
    if let Ok(path) = std::env::var(REPORT) {
        std::fs::write(path, report(&rows)).unwrap();
    }
}

fn kill_and_compare_some(case: Case, kills: usize, by_calls: bool, random: &mut impl Rng) -> Tally {
    if kills == 0 { Tally::default() } else { kill_and_compare(case, kills, by_calls, random) }
}

fn report(rows: &BTreeMap<(usize, usize), Tally>) -> String {
    let mut text = format!(
        "# Runs that were killed\n\nCommand: `make kill-test` (seed {SEED}). Every run keeps its state after every second \
         step and at every epoch's end; each is killed (SIGKILL) once or several times, goes on by the same command with \
         `--resume`, and is compared with the unbroken run: genotype, weights, drawings, configuration byte for byte, \
         events and metrics without their times. A difference fails the test, so every row is of runs that came to the \
         same.\n\n| run | kills at random moments | of runs | kills at random system calls | of runs |\n|---|---|---|---|---|\n"
    );
    let mut sums = [0; 4];
    for (number, case) in CASES.iter().enumerate() {
        let [moments, calls] = [0, 1].map(|kind| &rows[&(number, kind)]);
        let numbers = [moments.kills, moments.runs, calls.kills, calls.runs];
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        let [a, b, c, d] = numbers;
        text += &format!("| {} | {a} | {b} | {c} | {d} |\n", case.name);
    }
    let [a, b, c, d] = sums;
    text + &format!("| all | {a} | {b} | {c} | {d} |\n")
}

/// Full disks, failed renames, failed syncs and short writes, at every call that makes a checkpoint.
#[test]
fn a_checkpoint_that_fails_leaves_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let command = |name: &str, more: &str| {
        train(folder.path(), &format!("--set train.epochs=3 --set checkpoint.steps=3 --out {name} {more}"))
    };
    output(&mut command("whole", ""));
    // The file while it is written, and the names that it takes.
    let in_checkpoint = |name: &str, calls: &str| match calls {
        "rename" => format!("{name}/checkpoint/state"),
        _ => format!("{name}/checkpoint/.sgas-partial"),
    };
    let faults = [
        ("write", Fault::Full),
        ("write", Fault::Short),
        ("write", Fault::Broken),
        ("rename", Fault::Broken),
        ("fsync", Fault::Broken),
    ];
    let mut failed = 0;
    for (number, (calls, fault)) in faults.into_iter().enumerate() {
        let counted = format!("counted{number}");
        let all = count(&mut command(&counted, ""), &in_checkpoint(&counted, calls), calls);
        assert!(all >= 3, "{calls}: {all}");
        // The long half: every call. Else one of the first checkpoint within an epoch, and the last one of all.
        let chosen: Vec<usize> =
            if std::env::var_os("SGAS_TEST_ALL").is_some() { (1..=all).collect() } else { vec![2 + number % 2, all] };
        for at in chosen {
            let name = format!("{calls}-{fault:?}-{at}");
            let mut faulty = command(&name, "");
            inject(&mut faulty, &in_checkpoint(&name, calls), calls, at, fault);
            let ended = faulty.output().unwrap();
            let text = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(1), "{name}: {text}");
            assert!(text.contains("error: cannot write "), "{name}: {text}");
            output(&mut command(&name, "--resume"));
            assert_equal_runs(&folder.path().join("whole"), &folder.path().join(&name));
            failed += 1;
        }
    }
    println!("{failed} checkpoints failed, and every run went on");
}
