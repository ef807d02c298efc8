//! The command line as typed. The only module that sees clap; what the words mean stands in `commands::options`.

mod bench;
mod data;
mod trained;

use crate::commands::{
    AmpChoice, AreaChoice, Command, DeviceChoice, DoctorOptions, GlobalOptions, ModelName, RunOptions, SearchOptions,
    ShowOptions, TrainOptions, Verbosity, ZooOptions,
};
use crate::search::StrategyName;
use crate::task::ObjectiveName;
use clap::builder::styling::{Style, Styles};
use clap::builder::{PossibleValue, PossibleValuesParser, RangedU64ValueParser};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum, value_parser};
use std::ffi::OsString;
use std::path::PathBuf;
use trained::{EvalArguments, PredictArguments};

/// Search neural architectures by Sequential Greedy Architecture Search (SGAS, CVPR 2020), train what was found,
/// and evaluate it.
#[derive(Debug, Parser)]
#[command(name = "sgas", version, max_term_width = 110, styles = Styles::plain().header(Style::new().bold()))]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
#[command(after_help = "\
Search a cell, train it, evaluate it:
  sgas search --task modelnet40 --save cell.json
  sgas train --genotype cell.json --amp
  sgas eval

Every run leaves a folder under runs/ and prints the command that comes next.
Where a cell is asked for, a search's folder will do. To try it without data:
  sgas search --config smoke/search-points --data synthetic --save cell.json
  sgas train --genotype cell.json --config smoke/train-points --data synthetic
  sgas eval

Results go to standard output, logs and progress to standard error.
Exit codes: 0 done, 1 the run failed, 2 usage, configuration or input.")]
struct Typed {
    #[command(flatten)]
    global: GlobalArguments,
    #[command(subcommand)]
    command: TypedCommand,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct GlobalArguments {
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE", value_parser = device)]
    device: DeviceChoice,
    /// Threads of tensor operations [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = value_parser!(u64).range(1..=1024))]
    threads: Option<u64>,
    /// Compute the same bits at every run on a GPU too, by slower operators where the usual ones don't; a processor
    /// always does
    #[arg(long, global = true, conflicts_with = "cudnn_benchmark")]
    deterministic: bool,
    /// On CUDA, let cuDNN time its algorithms for every new shape of a convolution and keep the fastest: results are no
    /// longer repeatable to the bit
    #[arg(long, global = true)]
    cudnn_benchmark: bool,
    /// On CUDA, launch the kernels of every step one by one, instead of recording the passes over images and clouds once
    /// as CUDA graphs; takes less memory and more time
    #[arg(long, global = true)]
    no_cuda_graphs: bool,
    /// Log more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Log warnings and errors only, and show no progress
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum TypedCommand {
    Search(SearchArguments),
    Train(TrainArguments),
    Eval(EvalArguments),
    Predict(PredictArguments),
    Show(ShowArguments),
    Zoo(ZooArguments),
    Bench(bench::BenchArguments),
    Doctor(DoctorArguments),
    Data(data::DataArguments),
    Completions(CompletionArguments),
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Run options")]
struct RunArguments {
    /// The task: modelnet10, modelnet40, cifar10, cifar100, imagenet, ppi, s3dis, shapenetpart, or your own
    /// points, images, graphs or segmentation
    /// [default: the cell's or the configuration's]
    #[arg(long)]
    task: Option<String>,
    /// The data: a folder, or `synthetic` for built-in samples [default: the task's folder in $SGAS_DATA or data/]
    #[arg(long, value_name = "DIR|synthetic")]
    data: Option<String>,
    /// A configuration: a file, or the name of a built-in one such as modelnet40-cpu [default: the task's]
    #[arg(long, value_name = "FILE|NAME")]
    config: Option<String>,
    /// Set one key of the configuration, such as data.points=512; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
    /// The run folder [default: a new one under $SGAS_RUNS or runs/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of everything random [default: the configuration's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole_number())]
    seed: Option<u64>,
    /// Samples per batch [default: the configuration's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole_number())]
    batch: Option<u64>,
    /// Compute in mixed precision; without a value fp16 with loss scaling on a GPU, bf16 on a processor
    #[arg(long, value_name = "PRECISION", num_args = 0..=1, default_missing_value = "auto")]
    amp: Option<Amp>,
    /// Go on with the run in --out from its last whole epoch, with the configuration it began with
    #[arg(long, requires = "out")]
    resume: bool,
    /// What is descended [default: the task's own loss]
    #[arg(long, value_name = "NAME", value_parser = objectives())]
    objective: Option<String>,
    /// Go on without files that can't be used, and count them
    #[arg(long)]
    skip_bad: bool,
}

/// Search a cell: train a supernet of all primitives and decide its edges one by one
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sgas search --task modelnet10 --criterion 2 --save cell.json

Leaves a run folder: the cell (genotype.json), a drawing after every decision
(*.svg), every epoch and decision (events.jsonl, metrics.csv, log.txt), the
resolved configuration (config.toml), and what --resume needs (checkpoint/).")]
struct SearchArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Rank edges by importance and certainty (1), or by stability as well (2) [default: 1]
    #[arg(long, value_name = "1|2", help_heading = "Search options", allow_negative_numbers = true)]
    criterion: Option<i64>,
    /// The space of the cell, where it is not the task's own
    #[arg(long, value_name = "NAME", help_heading = "Search options")]
    space: Option<String>,
    /// How edges are chosen [default: sgas]
    #[arg(long, help_heading = "Search options", value_parser = strategies())]
    strategy: Option<String>,
    /// Order of the alphas' gradient: 1, the published default, or 2, which looks ahead to the weights' next step
    /// and takes three more passes per step
    #[arg(long, value_name = "1|2", help_heading = "Search options")]
    order: Option<u8>,
    /// Also write the found cell here, for `sgas train --genotype`
    #[arg(long, value_name = "FILE", help_heading = "Search options")]
    save: Option<PathBuf>,
}

/// Train the network of a found or published cell, or the network of labelled clouds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sgas train --genotype cell.json --amp
  sgas train --genotype Cri2_ModelNet_Best --config modelnet40-small
  sgas train --task s3dis --model resgcn --amp

Leaves a run folder: the weights (last, and best on validation where
data.validation holds a share out), every epoch (events.jsonl, metrics.csv,
log.txt), the cell (genotype.json), the resolved configuration (config.toml),
and what --resume needs (checkpoint/).")]
struct TrainArguments {
    /// The cell: a genotype file, a published name (see `sgas zoo`) or a search's run folder
    #[arg(long, value_name = "FILE|NAME|RUN")]
    genotype: Option<String>,
    /// The area of S3DIS to test on, or all six in turn, a training each [default: the configuration's, 5]
    #[arg(long, value_name = "1..6|all", value_parser = area)]
    area: Option<AreaChoice>,
    /// The network of labelled clouds instead of a cell's
    #[arg(long, conflicts_with = "genotype")]
    model: Option<Model>,
    #[command(flatten)]
    run: RunArguments,
}

/// Show a cell: its edges, the parameters of its networks, a drawing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sgas show Cri2_ModelNet_Best
  sgas show cell.json --svg cell.svg --json")]
struct ShowArguments {
    /// A genotype file, a published name (see `sgas zoo`) or a run folder
    #[arg(value_name = "GENOTYPE")]
    genotype: String,
    /// The task whose published networks' parameters are counted [default: the space's own]
    #[arg(long)]
    task: Option<String>,
    /// Draw the cell into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// List the published cells with their published scores and parameters
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sgas zoo --json")]
struct ZooArguments {
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Say whether this machine can do the job: libtorch, threads, memory, CUDA, half precision, data, run folders
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sgas doctor
  sgas doctor --device cuda    # fails where no GPU is usable

Exit codes: 0 the job can run here, 1 something it needs is missing or broken.")]
struct DoctorArguments {
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sgas completions bash > ~/.local/share/bash-completion/completions/sgas")]
struct CompletionArguments {
    /// The shell
    shell: clap_complete::Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Amp {
    Auto,
    Fp16,
    Bf16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Model {
    /// ResGCN-28, or of the depth and width in [resgcn]
    Resgcn,
}

/// Every objective by its name, with what it is.
fn objectives() -> PossibleValuesParser {
    ObjectiveName::all().into_iter().map(|one| PossibleValue::new(one.name()).help(one.about)).into()
}

/// Every strategy by its name, with what it does.
fn strategies() -> PossibleValuesParser {
    StrategyName::all().into_iter().map(|strategy| PossibleValue::new(strategy.name()).help(strategy.about)).into()
}

/// What was typed, as it is meant; `None` where clap has answered already (completions). Help, version and
/// misuse end the process here: clap prints them and exits with 0 or 2.
pub fn parse() -> Option<(GlobalOptions, Command)> {
    parse_from(std::env::args_os()).unwrap_or_else(|answer| answer.exit())
}

/// The same for any words, the program's name first.
///
/// # Errors
/// Help, version and misuse, as clap words them.
pub fn parse_from(
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Option<(GlobalOptions, Command)>, clap::Error> {
    let typed = Typed::try_parse_from(words)?;
    let command = match typed.command {
        TypedCommand::Search(arguments) => Command::Search(arguments.into()),
        TypedCommand::Train(arguments) => Command::Train(arguments.into()),
        TypedCommand::Eval(arguments) => Command::Eval(arguments.into()),
        TypedCommand::Predict(arguments) => Command::Predict(arguments.into()),
        TypedCommand::Show(arguments) => Command::Show(arguments.into()),
        TypedCommand::Zoo(arguments) => Command::Zoo(ZooOptions { json: arguments.json }),
        TypedCommand::Doctor(arguments) => Command::Doctor(DoctorOptions { json: arguments.json }),
        TypedCommand::Bench(arguments) => arguments.into(),
        TypedCommand::Data(arguments) => arguments.into(),
        TypedCommand::Completions(arguments) => {
            clap_complete::generate(arguments.shell, &mut Typed::command(), "sgas", &mut std::io::stdout());
            return Ok(None);
        }
    };
    Ok(Some((typed.global.into(), command)))
}

/// Every whole number that a configuration can hold.
fn whole_number() -> RangedU64ValueParser<u64> {
    value_parser!(u64).range(..=i64::MAX as u64)
}

fn device(typed: &str) -> Result<DeviceChoice, String> {
    match typed.split_once(':') {
        None if typed == "auto" => Ok(DeviceChoice::Auto),
        None if typed == "cpu" => Ok(DeviceChoice::Cpu),
        None if typed == "cuda" => Ok(DeviceChoice::Cuda(0)),
        Some(("cuda", index)) => index.parse().map(DeviceChoice::Cuda).map_err(|_| "cuda:N takes a number".to_owned()),
        _ => Err("expected auto, cpu, cuda or cuda:N".to_owned()),
    }
}

fn area(typed: &str) -> Result<AreaChoice, String> {
    match typed.parse() {
        Ok(area @ 1..=6) => Ok(AreaChoice::One(area)),
        _ if typed == "all" => Ok(AreaChoice::All),
        _ => Err("expected 1, 2, 3, 4, 5, 6 or all".to_owned()),
    }
}

/// The ranges above end below `usize::MAX` on the 64-bit machines that libtorch runs on.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl From<GlobalArguments> for GlobalOptions {
    fn from(typed: GlobalArguments) -> Self {
        let verbosity = match (typed.quiet, typed.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        let GlobalArguments { device, deterministic, cudnn_benchmark, no_cuda_graphs, .. } = typed;
        Self { device, threads: typed.threads.map(size), deterministic, cudnn_benchmark, no_cuda_graphs, verbosity }
    }
}

impl From<RunArguments> for RunOptions {
    fn from(typed: RunArguments) -> Self {
        Self {
            task: typed.task,
            data: typed.data,
            config: typed.config,
            set: typed.set,
            out: typed.out,
            seed: typed.seed,
            objective: typed.objective,
            batch: typed.batch.map(size),
            amp: typed.amp.map(AmpChoice::from),
            resume: typed.resume,
            skip_bad: typed.skip_bad,
        }
    }
}

impl From<SearchArguments> for SearchOptions {
    fn from(typed: SearchArguments) -> Self {
        Self {
            run: typed.run.into(),
            criterion: typed.criterion,
            space: typed.space,
            strategy: typed.strategy,
            order: typed.order,
            save: typed.save,
        }
    }
}

impl From<TrainArguments> for TrainOptions {
    fn from(typed: TrainArguments) -> Self {
        let model = typed.model.map(|Model::Resgcn| ModelName::ResGcn);
        Self { run: typed.run.into(), genotype: typed.genotype, model, area: typed.area }
    }
}

impl From<ShowArguments> for ShowOptions {
    fn from(typed: ShowArguments) -> Self {
        Self { genotype: typed.genotype, task: typed.task, svg: typed.svg, json: typed.json }
    }
}

impl From<Amp> for AmpChoice {
    fn from(typed: Amp) -> Self {
        match typed {
            Amp::Auto => Self::Auto,
            Amp::Fp16 => Self::Fp16,
            Amp::Bf16 => Self::Bf16,
        }
    }
}
