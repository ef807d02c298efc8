//! `sgas bench`: the throughput of whole steps of a search or training, in every precision that the device has.
//!
//! Batches are random numbers in the recipe's shapes, so no data is needed; a step costs the same for any. Each
//! precision is measured in a process of its own (`process.rs`). With `--trace` one step is traced instead of timed
//! (`trace.rs`).

mod arithmetic;
pub mod measure;
mod options;
mod process;
pub mod recipe;
pub mod samples;
mod table;
mod trace;
pub mod workload;

pub use arithmetic::Arithmetic;
pub use options::BenchOptions;

use super::outputs::{MEASUREMENTS, TRACE};
use super::{GlobalOptions, SearchOptions, TrainOptions, device, print};
use crate::error::{Error, Result};
use crate::files::Output;
use crate::tensor::bridge::device::allow_tf32;
use crate::tensor::convolution::set_cuda_layout;
use arithmetic::arithmetics;
use measure::Measurement;
use recipe::Recipe;
use serde::Serialize;
use std::io::Write;
use table::Machine;
use tch::Device;

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

/// Measures and prints; every row is printed, and written to `--output`, as soon as it is measured.
///
/// # Errors
/// Options that won't do; after everything was printed, measurements that failed.
pub fn run(options: &BenchOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    if let Some(arithmetic) = options.only {
        return run_one(options, arithmetic, global, out);
    }
    if let Some(path) = &options.trace {
        return trace::run(options, &Output::new("--trace", path, TRACE, options.force)?, global, out);
    }
    let output = options.output.as_deref();
    let output = output.map(|path| Output::new("--output", path, MEASUREMENTS, options.force)).transpose()?;
    let device = prepare(options, global)?;
    let selected = selected(options, device);
    let recipes = selected.iter().map(asked_for).collect::<Result<Vec<_>>>()?;
    let arithmetics = arithmetics(options.amp, device)?;
    let machine = Machine::of(device, options, global);
    let mut bench = Bench { options, output, global, device, machine, arithmetics, reports: Vec::new() };
    bench.say(&bench.machine.text(), out)?;
    for (options, recipe) in selected.iter().zip(&recipes) {
        bench.measure(options, recipe, out)?;
    }
    print(out, &bench.closing())?;
    bench.save(true)?;
    bench.outcome()
}

/// Sets what a measurement asks of the process, and finds the device.
fn prepare(options: &BenchOptions, global: &GlobalOptions) -> Result<Device> {
    set_cuda_layout(options.layout());
    device::prepare(global)
}

/// What was measured so far.
struct Bench<'a> {
    options: &'a BenchOptions,
    output: Option<Output>,
    global: &'a GlobalOptions,
    device: Device,
    machine: Machine,
    arithmetics: Vec<Arithmetic>,
    reports: Vec<Report>,
}

impl Bench<'_> {
    fn measure(&mut self, options: &BenchOptions, recipe: &Recipe, out: &mut dyn Write) -> Result<()> {
        let report = report(options, recipe);
        self.say(&table::head(&report), out)?;
        self.reports.push(report);
        let mut plain = None;
        for precision in self.arithmetics.clone() {
            tracing::info!("{} of {}: {}", recipe.command(), recipe.task_name(), precision.name());
            let row = self.row(options, precision, &mut plain);
            self.say(&table::line(&row), out)?;
            self.reports.last_mut().expect("pushed above").rows.push(row);
            self.save(false)?;
        }
        Ok(())
    }

    /// `plain` holds the rate of fp32 as soon as that is known.
    fn row(&self, options: &BenchOptions, precision: Arithmetic, plain: &mut Option<f64>) -> Row {
        let absent = precision.missing(self.device);
        let mut row = Row { precision, measured: None, speedup: None, absent, failed: None };
        if row.absent.is_some() {
            return row;
        }
        match process::in_own_process(options, precision, self.global, self.device) {
            Ok(measured) => {
                let rate = measured.samples_per_second.median;
                *plain = if precision == Arithmetic::Fp32 { Some(rate) } else { *plain };
                row.speedup = plain.map(|plain| rate / plain);
                row.measured = Some(measured);
            }
            Err(reason) => row.failed = Some(reason),
        }
        row
    }

    /// Prints what belongs to the tables.
    fn say(&self, text: &str, out: &mut dyn Write) -> Result<()> {
        if self.options.json { Ok(()) } else { print(out, text) }
    }

    /// What was measured so far; into a device or pipe only the whole at the end.
    fn save(&self, whole: bool) -> Result<()> {
        let Some(output) = self.output.as_ref().filter(|output| output.is_stream() == whole) else { return Ok(()) };
        output.write(table::json(&self.machine, &self.reports).as_bytes())
    }

    fn closing(&self) -> String {
        let form = if self.options.json { table::json } else { table::published };
        form(&self.machine, &self.reports)
    }

    fn outcome(&self) -> Result<()> {
        let rows = self.reports.iter().flat_map(|report| &report.rows);
        match rows.filter(|row| row.failed.is_some()).count() {
            0 => Ok(()),
            failed => Err(Error::run(format!("{failed} measurements failed; the rows say why"))
                .with_hint("where memory was too small: --batch N, or another size with --config")),
        }
    }
}

/// What is measured in this process, for the one that called it.
fn run_one(options: &BenchOptions, arithmetic: Arithmetic, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let device = prepare(options, global)?;
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
    let (run, genotype, model) = (options.run(), options.genotype.clone(), options.model);
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
        let one =
            move |name: &str| BenchOptions { config: Some(name.to_owned()), search, all: false, ..options.clone() };
        Recipe::configurations(command, device).into_iter().map(one).collect::<Vec<_>>()
    };
    [recipes("search", true), recipes("train", false)].concat()
}

/// The head of a table without rows.
fn report(options: &BenchOptions, recipe: &Recipe) -> Report {
    let samples = recipe.samples();
    Report {
        command: recipe.command().to_owned(),
        task: recipe.task_name().to_owned(),
        config: options.config.clone(),
        network: recipe.network_name().to_owned(),
        samples: samples.plural().to_owned(),
        sizes: samples.sizes(),
        batch: recipe.batch(),
        is_published_resgcn: recipe.is_published_resgcn(),
        rows: Vec::new(),
    }
}
