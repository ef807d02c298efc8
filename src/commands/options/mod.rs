//! What the commands take, as it is typed: clap reads these very structs, and a command gets them as they are.

mod config;
mod data;
mod launch;
mod parse;
mod regret;
mod report;
mod runs;
mod study;
mod trained;

pub use config::{ConfigOptions, InitOptions, RunKind};
pub use data::{DataCommand, DataInfoOptions, DataSynthOptions};
pub use launch::LaunchOptions;
pub use parse::{count, hand_designed, known, whole_number};
pub use regret::{RegretOptions, Simulation};
pub use report::{ReportOptions, WatchOptions};
pub use runs::{Prune, RunOrder, RunState, RunsOptions};
pub use study::{CorrelateOptions, StudyOptions};
pub use trained::{EvalOptions, ExportFormat, ExportOptions, ImportOptions, PredictOptions, TrainedOptions};

use crate::model::HandDesigned;
use crate::search::StrategyName;
use crate::task::ObjectiveName;
use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;

// What every command takes.
#[expect(missing_docs, reason = "clap would take them for those of the command that flattens it")]
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE", value_parser = parse::device)]
    pub device: DeviceChoice,
    /// Threads of tensor operations [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = count(1..=1024))]
    pub threads: Option<usize>,
    /// Compute the same bits at every run on a GPU too, by slower operators where the usual ones don't; a processor
    /// always does
    #[arg(long, global = true, conflicts_with = "cudnn_benchmark")]
    pub deterministic: bool,
    /// On CUDA, let cuDNN time its algorithms for every new shape of a convolution and keep the fastest: results are no
    /// longer repeatable to the bit
    #[arg(long, global = true)]
    pub cudnn_benchmark: bool,
    /// On CUDA, launch the kernels of every step one by one, instead of recording the passes over images and clouds once
    /// as CUDA graphs; takes less memory and more time
    #[arg(long, global = true)]
    pub no_cuda_graphs: bool,
    /// Log more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Log warnings and errors only, and show no progress
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

impl GlobalOptions {
    /// How much is told on standard error.
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }

    /// What is typed for the same in another process.
    pub fn words(&self) -> Vec<String> {
        let Self { device, threads, deterministic, cudnn_benchmark, no_cuda_graphs, verbose, quiet } = *self;
        let device = match device {
            DeviceChoice::Auto => None,
            DeviceChoice::Cpu => Some("cpu".to_owned()),
            DeviceChoice::Cuda(index) => Some(format!("cuda:{index}")),
        };
        let mut words: Vec<String> = device.map(|device| format!("--device={device}")).into_iter().collect();
        words.extend(threads.map(|threads| format!("--threads={threads}")));
        let switches = [
            ("--deterministic", deterministic),
            ("--cudnn-benchmark", cudnn_benchmark),
            ("--no-cuda-graphs", no_cuda_graphs),
            ("--verbose", verbose),
            ("--quiet", quiet),
        ];
        words.extend(switches.into_iter().filter(|(_, is_on)| *is_on).map(|(word, _)| word.to_owned()));
        words
    }
}

impl Default for GlobalOptions {
    fn default() -> Self {
        Self {
            device: DeviceChoice::Auto,
            threads: None,
            deterministic: false,
            cudnn_benchmark: false,
            no_cuda_graphs: false,
            verbose: false,
            quiet: false,
        }
    }
}

/// Where tensors live, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA where it is usable, else the processor.
    Auto,
    /// The processor.
    Cpu,
    /// The CUDA device of this index.
    Cuda(usize),
}

/// How much is told on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Warnings and errors; no progress.
    Quiet,
    /// Progress and what matters.
    Normal,
    /// Details too.
    Verbose,
}

// Plain comments: with docs of their own, help would list the values line by line.
/// In which precision `--amp` asks to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "see above")]
pub enum AmpChoice {
    // fp16 on a CUDA device with Tensor Cores, bf16 elsewhere.
    Auto,
    // Half precision with loss scaling; CUDA only.
    Fp16,
    // bfloat16.
    Bf16,
}

/// Samples per batch, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchChoice {
    /// As many as fit into memory.
    Auto,
    /// So many.
    Of(usize),
}

// What `search` and `train` share.
#[expect(missing_docs, reason = "clap would take them for those of the command that flattens it")]
#[derive(Debug, Clone, PartialEq, Default, Args)]
#[command(next_help_heading = "Run options")]
pub struct RunOptions {
    /// The task: modelnet10, modelnet40, cifar10, cifar100, imagenet, ppi, s3dis, shapenetpart, or your own
    /// points, images, graphs or segmentation
    /// [default: the cell's or the configuration's]
    #[arg(long)]
    pub task: Option<String>,
    /// The data: a folder, or `synthetic` for built-in samples [default: the task's folder in $SGAS_DATA or data/]
    #[arg(long, value_name = "DIR|synthetic")]
    pub data: Option<String>,
    /// A configuration: a file, or the name of a built-in one such as modelnet40-cpu [default: the task's]
    #[arg(long, value_name = "FILE|NAME")]
    pub config: Option<String>,
    /// Set one key of the configuration, such as data.points=512; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", action = ArgAction::Append)]
    pub set: Vec<String>,
    /// The run folder [default: a new one under $SGAS_RUNS or runs/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Seed of everything random [default: the configuration's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole_number())]
    pub seed: Option<u64>,
    /// Samples per batch, or `auto`: as many as fit into four fifths of the free memory, by an estimate
    /// [default: the configuration's]
    #[arg(long, value_name = "N|auto", allow_negative_numbers = true, value_parser = parse::BatchParser)]
    pub batch: Option<BatchChoice>,
    /// Compute in mixed precision; without a value fp16 with loss scaling on a GPU, bf16 on a processor
    #[arg(long, value_name = "PRECISION", num_args = 0..=1, default_missing_value = "auto")]
    pub amp: Option<AmpChoice>,
    /// Go on with the run in --out, or else the newest unfinished one of this configuration, from its last checkpoint;
    /// begin it where nothing was done
    #[arg(long)]
    pub resume: bool,
    /// Go on although this key of the configuration is another now, or the `data` is; may be repeated
    #[arg(long, value_name = "KEY", requires = "resume", action = ArgAction::Append)]
    pub resume_anyway: Vec<String>,
    /// Where a loss or gradient is inf or NaN: stop, skip the step, or go back to the last checkpoint and on in another
    /// order of the data [default: stop]
    #[arg(long, value_name = "stop|skip|rollback")]
    pub on_nan: Option<String>,
    /// Where several processes share the run, let batch norms take the statistics of all their batches
    #[arg(long)]
    pub sync_batch_norm: bool,
    /// What is descended [default: the task's own loss]
    #[arg(long, value_name = "NAME", value_parser = known(ObjectiveName::all(), |objective| objective.about))]
    pub objective: Option<String>,
    /// Go on without files that can't be used, and count them
    #[arg(long)]
    pub skip_bad: bool,
    /// Also write what TensorBoard reads into the run folder; a run that has begun with it goes on with it
    #[arg(long)]
    pub tensorboard: bool,
}

/// What `sgas search` takes.
#[derive(Debug, Clone, PartialEq, Default, Args)]
#[command(after_help = "\
Example:
  sgas search --task modelnet10 --criterion 2 --save cell.json

Leaves a run folder: the cell (genotype.json), a drawing after every decision
(*.svg), every epoch and decision (events.jsonl, metrics.csv, log.txt), the
resolved configuration (config.toml), and what --resume needs (checkpoint/).")]
pub struct SearchOptions {
    /// What every run takes.
    #[command(flatten)]
    pub run: RunOptions,
    /// Rank edges by importance and certainty (1), or by stability as well (2) [default: 1]
    #[arg(long, value_name = "1|2", help_heading = "Search options", allow_negative_numbers = true)]
    pub criterion: Option<i64>,
    /// The space of the cell, where it is not the task's own
    #[arg(long, value_name = "NAME", help_heading = "Search options")]
    pub space: Option<String>,
    /// How edges are chosen [default: sgas]
    #[arg(
        long,
        help_heading = "Search options",
        value_parser = known(StrategyName::all(), |strategy| strategy.about)
    )]
    pub strategy: Option<String>,
    /// What chooses the primitives of edges: `perturbation`, the one whose removal validation misses most; with sgas or
    /// darts [default: the strategy's own rule]
    #[arg(long, value_name = "NAME", help_heading = "Search options")]
    pub selection: Option<String>,
    /// How alphas become shares of primitives: `dirichlet`, drawn from Dirichlet distributions, with every strategy that
    /// trains [default: softmax]
    #[arg(long, value_name = "NAME", help_heading = "Search options")]
    pub mixture: Option<String>,
    /// Let edges of the supernet work on the first of K equal parts of the channels, while the others pass by: less memory,
    /// and room for larger batches; 4 as published [default: all channels]
    #[arg(long, value_name = "K", help_heading = "Search options")]
    pub partial_channels: Option<usize>,
    /// Give edges trained weights, by which those of a node are compared; in spaces whose nodes choose among edges
    #[arg(long, help_heading = "Search options")]
    pub edge_weights: bool,
    /// What ends the training of single operations: `similarity`, gradients that have little in common on the weights' and
    /// the alphas' data; with every strategy that trains alphas [default: nothing]
    #[arg(long, value_name = "NAME", help_heading = "Search options")]
    pub freezing: Option<String>,
    /// A term of the alphas' loss: `beta`, beta decay; with every strategy that trains [default: none]
    #[arg(long, value_name = "NAME", help_heading = "Search options")]
    pub regularizer: Option<String>,
    /// Find a cell whose network has at most so many weights, at the sizes of the training
    #[arg(long, value_name = "N", help_heading = "Search options")]
    pub max_params: Option<u64>,
    /// The same for the multiply-adds of a picture
    #[arg(long, value_name = "N", help_heading = "Search options")]
    pub max_macs: Option<u64>,
    /// Order of the alphas' gradient: 1, the published default, or 2, which looks ahead to the weights' next step
    /// and takes three more passes per step
    #[arg(long, value_name = "1|2", help_heading = "Search options")]
    pub order: Option<u8>,
    /// Also write the found cell here, for `sgas train --genotype`
    #[arg(long, value_name = "FILE", help_heading = "Search options")]
    pub save: Option<PathBuf>,
    /// Let --save replace a file of other content too
    #[arg(long, help_heading = "Search options")]
    pub force: bool,
}

/// What `sgas train` takes.
#[derive(Debug, Clone, PartialEq, Default, Args)]
#[command(after_help = "\
Examples:
  sgas train --genotype cell.json --amp
  sgas train --genotype Cri2_ModelNet_Best --config modelnet40-small
  sgas train --task s3dis --model resgcn --amp
  sgas train --task graphs --data DIR --baseline
  sgas train --init runs/train-... --config runs/train-.../config.toml --data DIR --freeze stem --freeze cells

Leaves a run folder: the weights (last, and best on validation where
data.validation holds a share out), every epoch (events.jsonl, metrics.csv,
log.txt), the cell (genotype.json), the resolved configuration (config.toml),
and what --resume needs (checkpoint/).")]
pub struct TrainOptions {
    /// The cell: a genotype file (also as the published code prints one), a published name (see `sgas zoo`) or a
    /// search's run folder
    #[arg(long, value_name = "FILE|NAME|RUN")]
    pub genotype: Option<String>,
    /// The area of S3DIS to test on, or all six in turn, a training each [default: the configuration's, 5]
    #[arg(long, value_name = "1..6|all", value_parser = parse::area)]
    pub area: Option<AreaChoice>,
    /// A hand-designed network instead of a cell's
    #[arg(long, value_name = "NAME", value_parser = parse::hand_designed(), conflicts_with = "genotype")]
    pub model: Option<HandDesigned>,
    /// The usual hand-designed network for the task's data, under the same recipe: what a search was worth
    #[arg(long, conflicts_with_all = ["genotype", "model"])]
    pub baseline: bool,
    /// Start from these weights: a training's run folder, safetensors, or a file of PyTorch. Of other classes, the
    /// classifier starts fresh [default: fresh weights]
    #[arg(long, value_name = "FILE|RUN")]
    pub init: Option<PathBuf>,
    /// Leave these weights as they are: a name with * and ?, or that of a module with all below it, such as 'cells.*';
    /// may be repeated
    #[arg(long, value_name = "PATTERN", action = ArgAction::Append)]
    pub freeze: Vec<String>,
    /// What every run takes.
    #[command(flatten)]
    pub run: RunOptions,
}

/// Which part of S3DIS is for testing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AreaChoice {
    /// This area, 1 to 6.
    One(u8),
    /// Each of the six in turn, a training each.
    All,
}

/// What `sgas show` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Examples:
  sgas show Cri2_ModelNet_Best
  sgas show cell.json --draw cell.pdf --json")]
pub struct ShowOptions {
    /// A genotype file (also as the published code prints one), a published name (see `sgas zoo`) or a run folder
    #[arg(value_name = "GENOTYPE")]
    pub genotype: String,
    /// The task whose published networks' parameters are counted [default: the space's own]
    #[arg(long)]
    pub task: Option<String>,
    /// Draw the cell into this file: *.svg, *.png, *.pdf, or *.dot for Graphviz
    #[arg(long, value_name = "FILE", conflicts_with = "svg")]
    pub draw: Option<PathBuf>,
    /// Draw the cell as SVG into this file, whatever its name
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Let --draw or --svg replace a file of other content too
    #[arg(long)]
    pub force: bool,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// What `sgas estimate` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Examples:
  sgas estimate cell.json --table nasbench201.csv
  sgas estimate Cri1_CIFAR_Best Cri2_CIFAR_Best --table nb301-surrogate.onnx --json

Cells of the nas-bench-201 and nas-bench-graph spaces are looked up in the
tables of these benchmarks.
Cells of the image space are estimated by the surrogate of NAS-Bench-301.")]
pub struct EstimateOptions {
    /// Cells of one space: genotype files, published names, run folders, or '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'
    #[arg(value_name = "CELL", required = true)]
    pub cells: Vec<String>,
    /// The published table or surrogate
    #[arg(long, value_name = "FILE")]
    pub table: PathBuf,
    /// The encoding of a surrogate's inputs [default: nb301-encoding.json beside it]
    #[arg(long, value_name = "FILE")]
    pub encoding: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// What `sgas zoo` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Args)]
#[command(after_help = "Example:\n  sgas zoo --json")]
pub struct ZooOptions {
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// What `sgas doctor` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Examples:
  sgas doctor
  sgas doctor --device cuda    # fails where no GPU is usable

Exit codes: 0 the job can run here, 1 something it needs is missing or broken.")]
pub struct DoctorOptions {
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}
