//! The words of the commands that take a trained network: `eval` and `predict`.

use super::{size, whole_number};
use crate::commands::{EvalOptions, PredictOptions, TrainedOptions};
use crate::data::Split;
use clap::builder::RangedU64ValueParser;
use clap::{ArgAction, Args, ValueEnum, value_parser};
use std::path::PathBuf;

#[derive(Debug, Args)]
struct TrainedArguments {
    /// A training's run folder [default: the newest finished one]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["weights", "genotype", "task", "config"])]
    run: Option<PathBuf>,
    /// Weights outside a run folder
    #[arg(long, value_name = "FILE", requires = "genotype")]
    weights: Option<PathBuf>,
    /// The cell that the weights belong to: a file, a published name or a run folder
    #[arg(long, value_name = "FILE|NAME|RUN", requires = "weights")]
    genotype: Option<String>,
    /// The task that the weights were trained for, with --weights
    #[arg(long, requires = "weights")]
    task: Option<String>,
    /// Sizes of the network, with --weights: a file, or the name of a built-in configuration
    #[arg(long, value_name = "FILE|NAME", requires = "weights")]
    config: Option<String>,
    /// Set one key of the configuration, such as data.points=512; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
    /// Samples per batch [default: the configuration's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = positive())]
    batch: Option<u64>,
    /// Go on without files that can't be used, and count them
    #[arg(long)]
    skip_bad: bool,
}

/// Evaluate trained weights: overall and mean class accuracy, each class, confusion
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sgas eval                                  # the newest finished training
  sgas eval --run runs/train-points-... --json
  sgas eval --weights w.safetensors --genotype Cri2_ModelNet_Best --task modelnet40")]
pub(super) struct EvalArguments {
    #[command(flatten)]
    trained: TrainedArguments,
    /// The data: a folder, or `synthetic` [default: what the run used]
    #[arg(long, value_name = "DIR|synthetic")]
    data: Option<String>,
    /// Which samples to score
    #[arg(long, default_value = "test")]
    split: TypedSplit,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Predict the classes of new shapes or pictures, in files of their own, or of every point of new clouds
#[derive(Debug, Args)]
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
pub(super) struct PredictArguments {
    /// Files, and folders with files in them and below
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    input: Vec<PathBuf>,
    /// Also write every probability into this file, *.csv or *.json; of labelled clouds the classes of all points into
    /// this *.ply, or a folder of them, or what is printed into *.csv or *.json
    #[arg(long, value_name = "FILE|DIR")]
    output: Option<PathBuf>,
    /// Classes told per shape, picture or cloud
    #[arg(long, value_name = "N", default_value = "3", allow_negative_numbers = true, value_parser = positive())]
    top: u64,
    /// Random subsets of a shape's points over which its probabilities are averaged
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = votes())]
    votes: u64,
    /// Names of the classes, one per line, with --weights
    #[arg(long, value_name = "FILE", requires = "weights", conflicts_with = "run")]
    classes: Option<PathBuf>,
    #[command(flatten)]
    trained: TrainedArguments,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TypedSplit {
    Train,
    Validation,
    Test,
}

fn positive() -> RangedU64ValueParser<u64> {
    whole_number().range(1..)
}

fn votes() -> RangedU64ValueParser<u64> {
    value_parser!(u64).range(1..=MOST_VOTES)
}

/// Votes beyond which a mean over subsets gains nothing.
const MOST_VOTES: u64 = 1000;

impl From<TrainedArguments> for TrainedOptions {
    fn from(typed: TrainedArguments) -> Self {
        Self {
            run: typed.run,
            weights: typed.weights,
            genotype: typed.genotype,
            task: typed.task,
            config: typed.config,
            set: typed.set,
            batch: typed.batch.map(size),
            skip_bad: typed.skip_bad,
        }
    }
}

impl From<EvalArguments> for EvalOptions {
    fn from(typed: EvalArguments) -> Self {
        Self { trained: typed.trained.into(), data: typed.data, split: typed.split.into(), json: typed.json }
    }
}

impl From<PredictArguments> for PredictOptions {
    fn from(typed: PredictArguments) -> Self {
        Self {
            trained: typed.trained.into(),
            classes: typed.classes,
            input: typed.input,
            output: typed.output,
            top: size(typed.top),
            votes: size(typed.votes),
            json: typed.json,
        }
    }
}

impl From<TypedSplit> for Split {
    fn from(typed: TypedSplit) -> Self {
        match typed {
            TypedSplit::Train => Self::Train,
            TypedSplit::Validation => Self::Validation,
            TypedSplit::Test => Self::Test,
        }
    }
}
