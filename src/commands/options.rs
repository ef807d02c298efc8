//! The options of the commands, as plain data.

use crate::data::{GraphLayout, PictureFormat, SampleKind, Split, SyntheticConfig, SyntheticFormat, SyntheticLayout};
use std::path::PathBuf;

/// What every command takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalOptions {
    /// Where tensors live.
    pub device: DeviceChoice,
    /// Threads of tensor operations; absent: libtorch's own choice.
    pub threads: Option<usize>,
    /// Same bits at every run on CUDA too; of no effect on the processor, where they always are.
    pub deterministic: bool,
    /// Let cuDNN try its algorithms for every new shape.
    pub cudnn_benchmark: bool,
    /// Do not record steps as CUDA graphs.
    pub no_cuda_graphs: bool,
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
    /// What is descended, where it is not the task's own loss.
    pub objective: Option<String>,
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
    /// The space, where it is not the task's own.
    pub space: Option<String>,
    /// How edges are chosen.
    pub strategy: Option<String>,
    /// Order of the alphas' gradient.
    pub order: Option<u8>,
    /// A further place for the genotype.
    pub save: Option<PathBuf>,
}

/// A network that is not made of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelName {
    /// ResGCN.
    ResGcn,
}

/// `sgas train`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainOptions {
    /// What every run takes.
    pub run: RunOptions,
    /// A file, a published name or a run folder; absent with `resume`, and where the task's network has no cell.
    pub genotype: Option<String>,
    /// The network, where it is no cell's.
    pub model: Option<ModelName>,
    /// The test area of S3DIS.
    pub area: Option<AreaChoice>,
}

/// Which part of S3DIS is for testing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AreaChoice {
    /// This area, 1 to 6.
    One(u8),
    /// Each of the six in turn, a training each.
    All,
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
    /// Where the predictions go besides standard output: a file, of labelled clouds perhaps a folder.
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
    /// As `--format` takes it.
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
    /// Labelled clouds as blocks, as S3DIS has them.
    S3dis,
}
