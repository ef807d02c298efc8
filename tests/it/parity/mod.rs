//! Our numbers against those of the published code, file by file (tests/fixtures/golden, or `SGAS_GOLDEN_DIR`).
//!
//! Tolerance: a tensor may be off by 1e-4 of its greatest absolute value plus 1e-5. Where it is off by more, the
//! network may be one that magnifies rounding (batch norm over three samples does), or last bits may decide a maximum
//! or a ReLU. Such a tensor is accepted only if both of these hold:
//! - Our own result moves when weights and inputs change by their last bits: by a quarter as much for what is within
//!   2e-3, by at least as much for what is beyond, and never beyond 5e-3. Eight draws of last bits are tried; where a
//!   maximum or ReLU falls on the other side only now and then, which depends on the CPU's instructions, up to 64.
//! - fp64 takes our side ([`Judge`]). The same network is computed in fp64 by plain operators. Our result, as it is or
//!   with other last bits, must be as near to that as four times the published one is, or as four times what last bits
//!   do to it in fp64, plus twice the tolerance. So an error that is no rounding is found: it is there whatever the
//!   last bits are.
//!
//! Every such case is printed.
//!
//! `SGAS_GOLDEN_TABLE=FILE` asks for one pass and a table instead (`table.rs`).

mod networks;
mod operators;
mod published;
mod table;

use crate::golden::golden_dir;
use serde_json::Value;
use sgas::checkpoint::Checkpoint;
use sgas::tensor::adjacency::{Adjacency, Link};
use sgas::tensor::fused::TensorPath;
use sgas::tensor::links::Links;
use sgas::tensor::parameters::{Parameters, Weights};
use std::cell::OnceCell;
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
const MOST_JUMP: f64 = 5e-3;
/// Draws of last bits that every judgement begins with.
const FIRST_DRAWS: u64 = 8;
/// Draws of last bits at most.
const MOST_DRAWS: u64 = 64;

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
    /// The type to compute in.
    kind: Kind,
    /// Once it was asked for.
    judge: OnceCell<Judge>,
}

impl Case {
    fn read(path: &Path, device: Device) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let header = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["case"]).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Self {
            name,
            header,
            content: Checkpoint::load(path).unwrap(),
            device,
            kind: Kind::Float,
            judge: OnceCell::new(),
        }
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

    /// What `run` gives with other last bits. Draws beyond the first change twice as much: the layers' own rounding,
    /// which differs between CPUs, moves a ReLU's input further than last bits of weights do.
    fn moved(&self, seed: u64, run: impl Fn(&Self) -> Results) -> Moved {
        let last_bits = if seed <= FIRST_DRAWS { 1.0 } else { 2.0 };
        Moved { last_bits, results: run(&self.perturbed(seed, last_bits)) }
    }

    /// The same case with every weight and input changed by up to `last_bits` half units in the last place.
    fn perturbed(&self, seed: u64, last_bits: f64) -> Self {
        let most = last_bits * LAST_BITS;
        sgas::tensor::random::Key::new(seed, sgas::tensor::random::Purpose::Weights).seed_torch();
        let change = |(name, tensor): (&String, &Tensor)| {
            let stirred = name.starts_with("weight:") || name.starts_with("input:") || name.starts_with("step");
            let changed = if stirred && tensor.kind() == Kind::Float {
                tensor * (tensor.rand_like() * (2.0 * most) + (1.0 - most))
            } else {
                tensor.shallow_clone()
            };
            (name.clone(), changed)
        };
        let tensors = self.content.tensors.iter().map(change).collect();
        self.with(tensors, self.device, self.kind)
    }

    /// The same case to be computed in fp64, on a CPU.
    fn in_double(&self) -> Self {
        let double = |tensor: &Tensor| match tensor.kind() {
            Kind::Float => tensor.to_kind(Kind::Double),
            _ => tensor.shallow_clone(),
        };
        let tensors = self.content.tensors.iter().map(|(name, tensor)| (name.clone(), double(tensor))).collect();
        self.with(tensors, Device::Cpu, Kind::Double)
    }

    fn with(&self, tensors: BTreeMap<String, Tensor>, device: Device, kind: Kind) -> Self {
        let content = Checkpoint { tensors, state: Value::Null };
        Self { name: self.name.clone(), header: self.header.clone(), content, device, kind, judge: OnceCell::new() }
    }

    /// Brings the weights of a network to the type of the case; all layers hold the same tensors.
    fn convert(&self, weights: &Weights) {
        self.convert_parameters(&weights.parameters);
        weights.buffers.iter().for_each(|(_, buffer)| self.convert_tensor(buffer));
    }

    fn convert_parameters(&self, parameters: &Parameters) {
        if self.kind == Kind::Float {
            return;
        }
        self.convert_tensor(parameters.flat());
        let views = parameters.split(parameters.flat()).map(|(_, view)| view);
        let leaves = parameters.iter().map(|(_, leaf)| leaf.shallow_clone());
        leaves.zip(views).for_each(|(mut leaf, view)| leaf.set_data(&view.detach()));
    }

    fn convert_tensor(&self, tensor: &Tensor) {
        if self.kind != Kind::Float && tensor.kind() == Kind::Float {
            tensor.shallow_clone().set_data(&tensor.detach().to_kind(self.kind));
        }
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
            let judge = self.judge.get_or_init(|| Judge::new(self, &run));
            let mut moved: Vec<Moved> = (1..=FIRST_DRAWS).map(|seed| self.moved(seed, &run)).collect();
            for name in &beyond {
                let objection = loop {
                    let [to_published, to_exact] = self.objections(name, &ours, &moved, judge);
                    let objection = to_published.or(to_exact);
                    let draws = moved.len() as u64;
                    if objection.is_none() || draws == MOST_DRAWS {
                        break objection;
                    }
                    moved.push(self.moved(draws + 1, &run));
                };
                assert_eq!(objection, None, "{}: {name}", self.name);
            }
            self.tell(&beyond, &ours, judge);
        }
        self.require_all_gradients(&ours);
    }

    /// Why a tensor beyond the tolerance is not off by rounding, judged by what ours do with other last bits (`moved`)
    /// and by fp64.
    fn objections(&self, name: &str, ours: &Results, moved: &[Moved], judge: &Judge) -> [Option<String>; 2] {
        let moves = moved.iter().map(|moved| (distance(&moved.results[name], &ours[name]), moved.last_bits));
        let jump = moves.clone().map(|(by, _)| by).fold(0.0, f64::max);
        let spread = moves.map(|(by, last_bits)| by / last_bits).fold(0.0, f64::max);
        let size = greatest(&self.tensor(name));
        let limit = (STAGES * spread).min(MOST_ROUNDING * size).max(jump.min(MOST_JUMP * size));
        let excess = self.excess(name, &ours[name]);
        let runs = moved.iter().map(|moved| &moved.results).chain([ours]);
        let nearest = runs.map(|run| judge.error(name, &run[name])).fold(f64::INFINITY, f64::min);
        let allowed = judge.allowed(name, &self.tensor(name));
        [
            (excess > limit).then(|| format!("off by {excess:e} beyond the tolerance, last bits explain {limit:e}")),
            (nearest > allowed).then(|| format!("{nearest:e} from the result in fp64, {allowed:e} are allowed")),
        ]
    }

    /// Prints what the tolerance alone would not accept; all as shares of a tensor's greatest value.
    fn tell(&self, beyond: &[&String], ours: &Results, judge: &Judge) {
        let most = |of: &dyn Fn(&String) -> f64| {
            beyond.iter().map(|name| of(name) / greatest(&self.tensor(name))).fold(0.0, f64::max)
        };
        let worst = most(&|name| distance(&ours[name], &self.tensor(name)));
        let own = most(&|name| judge.error(name, &ours[name]));
        let published = most(&|name| judge.error(name, &self.tensor(name)));
        let is_far = |name: &&&String| judge.error(name, &ours[**name]) > judge.allowed(name, &self.tensor(name));
        let far: Vec<&&String> = beyond.iter().filter(is_far).collect();
        println!(
            "{}: {} tensors are off by what rounding does, at most {worst:.1e}; from fp64 ours are at most {own:.1e}, the \
             published ones {published:.1e}; {} are near it with other last bits only {:?}",
            self.name,
            beyond.len(),
            far.len(),
            far.iter().take(3).collect::<Vec<_>>()
        );
    }

    /// How far a tensor is beyond the tolerance; not positive where it is within.
    fn excess(&self, name: &str, ours: &Tensor) -> f64 {
        let Some(golden) = self.content.tensors.get(name) else {
            assert!(name.starts_with("grad:"), "{}: no {name}", self.name);
            assert_eq!(greatest(ours), 0.0, "{}: {name} is there, in the published code it is not", self.name);
            return 0.0;
        };
        assert_eq!(ours.size(), golden.size(), "{}: shape of {name}", self.name);
        distance(ours, golden) - tolerance(golden)
    }

    /// Every golden gradient must be among ours.
    fn require_all_gradients(&self, ours: &Results) {
        let golden = self.content.tensors.keys().filter(|name| name.starts_with("grad:"));
        let missing: Vec<&String> = golden.filter(|name| !ours.contains_key(*name)).collect();
        assert!(missing.is_empty(), "{}: no gradient for {missing:?}", self.name);
    }
}

/// The results of a case with other last bits.
struct Moved {
    /// How many half units in the last place weights and inputs were changed by, at most.
    last_bits: f64,
    results: Results,
}

/// The results of a case in fp64 by plain operators, and what they are with other last bits of weights and inputs.
struct Judge {
    exact: Results,
    moved: Vec<Results>,
}

impl Judge {
    fn new(case: &Case, run: impl Fn(&Case) -> Results) -> Self {
        let _tensors = TensorPath::enter();
        let moved = (1..=4).map(|seed| run(&case.perturbed(seed, 1.0).in_double())).collect();
        Self { exact: run(&case.in_double()), moved }
    }

    /// How far a result is from that in fp64.
    fn error(&self, name: &str, result: &Tensor) -> f64 {
        distance(result, &self.exact[name])
    }

    /// How far ours may be: the published result was rounded too, and more rounding than of weights and inputs is done
    /// by every fp32 program.
    fn allowed(&self, name: &str, published: &Tensor) -> f64 {
        let spread = self.moved.iter().map(|moved| self.error(name, &moved[name])).fold(0.0, f64::max);
        STAGES * spread.max(self.error(name, published)) + 2.0 * tolerance(published)
    }
}

fn tolerance(published: &Tensor) -> f64 {
    greatest(published) * RELATIVE + ABSOLUTE
}

/// Ours again with an error of 2 in a thousand, which a network that magnifies rounding could hide: that in fp64 knows it.
#[test]
fn an_error_that_is_no_rounding_is_found() {
    let path = golden_dir().0.join("point-network-Cri1_ModelNet_4.safetensors");
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    let case = Case::read(&path, Device::Cpu);
    let wrong = |results: Results| -> Results {
        results.into_iter().map(|(name, tensor)| (name, tensor.detach() * 1.002)).collect()
    };
    let run = networks::run_network;
    let judge = Judge::new(&case, run);
    let moved: Vec<Moved> = (1..=FIRST_DRAWS).map(|seed| case.moved(seed, |case| wrong(run(case)))).collect();
    let ours = wrong(run(&case));
    let beyond = ours.keys().filter(|name| case.excess(name, &ours[*name]) > 0.0);
    let objections: Vec<[bool; 2]> =
        beyond.map(|name| case.objections(name, &ours, &moved, &judge).map(|found| found.is_some())).collect();
    let hidden: Vec<_> = objections.iter().filter(|[to_published, _]| !to_published).collect();
    let found = hidden.iter().filter(|[_, to_exact]| *to_exact).count();
    println!("fp64 finds {found} of {} errors that last bits could explain", hidden.len());
    assert!(found > 0 && found > hidden.len() / 2, "{found} of {} hidden errors are found", hidden.len());
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
            // On CUDA no kernel of ours serves images: they were computed by operators already.
            if !(device.is_cuda() && ["cnn", "cifar", "imagenet"].contains(&space)) {
                let _tensors = TensorPath::enter();
                compare(&case);
            }
        }
    }
    assert!(failed.is_empty(), "{kind} ({}): {failed:?} failed; the table says how", spaces.join(", "));
    println!("{kind} ({}): compared {compared} golden files of {}", spaces.join(", "), folder.display());
    if compared == 0 {
        assert!(from_variable, "no golden file of kind {kind} in {}", folder.display());
        println!("skipped: SGAS_GOLDEN_DIR has no file of kind {kind} for {}", spaces.join(", "));
    }
}
