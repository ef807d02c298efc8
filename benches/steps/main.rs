//! Seconds and peak memory of whole steps on random clouds, images or graphs, in the shapes that
//! `reference/time_published.py` times of the published code, with the same names in the JSON; `compare.py` sets both
//! side by side. With `--profile` a table of where the time goes, by operator.
//!
//! `cargo bench --profile dev --bench steps -- --help`: libtorch and the kernels are optimised in every profile.

mod profile;
mod roofline;
mod shape;
mod workload;

use std::fs;
use std::process::Command;

use clap::{Parser, ValueEnum};
use serde_json::{Map, Value, json};
use sgas::commands::bench::measure::Summary;
use sgas::commands::bench::workload::Workload;
use sgas::commands::{DeviceChoice, GlobalOptions, device};
use sgas::error::Result;
use sgas::report::peak_process_memory;
use sgas::tensor::bridge::{self, memory};
use sgas::tensor::precision::Precision;
use sgas::threads;
use tch::Device;

use crate::shape::{Named, ShapeOptions};
use crate::workload::workload;

/// Times whole steps on random clouds, images or graphs.
#[derive(Parser)]
#[command(name = "steps")]
struct Options {
    #[command(flatten)]
    shape: ShapeOptions,
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
    /// Print where the time goes, by operator, as Markdown (on a CPU).
    #[arg(long, conflicts_with = "json")]
    profile: bool,
    /// Also tell what bounds the step on this machine: multiply-adds, bytes, peaks (on a CPU).
    #[arg(long, conflicts_with = "profile")]
    roofline: bool,
    /// `cargo bench` says this to every bench.
    #[arg(long = "bench", hide = true)]
    _bench: bool,
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

fn main() -> Result<()> {
    // As the program does.
    threads::set_thread_defaults();
    memory::keep_freed_memory();
    let options = Options::parse();
    let device = prepare(&options)?;
    let (named, shape) = options.shape.resolve()?;
    let mut workload = workload(&shape, options.precision, device)?;
    if options.profile {
        return print_profile(&mut workload, &options, &named, device);
    }
    let times = workload.measure(options.warmup, usize::from(options.repeats), device)?;
    let mut result = conditions(&options, &named, device);
    result.insert("parameters".into(), workload.parameters().into());
    result.insert(
        "seconds".into(),
        times.iter().map(|(part, times)| (part.name().to_owned(), json!(Summary::of(times)))).collect(),
    );
    result.insert("peak_memory_bytes".into(), peak_process_memory()?.into());
    if let Some(bytes) = bridge::device::peak_memory(device)? {
        result.insert("peak_device_bytes".into(), bytes.into());
    }
    if options.roofline {
        result.insert("bounds".into(), roofline::bounds(&mut workload)?);
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
    device::prepare(&GlobalOptions { device: choice, threads, quiet: true, ..GlobalOptions::default() })
}

fn conditions(options: &Options, named: &Named, device: Device) -> Map<String, Value> {
    let conditions = json!({
        "code": format!("sgas {}", env!("CARGO_PKG_VERSION")),
        "shape": options.shape.shape,
        "device": if device.is_cuda() { "cuda" } else { "cpu" },
        "threads": tch::get_num_threads(),
        "precision": options.precision.name(),
        "warmup": options.warmup,
        "repeats": options.repeats,
        "torch": bridge::LIBTORCH_VERSION,
        "device_name": if device.is_cuda() { gpu_name() } else { cpu_name() },
    });
    let Value::Object(mut conditions) = conditions else { unreachable!("written above as an object") };
    conditions.extend(named.clone());
    conditions
}

fn print_profile(workload: &mut Workload, options: &Options, named: &Named, device: Device) -> Result<()> {
    let text = profile::report(workload, options.warmup, usize::from(options.repeats))?;
    let conditions = conditions(options, named, device);
    let told: Vec<String> = conditions.iter().map(|(name, value)| format!("{name} {value}").replace('"', "")).collect();
    println!("## {}\n{}.\n\n{text}", options.shape.shape, told.join(", "));
    Ok(())
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

fn print(options: &Options, result: &Map<String, Value>) {
    if options.json {
        println!("{}", serde_json::to_string_pretty(result).expect("plain data"));
        return;
    }
    for (name, value) in result {
        println!("{name:18} {value}");
    }
}
