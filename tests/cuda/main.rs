//! All that `--device cuda` does, on machines without a GPU: the program runs on a stand-in for `libtorch_cuda.so`
//! (`stand_in/`), which keeps CUDA tensors in host memory and lets the CPU's kernels compute. `make test` builds it and
//! runs these tests on it, `make test-all` also the long ones; with `SGAS_TEST_DEVICE=cuda` alone they run on a GPU.

mod bench;
mod budgets;
mod counts;
mod graphs;
mod kernels;
mod links;
mod mixture;
mod optimizers;
mod rows;
mod runs;
mod shared;
mod stand_in;

use assert_cmd::Command;
use sgas::tensor::bridge::device::load_cuda;
use sgas::tensor::bridge::machine::cuda_config;
use std::path::Path;

/// True where there is a CUDA device, or its stand-in; else says why a test is skipped.
fn has_cuda() -> bool {
    let asked = std::env::var("SGAS_TEST_DEVICE").is_ok_and(|name| name == "cuda");
    if !asked {
        println!("skipped: SGAS_TEST_DEVICE is not cuda; `make test` runs these tests on a stand-in for CUDA");
    }
    asked
}

/// True where that device is the stand-in, which fills memory, counts and checks; else says why a test is skipped.
fn has_stand_in() -> bool {
    if !has_cuda() {
        return false;
    }
    load_cuda().expect("SGAS_TEST_DEVICE=cuda needs libtorch_cuda.so on the LD_LIBRARY_PATH");
    let is_stand_in = cuda_config().unwrap().contains("stand-in");
    if !is_stand_in {
        println!("skipped: this is a GPU, and only its stand-in fills memory, counts and checks");
    }
    is_stand_in
}

/// True where the long tests are asked for too; else says how.
fn is_long_run() -> bool {
    let asked = std::env::var_os("SGAS_TEST_ALL").is_some();
    if !asked {
        println!("skipped: SGAS_TEST_ALL is not set; `make test-all` runs every recipe on CUDA in every precision");
    }
    asked
}

/// The program in `folder`, without the user's own settings. On the stand-in an operator that makes NaN or infinity of
/// finite numbers is an error.
fn sgas(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("sgas").expect("the binary is built with the tests");
    command.current_dir(folder).env("OMP_NUM_THREADS", "1").env("GOMP_SPINCOUNT", "0");
    command.env("SGAS_STAND_IN_CHECK", "1");
    for name in ["SGAS_RUNS", "SGAS_DATA", "SGAS_STAND_IN_COUNTS"] {
        command.env_remove(name);
    }
    command
}

/// What a command of one line prints that succeeds on CUDA.
fn run(folder: &Path, line: &str) -> String {
    let assert = sgas(folder).args(words(line)).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// The words of a command of one line, on CUDA where it computes.
fn words(line: &str) -> Vec<&str> {
    let place: &[&str] = if line.starts_with("data") { &[] } else { &["--device", "cuda", "--threads", "1"] };
    line.split_whitespace().chain(place.iter().copied()).collect()
}
