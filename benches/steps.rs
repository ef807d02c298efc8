//! Seconds and peak memory of whole steps on random clouds, in the shapes that `reference/time_published.py` times
//! of the published code, with the same flags and the same names in the JSON; `compare.py` sets both side by side.
//!
//! search: alpha step (first order) and weight step of the supernet in turn. train: one step of the published
//! network Cri2_ModelNet_Best, without drop path as in its first epoch. A step costs the same for any data, so no
//! loader takes part.
//!
//! `cargo bench --profile dev --bench steps -- --help`: libtorch and the kernels are optimised in every profile.

use std::fs;
use std::process::Command;
use std::time::Instant;

use clap::{Args, Parser, ValueEnum};
use serde_json::{Map, Value, json};
use sgas::batch::{Batch, PointBatch};
use sgas::commands::{DeviceChoice, GlobalOptions, Verbosity, device};
use sgas::error::{Error, Result};
use sgas::genotype::{SpaceName, zoo};
use sgas::model::{Model, ModelConfig, NetworkSpec, SearchModel, derived, supernet};
use sgas::ops::Mode;
use sgas::optim::{AlphaConfig, WeightConfig};
use sgas::search::bilevel::Bilevel;
use sgas::search::second_order::Ahead;
use sgas::space::image::ImageConfig;
use sgas::space::point::PointConfig;
use sgas::step::WeightStep;
use sgas::task::Task;
use sgas::tensor::bridge::{self, memory};
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use sgas::threads;
use tch::{Device, Kind, Tensor};

const SEED: u64 = 1;
const PUBLISHED_CELL: &str = "Cri2_ModelNet_Best";

/// Times whole steps on random clouds.
#[derive(Parser)]
#[command(name = "steps")]
struct Options {
    /// Which step.
    #[arg(value_enum, default_value = "search")]
    what: What,
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
    #[arg(long, default_value = "fp32", value_parser = precision)]
    precision: Precision,
    /// Threads of tensor operations [default: libtorch's choice].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Steps before the clock counts.
    #[arg(long, default_value_t = 2)]
    warmup: usize,
    /// Steps that count.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    repeats: u16,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shape: Shape,
    /// `cargo bench` says this to every bench.
    #[arg(long = "bench", hide = true)]
    _bench: bool,
}

/// Sizes; those left out are the published script's for a CPU.
#[derive(Args)]
struct Shape {
    /// Clouds per step [default: 4 (search), 8 (train)].
    #[arg(long)]
    batch: Option<i64>,
    /// Points of a cloud.
    #[arg(long, default_value_t = 1024)]
    points: i64,
    /// Neighbours of a point, itself included.
    #[arg(long, default_value_t = 9)]
    k: i64,
    /// Cells of the stack [default: 2 (search), 3 (train)].
    #[arg(long)]
    cells: Option<usize>,
    /// Channels of a node [default: 32 (search), 128 (train)].
    #[arg(long)]
    channels: Option<i64>,
    /// Classes [default: 10 (search), 40 (train)].
    #[arg(long)]
    classes: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Search,
    Train,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DeviceName {
    Cpu,
    Cuda,
}

fn precision(typed: &str) -> std::result::Result<Precision, String> {
    let known = [Precision::Fp32, Precision::Bf16, Precision::Fp16];
    known.into_iter().find(|precision| precision.name() == typed).ok_or_else(|| "fp32, bf16 or fp16".to_owned())
}

/// What is timed on its own.
#[derive(Debug, Clone, Copy)]
enum Part {
    Alphas,
    Weights,
    Train,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Alphas => "alpha_step",
            Self::Weights => "weight_step",
            Self::Train => "train_step",
        }
    }
}

/// A network and what trains it.
enum Workload {
    Search { model: Box<dyn SearchModel>, bilevel: Bilevel, rate: f64 },
    Train { model: Box<dyn Model>, step: WeightStep, task: Task, rate: f64 },
}

impl Workload {
    /// With the published settings of search or retraining.
    fn new(what: What, spec: &NetworkSpec, precision: Precision, device: Device) -> Result<Self> {
        let task = Task::Classify { classes: spec.classes };
        match what {
            What::Search => {
                let (weights, alphas) = (WeightConfig::default(), AlphaConfig::default());
                let model = supernet(SpaceName::Point, spec, alphas.initial_scale, SEED, device)?;
                let bilevel = Bilevel::new(&*model, task, &weights, &alphas, precision);
                Ok(Self::Search { model, bilevel, rate: weights.learning_rate })
            }
            What::Train => {
                let weights = WeightConfig { learning_rate: 0.1, weight_decay: 1e-4, ..WeightConfig::default() };
                let model = derived(&zoo::find(PUBLISHED_CELL)?.genotype, spec, SEED, device)?;
                let step = WeightStep::new(&*model, &weights, precision, 0.0);
                Ok(Self::Train { model, step, task, rate: weights.learning_rate })
            }
        }
    }

    fn parts(&self) -> &'static [Part] {
        match self {
            Self::Search { .. } => &[Part::Alphas, Part::Weights],
            Self::Train { .. } => &[Part::Train],
        }
    }

    fn parameters(&self) -> usize {
        match self {
            Self::Search { model, .. } => model.weights().parameters.count(),
            Self::Train { model, .. } => model.weights().parameters.count(),
        }
    }

    fn run(&mut self, part: Part, batch: &Batch) -> Result<()> {
        match self {
            Self::Search { model, bilevel, rate } => match part {
                Part::Alphas => {
                    let key = Key::new(SEED, Purpose::AlphaStep);
                    bilevel.step_alphas(&mut **model, batch, &Ahead { batch, learning_rate: *rate, key })
                }
                _ => bilevel.step_weights(&mut **model, batch, *rate).map(drop),
            },
            Self::Train { model, step, task, rate } => {
                step.run(&**model, *task, batch, Mode::TRAINING, *rate).map(drop)
            }
        }
    }
}

fn main() -> Result<()> {
    // As the program does.
    threads::set_thread_defaults();
    memory::keep_freed_memory();
    let options = Options::parse();
    let device = prepare(&options)?;
    let spec = options.spec();
    let batch = random_batch(&options, spec.classes, device);
    let mut workload = Workload::new(options.what, &spec, options.precision, device)?;
    let times = measure(&mut workload, &options, &batch, device)?;
    let mut result = conditions(&options, &spec, device);
    result.insert("parameters".into(), workload.parameters().into());
    result
        .insert("seconds".into(), times.iter().map(|(part, times)| (part.name().to_owned(), summary(times))).collect());
    result.insert("peak_memory_bytes".into(), peak_memory()?.into());
    if let Some(bytes) = bridge::device::peak_memory(device)? {
        result.insert("peak_device_bytes".into(), bytes.into());
    }
    print(&options, &result);
    Ok(())
}

fn prepare(options: &Options) -> Result<Device> {
    let choice = match options.device {
        DeviceName::Cpu => DeviceChoice::Cpu,
        DeviceName::Cuda => DeviceChoice::Cuda(0),
    };
    let threads = options.threads.map(usize::from);
    device::prepare(&GlobalOptions { device: choice, threads, verbosity: Verbosity::Quiet })
}

impl Options {
    fn spec(&self) -> NetworkSpec {
        let (cells, channels, classes) = match self.what {
            What::Search => (2, 32, 10),
            What::Train => (3, 128, 40),
        };
        let shape = &self.shape;
        NetworkSpec {
            model: ModelConfig { channels: shape.channels.unwrap_or(channels), cells: shape.cells.unwrap_or(cells) },
            point: PointConfig { k: shape.k, ..PointConfig::default() },
            image: ImageConfig::default(),
            classes: shape.classes.unwrap_or(classes),
        }
    }

    fn batch(&self) -> i64 {
        self.shape.batch.unwrap_or(if self.what == What::Search { 4 } else { 8 })
    }
}

fn random_batch(options: &Options, classes: usize, device: Device) -> Batch {
    Key::new(SEED, Purpose::Synthetic).seed_torch();
    let (clouds, on_cpu) = (options.batch(), (Kind::Float, Device::Cpu));
    let points = Tensor::rand([clouds, options.shape.points, 3], on_cpu) * 2.0 - 1.0;
    let labels = Tensor::randint(classes as i64, [clouds], (Kind::Int64, Device::Cpu));
    Batch::Points(PointBatch { points, labels }).to_device(device)
}

/// Seconds of every part, after the warm-up.
fn measure(workload: &mut Workload, options: &Options, batch: &Batch, device: Device) -> Result<Vec<(Part, Vec<f64>)>> {
    let mut times: Vec<(Part, Vec<f64>)> = workload.parts().iter().map(|&part| (part, Vec::new())).collect();
    for repeat in 0..options.warmup + usize::from(options.repeats) {
        for (part, times) in &mut times {
            bridge::device::synchronize(device)?;
            let start = Instant::now();
            workload.run(*part, batch)?;
            bridge::device::synchronize(device)?;
            if repeat >= options.warmup {
                times.push(start.elapsed().as_secs_f64());
            }
        }
    }
    Ok(times)
}

/// The middle, or the mean of the two in the middle, as Python's `statistics.median`.
fn summary(times: &[f64]) -> Value {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len() - 1;
    let median = (sorted[last / 2] + sorted[last.div_ceil(2)]) / 2.0;
    json!({ "median": median, "min": sorted[0], "max": sorted[last] })
}

fn conditions(options: &Options, spec: &NetworkSpec, device: Device) -> Map<String, Value> {
    let conditions = json!({
        "code": format!("sgas {}", env!("CARGO_PKG_VERSION")),
        "what": if options.what == What::Search { "search" } else { "train" },
        "device": if device.is_cuda() { "cuda" } else { "cpu" },
        "threads": tch::get_num_threads(),
        "precision": options.precision.name(),
        "batch": options.batch(),
        "points": options.shape.points,
        "k": spec.point.k,
        "cells": spec.model.cells,
        "channels": spec.model.channels,
        "classes": spec.classes,
        "warmup": options.warmup,
        "repeats": options.repeats,
        "torch": bridge::LIBTORCH_VERSION,
        "device_name": if device.is_cuda() { gpu_name() } else { cpu_name() },
    });
    let Value::Object(conditions) = conditions else { unreachable!("written above as an object") };
    conditions
}

fn cpu_name() -> String {
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = known.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}

fn gpu_name() -> String {
    let output = Command::new("nvidia-smi").args(["--query-gpu=name", "--format=csv,noheader"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// The most memory that the process held so far, libraries included.
fn peak_memory() -> Result<u64> {
    let place = "/proc/self/status";
    let status = fs::read_to_string(place).map_err(|error| Error::read(place, error))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| Error::invalid(place, "a line VmHWM in kB", "none"))
}

fn print(options: &Options, result: &Map<String, Value>) {
    if options.json {
        println!("{}", serde_json::to_string_pretty(result).expect("plain data"));
        return;
    }
    for (name, value) in result {
        println!("{name:18} {value}");
    }
}
