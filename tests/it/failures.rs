//! What fails in the middle of things: a libtorch_cuda that can't be initialised, memory that runs out, and what
//! `RUST_BACKTRACE` keeps of it.

use crate::cli::sgas;
use std::path::Path;
use std::process::{Command, Output};

/// A training of seconds; `device` is its device.
fn training(folder: &Path, device: &str) -> assert_cmd::Command {
    let mut command = sgas(folder);
    let words = "train --genotype Cri2_ModelNet_Best --config smoke/train-points --data synthetic --set train.epochs=1";
    command.args(words.split(' ')).args(["--device", device]).env_remove("RUST_BACKTRACE");
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A libtorch_cuda in this folder whose initialiser throws, as a registration that fails does; false without a compiler.
fn broken_libtorch_cuda(folder: &Path) -> bool {
    let source = "#include <stdexcept>\n\
                  namespace { struct Registration { Registration() { throw std::runtime_error(\"registered twice\"); } } \
                  registration; }\n";
    std::fs::write(folder.join("broken.cpp"), source).unwrap();
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let arguments = ["-shared", "-fPIC", "-o", "libtorch_cuda.so", "broken.cpp"];
    match Command::new(&compiler).args(arguments).current_dir(folder).status() {
        Ok(status) => {
            assert!(status.success());
            true
        }
        Err(reason) => {
            println!("skipped: no C++ compiler for a library that fails: {compiler}: {reason}");
            false
        }
    }
}

#[test]
fn a_libtorch_cuda_that_throws_is_an_error_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    if !broken_libtorch_cuda(folder.path()) {
        return;
    }
    let assert = training(folder.path(), "cuda").env("LD_LIBRARY_PATH", folder.path()).assert().code(2).stdout("");
    let text = stderr(assert.get_output());
    assert!(text.starts_with("error: --device cuda:0: libtorch's CUDA part can't be loaded: "), "{text}");
    assert!(text.contains("its initialisation failed: registered twice\n") && text.contains("\nhint: "), "{text}");
}

#[test]
fn a_libtorch_cuda_that_throws_leaves_a_run_to_the_processor_with_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    if !broken_libtorch_cuda(folder.path()) {
        return;
    }
    let out = folder.path().join("run");
    let mut command = training(folder.path(), "auto");
    let assert = command.arg("--out").arg(&out).env("LD_LIBRARY_PATH", folder.path()).assert().success();
    let text = stderr(assert.get_output());
    let warnings: Vec<&str> = text.lines().filter(|line| line.contains("WARN")).collect();
    let [warning] = warnings[..] else { panic!("{text}") };
    for part in ["computing on the processor", "registered twice"] {
        assert!(warning.contains(part), "{warning}");
    }
    assert!(std::fs::read_to_string(out.join("log.txt")).unwrap().contains("registered twice"));
}

#[test]
fn doctor_tells_of_a_libtorch_cuda_that_throws() {
    let folder = tempfile::tempdir().unwrap();
    if !broken_libtorch_cuda(folder.path()) {
        return;
    }
    let doctor = |device: &str, code: i32| {
        let mut command = sgas(folder.path());
        let command = command.args(["doctor", "--json", "--device", device]).env("LD_LIBRARY_PATH", folder.path());
        let output = command.assert().code(code).get_output().stdout.clone();
        serde_json::from_slice::<serde_json::Value>(&output).unwrap()
    };
    let report = doctor("auto", 0);
    assert_eq!(report["cuda"]["not_loaded"], "its initialisation failed: registered twice");
    assert!(report["problems"].to_string().contains("registered twice"), "{report:#}");
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["failure"].is_null()), "{report:#}");
    doctor("cuda", 1);
}

/// What a training tells whose weights take more than the 4 GB of addresses that it may have.
fn without_memory(folder: &Path, backtrace: &str) -> String {
    let training = training(folder, "cpu");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 4000000 && exec \"$0\" \"$@\""]).arg(training.get_program());
    command.args(training.get_args()).args(["--set", "model.channels=4096"]).current_dir(folder);
    command.envs([("OMP_NUM_THREADS", "1"), ("GOMP_SPINCOUNT", "0"), ("RUST_BACKTRACE", backtrace)]);
    command.env_remove("RUST_LIB_BACKTRACE");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn memory_that_runs_out_is_one_line_and_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let text = without_memory(folder.path(), "0");
    let [error, hint] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(error.starts_with("error: ") && error.contains("out of memory: libtorch asked for "), "{error}");
    assert!(hint.starts_with("hint: ") && hint.contains("--batch") && hint.contains("--amp"), "{hint}");
}

#[test]
fn a_backtrace_that_is_asked_for_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let text = without_memory(folder.path(), "1");
    // The error, the hint, the place, libtorch's C++ stack, and Rust's.
    let parts = [
        "out of memory: libtorch asked for ",
        "\nhint: ",
        "\npanic in the thread 'main' at ",
        "can't allocate memory",
        "\nframe #",
        "program.rs:",
    ];
    let mut rest = text.as_str();
    for part in parts {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("'{part}' is not in order in: {text}"));
        rest = after;
    }
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
}
