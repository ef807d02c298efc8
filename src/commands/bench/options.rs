//! What `sgas bench` takes.

use super::Arithmetic;
use crate::commands::options::{count, hand_designed};
use crate::commands::{AmpChoice, BatchChoice, RunOptions};
use crate::model::HandDesigned;
use crate::tensor::convolution::Layout;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args};
use std::path::PathBuf;

/// What `sgas bench` takes.
#[derive(Debug, Clone, PartialEq, Default, Args)]
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
pub struct BenchOptions {
    /// The task [default: the configuration's]
    #[arg(long, required_unless_present_any = ["config", "genotype", "model", "all"])]
    pub task: Option<String>,
    /// Time the task's search instead of a training
    #[arg(long, conflicts_with_all = ["genotype", "model"])]
    pub search: bool,
    /// The cell to train: a file, a published name or a run folder [default: a published one of the task's space]
    #[arg(long, value_name = "FILE|NAME|RUN")]
    pub genotype: Option<String>,
    /// A hand-designed network instead of a cell's
    #[arg(long, value_name = "NAME", value_parser = hand_designed(), conflicts_with = "genotype")]
    pub model: Option<HandDesigned>,
    /// Time every built-in search and training
    #[arg(long, conflicts_with_all = ["task", "search", "genotype", "model", "config"])]
    pub all: bool,
    /// A configuration: a file, or the name of a built-in one [default: the task's]
    #[arg(long, value_name = "FILE|NAME")]
    pub config: Option<String>,
    /// Set one key of the configuration, such as data.points=512; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", action = ArgAction::Append)]
    pub set: Vec<String>,
    /// Samples per batch [default: the configuration's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(..))]
    pub batch: Option<usize>,
    /// Time this precision beside fp32 alone [default: all that the device has]
    #[arg(long, value_name = "PRECISION", num_args = 0..=1, default_missing_value = "auto")]
    pub amp: Option<AmpChoice>,
    /// Steps before the clock counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = count(..=1_000_000))]
    pub warmup: usize,
    /// Steps that count
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count(1..=1_000_000))]
    pub repeats: usize,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
    /// Also write the JSON here
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Let --output and --trace replace a file of other content too
    #[arg(long)]
    pub force: bool,
    /// Trace one step instead of timing: print where its time went, and write the trace here, for Perfetto
    /// (ui.perfetto.dev) or chrome://tracing; in the precision of --amp, else fp32
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "json", "output", "only"])]
    pub trace: Option<PathBuf>,
    /// How images lie in memory on CUDA; an experiment [default: as the command that is timed has it]
    #[arg(long, hide = true, value_parser = one_of(Layout::ALL, Layout::name))]
    pub layout: Option<Layout>,
    /// Measure this precision in this process and print it for the one that called
    #[arg(long, hide = true, conflicts_with_all = ["all", "amp", "json"], value_parser = one_of(Arithmetic::ALL, Arithmetic::name))]
    pub only: Option<Arithmetic>,
}

impl BenchOptions {
    /// The layout of images on CUDA in the process that measures.
    pub fn layout(&self) -> Layout {
        self.layout.unwrap_or(if self.search { Layout::SEARCH } else { Layout::TRAINING })
    }

    /// Task, configuration, keys, batch and precision as a run takes them.
    pub fn run(&self) -> RunOptions {
        let Self { task, config, set, batch, amp, .. } = self.clone();
        let batch = batch.map(BatchChoice::Of);
        RunOptions { task, config, set, batch, amp, ..RunOptions::default() }
    }
}

/// Takes the name of one of `all`.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.map(name)).map(move |typed| {
        let found = all.into_iter().find(|each| name(*each) == typed);
        found.expect("one of these names was typed")
    })
}
