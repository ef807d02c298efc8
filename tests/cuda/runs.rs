//! Whole runs on CUDA: search, training, evaluation, prediction, and a training that was killed and goes on. A NaN, a
//! tensor of another device and an unknown type end a command with an error.

use crate::{has_cuda, is_long_run, run, sgas, words};
use serde_json::Value;
use sgas::report::log::events;
use sgas::report::{EpochReport, Event, PeakMemory};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// A kind of network and data, in sizes of seconds.
struct Kind {
    /// Of `sgas data synth`.
    data: &'static str,
    /// Ends the names of the smoke configurations.
    task: &'static str,
    search: Option<&'static str>,
    train: &'static str,
}

const POINTS: Kind = Kind {
    data: "--kind shapes --train 40 --test 20 --points 64",
    task: "points",
    search: Some(
        "--set data.points=48 --set model.channels=4 --set point.embedding=16 --set search.epochs=3 --batch 8",
    ),
    train: "--set data.points=48 --set model.channels=4 --set point.embedding=16 --set train.epochs=3 --batch 8",
};

const IMAGES: Kind = Kind {
    data: "--kind pictures --train 40 --test 20",
    task: "images",
    search: Some("--set search.epochs=2"),
    train: "--set image.auxiliary=true --set data.images.size=32 --set train.drop_path=0.2 --set train.epochs=3 --batch 20",
};

const GRAPHS: Kind = Kind {
    data: "--kind graphs --train 10 --test 10",
    task: "graphs",
    search: Some("--set search.epochs=2 --set data.synthetic.train=12"),
    train: "--set train.drop_path=0.2 --set train.epochs=3 --set data.synthetic.train=12",
};

const ROOMS: Kind = Kind {
    data: "--kind scenes --train 10 --test 10",
    task: "s3dis",
    search: None,
    train: "--model resgcn --set resgcn.stochastic=0.8 --set train.epochs=3 --set data.synthetic.train=16",
};

fn amp(precision: &str) -> String {
    if precision == "fp32" { String::new() } else { format!("--amp {precision}") }
}

/// Searches, trains, evaluates and predicts.
fn whole_way(kind: &Kind, precision: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (task, amp) = (kind.task, amp(precision));
    let data = "--data synthetic --set data.synthetic.train=40 --set data.synthetic.test=20";
    let mut network = "";
    if let Some(search) = kind.search {
        let line = format!("search --config smoke/search-{task} {data} {search} {amp} --out found --save cell.json");
        run(folder.path(), &line);
        network = "--genotype cell.json";
    }
    let line = format!("train --config smoke/train-{task} {data} {network} {} {amp} --out trained", kind.train);
    run(folder.path(), &line);
    assert_learned(&folder.path().join("trained"));
    let report: Value = serde_json::from_str(&run(folder.path(), "eval --run trained --json")).unwrap();
    assert!(report["loss"].as_f64().unwrap().is_finite() && report["samples"].as_u64() > Some(0), "{report}");
    run(folder.path(), &format!("data synth files {}", kind.data));
    run(folder.path(), "predict --run trained --input files --output predicted.csv");
    assert!(folder.path().join("predicted.csv").exists());
}

/// The losses of three epochs are numbers, and move; memory of the device was counted.
fn assert_learned(run: &Path) {
    let epoch = |event| if let Event::Epoch(report) = event { Some(report) } else { None };
    let epochs: Vec<EpochReport> = events(run).unwrap().into_iter().filter_map(epoch).collect();
    let losses: Vec<f64> = epochs.iter().map(|epoch| epoch.train.loss).collect();
    assert_eq!(losses.len(), 3);
    assert!(losses.iter().all(|loss| loss.is_finite()) && losses[0] != losses[2], "{losses:?}");
    let PeakMemory { device_bytes, device_reserved_bytes, .. } = epochs[2].memory;
    assert!(device_bytes > Some(0) && device_reserved_bytes >= device_bytes, "{:?}", epochs[2]);
}

/// Starts a training and kills it after its first epoch.
fn begin_and_kill(folder: &Path, line: &str, run: &str) {
    let command = sgas(folder);
    let mut process = std::process::Command::new(command.get_program());
    process.args(words(line)).current_dir(folder).env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0");
    let mut child = process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let told = || std::fs::read_to_string(folder.join(run).join("events.jsonl")).unwrap_or_default();
    while !told().contains(r#"{"event":"epoch""#) && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "the run ended before it was killed");
}

/// To the bit, for which a GPU needs `--deterministic`.
fn goes_on(kind: &Kind, precision: &str) {
    let folder = tempfile::tempdir().unwrap();
    let network = if kind.search.is_some() { format!("--genotype {}", published(kind)) } else { String::new() };
    let line = format!(
        "train --config smoke/train-{} --data synthetic --set data.synthetic.train=40 --set data.synthetic.test=20 \
         {network} {} {} --deterministic --out",
        kind.task,
        kind.train,
        amp(precision)
    );
    run(folder.path(), &format!("{line} whole"));
    begin_and_kill(folder.path(), &format!("{line} cut"), "cut");
    run(folder.path(), "train --out cut --resume --deterministic");
    let weights = |name: &str| std::fs::read(folder.path().join(name).join("weights-last.safetensors")).unwrap();
    assert!(weights("whole") == weights("cut"), "{} in {precision} went on otherwise", kind.task);
}

fn published(kind: &Kind) -> &'static str {
    match kind.task {
        "points" => "Cri2_ModelNet_Best",
        "images" => "Cri1_CIFAR_Best",
        _ => "Cri2_PPI_Best",
    }
}

fn way(kind: &Kind, precisions: &[&str]) {
    if has_cuda() {
        precisions.iter().for_each(|precision| whole_way(kind, precision));
    }
}

#[test]
fn points_go_the_whole_way_in_fp16() {
    way(&POINTS, &["fp16"]);
}

#[test]
fn images_go_the_whole_way_in_fp32() {
    way(&IMAGES, &["fp32"]);
}

#[test]
fn graphs_go_the_whole_way_in_bf16() {
    way(&GRAPHS, &["bf16"]);
}

#[test]
fn a_killed_training_in_fp16_goes_on() {
    if has_cuda() {
        goes_on(&ROOMS, "fp16");
    }
}

#[test]
fn every_kind_goes_the_whole_way_in_every_precision_and_goes_on() {
    if !has_cuda() || !is_long_run() {
        return;
    }
    for kind in [&POINTS, &IMAGES, &GRAPHS, &ROOMS] {
        for precision in ["fp32", "bf16", "fp16"] {
            whole_way(kind, precision);
            goes_on(kind, precision);
        }
    }
}
