//! The words of `sgas bench`.

use super::{Amp, Model, size, whole_number};
use crate::commands::bench::{Arithmetic, BenchOptions};
use crate::commands::{Command, ModelName, RunOptions};
use crate::tensor::convolution::Layout;
use clap::{ArgAction, Args, ValueEnum, value_parser};
use std::path::PathBuf;

/// Time whole steps of a search or training in every precision, on random numbers: no data is needed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sgas bench --task s3dis --model resgcn --batch 4 --amp fp16
  sgas bench --task modelnet40 --search
  sgas bench --all --output throughput.json
  sgas bench --task cifar10 --search --amp fp16 --trace step.json

fp32 has TF32 switched off; tf32 and fp16 need a CUDA device. Each precision runs
in a process of its own. --all takes every built-in search and training; on a
processor those of a size for it.
Exit codes: 0 all measured, 1 a measurement failed, 2 usage or configuration.")]
pub(super) struct BenchArguments {
    /// The task [default: the configuration's]
    #[arg(long, required_unless_present_any = ["config", "genotype", "model", "all"])]
    task: Option<String>,
    /// Time the task's search instead of a training
    #[arg(long, conflicts_with_all = ["genotype", "model"])]
    search: bool,
    /// The cell to train: a file, a published name or a run folder [default: a published one of the task's space]
    #[arg(long, value_name = "FILE|NAME|RUN")]
    genotype: Option<String>,
    /// The network of labelled clouds instead of a cell's
    #[arg(long, conflicts_with = "genotype")]
    model: Option<Model>,
    /// Time every built-in search and training
    #[arg(long, conflicts_with_all = ["task", "search", "genotype", "model", "config"])]
    all: bool,
    /// A configuration: a file, or the name of a built-in one [default: the task's]
    #[arg(long, value_name = "FILE|NAME")]
    config: Option<String>,
    /// Set one key of the configuration, such as data.points=512; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
    /// Samples per batch [default: the configuration's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole_number())]
    batch: Option<u64>,
    /// Time this precision beside fp32 alone [default: all that the device has]
    #[arg(long, value_name = "PRECISION", num_args = 0..=1, default_missing_value = "auto")]
    amp: Option<Amp>,
    /// Steps before the clock counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u64).range(..=1_000_000))]
    warmup: u64,
    /// Steps that count
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u64).range(1..=1_000_000))]
    repeats: u64,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Also write the JSON here
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Trace one step instead of timing: print where its time went, and write the trace here, for Perfetto
    /// (ui.perfetto.dev) or chrome://tracing; in the precision of --amp, else fp32
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "json", "output", "only"])]
    trace: Option<PathBuf>,
    /// How images lie in memory on CUDA; an experiment
    #[arg(long, hide = true, default_value = "channels-last")]
    layout: TypedLayout,
    /// Measure this precision in this process and print it for the one that called
    #[arg(long, hide = true, conflicts_with_all = ["all", "amp", "json"])]
    only: Option<Kind>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Fp32,
    Tf32,
    Bf16,
    Fp16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TypedLayout {
    ChannelsLast,
    Nchw,
}

impl From<BenchArguments> for Command {
    fn from(typed: BenchArguments) -> Self {
        let run = RunOptions {
            task: typed.task,
            config: typed.config,
            set: typed.set,
            batch: typed.batch.map(size),
            amp: typed.amp.map(Into::into),
            ..RunOptions::default()
        };
        Self::Bench(BenchOptions {
            run,
            search: typed.search,
            genotype: typed.genotype,
            model: typed.model.map(|Model::Resgcn| ModelName::ResGcn),
            all: typed.all,
            warmup: size(typed.warmup),
            repeats: size(typed.repeats),
            json: typed.json,
            output: typed.output,
            trace: typed.trace,
            layout: match typed.layout {
                TypedLayout::ChannelsLast => Layout::ChannelsLast,
                TypedLayout::Nchw => Layout::Planes,
            },
            only: typed.only.map(|kind| match kind {
                Kind::Fp32 => Arithmetic::Fp32,
                Kind::Tf32 => Arithmetic::Tf32,
                Kind::Bf16 => Arithmetic::Bf16,
                Kind::Fp16 => Arithmetic::Fp16,
            }),
        })
    }
}
