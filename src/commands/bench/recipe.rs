//! A recipe: a search or training as its configuration resolves it, and the shapes of its samples.

use super::samples::Samples;
use super::workload::Workload;
use crate::batch::BatchKind;
use crate::commands::{SearchOptions, TrainOptions, cell, dataset};
use crate::config::{RunConfig, SearchRun, TrainRun, embedded, tasks};
use crate::data::{SetName, scenes};
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::model::{self, Architecture, HandDesigned, NetworkKind};
use crate::ops::Mode;
use crate::search::AlphaBatch;
use crate::search::bilevel::Bilevel;
use crate::step::{LossConfig, WeightStep};
use crate::task::Task;
use crate::tensor::precision::Precision;
use tch::Device;

/// Of random numbers; a step costs the same for any.
const SEED: u64 = 1;
/// A graph of PPI, in the middle of its 24.
const PPI_GRAPH: (usize, usize) = (2300, 66_000);
/// Graphs of PPI that the alphas learn from, always all of them.
const PPI_VALIDATION_GRAPHS: usize = 2;

/// What is timed.
#[derive(Debug)]
pub enum Recipe {
    /// A step of a search.
    Search(Box<SearchRun>),
    /// A step of a training, of the network named so.
    Train(Box<TrainRun>, Box<Architecture>, String),
}

/// The published cell that stands for those of a space.
fn published_cell(space: SpaceName) -> Result<&'static str> {
    let cells = [
        (SpaceName::POINT, "Cri2_ModelNet_Best"),
        (SpaceName::IMAGE, "Cri1_CIFAR_Best"),
        (
            SpaceName::NAS_BENCH_201,
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        ),
        (SpaceName::GRAPH, "Cri2_PPI_Best"),
    ];
    let found = cells.into_iter().find(|(known, _)| *known == space).map(|(_, cell)| cell);
    found.ok_or_else(|| Error::usage(format!("no cell of the {space} space is published; name one: --genotype FILE")))
}

/// Whether a configuration trains cells of which none is published as the one to time.
fn needs_cell(name: &str) -> bool {
    name.starts_with(SpaceName::NAS_BENCH_GRAPH.name())
}

impl Recipe {
    /// The search that is asked for.
    ///
    /// # Errors
    /// See [`SearchOptions::resolve`]; fewer points of a cloud than the network takes.
    pub fn search(options: &SearchOptions) -> Result<Self> {
        let run = options.resolve(None, None)?;
        check_samples(&run)?;
        Ok(Self::Search(Box::new(run)))
    }

    /// The training that is asked for; of cells without a named one, that of a published cell.
    ///
    /// # Errors
    /// See [`TrainOptions::resolve`]; a cell that is not there or of another network; fewer points of a cloud than the
    /// network takes.
    pub fn train(options: &TrainOptions) -> Result<Self> {
        let cell =
            options.genotype.as_deref().map(|typed| cell::load(typed, options.run.task.as_deref())).transpose()?;
        let space = cell.as_ref().map(|cell| cell.genotype.space.name());
        let fallback = match (&cell, options.model) {
            (Some(cell), _) => Some(cell.network()),
            (None, Some(model)) => Some(NetworkKind::HandDesigned(model)),
            (None, None) => None,
        };
        let fallback = fallback.map(|network| tasks::of_network(network).name);
        let mut run = options.resolve(fallback, space, None, None, None)?;
        match (&cell, options.model) {
            (Some(cell), _) => run.set_network(cell.network(), &format!("{}: space", cell.origin))?,
            (None, Some(model)) => {
                run.set_network(NetworkKind::HandDesigned(model), &format!("--model {}", model.name()))?;
            }
            (None, None) => {}
        }
        check_samples(&run)?;
        let (architecture, name) = match (cell, run.network_kind()) {
            (Some(cell), _) => (Architecture::Cell(Box::new(cell.genotype)), cell.name),
            (None, NetworkKind::HandDesigned(network)) => {
                let name = match network {
                    HandDesigned::ResGcn => format!("ResGCN-{}", run.resgcn.blocks),
                    other => other.name().to_owned(),
                };
                (Architecture::HandDesigned(network), name)
            }
            (None, NetworkKind::Cells(space)) => {
                let cell = cell::load(published_cell(space)?, None)?;
                (Architecture::Cell(Box::new(cell.genotype)), cell.name)
            }
        };
        Ok(Self::Train(Box::new(run), Box::new(architecture), name))
    }

    /// The configurations of a command that are for this device: of those with a size for a processor, that size
    /// there and the others elsewhere.
    pub fn configurations(command: &str, device: Device) -> Vec<&'static str> {
        let names = embedded::names(command);
        let of_task = |name: &str| name.split('-').next().unwrap_or(name).to_owned();
        let has_small = |name: &str| names.contains(&format!("{}-cpu", of_task(name)).as_str());
        let fits = |name: &str| match device {
            Device::Cpu => name.ends_with("-cpu") || !has_small(name),
            _ => !name.ends_with("-cpu"),
        };
        let is_recipe = |name: &&str| !name.contains('/') && !needs_cell(name) && fits(name);
        names.iter().copied().filter(is_recipe).collect()
    }

    /// Samples of a training step.
    pub fn batch(&self) -> usize {
        match self {
            Self::Search(run) => run.batch(),
            Self::Train(run, ..) => run.batch(),
        }
    }

    /// `search` or `train`.
    pub fn command(&self) -> &'static str {
        match self {
            Self::Search(_) => SearchRun::COMMAND,
            Self::Train(..) => TrainRun::COMMAND,
        }
    }

    /// Name of the task.
    pub fn task_name(&self) -> &str {
        match self {
            Self::Search(run) => &run.task,
            Self::Train(run, ..) => &run.task,
        }
    }

    /// The network in a word.
    pub fn network_name(&self) -> &str {
        match self {
            Self::Search(_) => "supernet",
            Self::Train(_, _, name) => name,
        }
    }

    /// Whether it trains ResGCN-28 on S3DIS, for which a throughput is published.
    pub fn is_published_resgcn(&self) -> bool {
        matches!(self, Self::Train(run, ..) if set(&**run) == &scenes::S3DIS && run.resgcn.blocks == 28)
    }

    /// What its samples are.
    pub fn samples(&self) -> Samples {
        match self {
            Self::Search(run) => samples(&**run),
            Self::Train(run, ..) => samples(&**run),
        }
    }

    /// Steps of it in `precision`.
    ///
    /// # Errors
    /// Sizes that don't fit each other.
    pub fn workload(&self, precision: Precision, device: Device) -> Result<Workload> {
        match self {
            Self::Search(run) => Ok(search(run, precision, device)),
            Self::Train(run, architecture, _) => Ok(train(run, architecture, precision, device)),
        }
    }
}

fn set(run: &impl RunConfig) -> SetName {
    tasks::find(run.common().task).expect("a resolved run has a known task").set
}

fn samples(run: &impl RunConfig) -> Samples {
    let (_, channels) = set(run).sizes;
    let data = run.common().data;
    match set(run).kind.batch {
        BatchKind::Points => Samples::Clouds { points: data.points as i64, channels },
        BatchKind::Images => Samples::Images { side: data.images.size as i64 },
        BatchKind::Graphs => Samples::Graphs { nodes: PPI_GRAPH.0, links: PPI_GRAPH.1, features: channels },
    }
}

fn check_samples(run: &impl RunConfig) -> Result<()> {
    set(run).kind.family.check_size(run.common().data, run.minimum_points())
}

fn task(run: &impl RunConfig) -> Task {
    dataset::task(set(run).sizes.0, set(run).targets)
}

fn network(run: &impl RunConfig) -> model::NetworkSpec {
    let (classes, channels) = set(run).sizes;
    run.network(classes, channels)
}

fn search(run: &SearchRun, precision: Precision, device: Device) -> Workload {
    let task = task(run);
    let parts = run.search.supernet_parts(run.space(), run.model.channels).expect("a resolved run has parts that fit");
    let model = model::composed_supernet(run.space(), &network(run), run.alphas.initial_scale, SEED, device, &parts);
    let bilevel = Bilevel::new(&*model, task, &run.weights, &run.alphas, precision)
        .of_order(run.search.order)
        .descending(LossConfig::of(run.objective, None, device));
    let bilevel = Box::new(bilevel);
    let of_alphas = match run.search.alpha_batch {
        AlphaBatch::Random => run.batch(),
        AlphaBatch::Whole => PPI_VALIDATION_GRAPHS,
    };
    let batch = |count, seed| samples(run).batch(count, task, seed, device);
    let (batch, alpha_batch) = (batch(run.batch(), SEED), batch(of_alphas, SEED + 1));
    Workload::Search { model, bilevel, rate: run.weights.learning_rate, batch, alpha_batch }
}

fn train(run: &TrainRun, architecture: &Architecture, precision: Precision, device: Device) -> Workload {
    let task = task(run);
    let model = model::network(architecture, &network(run), SEED, device);
    let crate::train::TrainConfig { auxiliary_weight, label_smoothing, .. } = run.train;
    let loss = LossConfig { auxiliary_weight, label_smoothing, objective: run.objective, class_weights: None };
    let step = WeightStep::new(&*model, &run.weights, precision, loss);
    let mode = Mode::Training { drop_path: run.train.drop_path };
    let batch = samples(run).batch(run.batch(), task, SEED, device);
    Workload::Train { model, step, task, mode, rate: run.weights.learning_rate, batch }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_is_a_recipe_on_one_kind_of_device_at_least() {
        for command in ["search", "train"] {
            let on = |device| Recipe::configurations(command, device);
            let all: Vec<&str> =
                embedded::names(command).into_iter().filter(|name| !name.contains('/') && !needs_cell(name)).collect();
            assert!(all.iter().all(|name| on(Device::Cpu).contains(name) || on(Device::Cuda(0)).contains(name)));
            assert!(on(Device::Cpu).contains(&"modelnet40-cpu") && !on(Device::Cpu).contains(&"modelnet40"));
            assert!(on(Device::Cuda(0)).contains(&"modelnet40") && !on(Device::Cuda(0)).contains(&"modelnet40-cpu"));
        }
    }

    #[test]
    fn every_configuration_resolves_with_sizes() {
        let run = |name: &str| crate::commands::RunOptions { config: Some(name.to_owned()), ..Default::default() };
        for name in Recipe::configurations("search", Device::Cuda(0)) {
            let recipe = Recipe::search(&SearchOptions { run: run(name), ..Default::default() }).unwrap();
            assert!(recipe.batch() > 0 && recipe.network_name() == "supernet", "{name}");
        }
        for name in Recipe::configurations("train", Device::Cuda(0)) {
            let recipe = Recipe::train(&TrainOptions { run: run(name), ..Default::default() }).unwrap();
            assert_eq!(recipe.is_published_resgcn(), name == "s3dis");
        }
    }
}
