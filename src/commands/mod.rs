//! What the program can be asked to do: one file per subcommand, and the options they take.
//!
//! What each takes stands in `options`, as it is typed. A command builds space,
//! data and observers, calls the engine and prints the result; it holds no loop of its own.

pub mod bench;
mod candidates;
pub mod cell;
mod cell_estimate;
mod config;
pub mod correlate;
pub mod data_info;
pub mod data_synth;
pub mod dataset;
pub mod device;
pub mod doctor;
mod estimate;
pub mod eval;
mod examples;
mod export;
mod facts;
mod folds;
pub mod identity;
pub mod import;
pub mod keeper;
mod launch;
pub mod lock;
pub mod logging;
pub mod observers;
pub mod options;
pub mod outputs;
pub mod predict;
mod predict_points;
pub mod predictions;
mod processes;
pub mod regret;
pub mod report;
pub mod resolve;
pub mod run_folder;
mod runs;
pub mod scores;
pub mod search;
pub mod session;
pub mod show;
mod show_resgcn;
pub mod signals;
pub mod study;
mod subject;
mod text;
pub mod train;
pub mod trained;
pub mod watch;
mod weights;
pub mod zoo;

pub use processes::is_spoken_for;

pub use options::{
    AmpChoice, AreaChoice, BatchChoice, ConfigOptions, CorrelateOptions, DataCommand, DataInfoOptions,
    DataSynthOptions, DeviceChoice, DoctorOptions, EstimateOptions, EvalOptions, ExportFormat, ExportOptions,
    GlobalOptions, ImportOptions, InitOptions, LaunchOptions, PredictOptions, RegretOptions, ReportOptions, RunOptions,
    RunsOptions, SearchOptions, ShowOptions, StudyOptions, TrainOptions, TrainedOptions, Verbosity, WatchOptions,
    ZooOptions,
};

use crate::error::memory::USUAL_HINT;
use crate::error::{Error, Result};
use crate::memory;
use crate::panics;
use crate::report::percent;
use crate::visible;
use clap::Subcommand;
use std::io::Write;

/// One thing to do; what is said of each is its help.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Command {
    /// Search a cell: train a supernet of all primitives and decide its edges one by one
    Search(Box<SearchOptions>),
    /// Train the network of a found or published cell, or the network of labelled clouds
    Train(TrainOptions),
    /// Share a search or a training between several processes of this machine
    Launch(LaunchOptions),
    /// Evaluate trained weights: overall and mean class accuracy, each class, confusion
    Eval(EvalOptions),
    /// Predict the classes of new shapes or pictures, in files of their own, or of every point of new clouds
    Predict(PredictOptions),
    /// Make of weights of PyTorch, such as the published ones, a file by the names of this program
    Import(ImportOptions),
    /// Write a trained network for other programs: safetensors, PyTorch, torch.export, ONNX
    Export(ExportOptions),
    /// Write a page about runs: how the cell grew and why, alphas, curves, scores, how to repeat them
    Report(ReportOptions),
    /// Show a run in the terminal, while it goes on
    Watch(WatchOptions),
    /// Show a cell: its edges, the parameters of its networks, a drawing
    Show(ShowOptions),
    /// Say what a published table, or a surrogate of one, knows of cells: nothing is trained
    Estimate(EstimateOptions),
    /// Hold what searches found against a published table, and against random search at the same cost
    Regret(RegretOptions),
    /// Compare methods over seeds: the searches, trainings and evaluations of a plan, by one process or many, and their tables
    Study(StudyOptions),
    /// List runs, compare them, or remove what is no longer needed of them
    Runs(RunsOptions),
    /// Say how far two scores of the same cells order them alike: Kendall's tau, with its interval and a plot
    Correlate(CorrelateOptions),
    /// List the published cells with their published scores and parameters
    Zoo(ZooOptions),
    /// List every key of a configuration, or print a built-in one
    Config(ConfigOptions),
    /// Write a configuration to begin with, every key with what it means
    Init(InitOptions),
    /// Time whole steps of a search or training in every precision, on random numbers: no data is needed
    Bench(bench::BenchOptions),
    /// Say whether this machine can do the job: libtorch, threads, memory, CUDA, half precision, data, run folders
    Doctor(DoctorOptions),
    /// Look at a folder of shapes, pictures, graphs or labelled clouds, or make one
    #[command(subcommand)]
    Data(DataCommand),
}

/// Does it; results go to `out`, logs and progress to standard error.
///
/// # Errors
/// Whatever the command reports.
pub fn run(command: &Command, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    logging::start(if processes::is_spoken_for() { Verbosity::Quiet } else { global.verbosity() });
    let _witnessed = command.first_advice().map(memory::witness);
    match command {
        Command::Search(options) => search::run(options, global, out),
        Command::Train(options) if options.area == Some(AreaChoice::All) => folds::run(options, global, out),
        Command::Train(options) => train::run(options, global, out),
        Command::Launch(options) => launch::run(options),
        Command::Eval(options) => panics::as_errors(|| eval::run(options, global, out)).map_err(with_smaller_batch),
        Command::Predict(options) => {
            panics::as_errors(|| predict::run(options, global, out)).map_err(with_smaller_batch)
        }
        Command::Import(options) => panics::as_errors(|| import::run(options, out)),
        Command::Export(options) => panics::as_errors(|| export::run(options, out)),
        Command::Report(options) => report::run(options, out),
        Command::Watch(options) => watch::run(options, out),
        Command::Show(options) => show::run(options, out),
        Command::Estimate(options) => panics::as_errors(|| cell_estimate::run(options, out)),
        Command::Regret(options) => panics::as_errors(|| regret::run(options, out)),
        Command::Study(options) => study::run(options, global, out),
        Command::Runs(options) => runs::run(options, out),
        Command::Correlate(options) => correlate::run(options, out),
        Command::Zoo(options) => zoo::run(options, out),
        Command::Config(options) => config::run(options, out),
        Command::Init(options) => config::init(options, out),
        Command::Bench(options) => bench::run(options, global, out),
        Command::Doctor(options) => doctor::run(options, global, out),
        Command::Data(DataCommand::Info(options)) => data_info::run(options, out),
        Command::Data(DataCommand::Synth(options)) => data_synth::run(options, out),
    }
}

impl Command {
    /// Whether it computes with tensors for a while, or starts what does: the others are done before it would matter how
    /// threads wait for one another.
    pub fn computes(&self) -> bool {
        match self {
            Self::Search(_)
            | Self::Train(_)
            | Self::Launch(_)
            | Self::Eval(_)
            | Self::Predict(_)
            | Self::Export(_)
            | Self::Estimate(_)
            | Self::Study(_)
            | Self::Bench(_)
            | Self::Doctor(_) => true,
            Self::Import(_)
            | Self::Report(_)
            | Self::Watch(_)
            | Self::Show(_)
            | Self::Regret(_)
            | Self::Runs(_)
            | Self::Correlate(_)
            | Self::Zoo(_)
            | Self::Config(_)
            | Self::Init(_)
            | Self::Data(_) => false,
        }
    }

    /// What to do where memory runs out before more is known; `None` where it can't.
    fn first_advice(&self) -> Option<&'static str> {
        match self {
            Self::Search(_) | Self::Train(_) | Self::Bench(_) => Some(USUAL_HINT),
            Self::Eval(_) | Self::Predict(_) => Some(SMALLER_BATCH),
            Self::Data(DataCommand::Info(_)) => Some("look at a part of the data, or take a machine with more memory"),
            Self::Data(DataCommand::Synth(_))
            | Self::Launch(_)
            | Self::Import(_)
            | Self::Export(_)
            | Self::Report(_)
            | Self::Watch(_)
            | Self::Show(_)
            | Self::Estimate(_)
            | Self::Regret(_)
            | Self::Study(_)
            | Self::Runs(_)
            | Self::Correlate(_)
            | Self::Config(_)
            | Self::Init(_)
            | Self::Zoo(_)
            | Self::Doctor(_) => None,
        }
    }
}

/// What to do where memory runs out in a pass without gradients.
const SMALLER_BATCH: &str = "take a smaller --batch; results are the same but for rounding";

fn with_smaller_batch(error: Error) -> Error {
    error.with_memory_hint(|| SMALLER_BATCH.to_owned())
}

/// What results are printed to, in errors.
pub const STANDARD_OUTPUT: &str = "standard output";

/// Writes a result to standard output, with control characters made visible.
///
/// # Errors
/// [`Error::Write`]; `main` is quiet about a reader that has gone.
pub fn print(out: &mut dyn Write, text: &str) -> Result<()> {
    visible::write(out, text).map_err(|source| Error::write(STANDARD_OUTPUT, source))
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits are ASCII")).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!([7, 999, 1000, 8_786_344].map(grouped), ["7", "999", "1,000", "8,786,344"]);
    }
}
