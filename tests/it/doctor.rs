//! `sgas doctor`: what it says of this machine, and its exit code where something is missing.

use crate::cli::sgas;
use predicates::str::contains;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What it says as JSON; `code` is its exit code.
fn diagnosis(command: &mut assert_cmd::Command, code: i32) -> Value {
    let output = command.args(["doctor", "--json"]).assert().code(code).get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

/// The problems that name `what`.
fn problems<'a>(report: &'a Value, what: &str) -> Vec<&'a Value> {
    let all = report["problems"].as_array().unwrap().iter();
    all.filter(|problem| problem["what"].as_str().unwrap().contains(what)).collect()
}

#[test]
fn a_processor_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let report = diagnosis(sgas(folder.path()).args(["--threads", "1"]), 0);
    assert!(report["libtorch"]["loaded"].as_str().unwrap().starts_with("2.11."), "{report:#}");
    let libraries = report["libtorch"]["libraries"].to_string();
    assert!(libraries.contains("/libtorch_cpu.so") && libraries.contains("/libgomp.so.1"), "{libraries}");
    assert_eq!(report["processor"]["threads"], 1);
    assert_eq!(report["processor"]["omp_num_threads"], "1");
    assert!(report["memory"]["available_bytes"].as_u64().unwrap() > 0);
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["failure"].is_null()), "{report:#}");
    assert!(report["data"].as_array().unwrap().iter().all(|set| set["folder"].is_null()), "{report:#}");
    assert!(problems(&report, "").iter().all(|problem| problem["essential"] == false), "{report:#}");
    let text = sgas(folder.path()).arg("doctor").assert().success().get_output().stdout.clone();
    let text = String::from_utf8(text).unwrap();
    for topic in ["sgas", "libtorch", "processor", "memory", "cuda", "checks", "data", "runs", "problems"] {
        assert!(text.lines().any(|line| line.starts_with(topic)), "{topic} is not in: {text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it left something behind");
}

#[test]
fn data_is_found_where_the_variable_says() {
    let folder = tempfile::tempdir().unwrap();
    let class = folder.path().join("sets/ModelNet10/chair/train");
    std::fs::create_dir_all(&class).unwrap();
    std::fs::write(class.join("chair_0001.off"), "").unwrap();
    let report = diagnosis(sgas(folder.path()).env("SGAS_DATA", "sets"), 0);
    let set = |task: &str| report["data"].as_array().unwrap().iter().find(|set| set["task"] == task).unwrap();
    assert!(set("modelnet10")["folder"].as_str().unwrap().ends_with("sets/ModelNet10"));
    assert!(set("modelnet40")["reason"].as_str().unwrap().contains("sets/modelnet40_ply_hdf5_2048 (not there)"));
}

#[test]
fn runs_that_cannot_be_written_are_essential() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let report = diagnosis(sgas(folder.path()).env("SGAS_RUNS", "file/runs"), 1);
    let [problem] = problems(&report, "file/runs")[..] else { panic!("{report:#}") };
    assert_eq!(problem["essential"], true);
    assert!(problem["hint"].as_str().unwrap().contains("SGAS_RUNS"));
    let mut command = sgas(folder.path());
    let assert = command.arg("doctor").env("SGAS_RUNS", "file/runs").assert().code(1);
    assert.stdout(contains("must be solved")).stderr(contains("error: this machine can't do the job"));
}

#[test]
fn a_gpu_that_is_asked_for_and_not_there_is_essential() {
    let folder = tempfile::tempdir().unwrap();
    let report = diagnosis(sgas(folder.path()).args(["--device", "cuda:99"]), 1);
    assert!(problems(&report, "").iter().any(|problem| problem["essential"] == true), "{report:#}");
}

/// Half of NVIDIA's driver: one GPU of another generation than any that tests run on.
const DRIVER: &str = r#"
#include <stddef.h>
#include <string.h>
int cuInit(unsigned flags) { return flags; }
int cuDriverGetVersion(int* version) { *version = 12040; return 0; }
int cuDeviceGetCount(int* count) { *count = 1; return 0; }
int cuDeviceGet(int* device, int index) { *device = 40 + index; return index == 0 ? 0 : 101; }
int cuDeviceGetName(char* name, int size, int device) { strncpy(name, "Imagined GPU", size); return device != 40; }
int cuDeviceTotalMem_v2(size_t* bytes, int device) { *bytes = 3ul << 30; return device != 40; }
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = attribute == 75 ? 7 : attribute == 76 ? 5 : -1;
  return device != 40;
}
"#;

/// The driver, in a folder for `LD_LIBRARY_PATH`.
fn imagined_driver(folder: &Path) {
    std::fs::write(folder.join("driver.c"), DRIVER).unwrap();
    let arguments = ["-shared", "-fPIC", "-o", "libcuda.so.1", "driver.c"];
    assert!(Command::new("cc").args(arguments).current_dir(folder).status().unwrap().success());
}

#[test]
fn a_gpu_is_described_by_its_driver_also_where_libtorch_cannot_use_it() {
    if sgas::tensor::bridge::device::load_cuda().is_ok() {
        println!("skipped: libtorch_cuda is here, and a driver that is imagined would mislead it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    imagined_driver(folder.path());
    let report = diagnosis(sgas(folder.path()).env("LD_LIBRARY_PATH", folder.path()), 0);
    let expected = serde_json::json!([{
        "name": "Imagined GPU", "memory_bytes": 3_u64 << 30, "capability": "7.5", "tensor_cores": true, "bf16": false,
        "served": null
    }]);
    assert_eq!(report["cuda"]["devices"], expected);
    assert_eq!(report["cuda"]["driver"], "12.4");
    let [problem] = problems(&report, "libtorch_cuda.so")[..] else { panic!("{report:#}") };
    assert!(problem["hint"].as_str().unwrap().contains("make setup-cuda"), "{problem}");
    assert_eq!(problem["essential"], false);
}
