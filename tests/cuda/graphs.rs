//! Steps that are recorded as CUDA graphs end in the same bits as steps that are not. (The stand-in does what was recorded
//! again at every replay, and nothing before.)

use crate::counts::read;
use crate::{has_cuda, has_stand_in, run, sgas, words};
use sgas::panics;
use sgas::tensor::bridge::capture::Capture;
use sgas::tensor::bridge::device::load_cuda;
use sgas::tensor::random::{Key, Purpose};
use std::fs;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// What a run leaves that must not differ: the cell or the weights, and the losses of every epoch.
fn outcome(folder: &Path, run: &str) -> (Vec<u8>, String) {
    let place = folder.join(run);
    let found = ["genotype.json", "weights-last.safetensors"].map(|name| fs::read(place.join(name)));
    let metrics = fs::read_to_string(place.join("metrics.csv")).unwrap();
    // Times are others.
    let rows: Vec<String> = metrics.lines().map(|row| row.split(',').take(11).collect::<Vec<_>>().join(",")).collect();
    (found.into_iter().flatten().flatten().collect(), rows.join("\n"))
}

#[test]
fn recorded_steps_end_in_the_same_bits() {
    if !has_cuda() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let points = "--set data.points=32 --set model.channels=4 --set point.embedding=16 --batch 8";
    for (name, line) in [
        ("points", format!("search --config smoke/search-modelnet10 {points} --amp fp16 --set search.epochs=2")),
        (
            "images",
            "train --genotype Cri1_CIFAR_Best --config smoke/train-cifar10 --batch 10 --set train.epochs=2".into(),
        ),
        ("clouds", format!("train --genotype Cri2_ModelNet_Best --config smoke/train-modelnet40 {points} --amp bf16")),
    ] {
        let data = "--data synthetic --set data.synthetic.train=60 --set data.synthetic.test=20";
        let line = format!("{line} {data} --deterministic --verbose --out {name}");
        let mut told = Vec::new();
        for end in ["", "-plain --no-cuda-graphs"] {
            let line = format!("{line}{end}");
            let assert = sgas(folder.path()).args(words(&line)).assert().success();
            told.push(String::from_utf8_lossy(&assert.get_output().stderr).into_owned());
        }
        assert!(told[0].contains("recorded as a CUDA graph"), "{name}: nothing was recorded: {}", told[0]);
        assert!(!told[1].contains("recorded as a CUDA graph"), "{name}: {}", told[1]);
        let [recorded, plain] = [name.to_owned(), format!("{name}-plain")].map(|run| outcome(folder.path(), &run));
        assert!(!recorded.0.is_empty() && recorded.1.lines().count() > 2, "{name}: nothing to compare");
        assert_eq!(recorded.1, plain.1, "{name}");
        assert!(recorded.0 == plain.0, "{name}: weights");
    }
    run(folder.path(), "eval --run images");
}

/// A recording breaks off where a tensor keeps the graph of an earlier pass over the same weights alive. What comes after
/// is as if nothing had been recorded.
#[test]
fn a_recording_that_breaks_off_leaves_nothing_behind() {
    if !has_cuda() {
        return;
    }
    load_cuda().unwrap();
    let device = Device::Cuda(0);
    let weights = Tensor::ones([1000], (Kind::Float, device)).set_requires_grad(true);
    let pass = || {
        let loss = weights.dropout(0.5, true).sum(Kind::Float);
        Ok(Tensor::run_backward(&[&loss], &[&weights], false, false).swap_remove(0))
    };
    let seeded = || {
        Key::new(1, Purpose::WeightStep).seed_torch();
        pass().unwrap()
    };
    let before = seeded();
    let kept = weights.copy();
    let broken = panics::as_errors(|| Capture::record(0, pass));
    assert!(broken.is_err(), "a graph that is kept breaks a recording off, or the test shows nothing");
    assert_eq!(seeded(), before);
    drop(kept);
    let (capture, gradient) = Capture::record(0, pass).unwrap();
    Key::new(1, Purpose::WeightStep).seed_torch();
    capture.replay().unwrap();
    assert_eq!(gradient, before);
}

/// A recorded step is a copy of the batch, a graph for each pass, and what stays outside: optimizers, clipping, counts.
const MOST_CALLS_OF_A_PASS: u64 = 24;

#[test]
fn recorded_steps_take_few_launches() {
    if !has_stand_in() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (passes, recipe) in [(1, "--config smoke/train-modelnet40"), (2, "--config smoke/search-modelnet10 --search")] {
        let path = folder.path().join(format!("{passes}"));
        // The fourth step: two are launched one by one, the third records.
        let line = format!("bench --only fp16 --warmup 3 --repeats 1 --batch 2 {recipe} --set data.points=32");
        let mut command = sgas(folder.path());
        command.env_remove("SGAS_STAND_IN_CHECK").env("SGAS_STAND_IN_COUNTS", &path);
        command.args(words(&line)).assert().success();
        let calls: Vec<u64> = read(&path).iter().map(|counts| counts.calls()).filter(|calls| *calls > 0).collect();
        let (before, recorded) = calls.split_at(calls.len() - passes);
        assert!(before.iter().any(|calls| *calls > 100), "{recipe}: nothing was launched one by one: {before:?}");
        assert!(recorded.iter().all(|calls| *calls <= MOST_CALLS_OF_A_PASS), "{recipe}: {recorded:?} calls");
    }
}
