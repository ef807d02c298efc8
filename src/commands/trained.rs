//! A trained network that a user names: a training's run folder, or loose weights with their cell.

use super::TrainedOptions;
use super::cell;
use super::facts::Facts;
use super::run_folder::{self, RunFolder};
use super::session;
use super::weights::{self, Source};
use crate::batch::BatchKind;
use crate::checkpoint::Checkpoint;
use crate::config::{self, RunConfig, TrainRun, tasks};
use crate::data::{SampleKind, Targets};
use crate::error::{Error, Result};
use crate::genotype::Genotype;
use crate::model::{self, Architecture, Model, NetworkKind};
use crate::reading;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

/// Weights with all that belongs to them.
pub struct Trained {
    /// The configuration that they were trained with, and over it what was typed.
    pub run: TrainRun,
    /// Where the weights stand.
    pub weights: PathBuf,
    /// The run that they come from.
    pub folder: Option<RunFolder>,
    /// Names of the classes in the order of the network's outputs; none where nobody wrote them down.
    pub classes: Vec<String>,
    /// What its training data was labelled with.
    pub targets: Targets,
    /// The training's data in words.
    pub trained_on: Option<String>,
    /// What file they were read from, where they are outside a run.
    pub source: Option<Source>,
    architecture: Architecture,
    tensors: BTreeMap<String, Tensor>,
    device: Device,
}

/// Numbers per pixel.
const COLOURS: i64 = 3;

/// Where the weights are to be found.
struct Place {
    run: TrainRun,
    architecture: Architecture,
    weights: PathBuf,
    folder: Option<RunFolder>,
}

impl Trained {
    /// Finds and reads it: the run or the weights that were named, else the newest finished training. `data` stands
    /// over the data of its configuration.
    ///
    /// # Errors
    /// No training, a search, one without a whole epoch; weights without their cell, or that can't be read.
    pub fn open(options: &TrainedOptions, data: Option<&str>, device: Device) -> Result<Self> {
        let (Place { mut run, architecture, weights, folder }, read) = match &options.weights {
            Some(path) => {
                let read = weights::read(path)?;
                (loose(options, data, path.clone(), read.facts.as_ref())?, Some(read))
            }
            None => (of_run(options, data)?, None),
        };
        // Evaluation takes batches of any size; a configuration must have two samples at least, for batch norm.
        run.train.batch = options.batch.unwrap_or(run.train.batch);
        let about = folder.as_ref().map(RunFolder::about).transpose()?;
        let (tensors, source, facts) = match read {
            None => (Checkpoint::load(&weights)?.tensors, None, None),
            Some(weights::Read { tensors, source, facts }) => {
                source.told().iter().for_each(|line| tracing::debug!("{}: {line}", weights.display()));
                (tensors, Some(source), facts)
            }
        };
        let said = about.as_ref().map(|about| about.targets).or(facts.as_ref().and_then(|facts| facts.targets));
        let targets = said.unwrap_or_else(|| usual_targets(&run.task));
        let (classes, trained_on) = match (about, facts) {
            (Some(about), _) => (about.classes, Some(about.data)),
            (None, Some(facts)) => (facts.classes, facts.trained_on),
            (None, None) => (Vec::new(), None),
        };
        let is_loose = folder.is_none();
        let trained =
            Self { run, weights, folder, classes, targets, trained_on, source, architecture, tensors, device };
        if is_loose { trained.with_as_many_names() } else { Ok(trained) }
    }

    /// A file's own names are one for every output.
    fn with_as_many_names(self) -> Result<Self> {
        let count = self.class_count().unwrap_or(self.classes.len());
        if self.classes.is_empty() || self.classes.len() == count {
            return Ok(self);
        }
        let expected = format!("{count} names, as many as the network has outputs");
        Err(Error::invalid(format!("{}: its classes", self.origin()), expected, self.classes.len().to_string()))
    }

    /// The cell; none of a hand-designed network.
    pub fn genotype(&self) -> Option<&Genotype> {
        self.architecture.genotype()
    }

    /// The kind of network.
    pub fn network_kind(&self) -> NetworkKind {
        self.architecture.kind()
    }

    /// The numbers per point, pixel or node that the network takes.
    pub fn input_channels(&self) -> i64 {
        model::input_channels(self.architecture.kind(), &self.tensors).unwrap_or(COLOURS)
    }

    /// The number of classes that the weights tell apart.
    ///
    /// # Errors
    /// Weights of another kind of network.
    pub fn class_count(&self) -> Result<usize> {
        model::class_count(self.architecture.kind(), &self.tensors, &self.origin())
    }

    /// Names of the classes: those of the file, else the run's, or else numbers.
    ///
    /// # Errors
    /// Weights of another kind of network; a file without as many names as there are classes, or with one twice.
    pub fn class_names(&self, file: Option<&Path>) -> Result<Vec<String>> {
        let count = self.class_count()?;
        match file {
            Some(path) => read_names(path, count),
            None if self.classes.is_empty() => Ok((0..count).map(|class| format!("class {class}")).collect()),
            None => Ok(self.classes.clone()),
        }
    }

    /// The network with its weights, on the device; `channels` are the numbers per input point or pixel.
    ///
    /// # Errors
    /// Weights of another network, or of another number of classes or channels.
    pub fn network(&self, classes: usize, channels: i64) -> Result<Box<dyn Model>> {
        self.require_channels(channels)?;
        let mut spec = self.run.network(classes, channels);
        // Files of others have the auxiliary head or not, whatever the configuration says.
        spec.image.auxiliary = model::have_auxiliary(&self.tensors);
        let mut model = model::network(&self.architecture, &spec, self.run.seed, self.device);
        model.weights_mut().load(&self.tensors, &self.origin())?;
        Ok(model)
    }

    /// The kind of network in words.
    pub fn architecture_name(&self) -> String {
        match &self.architecture {
            Architecture::Cell(genotype) => format!("a cell of the {} space", genotype.space),
            Architecture::HandDesigned(network) => network.name().to_owned(),
        }
    }

    fn require_channels(&self, channels: i64) -> Result<()> {
        let trained = match model::input_channels(self.architecture.kind(), &self.tensors) {
            Some(trained) if trained != channels => trained,
            _ => return Ok(()),
        };
        let (place, what, hint) = match self.kind().batch {
            BatchKind::Graphs => ("features", "node", "give graphs whose nodes have the same features"),
            _ => ("data.features", "point", "give data.features as in training; a run has it in its config.toml"),
        };
        let expected = format!("the {trained} numbers per {what} that the network was trained on");
        Err(Error::invalid(place, expected, channels.to_string()).with_hint(hint))
    }

    /// What the network was trained on.
    pub fn kind(&self) -> SampleKind {
        tasks::find(&self.run.task).expect("a resolved run has a known task").set.kind
    }

    /// The fewest points of a cloud that the network takes (k · dilation).
    pub fn minimum_points(&self) -> usize {
        self.run.minimum_points()
    }

    /// The device of the network.
    pub fn device(&self) -> Device {
        self.device
    }

    /// What predictions with these names of classes come from, by name: program, run, weights, data and its preparation.
    pub fn provenance(&self, classes: &[String], votes: usize) -> Map<String, Value> {
        let (run, data) = (&self.run, &self.run.data);
        // JSON holds text: a path that is none would be a panic.
        let folder = self.folder.as_ref().map(|folder| folder.path().display().to_string());
        let mut preparation = self.kind().family.preparation(data);
        preparation.extend(self.kind().draws.then(|| ("votes", json!(votes))));
        let origin = vec![
            ("sgas", json!(env!("CARGO_PKG_VERSION"))),
            ("run", json!(folder)),
            ("weights", json!(self.weights.display().to_string())),
            ("trained_on", json!(self.trained_on)),
            ("task", json!(run.task)),
        ];
        let named = [origin, preparation, vec![("seed", json!(run.seed)), ("classes", json!(classes))]].concat();
        named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn origin(&self) -> String {
        self.weights.display().to_string()
    }
}

/// A name per line, each once, as many as there are classes.
fn read_names(path: &Path, count: usize) -> Result<Vec<String>> {
    let text = reading::text(path, reading::LIST)?;
    let names: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    let place = path.display().to_string();
    if names.len() != count {
        let expected = format!("{count} names, one per line: the weights tell {count} classes apart");
        return Err(Error::invalid(place, expected, format!("{} lines", names.len())));
    }
    let mut seen = BTreeSet::new();
    match names.iter().position(|name| name.is_empty() || !seen.insert(name)) {
        Some(line) => Err(Error::invalid(
            format!("{place}, line {}", line + 1),
            "names that differ",
            format!("'{}'", names[line]),
        )),
        None => Ok(names),
    }
}

/// A training run: its best weights where it has a validation share, else its last.
fn of_run(options: &TrainedOptions, data: Option<&str>) -> Result<Place> {
    let folder = match &options.run {
        Some(path) => RunFolder::open(path)?,
        None => run_folder::newest_training()?,
    };
    if folder.about()?.command != "train" {
        return Err(Error::usage(format!("{} is a search: it has no trained network", folder.path().display()))
            .with_hint(format!("train what it found: sgas train --genotype {}", folder.typed())));
    }
    let weights = folder.chosen_weights()?;
    session::check_description::<TrainRun>(&folder)?;
    let path = folder.config();
    let (name, text) = (path.display().to_string(), config::read_text(&path)?);
    let run = options.resolve(Some((&name, &text)), data)?;
    let architecture = match run.network_kind() {
        NetworkKind::Cells(_) => Architecture::Cell(Box::new(Genotype::load(folder.genotype())?)),
        NetworkKind::HandDesigned(network) => Architecture::HandDesigned(network),
    };
    Ok(Place { run, architecture, weights, folder: Some(folder) })
}

/// Weights outside a run, with the cell they belong to, or a task whose network has none. What the file says of its own
/// network need not be named, and what is named must be the same; a configuration stands in place of the file's.
fn loose(options: &TrainedOptions, data: Option<&str>, weights: PathBuf, facts: Option<&Facts>) -> Result<Place> {
    let place = weights.display().to_string();
    let cell = options.genotype.as_deref().map(|typed| cell::load(typed, options.task.as_deref())).transpose()?;
    if let Some(facts) = facts {
        if let (Some(typed), Some(cell)) = (&options.genotype, &cell) {
            facts.require_cell(typed, &cell.genotype, &place)?;
        }
        options.task.iter().try_for_each(|task| facts.require_task(&format!("--task {task}"), task, &place))?;
    } else if cell.is_none() && options.task.is_none() && options.config.is_none() {
        return Err(Error::usage("weights outside a run need --genotype: the cell that they belong to")
            .with_hint("or --task s3dis, for weights of a ResGCN"));
    }
    let own = facts.filter(|_| options.config.is_none());
    let name = format!("{place}: its configuration");
    let run = match own.map(|facts| (facts, facts.configuration())) {
        Some((_, Some(text))) => options.resolve(Some((&name, &text)), data),
        Some((facts, None)) => TrainedOptions { task: Some(facts.task.clone()), ..options.clone() }.resolve(None, data),
        None => options.resolve(None, data),
    };
    let mut run = run?;
    if let (Some(facts), Some(config)) = (facts, &options.config) {
        facts.require_task(&format!("--config {config}"), &run.task, &place)?;
    }
    let named = cell.map(|cell| (cell.origin, cell.genotype));
    let said = facts.and_then(|facts| Some((place.clone(), facts.genotype.clone()?)));
    let kind = facts.and_then(Facts::kind).unwrap_or_else(|| run.network_kind());
    let architecture = match (named.or(said), kind) {
        (Some((origin, genotype)), _) => {
            run.set_network(NetworkKind::Cells(genotype.space), &format!("{origin}: space"))?;
            Architecture::Cell(Box::new(genotype))
        }
        (None, NetworkKind::HandDesigned(network)) => {
            run.set_network(kind, &place)?;
            Architecture::HandDesigned(network)
        }
        (None, NetworkKind::Cells(_)) => {
            return Err(Error::usage("weights outside a run need --genotype: the cell that they belong to"));
        }
    };
    Ok(Place { run, architecture, weights, folder: None })
}

/// Nothing says what loose weights were trained for: those of graphs tell labels of PPI, and classes of all else.
fn usual_targets(task: &str) -> Targets {
    tasks::find(task).map_or(Targets::Classes, |task| task.set.targets)
}
