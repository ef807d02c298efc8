//! Our numbers against those of the published code, file by file (tests/fixtures/golden, or `SGAS_GOLDEN_DIR`).
//!
//! The published code differs from itself by 1e-6 relative in the losses when the number of threads changes;
//! 1e-4 relative and 1e-5 absolute leave room for another order of summation and for nothing else.

mod networks;
mod operators;

use crate::golden::golden_dir;
use serde_json::Value;
use sgas::checkpoint::Checkpoint;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};

const RELATIVE: f64 = 1e-4;
const ABSOLUTE: f64 = 1e-5;

/// The device that `SGAS_TEST_DEVICE` names, else the CPU.
fn device() -> Device {
    match std::env::var("SGAS_TEST_DEVICE").as_deref() {
        Err(_) | Ok("cpu" | "") => Device::Cpu,
        Ok("cuda") => {
            sgas::tensor::bridge::device::load_cuda().expect("SGAS_TEST_DEVICE=cuda needs libtorch_cuda");
            Device::Cuda(0)
        }
        Ok(other) => panic!("SGAS_TEST_DEVICE is cpu or cuda, not {other}"),
    }
}

/// One golden file.
struct Case {
    name: String,
    header: Value,
    content: Checkpoint,
    device: Device,
}

impl Case {
    fn read(path: &Path, device: Device) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let header = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["case"]).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Self { name, header, content: Checkpoint::load(path).unwrap(), device }
    }

    fn text(&self, key: &str) -> &str {
        self.header[key].as_str().unwrap_or_else(|| panic!("{}: no {key}", self.name))
    }

    fn int(&self, key: &str) -> i64 {
        self.header[key].as_i64().unwrap_or_else(|| panic!("{}: no {key}", self.name))
    }

    fn float(&self, key: &str) -> f64 {
        self.header[key].as_f64().unwrap_or_else(|| panic!("{}: no {key}", self.name))
    }

    fn tensor(&self, name: &str) -> Tensor {
        let tensor = self.content.tensors.get(name).unwrap_or_else(|| panic!("{}: no {name}", self.name));
        tensor.to_device(self.device)
    }

    fn weights(&self) -> BTreeMap<String, Tensor> {
        self.content.below("weight:")
    }

    /// Compares with the golden tensor `name`.
    fn check(&self, name: &str, ours: &Tensor) {
        self.check_with(name, ours, ABSOLUTE);
    }

    fn check_with(&self, name: &str, ours: &Tensor, absolute: f64) {
        let golden = self.tensor(name).to_kind(Kind::Double);
        let ours = ours.detach().to_device(self.device).to_kind(Kind::Double);
        assert_eq!(ours.size(), golden.size(), "{}: shape of {name}", self.name);
        let excess = ((&ours - &golden).abs() - (golden.abs() * RELATIVE + absolute)).max().double_value(&[]);
        assert!(excess <= 0.0, "{}: {name} is off by {excess:e} beyond the tolerance", self.name);
    }

    /// Compares gradients by name with the golden ones; every golden gradient must be among ours or belong to
    /// something that has left the network, in which case it is zero.
    fn check_gradients<'a>(&self, ours: impl Iterator<Item = (&'a str, Tensor)>) {
        let mut golden = self.content.below("grad:");
        for (name, gradient) in ours {
            if golden.remove(name).is_some() {
                self.check(&format!("grad:{name}"), &gradient);
            } else {
                let greatest = gradient.abs().max().double_value(&[]);
                assert!(greatest <= ABSOLUTE, "{}: {name} has a gradient, the published code none", self.name);
            }
        }
        let unmatched: Vec<&String> = golden.keys().filter(|name| *name != "x").collect();
        assert!(unmatched.is_empty(), "{}: no gradient for {unmatched:?}", self.name);
    }
}

/// Runs `compare` on every file whose name begins with `prefix` and whose header names one of `spaces`.
fn for_each_case(prefix: &str, spaces: &[&str], compare: impl Fn(&Case)) {
    let (folder, from_variable) = golden_dir();
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    paths.sort();
    let device = device();
    let mut compared = 0;
    for path in paths {
        let case = Case::read(&path, device);
        let space = case.header["space"].as_str().unwrap_or("point");
        if case.text("kind") == prefix && spaces.contains(&space) {
            compare(&case);
            compared += 1;
        }
    }
    println!("{prefix} ({}): compared {compared} golden files of {}", spaces.join(", "), folder.display());
    if compared == 0 {
        assert!(from_variable, "no golden file of kind {prefix} in {}", folder.display());
        println!("skipped: SGAS_GOLDEN_DIR has no file of kind {prefix} for {}", spaces.join(", "));
    }
}
