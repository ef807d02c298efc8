//! What the commands take that look at a trained network: `eval`, `predict` and `export`.

use super::count;
use crate::bounds::MOST_SAMPLES;
use crate::data::Split;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;

/// Votes beyond which a mean over subsets gains nothing.
const MOST_VOTES: u64 = 1000;

// What names trained weights and how they are used.
#[expect(missing_docs, reason = "clap would take them for those of the command that flattens it")]
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct TrainedOptions {
    /// A training's run folder [default: the newest finished one]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["weights", "genotype", "task", "config"])]
    pub run: Option<PathBuf>,
    /// Weights outside a run folder: safetensors, or a file of PyTorch (.pt, .pth, .pth.tar)
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// The cell that the weights belong to: a file, a published name or a run folder
    #[arg(long, value_name = "FILE|NAME|RUN", requires = "weights")]
    pub genotype: Option<String>,
    /// The task that the weights were trained for, with --weights
    #[arg(long, requires = "weights")]
    pub task: Option<String>,
    /// Sizes of the network, with --weights: a file, or the name of a built-in configuration
    #[arg(long, value_name = "FILE|NAME", requires = "weights")]
    pub config: Option<String>,
    /// Set one key of the configuration, such as data.points=512; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", action = ArgAction::Append)]
    pub set: Vec<String>,
    /// Samples per batch [default: the configuration's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1..=MOST_SAMPLES as u64))]
    pub batch: Option<usize>,
    /// Go on without files that can't be used, and count them
    #[arg(long)]
    pub skip_bad: bool,
}

/// What `sgas eval` takes.
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  sgas eval                                  # the newest finished training
  sgas eval --run runs/train-points-... --json
  sgas eval --examples 12                    # and clouds or pictures for sgas report
  sgas eval --weights w.pt --genotype Cri2_ModelNet_Best --task modelnet40
  sgas eval --weights exported.safetensors   # of sgas export and import: it says what it is")]
pub struct EvalOptions {
    /// The weights.
    #[command(flatten)]
    pub trained: TrainedOptions,
    /// The data: a folder, or `synthetic` [default: what the run used]
    #[arg(long, value_name = "DIR|synthetic")]
    pub data: Option<String>,
    /// Which samples to score
    #[arg(long, default_value = "test", value_parser = split())]
    pub split: Split,
    /// Also leave N predictions to look at in the run's folder, for `sgas report`: the most confident errors of shapes and
    /// pictures, some labelled clouds
    #[arg(long, value_name = "N", value_parser = count(1..=48))]
    pub examples: Option<usize>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// What `sgas import` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Examples:
  sgas import best_weights.pt --genotype Cri2_PPI_Best --task ppi --output ppi.safetensors
  sgas import checkpoint.pth.tar --task s3dis --output resgcn.safetensors

Reads what torch.save wrote, without PyTorch; nothing in a file is executed. The
weights stand alone in it or under state_dict. Eval, predict and train --init
take such files as they are too, with --weights and --init. The new file says its
cell, task and sizes: those commands then need no other word.")]
pub struct ImportOptions {
    /// The weights: a file of PyTorch (.pt, .pth, .pth.tar), or safetensors
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write them here, as safetensors by the names of this program
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Let --output replace a file of other content too
    #[arg(long)]
    pub force: bool,
    /// The cell that the weights belong to: a file, a published name or a run folder
    #[arg(long, value_name = "FILE|NAME|RUN")]
    pub genotype: Option<String>,
    /// The task that the weights were trained for
    #[arg(long)]
    pub task: Option<String>,
    /// Sizes of the network: a file, or the name of a built-in configuration [default: the task's]
    #[arg(long, value_name = "FILE|NAME")]
    pub config: Option<String>,
    /// Set one key of the configuration, such as model.channels=64; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", action = ArgAction::Append)]
    pub set: Vec<String>,
}

/// What `sgas predict` takes.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  sgas predict --input scans                 # by the newest finished training
  sgas predict --run runs/train-points-... --input scans chair.ply --output scans.csv
  sgas predict --run runs/train-s3dis-... --input rooms --output labelled    # a coloured PLY each
  sgas predict --weights w.safetensors --genotype Cri2_ModelNet_Best --task modelnet40 \\
               --classes shape_names.txt --input chair.ply --json

A network that was trained on shapes takes clouds and meshes, one that was
trained on pictures takes .jpg, .jpeg, .png and .webp. One that was trained on
labelled clouds gives every point of a cloud a class. Points, features, size and
normalisation are those that the run evaluates with. A shape's points do not
depend on the other files or their order. With --votes N the probabilities are
means over N random subsets of its points.")]
pub struct PredictOptions {
    /// Files, and folders with files in them and below
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    pub input: Vec<PathBuf>,
    /// Also write every probability into this file, *.csv or *.json; of labelled clouds the classes of all points into
    /// this *.ply, or a folder of them, or what is printed into *.csv or *.json
    #[arg(long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,
    /// Let --output replace files of other content too
    #[arg(long)]
    pub force: bool,
    /// Classes told per shape, picture or cloud
    #[arg(long, value_name = "N", default_value = "3", allow_negative_numbers = true, value_parser = count(1..))]
    pub top: usize,
    /// Random subsets of a shape's points over which its probabilities are averaged
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = count(1..=MOST_VOTES))]
    pub votes: usize,
    /// Names of the classes, one per line, with --weights
    #[arg(long, value_name = "FILE", requires = "weights", conflicts_with = "run")]
    pub classes: Option<PathBuf>,
    /// The weights.
    #[command(flatten)]
    pub trained: TrainedOptions,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What `sgas export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The weights by their published names, with what belongs to them as metadata
    Safetensors,
    /// The same as a file of `torch.save` that `torch.load(weights_only=True)` opens
    Torch,
    /// A program of `torch.export`, for C++ and mobile
    TorchExport,
    /// ONNX, for other runtimes
    Onnx,
}

impl ExportFormat {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Torch => "torch",
            Self::TorchExport => "torch-export",
            Self::Onnx => "onnx",
        }
    }
}

/// What `sgas export` takes.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  sgas export --format onnx --output chairs/network.onnx       # the newest finished training
  sgas export --run runs/train-points-... --format safetensors --output chairs/weights.safetensors

Beside the file stands README.md, a model card as model hubs read it: scores of
`sgas eval`, inputs, preparation, classes, cell. All but safetensors are written by
the Python package of sgas, in the Python of the wheel, or that which SGAS_PYTHON
names, or python3.")]
pub struct ExportOptions {
    /// A training's run folder [default: the newest finished one]
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// What to write
    #[arg(long)]
    pub format: ExportFormat,
    /// The file
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Write no model card
    #[arg(long)]
    pub no_card: bool,
    /// Let --output replace a file of other content too; a card that was edited stays
    #[arg(long)]
    pub force: bool,
}

fn split() -> impl TypedValueParser<Value = Split> {
    let splits = [Split::Train, Split::Validation, Split::Test];
    PossibleValuesParser::new(splits.map(Split::name))
        .map(move |typed| splits.into_iter().find(|split| split.name() == typed).expect("one of these names was typed"))
}
