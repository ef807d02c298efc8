//! The two kinds of run: the sections of each, what both have in common, and what the sections ask of each other.

use super::tasks::{self, KnownTask};
use crate::bounds;
use crate::checkpoint::CheckpointConfig;
use crate::data::DataConfig;
use crate::decision::DecisionConfig;
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::model::{ModelConfig, NetworkKind, NetworkSpec, ResGcnConfig};
use crate::optim::{AlphaConfig, WeightConfig};
use crate::search::SearchConfig;
use crate::search::freezing::FreezingName;
use crate::search::strategy::{MixtureName, Regularizer, Selection, StrategyName};
use crate::space::graph::GraphConfig;
use crate::space::image::{ImageConfig, nas_bench_201};
use crate::space::nas_bench_graph::NasBenchGraphConfig;
use crate::space::point::PointConfig;
use crate::step::OnNan;
use crate::step::class_weights::ClassWeights;
use crate::task::ObjectiveName;
use crate::tensor::precision::Precision;
use crate::train::TrainConfig;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Everything that a search depends on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SearchRun {
    /// Name of the task.
    pub task: String,
    /// What is descended: `cross_entropy`, `binary_cross_entropy`, or one that was registered; absent: the task's own loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveName>,
    /// The space that is searched; absent: the task's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceName>,
    /// Seed of everything random.
    pub seed: u64,
    /// Arithmetic of the forward and backward pass; `--amp` sets it.
    pub precision: Precision,
    /// What becomes of a run where a loss or gradient is inf or NaN: `stop`, `skip`, or `rollback`.
    pub on_nan: OnNan,
    /// Where several processes share a run: batch norms take the statistics of all their batches; absent: each its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sync_batch_norm: bool,
    /// `[checkpoint]`
    pub checkpoint: CheckpointConfig,
    /// `[data]`
    pub data: DataConfig,
    /// `[model]`
    pub model: ModelConfig,
    /// `[point]`
    pub point: PointConfig,
    /// `[image]`
    pub image: ImageConfig,
    /// `[graph]`
    pub graph: GraphConfig,
    /// `[nas_bench_graph]`
    pub nas_bench_graph: NasBenchGraphConfig,
    /// `[search]`
    pub search: SearchConfig,
    /// `[decision]`
    pub decision: DecisionConfig,
    /// `[weights]`
    pub weights: WeightConfig,
    /// `[alphas]`
    pub alphas: AlphaConfig,
}

/// Everything that a training depends on, but the genotype.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainRun {
    /// Name of the task.
    pub task: String,
    /// What is descended: `cross_entropy`, `binary_cross_entropy`, or one that was registered; absent: the task's own loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveName>,
    /// The kind of network: a hand-designed one, such as `resgcn`, or the space of a cell; absent: the task's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub network: Option<NetworkKind>,
    /// Seed of everything random.
    pub seed: u64,
    /// Arithmetic of the forward and backward pass; `--amp` sets it.
    pub precision: Precision,
    /// What becomes of a run where a loss or gradient is inf or NaN: `stop`, `skip`, or `rollback`.
    pub on_nan: OnNan,
    /// Where several processes share a run: batch norms take the statistics of all their batches; absent: each its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sync_batch_norm: bool,
    /// `[checkpoint]`
    pub checkpoint: CheckpointConfig,
    /// `[data]`
    pub data: DataConfig,
    /// `[model]`
    pub model: ModelConfig,
    /// `[point]`
    pub point: PointConfig,
    /// `[image]`
    pub image: ImageConfig,
    /// `[graph]`
    pub graph: GraphConfig,
    /// `[nas_bench_graph]`
    pub nas_bench_graph: NasBenchGraphConfig,
    /// `[resgcn]`
    pub resgcn: ResGcnConfig,
    /// `[train]`
    pub train: TrainConfig,
    /// `[weights]`
    pub weights: WeightConfig,
}

impl SearchRun {
    /// How it chooses edges, in short, to tell it from others: the strategy, of SGAS with its criterion, and what is
    /// composed with it.
    pub fn method(&self) -> String {
        let SearchConfig {
            strategy, selection, mixture, freezing, regularizer, partial_channels, edge_weights, ..
        } = &self.search;
        let criterion = (*strategy == StrategyName::SGAS).then(|| format!(" {}", self.decision.criterion));
        let parts = [
            selection.map(Selection::name),
            mixture.map(MixtureName::name),
            freezing.map(FreezingName::name),
            regularizer.map(Regularizer::name),
        ];
        let supernet = [partial_channels.map(|_| "partial channels"), edge_weights.then_some("edge weights")];
        let parts = parts.into_iter().chain(supernet).flatten().map(|part| format!(" + {part}"));
        std::iter::once(strategy.name().to_owned()).chain(criterion).chain(parts).collect()
    }

    /// The space that is searched; panics for a task that [`RunConfig::validate`] refuses.
    pub fn space(&self) -> SpaceName {
        self.space.unwrap_or_else(|| tasks::find(&self.task).expect("a resolved run has a known task").space)
    }
}

impl TrainRun {
    /// Makes it a training of this kind of network.
    ///
    /// # Errors
    /// A network that takes other data than the task reads, with `place` (a flag, a file) as its place.
    pub fn set_network(&mut self, network: NetworkKind, place: &str) -> Result<()> {
        require_network(tasks::find(&self.task)?, network, place)?;
        let usual = tasks::find(&self.task)?.network;
        self.network = (network != usual).then_some(network);
        self.validate()
    }
}

/// Refuses weights of classes beside a loss that knows none.
fn check_class_weights(key: &str, weights: Option<ClassWeights>, objective: Option<ObjectiveName>) -> Result<()> {
    match (weights, objective) {
        (Some(ClassWeights::Balanced), Some(objective)) => {
            let found = format!("objective = \"{}\"", objective.name());
            Err(Error::invalid(key, "the task's own loss beside them", found)
                .with_hint("leave one of the two keys out"))
        }
        _ => Ok(()),
    }
}

/// Refuses a network that takes other data than the task reads.
fn require_network(task: KnownTask, network: NetworkKind, place: &str) -> Result<()> {
    match network {
        NetworkKind::Cells(space) => task.require_space(space, place),
        NetworkKind::HandDesigned(network) => {
            let kind = task.set.kind;
            if network.takes() == kind.batch && network.labels_points() == kind.labels_points {
                return Ok(());
            }
            let fitting = tasks::of_network(NetworkKind::HandDesigned(network)).name;
            let found = format!("{}, which reads {}", task.name, kind.plural);
            Err(Error::invalid(place, format!("a task for {}, such as {fitting}", network.name()), found)
                .with_hint(format!("the usual network for {} is {}: --baseline", kind.plural, task.baseline().name())))
        }
    }
}

/// The keys and sections that both kinds of run have.
pub struct Common<'a> {
    /// Name of the task.
    pub task: &'a str,
    /// The kind of network, where it is not the task's own.
    pub network: Option<NetworkKind>,
    /// Seed of everything random.
    pub seed: u64,
    /// What becomes of the run where a loss or gradient is not finite.
    pub on_nan: OnNan,
    /// `[checkpoint]`
    pub checkpoint: &'a CheckpointConfig,
    /// `[data]`
    pub data: &'a DataConfig,
    /// `[model]`
    pub model: &'a ModelConfig,
    /// `[point]`
    pub point: &'a PointConfig,
    /// `[image]`
    pub image: &'a ImageConfig,
    /// `[graph]`
    pub graph: &'a GraphConfig,
    /// `[nas_bench_graph]`
    pub nas_bench_graph: &'a NasBenchGraphConfig,
}

/// What both kinds of run have in common, and what the layers need to know of them.
pub trait RunConfig: Default + Serialize + DeserializeOwned {
    /// The command it belongs to: the folder of its embedded configurations.
    const COMMAND: &'static str;

    /// The key that names another kind of network than the task's own.
    const NETWORK_KEY: &'static str;

    /// What both kinds have.
    fn common(&self) -> Common<'_>;

    /// `[data]`, to write into it what was found.
    fn data_mut(&mut self) -> &mut DataConfig;

    /// Samples per batch, the key `batch` of the command's section.
    fn batch(&self) -> usize;

    /// The sizes of a ResGCN, which only a training has.
    fn resgcn(&self) -> ResGcnConfig {
        ResGcnConfig::default()
    }

    /// Checks the sections that only this kind of run has.
    ///
    /// # Errors
    /// The first value outside its range, with its key.
    fn validate_own(&self) -> Result<()>;

    /// Checks every section.
    ///
    /// # Errors
    /// The first value outside its range, with its key.
    fn validate(&self) -> Result<()> {
        let Common { task, checkpoint, data, model, point, image, graph, nas_bench_graph, network, .. } = self.common();
        let known = tasks::find(task)?;
        let set = known.set;
        if let Some(network) = network {
            require_network(known, network, Self::NETWORK_KEY)?;
        }
        checkpoint.validate()?;
        data.validate()?;
        model.validate()?;
        point.validate()?;
        image.validate()?;
        graph.validate()?;
        nas_bench_graph.validate()?;
        match self.network_kind() {
            NetworkKind::Cells(space) if space == SpaceName::IMAGE => image.check_side(data.images.size)?,
            NetworkKind::Cells(space) if space == SpaceName::NAS_BENCH_201 => {
                nas_bench_201::check(model.cells, data.images.size)?;
            }
            NetworkKind::Cells(space) if space == SpaceName::NAS_BENCH_GRAPH => {
                nas_bench_graph.check_width(model.channels)?;
            }
            NetworkKind::Cells(_) | NetworkKind::HandDesigned(_) => {}
        }
        let smallest = set.kind.smallest_training_batch;
        if self.batch() < smallest {
            let reason = if smallest > 1 { ", for batch norm" } else { "" };
            let key = format!("{}.batch", Self::COMMAND);
            return Err(Error::invalid(key, format!("at least {smallest}{reason}"), self.batch().to_string()));
        }
        bounds::check(
            &format!("{}.batch", Self::COMMAND),
            &self.batch(),
            &(smallest..=bounds::MOST_SAMPLES),
            "samples",
        )?;
        self.validate_own()
    }

    /// The kind of the task's network; panics for a task that [`RunConfig::validate`] refuses.
    fn network_kind(&self) -> NetworkKind {
        let Common { task, network, .. } = self.common();
        let task = tasks::find(task).expect("a resolved run has a known task");
        network.unwrap_or_else(|| Self::usual_network(task))
    }

    /// The kind of the task's network where none is named.
    fn usual_network(task: KnownTask) -> NetworkKind;

    /// The sizes of the network for so many classes, and channels of an input point or pixel.
    fn network(&self, classes: usize, in_channels: i64) -> NetworkSpec {
        let Common { model, point, image, graph, nas_bench_graph, task, .. } = self.common();
        let (model, point, image, graph) = (model.clone(), point.clone(), image.clone(), graph.clone());
        let (nas_bench_graph, resgcn) = (nas_bench_graph.clone(), self.resgcn());
        let task = tasks::find(task).expect("a resolved run has a known task");
        let per_point = task.set.kind.labels_points;
        NetworkSpec { model, point, image, graph, nas_bench_graph, resgcn, classes, in_channels, per_point }
    }

    /// The fewest points of a cloud that the network takes (k · dilation).
    fn minimum_points(&self) -> usize {
        let Common { model, point, .. } = self.common();
        match self.network_kind() {
            NetworkKind::Cells(_) => point.minimum_points(model.cells),
            // Classes and channels play no part.
            NetworkKind::HandDesigned(network) => network.minimum_points(&self.network(1, 1)),
        }
    }

    /// The resolved configuration as TOML, for the run folder; reading it gives the same run.
    fn to_toml(&self) -> String {
        toml::to_string(self).expect("configurations are plain tables")
    }
}

impl RunConfig for SearchRun {
    const COMMAND: &'static str = "search";
    const NETWORK_KEY: &'static str = "space";

    fn common(&self) -> Common<'_> {
        let Self { task, seed, on_nan, checkpoint, data, model, point, image, graph, nas_bench_graph, .. } = self;
        let (network, seed, on_nan) = (self.space.map(NetworkKind::Cells), *seed, *on_nan);
        Common { task, network, seed, on_nan, checkpoint, data, model, point, image, graph, nas_bench_graph }
    }

    fn data_mut(&mut self) -> &mut DataConfig {
        &mut self.data
    }

    fn batch(&self) -> usize {
        self.search.batch
    }

    fn usual_network(task: KnownTask) -> NetworkKind {
        NetworkKind::Cells(task.space)
    }

    fn validate_own(&self) -> Result<()> {
        self.search.validate()?;
        check_class_weights("search.class_weights", self.search.class_weights, self.objective)?;
        self.decision.validate()?;
        self.search.compose(self.space(), &self.decision)?;
        let parts = self.search.supernet_parts(self.space(), self.model.channels)?;
        if let (Some(partial), true) = (parts.partial_channels, self.space() == SpaceName::NAS_BENCH_GRAPH) {
            self.nas_bench_graph.check_width(self.model.channels / partial.parts)?;
        }
        self.weights.validate()?;
        self.alphas.validate()
    }
}

impl RunConfig for TrainRun {
    const COMMAND: &'static str = "train";
    const NETWORK_KEY: &'static str = "network";

    fn common(&self) -> Common<'_> {
        let Self { task, network, seed, on_nan, checkpoint, data, model, point, image, graph, nas_bench_graph, .. } =
            self;
        let (network, seed, on_nan) = (*network, *seed, *on_nan);
        Common { task, network, seed, on_nan, checkpoint, data, model, point, image, graph, nas_bench_graph }
    }

    fn usual_network(task: KnownTask) -> NetworkKind {
        task.network
    }

    fn data_mut(&mut self) -> &mut DataConfig {
        &mut self.data
    }

    fn batch(&self) -> usize {
        self.train.batch
    }

    fn resgcn(&self) -> ResGcnConfig {
        self.resgcn.clone()
    }

    fn validate_own(&self) -> Result<()> {
        self.train.validate()?;
        check_class_weights("train.class_weights", self.train.class_weights, self.objective)?;
        self.resgcn.validate()?;
        self.weights.validate()
    }
}
