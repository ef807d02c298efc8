//! Runs that are killed and go on: to the bit what the uncut run gives.

use super::images::smoke;
use super::{assert_equal_runs, epochs, failure, output, results, search, train};
use crate::cli::sgas;
use assert_cmd::Command;
use sgas::report::Event;
use sgas::report::log::events;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Epochs in the event log of a run that another process writes.
fn epochs_told(run: &Path) -> usize {
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    text.matches(r#"{"event":"epoch""#).count()
}

/// Starts the command and kills it once its run has told `count` epochs: wherever it then stands.
fn kill_after(command: &Command, run: &Path, count: usize) {
    let mut process = std::process::Command::new(command.get_program());
    process.args(command.get_args()).current_dir(command.get_current_dir().unwrap());
    process.env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0").env_remove("SGAS_DATA").env_remove("SGAS_RUNS");
    let mut child = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while epochs_told(run) < count && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "the run ended before it was killed");
    assert!(epochs_told(run) >= count);
}

fn go_on(folder: &Path, command: &str, run: &str) {
    output(sgas(folder).args([command, "--out", run, "--resume", "--threads", "1", "--device", "cpu"]));
}

#[test]
fn a_killed_search_goes_on_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "--criterion 2 --set decision.warmup=1 --set decision.interval=2";
    output(&mut search(folder.path(), &format!("{settings} --out whole")));
    // Before and after the first decision, and between two.
    for count in [1, 3, 6] {
        let (name, run) = (format!("cut{count}"), folder.path().join(format!("cut{count}")));
        kill_after(&search(folder.path(), &format!("{settings} --out {name}")), &run, count);
        go_on(folder.path(), "search", &name);
        assert_equal_runs(&folder.path().join("whole"), &run);
        let begun = events(&run).unwrap().iter().filter(|event| matches!(event, Event::Started { .. })).count();
        assert!((1..=2).contains(&begun), "begun {begun} times");
    }
}

/// Both kinds of cell are decided, and drop path draws per picture.
#[test]
fn killed_runs_on_pictures_go_on_to_the_bit() {
    killed_runs_go_on_to_the_bit("images");
}

/// Drop path draws per node.
#[test]
fn killed_runs_on_graphs_go_on_to_the_bit() {
    killed_runs_go_on_to_the_bit("graphs");
}

fn killed_runs_go_on_to_the_bit(task: &str) {
    let folder = tempfile::tempdir().unwrap();
    output(&mut smoke(folder.path(), "search", task, "--out found"));
    let settings = "--genotype found --set train.drop_path=0.4 --set train.epochs=6";
    output(&mut smoke(folder.path(), "train", task, &format!("{settings} --out trained")));
    for (command, whole, more) in [("search", "found", ""), ("train", "trained", settings)] {
        let (name, run) = (format!("cut-{command}"), folder.path().join(format!("cut-{command}")));
        kill_after(&smoke(folder.path(), command, task, &format!("{more} --out {name}")), &run, 2);
        go_on(folder.path(), command, &name);
        assert_equal_runs(&folder.path().join(whole), &run);
    }
}

#[test]
fn a_killed_training_goes_on_to_the_bit() {
    let variants =
        ["--set train.drop_path=0.4", "--set weights.optimizer=adam --set weights.learning_rate=0.01 --amp bf16"];
    for variant in variants {
        let folder = tempfile::tempdir().unwrap();
        let settings = format!("{variant} --set train.epochs=9 --set data.validation=0.25");
        output(&mut train(folder.path(), &format!("{settings} --out whole")));
        for count in [1, 3] {
            let (name, run) = (format!("cut{count}"), folder.path().join(format!("cut{count}")));
            kill_after(&train(folder.path(), &format!("{settings} --out {name}")), &run, count);
            go_on(folder.path(), "train", &name);
            assert_equal_runs(&folder.path().join("whole"), &run);
        }
    }
}

/// Most blocks draw their neighbours, and half precision keeps its master weights.
#[test]
fn a_killed_training_on_labelled_clouds_goes_on_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "--model resgcn --set resgcn.stochastic=0.8 --set train.epochs=8 --amp bf16";
    output(&mut smoke(folder.path(), "train", "s3dis", &format!("{settings} --out whole")));
    kill_after(
        &smoke(folder.path(), "train", "s3dis", &format!("{settings} --out cut")),
        &folder.path().join("cut"),
        3,
    );
    go_on(folder.path(), "train", "cut");
    assert_equal_runs(&folder.path().join("whole"), &folder.path().join("cut"));
}

#[test]
fn a_log_begins_before_its_run_folder() {
    let folder = tempfile::tempdir().unwrap();
    let log = || std::fs::read_to_string(folder.path().join("run/log.txt")).unwrap();
    output(&mut train(folder.path(), "--out run --amp --set train.epochs=1"));
    let first = log();
    assert!(first.lines().next().unwrap().contains("--amp: bf16"), "{first}");
    let resumed = ["train", "--out", "run", "--resume", "--amp", "--set", "train.epochs=2", "--device", "cpu"];
    output(sgas(folder.path()).args(resumed));
    let second = log();
    // The cut comes first, and takes nothing of what the resumed process had told by then.
    let lines: Vec<&str> = second.lines().filter(|line| line.contains("--amp: bf16")).collect();
    assert_eq!(lines.len(), 2, "{second}");
    let epochs = |text: &str| text.matches("epoch ").count();
    assert!(epochs(second.split_once(lines[1]).unwrap().0) >= 1, "{second}");
    assert_eq!(second.lines().next(), first.lines().next());
}

#[test]
fn a_search_that_failed_goes_on_with_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        failure(&mut search(folder.path(), "--out run --set weights.learning_rate=1e30 --set weights.clip=0"), 1);
    assert!(text.contains("--resume"), "{text}");
    let resumed = ["search", "--out", "run", "--resume", "--set", "weights.learning_rate=0.005"];
    output(sgas(folder.path()).args(resumed).args(["--set", "weights.clip=5", "--device", "cpu"]));
    output(&mut search(folder.path(), "--out fresh"));
    let (run, fresh) = (folder.path().join("run"), folder.path().join("fresh"));
    assert_eq!(results(&run)["genotype.json"], results(&fresh)["genotype.json"]);
    assert_eq!(epochs(&run).len(), epochs(&fresh).len());
}

#[test]
fn a_refused_resume_leaves_the_run_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    output(&mut search(folder.path(), "--out search --set search.epochs=2"));
    output(&mut train(folder.path(), "--out train --set train.epochs=1"));
    for command in ["search", "train"] {
        let run = folder.path().join(command);
        let logs = || ["events.jsonl", "metrics.csv", "log.txt"].map(|name| std::fs::read(run.join(name)).unwrap());
        let before = (results(&run), logs());
        let other_size = ["--out", command, "--resume", "--set", "model.channels=8"];
        let text = failure(sgas(folder.path()).arg(command).args(other_size), 2);
        assert!(text.contains("state.safetensors: stem.0.body.0.weight: expected shape [24, 3, 1, 1]"), "{text}");
        let other = if command == "search" { "train" } else { "search" };
        let text = failure(sgas(folder.path()).args([other, "--out", command, "--resume"]), 2);
        assert!(text.contains(&format!("{command} is a run of `sgas {command}`, not of `sgas {other}`")), "{text}");
        assert!((results(&run), logs()) == before, "{command}: the refused run changed");
    }
    let text = failure(sgas(folder.path()).args(["train", "--out", "nothing", "--resume"]), 2);
    assert!(text.contains("nothing holds no run to resume"), "{text}");
}
