//! The configuration of a run: the sections that the owners define, composed.
//!
//! Layers, the later over the earlier: defaults, file, environment (`SGAS_SECTION__KEY`), `--set`, flags.
//! One mechanism reads both kinds of run; nothing is listed key by key. What a key means and which values it
//! takes stands with its owner.

pub mod embedded;
mod layers;
pub mod tasks;
mod value;

use crate::bounds;
use crate::checkpoint::CheckpointConfig;
use crate::data::DataConfig;
use crate::decision::DecisionConfig;
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::model::{ModelConfig, NetworkKind, NetworkSpec, ResGcnConfig};
use crate::optim::{AlphaConfig, WeightConfig};
use crate::reading;
use crate::search::SearchConfig;
use crate::space::graph::GraphConfig;
use crate::space::image::{ImageConfig, nas_bench_201};
use crate::space::nas_bench_graph::NasBenchGraphConfig;
use crate::space::point::PointConfig;
use crate::step::OnNan;
use crate::task::ObjectiveName;
use crate::tensor::precision::Precision;
use crate::train::TrainConfig;
use layers::{Layers, SET};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;
use tasks::KnownTask;

/// Everything that a search depends on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainRun {
    /// Name of the task.
    pub task: String,
    /// What is descended: `cross_entropy`, `binary_cross_entropy`, or one that was registered; absent: the task's own loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveName>,
    /// The kind of network: a hand-designed one, such as `resgcn`, or the space of a cell; absent: the task's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkKind>,
    /// Seed of everything random.
    pub seed: u64,
    /// Arithmetic of the forward and backward pass; `--amp` sets it.
    pub precision: Precision,
    /// What becomes of a run where a loss or gradient is inf or NaN: `stop`, `skip`, or `rollback`.
    pub on_nan: OnNan,
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
        self.decision.validate()?;
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
        self.resgcn.validate()?;
        self.weights.validate()
    }
}

/// A key that a flag of its own sets.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// As typed, for errors: `--batch`.
    pub name: &'static str,
    /// Dotted: `search.batch`.
    pub key: String,
    /// What was given.
    pub value: toml::Value,
}

impl Flag {
    /// The flag `name` sets `key` to `value`.
    pub fn new(name: &'static str, key: impl Into<String>, value: impl Into<toml::Value>) -> Self {
        Self { name, key: key.into(), value: value.into() }
    }
}

/// Where the keys of a run come from.
#[derive(Debug, Clone, Default)]
pub struct Sources<'a> {
    /// The resolved configuration of a run that was begun, its name and text: the lowest layer, and the environment
    /// changes it no more.
    pub begun: Option<(&'a str, &'a str)>,
    /// A path or an embedded name; absent: the begun run's, or the task's own.
    pub config: Option<&'a str>,
    /// The task, where it is known before the file is read.
    pub task: Option<&'a str>,
    /// `section.key=value`, in the order typed.
    pub set: &'a [String],
    /// The space of the cells, where one is named: for it a task may have a configuration of its own.
    pub space: Option<&'a str>,
    /// What other flags set; over everything else.
    pub flags: &'a [Flag],
}

/// Puts a run together from the layers, the environment of the process among them.
///
/// # Errors
/// No task and no file; an unknown task, configuration or key (with the nearest known one); a value of the
/// wrong type or out of its range: each with file or flag, and key.
pub fn resolve<R: RunConfig>(sources: &Sources<'_>) -> Result<R> {
    resolve_with(sources, std::env::vars())
}

fn resolve_with<R: RunConfig>(sources: &Sources<'_>, environment: impl Iterator<Item = (String, String)>) -> Result<R> {
    let mut layers = Layers::default();
    if let Some((name, text)) = sources.begun {
        layers.add_text(name, text)?;
    }
    if sources.begun.is_none() || sources.config.is_some() {
        let (file, text) = base::<R>(sources)?;
        layers.add_text(&file, &text)?;
    }
    for (name, key, text) in environment_keys::<R>(environment.filter(|_| sources.begun.is_none())) {
        layers.add_assignment(&name, &format!("{key}={text}"))?;
    }
    for assignment in sources.set {
        layers.add_assignment(SET, assignment)?;
    }
    if let Some(task) = sources.task {
        layers.add("--task", "task", task.into());
    }
    for flag in sources.flags {
        layers.add(flag.name, &flag.key, flag.value.clone());
    }
    layers.read()
}

/// Reads the `config.toml` of a run folder, with no other layers.
///
/// # Errors
/// A file that is not there or not a configuration of this kind of run.
pub fn read<R: RunConfig>(path: &Path) -> Result<R> {
    parse(&path.display().to_string(), &read_text(path)?, &[])
}

/// The configuration in a text that messages call `place`, with `section.key=value` as typed laid over it.
///
/// # Errors
/// As [`resolve`].
pub fn parse<R: RunConfig>(place: &str, text: &str, set: &[String]) -> Result<R> {
    let mut layers = Layers::default();
    layers.add_text(place, text)?;
    for assignment in set {
        layers.add_assignment(SET, assignment)?;
    }
    layers.read()
}

/// The embedded configuration of this name in the command's folder, with no other layers.
///
/// # Errors
/// A name that is not embedded.
pub fn embedded_run<R: RunConfig>(name: &str) -> Result<R> {
    let (name, text) = embedded::find(R::COMMAND, name)?;
    let mut layers = Layers::default();
    layers.add_text(&name, text)?;
    layers.read()
}

/// The lowest layer: its name and text.
fn base<R: RunConfig>(sources: &Sources<'_>) -> Result<(String, String)> {
    let embedded = |typed: &str| {
        let (name, text) = embedded::find(R::COMMAND, typed)?;
        Ok((format!("embedded config {name}"), text.to_owned()))
    };
    match (sources.config, sources.task) {
        (Some(config), _) if reading::is_there(Path::new(config)) => {
            Ok((config.to_owned(), read_text(Path::new(config))?))
        }
        (Some(config), _) => embedded(config),
        (None, Some(task)) => {
            tasks::find(task).map_err(|error| error.placed(|_| "--task".to_owned()))?;
            embedded(&sources.space.map_or(task.to_owned(), |space| embedded::of_space::<R>(task, space)))
        }
        (None, None) => Err(Error::usage(format!("which task? {} needs --task or --config", R::COMMAND))
            .with_hint(format!("for example --task {}; known: {}", tasks::TASKS[0].name, tasks::names().join(", ")))),
    }
}

/// The text of a configuration.
///
/// # Errors
/// A file that can't be read.
pub fn read_text(path: &Path) -> Result<String> {
    reading::text(path, reading::CONFIGURATION)
}

/// `SGAS_SECTION__KEY` as (variable, `section.key`, text), ordered by name. What is meant for another kind of
/// run (a training's section, during a search) is left out; sections that no run has stay, to be refused.
fn environment_keys<R: RunConfig>(
    environment: impl Iterator<Item = (String, String)>,
) -> Vec<(String, String, String)> {
    let own = sections::<R>();
    let elsewhere = [sections::<SearchRun>(), sections::<TrainRun>()].concat();
    let mut keys: Vec<_> = environment
        .filter_map(|(name, text)| {
            let (section, key) = name.strip_prefix("SGAS_")?.split_once("__")?;
            let (section, key) = (section.to_lowercase(), key.to_lowercase());
            let meant = own.contains(&section) || !elsewhere.contains(&section);
            meant.then(|| (name.clone(), format!("{section}.{key}"), text))
        })
        .collect();
    keys.sort();
    keys
}

/// The names of the sections of a kind of run.
fn sections<R: RunConfig>() -> Vec<String> {
    let table = toml::Table::try_from(R::default()).expect("configurations are plain tables");
    table.into_iter().filter(|(_, value)| value.is_table()).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests;
