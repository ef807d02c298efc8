//! Studies: what a plan asks for is done once, by one process or many, whatever becomes of them.

use super::{failure, output};
use crate::cli::{refused, run_json, sgas};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Searches of a second, each kept after every second step, and short trainings.
const PLAN: &str = r#"
title = "Two methods"
note = "On made graphs."
seeds = 3
[search]
config = "smoke/search-graphs"
data = "synthetic"
set = ["checkpoint.steps=2", "data.synthetic.train=12", "data.synthetic.test=10"]
[train]
config = "smoke/train-graphs"
data = "synthetic"
set = ["train.epochs=2", "data.synthetic.train=12", "data.synthetic.test=10"]
[[method]]
name = "SGAS"
search = { criterion = 1 }
[[method]]
name = "Random"
search = { strategy = "random", set = ["search.candidates.cells=1"] }
[[published]]
name = "SGAS on PPI"
score = 99.46
parameters = 23.18
search_days = 0.003
"#;

const UNITS: [&str; 6] = ["sgas/s1", "random/s1", "sgas/s2", "random/s2", "sgas/s3", "random/s3"];

fn begin(folder: &Path, out: &str) -> Child {
    let program = sgas(folder);
    let mut process = Command::new(program.get_program());
    process.args(["study", "plan.toml", "--out", out, "--threads", "1", "--device", "cpu", "-q"]);
    process.current_dir(folder).env("OMP_NUM_THREADS", "1").stdout(Stdio::null()).stderr(Stdio::null());
    process.spawn().unwrap()
}

/// The process of the run that a worker has begun.
fn run_of(worker: &Child) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", worker.id())).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn results(folder: &Path, out: &str) -> Value {
    run_json(folder, &format!("study {out} --results --json"))
}

/// Without times.
fn scores(results: &Value) -> Vec<(String, Value, Value, Value)> {
    let runs = results["runs"].as_array().unwrap();
    let told =
        |run: &Value| (run["state"].to_string(), run["method"].clone(), run["seed"].clone(), run["score"].clone());
    runs.iter().map(told).collect()
}

/// The lines of a unit's log that begin a run of this command.
fn begun(unit: &Path, command: &str) -> Vec<String> {
    let log = std::fs::read_to_string(unit.join("log.txt")).unwrap();
    let head = format!("$ sgas {command} ");
    log.lines().filter(|line| line.starts_with(&head)).map(str::to_owned).collect()
}

#[test]
fn eight_processes_that_are_killed_do_every_run_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("plan.toml"), PLAN).unwrap();
    output(sgas(folder).args(["study", "plan.toml", "--out", "whole", "--threads", "1", "--device", "cpu", "-q"]));
    let whole = results(folder, "whole");
    assert!(scores(&whole).iter().all(|(state, _, _, score)| state == "\"done\"" && score.is_f64()), "{whole:#}");

    let mut random = ChaCha8Rng::seed_from_u64(20_261_128);
    let mut workers: Vec<Child> = (0..8).map(|_| begin(folder, "cut")).collect();
    let patience = Instant::now();
    while !folder.join("cut/plan.toml").is_file() {
        assert!(patience.elapsed() < Duration::from_secs(60), "no worker begins");
        std::thread::sleep(Duration::from_millis(20));
    }
    // At least so many fall while they work.
    let mut hits = 0;
    while hits < 6 && scores(&results(folder, "cut")).iter().any(|(state, ..)| state == "\"open\"") {
        std::thread::sleep(Duration::from_millis(random.random_range(20..300)));
        let chosen = random.random_range(0..workers.len());
        let run = run_of(&workers[chosen]);
        let mut killed = std::mem::replace(&mut workers[chosen], begin(folder, "cut"));
        let _ = killed.kill();
        killed.wait().unwrap();
        hits += usize::from(run.is_some());
        // A machine that goes takes the run with it; a worker alone leaves it to its end.
        if let Some(run) = run.filter(|_| random.random_bool(0.6)) {
            let _ = Command::new("kill").args(["-KILL", &run.to_string()]).stderr(Stdio::null()).status();
        }
    }
    assert!(hits > 0, "no worker was killed at work");
    // Those that find nothing free end, though a killed one's run may go on: another takes it when that has ended.
    while scores(&results(folder, "cut")).iter().any(|(state, ..)| state == "\"open\"") {
        assert!(patience.elapsed() < Duration::from_secs(300), "{:#}", results(folder, "cut"));
        begin(folder, "cut").wait().unwrap();
    }
    for mut worker in workers {
        worker.wait().unwrap();
    }
    assert_eq!(scores(&results(folder, "cut")), scores(&whole));
    for unit in UNITS.map(|unit| folder.join("cut").join(unit)) {
        for command in ["search", "train"] {
            let events = std::fs::read_to_string(unit.join(command).join("events.jsonl")).unwrap();
            assert_eq!(events.matches("\"event\":\"finished\"").count(), 1, "{}: {command}", unit.display());
            // Whatever began anew after a first step went on from it.
            let begun = begun(&unit, command);
            let fresh = begun.iter().filter(|line| !line.contains("--resume")).count();
            let position = begun.iter().position(|line| line.contains("--resume")).unwrap_or(begun.len());
            assert_eq!(fresh, position, "{begun:?}");
        }
        assert!(!unit.join("failed.txt").exists());
    }
}

#[test]
fn a_study_leaves_tables_and_tells_what_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("plan.toml"), PLAN).unwrap();
    let open = output(sgas(folder).args(["study", "plan.toml", "--out", "s", "--list", "--threads", "1"]));
    let lines: Vec<&str> = open.lines().collect();
    assert_eq!(lines.len(), UNITS.len());
    assert_eq!(lines[1], "sgas study plan.toml --out s --only random/s1 --threads=1");
    assert!(!folder.join("s").exists(), "a list begins nothing");

    // A line of the list does its run and no other.
    let told = output(sgas(folder).args(lines[1].split_whitespace().skip(1)).args(["--device", "cpu", "-q"]));
    assert!(told.contains("Not whole yet: of 6 runs 5 are not done and 0 failed."), "{told}");
    let open = output(sgas(folder).args(["study", "s", "--list"]));
    assert_eq!(open.lines().count(), 5, "{open}");
    let text = |name: &str| std::fs::read_to_string(folder.join("s").join(name)).unwrap();
    assert!(
        text("results.md").contains("| SGAS on PPI (published) |  | 99.46 |  | 23.18 | 0.00300 |"),
        "{}",
        text("results.md")
    );
    assert!(text("results.tex").contains("\\bottomrule") && text("results.csv").starts_with("method,published"));
    let scores: Value = serde_json::from_str(&text("random/s1/scores.json")).unwrap();
    let runs = text("runs.csv");
    let line = runs.lines().find(|line| line.starts_with("Random,1,done")).unwrap();
    let score: f64 = line.rsplit(',').next().unwrap().parse().unwrap();
    assert_eq!(score, 100.0 * scores["micro_f1"].as_f64().or(scores["overall_accuracy"].as_f64()).unwrap());

    // The page has what is there by now, and grows with it.
    let html = text("results.html").replace("&#x2f;", "/");
    for words in ["<h1 id=\"study-name\" class=\"name\">Two methods</h1>", "1 of 6 runs done", "Random, seed 1: train"]
    {
        assert!(html.contains(words), "{words}");
    }
    assert_eq!(html.matches("class=\"dot\" style").count(), 1);
    assert_eq!(output(sgas(folder).args(["report", "s"])), "report: s/results.html\n");
    refused(folder, "report s s/random/s1/train", &["s: a study has a page of its own"]);

    // More seeds may be added; what was run stays as it was run.
    std::fs::write(folder.join("plan.toml"), PLAN.replace("seeds = 3", "seeds = 4")).unwrap();
    let open = output(sgas(folder).args(["study", "plan.toml", "--out", "s", "--list"]));
    assert_eq!(open.lines().count(), 7, "{open}");
    std::fs::write(folder.join("plan.toml"), PLAN.replace("cells=1", "cells=2")).unwrap();
    refused(folder, "study plan.toml --out s", &["random/s1 was run with other flags", "cells=1", "cells=2"]);
}

#[test]
fn a_run_that_fails_is_told_and_tried_again_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let missing: PathBuf = folder.join("nowhere");
    let plan = PLAN
        .replace("seeds = 3", "seeds = [7]")
        .replace("\"synthetic\"", &format!("{:?}", missing.display().to_string()));
    std::fs::write(folder.join("plan.toml"), &plan).unwrap();
    let study = |more: &[&str]| {
        let mut command = sgas(folder);
        command.args(["study", "plan.toml", "--out", "s", "--threads", "1", "--device", "cpu", "-q"]).args(more);
        command
    };
    let text = failure(&mut study(&[]), 1);
    assert!(text.contains("sgas/s7 failed") && text.contains("nowhere") && text.contains("--retry"), "{text}");
    let tries = || begun(&folder.join("s/sgas/s7"), "search").len();
    assert_eq!(tries(), 1);
    failure(&mut study(&[]), 1);
    assert_eq!(tries(), 1, "what failed is not tried again by itself");
    output(sgas(folder).args("data synth nowhere --kind graphs --train 12 --test 10".split(' ')));
    output(&mut study(&["--retry", "--only", "random/s7"]));
    assert!(folder.join("s/random/s7/scores.json").is_file());
}

#[test]
fn wrong_plans_and_places_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("wrong.toml"), PLAN.replace("criterion", "criterium")).unwrap();
    refused(folder, "study wrong.toml --out s", &["wrong.toml: the search of 'SGAS'", "--criterium"]);
    refused(folder, "study tabel1", &["no file and no built-in plan is named 'tabel1'"]);
    std::fs::create_dir(folder.join("full")).unwrap();
    std::fs::write(folder.join("full/x"), "").unwrap();
    std::fs::write(folder.join("plan.toml"), PLAN).unwrap();
    refused(folder, "study plan.toml --out full", &["not empty, and holds no study"]);
    refused(folder, "study full", &["there is no study"]);
    refused(folder, "study plan.toml --out s --only sgas/s9", &["no such run", "sgas/s"]);
    assert!(!folder.join("s").exists());
}

#[test]
fn the_published_ranks_are_correlated_as_published() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut table = "method,search_rank,evaluation_rank\n".to_owned();
    for cell in run_json(folder, "zoo --json")["cells"].as_array().unwrap() {
        let name = cell["name"].as_str().unwrap();
        if let Some((criterion, rank)) = name.split_once("_CIFAR_") {
            table += &format!("{criterion},{rank},{}\n", cell["published"]["evaluation_rank"]);
        }
    }
    std::fs::write(folder.join("ranks.csv"), &table).unwrap();
    let told = output(sgas(folder).args(["correlate", "ranks.csv", "--plot", "ranks.svg"]));
    for words in [
        "Cri1  n = 10    0.5556 (95 % interval ",
        "p = 0.0286)",
        "Cri2  n = 10    0.4222 (",
        "p = 0.1083)",
        "plot: ranks.svg",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
    // A circle for each cell, and one for each name.
    let plot = std::fs::read_to_string(folder.join("ranks.svg")).unwrap();
    assert_eq!(plot.matches("<circle").count(), 22);
    // An error against a rank: both are the better the less they are; an accuracy's sign is turned.
    std::fs::write(folder.join("signs.csv"), "rank,error,accuracy\n1,2,98\n2,3,97\n3,4,96\n").unwrap();
    for column in ["error", "accuracy"] {
        let told = run_json(folder, &format!("correlate signs.csv --columns rank,{column} --json"));
        assert_eq!(told["methods"][0]["tau"]["tau"], 1.0, "{told:#}");
    }
    refused(folder, "correlate signs.csv", &["search_score and score", "--columns"]);
    refused(folder, "correlate ranks.csv --plot ranks.txt", &["--plot", ".svg"]);
}
