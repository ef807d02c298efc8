//! The options of the commands, as plain data.

use super::run_folder::RunFolder;
use crate::config::{self, Flag, RunConfig, SearchRun, Sources, TrainRun};
use crate::data::{GraphLayout, PictureFormat, SampleKind, Split, SyntheticConfig, SyntheticFormat, SyntheticLayout};
use crate::error::{Error, Result};
use crate::search::StrategyKind;
use std::path::{Path, PathBuf};

/// What every command takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalOptions {
    /// Where tensors live.
    pub device: DeviceChoice,
    /// Threads of tensor operations; absent: libtorch's own choice.
    pub threads: Option<usize>,
    /// How much is told on standard error.
    pub verbosity: Verbosity,
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

/// In which precision `--amp` asks to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmpChoice {
    /// fp16 on a CUDA device with Tensor Cores, bf16 elsewhere.
    Auto,
    /// Half precision with loss scaling; CUDA only.
    Fp16,
    /// bfloat16.
    Bf16,
}

/// What `search` and `train` share.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunOptions {
    /// Name of the task.
    pub task: Option<String>,
    /// A folder, or `synthetic`.
    pub data: Option<String>,
    /// A file, or the name of an embedded configuration.
    pub config: Option<String>,
    /// `section.key=value`, in the order typed.
    pub set: Vec<String>,
    /// The run folder; absent: a new one under the run root.
    pub out: Option<PathBuf>,
    /// Seed of everything random.
    pub seed: Option<u64>,
    /// Samples per batch.
    pub batch: Option<usize>,
    /// Mixed precision; absent: fp32.
    pub amp: Option<AmpChoice>,
    /// Go on with the run in `out`.
    pub resume: bool,
    /// Go on without files that can't be used.
    pub skip_bad: bool,
}

/// `sgas search`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchOptions {
    /// What every run takes.
    pub run: RunOptions,
    /// 1 or 2, as typed.
    pub criterion: Option<i64>,
    /// How edges are chosen.
    pub strategy: Option<StrategyKind>,
    /// Order of the alphas' gradient.
    pub order: Option<u8>,
    /// A further place for the genotype.
    pub save: Option<PathBuf>,
}

/// `sgas train`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainOptions {
    /// What every run takes.
    pub run: RunOptions,
    /// A file, a published name or a run folder; absent only with `resume`.
    pub genotype: Option<String>,
}

/// What names trained weights and how they are used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrainedOptions {
    /// A training run; absent without `weights`: the newest finished one.
    pub run: Option<PathBuf>,
    /// Weights outside a run.
    pub weights: Option<PathBuf>,
    /// The cell that the weights belong to: a file, a published name or a run folder.
    pub genotype: Option<String>,
    /// Name of the task, with `weights`.
    pub task: Option<String>,
    /// Sizes of the network, with `weights`.
    pub config: Option<String>,
    /// `section.key=value`, in the order typed.
    pub set: Vec<String>,
    /// Samples per batch.
    pub batch: Option<usize>,
    /// Go on without files that can't be used.
    pub skip_bad: bool,
}

/// `sgas eval`
#[derive(Debug, Clone, PartialEq)]
pub struct EvalOptions {
    /// The weights.
    pub trained: TrainedOptions,
    /// A folder, or `synthetic`; over what the run used.
    pub data: Option<String>,
    /// Which samples.
    pub split: Split,
    /// JSON instead of a table.
    pub json: bool,
}

/// `sgas predict`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictOptions {
    /// The weights.
    pub trained: TrainedOptions,
    /// Names of the classes, a line each, with `trained.weights`.
    pub classes: Option<PathBuf>,
    /// Files, and folders of files.
    pub input: Vec<PathBuf>,
    /// Where the predictions go besides standard output.
    pub output: Option<PathBuf>,
    /// Classes told per shape or picture.
    pub top: usize,
    /// Draws of points per shape, over which probabilities are averaged.
    pub votes: usize,
    /// JSON instead of a table.
    pub json: bool,
}

/// `sgas show`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShowOptions {
    /// A file, a published name or a run folder.
    pub genotype: String,
    /// The task whose published networks are counted.
    pub task: Option<String>,
    /// Where to draw the cell.
    pub svg: Option<PathBuf>,
    /// JSON instead of a table.
    pub json: bool,
}

/// `sgas zoo`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ZooOptions {
    /// JSON instead of a table.
    pub json: bool,
}

/// `sgas doctor`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DoctorOptions {
    /// JSON instead of text.
    pub json: bool,
}

/// `sgas data info`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataInfoOptions {
    /// A folder, or `synthetic`.
    pub folder: String,
    /// What it holds; absent: what its layout says.
    pub kind: Option<SampleKind>,
    /// `section.key=value`, in the order typed.
    pub set: Vec<String>,
    /// JSON instead of text.
    pub json: bool,
}

/// `sgas data synth`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSynthOptions {
    /// The folder to make.
    pub folder: PathBuf,
    /// What to write into it.
    pub kind: SampleKind,
    /// How many of them, and which.
    pub size: SyntheticConfig,
    /// Taken in turn within every class; none: PLY, PNG or CSV.
    pub formats: Vec<SynthFormat>,
    /// Points per cloud.
    pub points: Option<usize>,
    /// Where shapes lie, or how many graphs there are.
    pub layout: Option<SynthLayout>,
    /// Several labels per node of a graph.
    pub multi_label: bool,
}

/// What a synthetic sample is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynthFormat {
    /// A shape, or as tables are.
    Shape(SyntheticFormat),
    /// A picture.
    Picture(PictureFormat),
}

impl SynthFormat {
    /// The format's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shape(format) => format.name(),
            Self::Picture(format) => format.name(),
        }
    }
}

/// How a synthetic set is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynthLayout {
    /// Where shapes lie.
    Shapes(SyntheticLayout),
    /// How many graphs there are.
    Graphs(GraphLayout),
}

impl RunOptions {
    /// The keys that this run's own flags set; `section` owns the batch size.
    fn flags(&self, section: &str) -> Result<Vec<Flag>> {
        let mut flags = Vec::new();
        if let Some(data) = &self.data {
            flags.push(data_flag(data)?);
        }
        if let Some(seed) = self.seed {
            flags.push(Flag::new("--seed", "seed", whole(seed)));
        }
        if let Some(batch) = self.batch {
            flags.push(Flag::new("--batch", format!("{section}.batch"), whole(batch)));
        }
        if self.skip_bad {
            flags.push(skip_bad_flag());
        }
        Ok(flags)
    }

    fn resolve<R: RunConfig>(&self, task: Option<&str>, mut more: Vec<Flag>) -> Result<R> {
        let mut flags = self.flags(R::COMMAND)?;
        flags.append(&mut more);
        let begun = if self.resume { Some(self.begun_config(R::COMMAND)?) } else { None };
        let config = begun.as_deref().or(self.config.as_deref());
        config::resolve(&Sources { config, begun: begun.is_some(), task, set: &self.set, flags: &flags })
    }

    /// The configuration that the run to go on with began with.
    fn begun_config(&self, command: &str) -> Result<String> {
        let folder = self.out.as_deref().ok_or_else(|| {
            Error::usage("--resume needs the run to go on with").with_hint("name its folder: --out DIR --resume")
        })?;
        Ok(RunFolder::begun(folder, command)?.config().display().to_string())
    }
}

impl SearchOptions {
    /// The search that these options ask for.
    ///
    /// # Errors
    /// See [`config::resolve`]; with `resume`, a folder without a run.
    pub fn resolve(&self) -> Result<SearchRun> {
        let mut flags = Vec::new();
        if let Some(criterion) = self.criterion {
            flags.push(Flag::new("--criterion", "decision.criterion", criterion));
        }
        if let Some(strategy) = self.strategy {
            let name = toml::Value::try_from(strategy).expect("a strategy is written as its name");
            flags.push(Flag::new("--strategy", "search.strategy", name));
        }
        if let Some(order) = self.order {
            flags.push(Flag::new("--order", "search.order", i64::from(order)));
        }
        self.run.resolve(self.run.task.as_deref(), flags)
    }
}

impl TrainOptions {
    /// The training that these options ask for; `fallback` is the task where neither a flag nor a file names one.
    ///
    /// # Errors
    /// See [`config::resolve`]; with `resume`, a folder without a run.
    pub fn resolve(&self, fallback: &str) -> Result<TrainRun> {
        let named = self.run.config.is_some() || self.run.resume;
        let task = self.run.task.as_deref().or(if named { None } else { Some(fallback) });
        self.run.resolve(task, Vec::new())
    }
}

impl TrainedOptions {
    /// The configuration of the network: the run's own `config.toml`, else a file, name or task; over it what was
    /// typed, and `data`, where other data is asked for.
    ///
    /// # Errors
    /// See [`config::resolve`].
    pub fn resolve(&self, run_config: Option<&Path>, data: Option<&str>) -> Result<TrainRun> {
        let begun = run_config.map(|path| path.display().to_string());
        let mut flags = Vec::new();
        if let Some(data) = data {
            flags.push(data_flag(data)?);
        }
        if self.skip_bad {
            flags.push(skip_bad_flag());
        }
        let config = begun.as_deref().or(self.config.as_deref());
        let (begun, task) = (begun.is_some(), self.task.as_deref());
        config::resolve(&Sources { config, begun, task, set: &self.set, flags: &flags })
    }
}

/// `--data`: a folder is kept as an absolute path, so that the run can be evaluated from anywhere.
fn data_flag(typed: &str) -> Result<Flag> {
    let source = match typed {
        "synthetic" => typed.to_owned(),
        folder => std::path::absolute(folder).map_err(|source| Error::read(folder, source))?.display().to_string(),
    };
    Ok(Flag::new("--data", "data.source", source))
}

fn skip_bad_flag() -> Flag {
    Flag::new("--skip-bad", "data.skip_bad", true)
}

/// TOML's whole numbers end at 2^63 - 1; `cli` admits no greater.
fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
