//! Our numbers against those of the published code, file by file (tests/fixtures/golden, or `SGAS_GOLDEN_DIR`).
//!
//! Tolerance: a tensor may be off by 1e-4 of its greatest absolute value plus 1e-5. Where it is off by more, the
//! network may be one that magnifies rounding (batch norm over three samples does): the published code itself then
//! differs from its file by more than that when its input changes by 1e-7. So such a tensor is accepted only if our
//! own result moves when weights and inputs change by their last bits: by a quarter as much for what is within 2e-3,
//! by at least as much for what is beyond, where last bits take a maximum to another neighbour (the published code
//! then jumps by 5e-2), and never beyond a tenth. Every such case is printed.
//!
//! `SGAS_GOLDEN_TABLE=FILE` asks for one pass and a table instead (`table.rs`).

mod networks;
mod operators;
mod table;

use crate::golden::golden_dir;
use serde_json::Value;
use sgas::checkpoint::Checkpoint;
use sgas::tensor::adjacency::{Adjacency, Link};
use sgas::tensor::fused::TensorPath;
use sgas::tensor::links::Links;
use sgas::tensor::parameters::Weights;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};

const RELATIVE: f64 = 1e-4;
const ABSOLUTE: f64 = 1e-5;
/// Half a unit in fp32's last place, relative.
const LAST_BITS: f64 = 6e-8;
/// A pass rounds after every layer, each time as much as the stirred inputs were: ten to twenty roundings in
/// series add up to about four of them, as independent errors do.
const STAGES: f64 = 4.0;
/// The most that is put down to rounding, relative to a tensor's greatest absolute value.
const MOST_ROUNDING: f64 = 2e-3;
/// The most that is put down to a maximum or ReLU that last bits decide, where our own result jumps as far.
const MOST_JUMP: f64 = 0.1;

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

    /// The same case with every weight and input changed in its last bits.
    fn perturbed(&self, seed: u64) -> Self {
        sgas::tensor::random::Key::new(seed, sgas::tensor::random::Purpose::Weights).seed_torch();
        let change = |(name, tensor): (&String, &Tensor)| {
            let stirred = name.starts_with("weight:") || name.starts_with("input:") || name.starts_with("step");
            let changed = if stirred && tensor.kind() == Kind::Float {
                tensor * (tensor.rand_like() * (2.0 * LAST_BITS) + (1.0 - LAST_BITS))
            } else {
                tensor.shallow_clone()
            };
            (name.clone(), changed)
        };
        let tensors = self.content.tensors.iter().map(change).collect();
        let content = Checkpoint { tensors, state: Value::Null };
        Self { name: self.name.clone(), header: self.header.clone(), content, device: self.device }
    }

    /// Compares all that `run` gives for this case with the golden tensors of the same names.
    fn compare(&self, run: impl Fn(&Self) -> Results) {
        let ours = run(self);
        if table::place().is_some() {
            table::write(self, &ours);
            return self.require_all_gradients(&ours);
        }
        let beyond: Vec<&String> = ours.keys().filter(|name| self.excess(name, &ours[*name]) > 0.0).collect();
        if !beyond.is_empty() {
            let moved: Vec<Results> = (1..=8).map(|seed| run(&self.perturbed(seed))).collect();
            for name in &beyond {
                let spread = moved.iter().map(|moved| distance(&moved[*name], &ours[*name])).fold(0.0, f64::max);
                let golden = self.tensor(name);
                let size = greatest(&golden);
                let limit = (STAGES * spread).min(MOST_ROUNDING * size).max(spread.min(MOST_JUMP * size));
                let excess = self.excess(name, &ours[*name]);
                assert!(excess <= limit, "{}: {name} is off by {excess:e} beyond the tolerance", self.name);
            }
            let worst =
                beyond.iter().map(|name| distance(&ours[*name], &self.tensor(name)) / greatest(&self.tensor(name)));
            let worst = worst.fold(0.0, f64::max);
            println!("{}: {} tensors are off by what rounding does, at most {worst:.1e}", self.name, beyond.len());
        }
        self.require_all_gradients(&ours);
    }

    /// How far a tensor is beyond the tolerance; not positive where it is within.
    fn excess(&self, name: &str, ours: &Tensor) -> f64 {
        let Some(golden) = self.content.tensors.get(name) else {
            assert!(name.starts_with("grad:"), "{}: no {name}", self.name);
            assert_eq!(greatest(ours), 0.0, "{}: {name} is there, in the published code it is not", self.name);
            return 0.0;
        };
        assert_eq!(ours.size(), golden.size(), "{}: shape of {name}", self.name);
        distance(ours, golden) - (greatest(golden) * RELATIVE + ABSOLUTE)
    }

    /// Every golden gradient must be among ours.
    fn require_all_gradients(&self, ours: &Results) {
        let golden = self.content.tensors.keys().filter(|name| name.starts_with("grad:"));
        let missing: Vec<&String> = golden.filter(|name| !ours.contains_key(*name)).collect();
        assert!(missing.is_empty(), "{}: no gradient for {missing:?}", self.name);
    }
}

/// The links of `nodes` nodes from an edge index (2, E): sources in row 0, targets in row 1.
fn links(edge_index: &Tensor, nodes: i64) -> Links {
    let row = |row| Vec::<i64>::try_from(edge_index.get(row)).unwrap();
    let pairs: Vec<Link> =
        row(0).into_iter().zip(row(1)).map(|(source, target)| [source as u32, target as u32]).collect();
    Links::new(&Adjacency::new(nodes as usize, &pairs)).to_device(edge_index.device())
}

/// What we compute, by the names of the golden tensors.
type Results = BTreeMap<String, Tensor>;

/// The running statistics, named as after a forward pass in training.
fn running_statistics(weights: &Weights) -> Results {
    let running = weights.buffers.iter().filter(|(name, _)| name.contains("running"));
    running.map(|(name, value)| (format!("after:{name}"), value.copy())).collect()
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let double = |x: &Tensor| x.detach().to_device(Device::Cpu).to_kind(Kind::Double);
    let distance = greatest(&(double(a) - double(b)));
    if distance.is_nan() { f64::INFINITY } else { distance }
}

fn greatest(x: &Tensor) -> f64 {
    x.abs().max().double_value(&[])
}

/// Runs `compare` twice, with the kernels and with plain tensor operations, on every file of this kind whose header
/// names one of `spaces`.
fn for_each_case(kind: &str, spaces: &[&str], compare: impl Fn(&Case)) {
    let (folder, from_variable) = golden_dir();
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    paths.sort();
    let device = device();
    // The files were made on a CPU.
    let _accident = sgas::ops::point::published::CpuAccident::enter();
    let mut compared = 0;
    let mut failed = Vec::new();
    for path in paths {
        let case = Case::read(&path, device);
        let space = case.header["space"].as_str().unwrap_or("point");
        if case.text("kind") != kind || !spaces.contains(&space) {
            continue;
        }
        compared += 1;
        if table::place().is_some() {
            failed.extend(table::attempt(&case, &compare));
        } else {
            compare(&case);
            let _tensors = TensorPath::enter();
            compare(&case);
        }
    }
    assert!(failed.is_empty(), "{kind} ({}): {failed:?} failed; the table says how", spaces.join(", "));
    println!("{kind} ({}): compared {compared} golden files of {}", spaces.join(", "), folder.display());
    if compared == 0 {
        assert!(from_variable, "no golden file of kind {kind} in {}", folder.display());
        println!("skipped: SGAS_GOLDEN_DIR has no file of kind {kind} for {}", spaces.join(", "));
    }
}
