//! `sgas bench`: the throughput of whole steps of a search or training, in every precision that the device has.
//!
//! Batches are random numbers in the recipe's shapes, so no data is needed; a step costs the same for any. Each
//! precision is measured in a process of its own, so that peak memory is its own: the program calls itself.

pub mod measure;
pub mod recipe;
pub mod samples;
mod table;
pub mod workload;

use super::{
    AmpChoice, DeviceChoice, GlobalOptions, ModelName, RunOptions, SearchOptions, TrainOptions, device, print,
};
use crate::error::{Error, Result};
use crate::files::{check_place, write_atomically};
use crate::tensor::bridge::device::allow_tf32;
use crate::tensor::bridge::machine;
use crate::tensor::precision::Precision;
use measure::Measurement;
use recipe::Recipe;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tch::Device;

/// `sgas bench`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BenchOptions {
    /// Task, configuration, keys, batch, precision.
    pub run: RunOptions,
    /// The search of the task instead of a training.
    pub search: bool,
    /// The cell to train; absent: a published one.
    pub genotype: Option<String>,
    /// The network, where it is no cell's.
    pub model: Option<ModelName>,
    /// Every recipe of the built-in configurations.
    pub all: bool,
    /// Steps before the clock counts.
    pub warmup: usize,
    /// Steps that count.
    pub repeats: usize,
    /// JSON instead of a table.
    pub json: bool,
    /// A file for the JSON, besides.
    pub output: Option<PathBuf>,
    /// Measure this alone, in this process.
    pub only: Option<Arithmetic>,
}

/// How numbers are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// Single precision, TF32 off.
    Fp32,
    /// Single precision, of which products see 11 bits.
    Tf32,
    /// Mixed with bfloat16.
    Bf16,
    /// Mixed with half precision, with loss scaling.
    Fp16,
}

impl Arithmetic {
    /// All, the plainest first.
    pub const ALL: [Self; 4] = [Self::Fp32, Self::Tf32, Self::Bf16, Self::Fp16];

    /// As typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
        }
    }

    fn precision(self) -> Precision {
        match self {
            Self::Fp32 | Self::Tf32 => Precision::Fp32,
            Self::Bf16 => Precision::Bf16,
            Self::Fp16 => Precision::Fp16,
        }
    }

    /// Why a device has none of it.
    fn missing(self, device: Device) -> Option<String> {
        match (self, device) {
            (Self::Fp32 | Self::Bf16, _) => None,
            (Self::Tf32 | Self::Fp16, Device::Cpu) => Some("needs a CUDA device".to_owned()),
            (Self::Tf32, Device::Cuda(index)) => match machine::gpu(index) {
                Ok(gpu) if !gpu.capability.has_bf16() => Some(format!("{} has none ({})", gpu.name, gpu.capability)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    precision: Arithmetic,
    #[serde(flatten)]
    measured: Option<Measurement>,
    /// Samples per second by those of fp32.
    speedup: Option<f64>,
    /// Why nothing was measured.
    absent: Option<String>,
    /// What went wrong.
    failed: Option<String>,
}

/// A recipe's table.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Report {
    command: String,
    task: String,
    config: Option<String>,
    network: String,
    samples: String,
    sizes: String,
    batch: usize,
    is_published_resgcn: bool,
    rows: Vec<Row>,
}

/// Measures and prints.
///
/// # Errors
/// Options that won't do; after everything was printed, measurements that failed.
pub fn run(options: &BenchOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    if let Some(arithmetic) = options.only {
        return run_one(options, arithmetic, global, out);
    }
    options.output.as_deref().map_or(Ok(()), |path| check_place("--output", path))?;
    let device = device::prepare(global)?;
    let machine = table::Machine::of(device, options.warmup, options.repeats);
    let selected = selected(options, device);
    let recipes = selected.iter().map(asked_for).collect::<Result<Vec<_>>>()?;
    let arithmetics = arithmetics(options.run.amp, device)?;
    let mut reports = Vec::new();
    if !options.json {
        print(out, &machine.text())?;
    }
    for (options, recipe) in selected.iter().zip(&recipes) {
        let rows = rows(options, recipe, &arithmetics, global, device);
        let report = report(options, recipe, rows);
        if !options.json {
            print(out, &table::text(&report))?;
        }
        reports.push(report);
    }
    let closing = if options.json { table::json(&machine, &reports) } else { table::published(&machine, &reports) };
    print(out, &closing)?;
    if let Some(path) = &options.output {
        write_atomically(path, table::json(&machine, &reports).as_bytes())?;
    }
    let rows = reports.iter().flat_map(|report| &report.rows);
    match rows.filter(|row| row.failed.is_some()).count() {
        0 => Ok(()),
        failed => Err(Error::run(format!("{failed} measurements failed; the rows say why"))
            .with_hint("where memory was too small: --batch N, or another size with --config")),
    }
}

/// What is measured in this process, for the one that called it.
fn run_one(options: &BenchOptions, arithmetic: Arithmetic, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let device = device::prepare(global)?;
    if let Some(reason) = arithmetic.missing(device) {
        return Err(Error::usage(format!("{}: {reason}", arithmetic.name())));
    }
    allow_tf32(arithmetic == Arithmetic::Tf32)?;
    let counts = (options.warmup, options.repeats);
    let measured = measure::measure(&asked_for(options)?, arithmetic.precision(), counts, device)?;
    print(out, &format!("{}\n", serde_json::to_string(&measured).expect("plain data")))
}

/// The recipe that options name; `all` of them aside.
///
/// # Errors
/// See [`Recipe::search`] and [`Recipe::train`].
pub fn asked_for(options: &BenchOptions) -> Result<Recipe> {
    let (run, genotype, model) = (options.run.clone(), options.genotype.clone(), options.model);
    match options.search {
        true => Recipe::search(&SearchOptions { run, ..SearchOptions::default() }),
        false => Recipe::train(&TrainOptions { run, genotype, model, ..TrainOptions::default() }),
    }
}

/// One set of options per recipe.
fn selected(options: &BenchOptions, device: Device) -> Vec<BenchOptions> {
    if !options.all {
        return vec![options.clone()];
    }
    let recipes = |command: &str, search| {
        let one = move |name: &str| {
            let run = RunOptions { config: Some(name.to_owned()), ..options.run.clone() };
            BenchOptions { run, search, all: false, ..options.clone() }
        };
        Recipe::configurations(command, device).into_iter().map(one).collect::<Vec<_>>()
    };
    [recipes("search", true), recipes("train", false)].concat()
}

fn report(options: &BenchOptions, recipe: &Recipe, rows: Vec<Row>) -> Report {
    let samples = recipe.samples();
    Report {
        command: recipe.command().to_owned(),
        task: recipe.task_name().to_owned(),
        config: options.run.config.clone(),
        network: recipe.network_name().to_owned(),
        samples: samples.plural().to_owned(),
        sizes: samples.sizes(),
        batch: recipe.batch(),
        is_published_resgcn: recipe.is_published_resgcn(),
        rows,
    }
}

fn rows(
    options: &BenchOptions,
    recipe: &Recipe,
    arithmetics: &[Arithmetic],
    global: &GlobalOptions,
    device: Device,
) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut plain = None;
    for &precision in arithmetics {
        tracing::info!("{} of {}: {}", recipe.command(), recipe.task_name(), precision.name());
        let mut row = Row { precision, measured: None, speedup: None, absent: precision.missing(device), failed: None };
        if row.absent.is_none() {
            match in_own_process(options, precision, global, device) {
                Ok(measured) => {
                    let rate = measured.samples_per_second.median;
                    plain = if precision == Arithmetic::Fp32 { Some(rate) } else { plain };
                    row.speedup = plain.map(|plain| rate / plain);
                    row.measured = Some(measured);
                }
                Err(reason) => row.failed = Some(reason),
            }
        }
        rows.push(row);
    }
    rows
}

/// All of them, or fp32 and what `--amp` names.
fn arithmetics(amp: Option<AmpChoice>, device: Device) -> Result<Vec<Arithmetic>> {
    let wanted = match amp {
        None => return Ok(Arithmetic::ALL.to_vec()),
        Some(AmpChoice::Bf16) => Precision::Bf16,
        Some(AmpChoice::Fp16) => Precision::Fp16,
        Some(AmpChoice::Auto) => device::precision(amp, device)?,
    };
    let asked = |arithmetic: &Arithmetic| {
        let is_single = arithmetic.precision() == Precision::Fp32;
        arithmetic.precision() == wanted || (is_single && arithmetic.missing(device).is_none())
    };
    Ok(Arithmetic::ALL.into_iter().filter(asked).collect())
}

/// Calls this program for one measurement; what it says on failing is the error.
fn in_own_process(
    options: &BenchOptions,
    arithmetic: Arithmetic,
    global: &GlobalOptions,
    device: Device,
) -> std::result::Result<Measurement, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(words(options, arithmetic)).args(global_words(global, device)).stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    let (answer, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match serde_json::from_str(&answer) {
        Ok(measured) if output.status.success() => Ok(measured),
        _ => {
            let reason = told.lines().find_map(|line| line.strip_prefix("error: "));
            Err(reason.map_or_else(|| format!("the process ended: {}", output.status), str::to_owned))
        }
    }
}

/// The options as they are typed.
fn words(options: &BenchOptions, arithmetic: Arithmetic) -> Vec<String> {
    let run = &options.run;
    let mut words = vec!["bench".to_owned(), "--only".to_owned(), arithmetic.name().to_owned()];
    let mut add = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("--{name}={value}")));
    add("task", run.task.clone());
    add("config", run.config.clone());
    add("batch", run.batch.map(|batch| batch.to_string()));
    add("genotype", options.genotype.clone());
    add("model", options.model.map(|ModelName::ResGcn| "resgcn".to_owned()));
    add("warmup", Some(options.warmup.to_string()));
    add("repeats", Some(options.repeats.to_string()));
    for assignment in &run.set {
        add("set", Some(assignment.clone()));
    }
    words.extend(options.search.then(|| "--search".to_owned()));
    words
}

fn global_words(global: &GlobalOptions, device: Device) -> Vec<String> {
    let device = match (global.device, device) {
        (DeviceChoice::Cuda(index), _) | (_, Device::Cuda(index)) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    };
    let mut words = vec!["--quiet".to_owned(), format!("--device={device}")];
    words.extend(global.threads.map(|threads| format!("--threads={threads}")));
    words.extend(global.deterministic.then(|| "--deterministic".to_owned()));
    words
}
