//! Memory: what a run says before it begins, the batch of `--batch auto`, and what is said where memory runs out, under
//! real limits.

use crate::cli::sgas;
use sgas::checkpoint::Checkpoint;
use sgas::report::log::events;
use sgas::report::{EpochReport, Event};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Addresses that the program has with its libraries and a batch of nothing, and some to spare, in KiB.
const ENOUGH: u64 = 2_600_000;

/// The program with so many KiB of addresses.
fn limited(folder: &Path, kib: u64, arguments: &str) -> Output {
    let program = sgas(folder);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {kib} && exec \"$0\" \"$@\"")]).arg(program.get_program());
    command.args(arguments.split_whitespace()).current_dir(folder);
    command.envs([("OMP_NUM_THREADS", "1"), ("GOMP_SPINCOUNT", "0"), ("RAYON_NUM_THREADS", "2")]);
    for name in ["RUST_BACKTRACE", "SGAS_RUNS", "SGAS_DATA"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The one error and its hint of a command that ended with code 1 for want of memory.
fn ran_out(output: &Output) -> (String, String) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = |start: &str| {
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(start)).collect();
        let [line] = lines[..] else { panic!("'{start}' in: {text}") };
        line.to_owned()
    };
    let (error, hint) = (line("error: "), line("hint: "));
    assert!(error.contains("out of memory") && !text.contains("internal error") && !text.contains("frame #"), "{text}");
    (error, hint)
}

fn training(more: &str) -> String {
    format!("train --genotype Cri2_ModelNet_Best --config smoke/train-points --data synthetic --device cpu {more}")
}

fn epochs(run: &Path) -> Vec<EpochReport> {
    let epoch = |event| if let Event::Epoch(report) = event { Some(report.without_costs()) } else { None };
    events(run).unwrap().into_iter().filter_map(epoch).collect()
}

/// Clouds of which a batch of all takes several times what there is, and one of two little.
const LARGE: &str = "--set data.points=1024 --set model.channels=32 --set train.epochs=1 --set data.validation=0";

#[test]
fn a_step_that_is_too_large_is_warned_of_and_told_with_the_key_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let output = limited(folder.path(), ENOUGH, &training(&format!("{LARGE} --batch 200 --out run")));
    let (error, hint) = ran_out(&output);
    let text = stderr(&output);
    assert!(
        text.contains("WARN memory: a step takes about ") && text.contains(" at batch 200 (an estimate), and "),
        "{text}"
    );
    assert!(text.contains(" are free (of the limit on addresses, `ulimit -v`): take --batch "), "{text}");
    assert!(
        error.starts_with("epoch 0, step 0: out of memory: libtorch asked for ") && error.ends_with("iB"),
        "{error}"
    );
    for part in ["--batch", "it is 200", "--set data.points=", "--set model.channels=", "--amp"] {
        assert!(hint.contains(part), "{part}: {hint}");
    }
}

#[test]
fn a_run_that_no_machine_of_this_size_could_do_does_not_begin() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = "--set data.points=2048 --set model.channels=128 --set train.epochs=1 --set data.validation=0";
    let output = limited(folder.path(), ENOUGH, &training(&format!("{sizes} --batch 400 --out run")));
    let (error, hint) = ran_out(&output);
    assert!(error.contains("a step takes about ") && error.contains(" in all"), "{error}");
    assert!(hint.contains("take --batch ") && hint.contains(" or less"), "{hint}");
    assert!(!folder.path().join("run").exists());
}

#[test]
fn the_batch_that_auto_takes_fits_into_what_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let few = "--set data.training_share=0.25 --batch auto --out run";
    let output = limited(folder.path(), ENOUGH, &training(&format!("{LARGE} {few}")));
    let text = stderr(&output);
    assert!(output.status.success(), "{text}");
    let config = std::fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    let batch = config.lines().find_map(|line| line.strip_prefix("batch = ")).unwrap();
    assert!((4..100).contains(&batch.parse::<usize>().unwrap()), "{batch}");
    let named = format!("--batch auto: batch {batch}; the configuration's learning rate 0.1 belongs to its batch 16");
    assert!(text.contains(&named), "{text}");
}

/// A trial before the run draws no number of it and moves none: `auto` tries, and a small batch that is named does not.
#[test]
fn what_is_tried_before_a_run_changes_no_bit_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = "--data synthetic --device cpu --set data.points=48 --set model.channels=4 --set point.embedding=16 \
                 --set data.synthetic.train=40 --set data.synthetic.test=20";
    let search = "search --config smoke/search-points --set search.epochs=2 --set search.batch_growth=0";
    let train = "train --genotype Cri2_ModelNet_Best --config smoke/train-points --set train.epochs=2";
    for (command, name) in [(search, "search"), (train, "train")] {
        let run = |batch: &str, out: &str| {
            let line = format!("{command} {sizes} --batch {batch} --out {out}");
            sgas(folder.path()).args(line.split_whitespace()).assert().success();
            folder.path().join(out)
        };
        let tried = run("auto", &format!("{name}-auto"));
        let config = std::fs::read_to_string(tried.join("config.toml")).unwrap();
        let batch = config.lines().find_map(|line| line.strip_prefix("batch = ")).unwrap();
        assert_ne!(batch, "16");
        let plain = run(batch, &format!("{name}-plain"));
        let state = |run: &Path| Checkpoint::load(&run.join("checkpoint/state.safetensors")).unwrap();
        let (one, two) = (state(&tried), state(&plain));
        assert_eq!(one.tensors.keys().collect::<Vec<_>>(), two.tensors.keys().collect::<Vec<_>>());
        for (name, tensor) in &one.tensors {
            assert!(tensor.equal(&two.tensors[name]), "{name}");
        }
        assert_eq!(epochs(&tried), epochs(&plain));
        // A run that goes on keeps its batch.
        let line = format!("{} --out {name}-auto --resume", &command[..name.len()]);
        sgas(folder.path()).args(line.split_whitespace()).assert().success();
        assert_eq!(std::fs::read_to_string(tried.join("config.toml")).unwrap(), config);
    }
}

#[test]
fn evaluation_and_prediction_name_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = "--set data.points=48 --set model.channels=64 --set train.epochs=1 --set data.synthetic.train=40";
    sgas(folder.path()).args(training(&format!("{sizes} --batch 8 --out run")).split_whitespace()).assert().success();
    let eval = limited(folder.path(), ENOUGH, "eval --run run --device cpu --set data.points=8192 --batch 200");
    let (error, hint) = ran_out(&eval);
    assert!(error.starts_with("out of memory: libtorch asked for "), "{error}");
    assert!(hint.contains("--batch"), "{hint}");
    sgas(folder.path())
        .args("data synth shapes --train 100 --test 100 --points 64".split_whitespace())
        .assert()
        .success();
    let line = "predict --run run --input shapes --device cpu --set data.points=8192 --batch 200";
    let (error, hint) = ran_out(&limited(folder.path(), ENOUGH, line));
    assert!(error.starts_with("out of memory: libtorch asked for "), "{error}");
    assert!(hint.contains("--batch"), "{hint}");
}

#[test]
fn a_file_that_does_not_fit_into_memory_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    sgas(folder.path())
        .args("data synth shapes --train 20 --test 20 --points 64".split_whitespace())
        .assert()
        .success();
    let class = std::fs::read_dir(folder.path().join("shapes")).unwrap().next().unwrap().unwrap().path();
    let large = class.join("train/large.xyz");
    // Takes no room on the disk.
    std::fs::File::create(&large).unwrap().set_len(4 << 30).unwrap();
    let line =
        "train --genotype Cri2_ModelNet_Best --config smoke/train-points --task points --data shapes --device cpu";
    let (error, hint) = ran_out(&limited(folder.path(), ENOUGH, line));
    assert!(error.contains("large.xyz") && error.contains("does not fit into memory"), "{error}");
    assert!(hint.contains("the data is held in memory"), "{hint}");
}

/// What Rust itself asks for: a set that is made in memory.
#[test]
fn memory_that_rust_asks_for_ends_the_program_with_a_word_of_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let line = "train --genotype Cri2_ModelNet_Best --config smoke/train-points --data synthetic --device cpu \
                --set data.points=1000000 --set data.synthetic.train=90 --set data.synthetic.test=10 --out run";
    // The program itself takes most of it.
    let (error, hint) = ran_out(&limited(folder.path(), 1_200_000, line));
    assert!(error.starts_with("out of memory: the program asked for ") && error.ends_with(" MiB"), "{error}");
    assert!(hint.contains("data.points"), "{hint}");
    assert!(!folder.path().join("run").exists());
}

/// The witness beside a process tells of the system alone; that its errors end shows that the witness ends as well.
#[test]
fn a_process_that_somebody_else_ends_is_not_told_as_out_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(sgas(folder.path()).get_program());
    program.args(training("--set train.epochs=1000 --out run").split_whitespace()).current_dir(folder.path());
    let mut run = program.env("OMP_NUM_THREADS", "1").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(run.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("epochs 0 to") {
        assert!(errors.read_line(&mut told).unwrap() > 0, "{told}");
    }
    run.kill().unwrap();
    errors.read_to_string(&mut told).unwrap();
    assert!(!told.contains("out of memory"), "{told}");
    assert!(!run.wait().unwrap().success());
}
