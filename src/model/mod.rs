//! Networks: the supernet that a search trains, and the network of a derived cell.
//!
//! The loops, checkpoints and evaluation see the two object-safe traits of this file and nothing generic.

mod alphas;
mod baseline;
mod config;
mod derived;
mod foreign_names;
mod hand_designed;
mod network;
mod resgcn;
mod spaces;
mod supernet;

pub use alphas::{Alphas, Mask, MixtureRule, Softmax};
pub use config::ModelConfig;
pub use derived::Derived;
pub use foreign_names::{have_auxiliary, ours, to_start_from};
pub use hand_designed::HandDesigned;
pub use resgcn::{ResGcn, ResGcnConfig};
pub use spaces::register;
pub use supernet::Supernet;

use crate::batch::{Batch, ImageBatch};
use crate::cell::PartialChannels;
use crate::decision::Choice;
use crate::error::{Error, Result};
use crate::genotype::{Genotype, SpaceName};
use crate::ops::{Mode, Wrapping};
use crate::space::Output;
use crate::space::graph::GraphConfig;
use crate::space::image::{self, ImageConfig};
use crate::space::nas_bench_graph::NasBenchGraphConfig;
use crate::space::point::PointConfig;
use crate::tensor::multiply_adds;
use crate::tensor::parameters::{Kept, Weights};
use crate::tensor::precision::Precision;
use crate::tensor::random::{Key, Purpose};
use crate::topology::{CellKind, Topology};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::rc::Rc;
use tch::{Device, Kind, Tensor, no_grad};

/// A kind of network that tasks train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkKind {
    /// Stacked cells of a space, which a search finds.
    Cells(SpaceName),
    /// A network whose architecture is given.
    HandDesigned(HandDesigned),
}

impl NetworkKind {
    /// The name in configurations: the space's, or that of a hand-designed network, such as `resgcn`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cells(space) => space.name(),
            Self::HandDesigned(network) => network.name(),
        }
    }
}

impl Serialize for NetworkKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for NetworkKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match HandDesigned::named(&name) {
            Some(network) => Ok(Self::HandDesigned(network)),
            None => name.parse().map(Self::Cells).map_err(serde::de::Error::custom),
        }
    }
}

/// What a network is built after, besides its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Architecture {
    /// A derived cell.
    Cell(Box<Genotype>),
    /// None: the network is given.
    HandDesigned(HandDesigned),
}

impl Architecture {
    /// The kind of its networks.
    pub fn kind(&self) -> NetworkKind {
        match self {
            Self::Cell(genotype) => NetworkKind::Cells(genotype.space),
            Self::HandDesigned(network) => NetworkKind::HandDesigned(*network),
        }
    }

    /// The cell, where it is one.
    pub fn genotype(&self) -> Option<&Genotype> {
        match self {
            Self::Cell(genotype) => Some(genotype),
            Self::HandDesigned(_) => None,
        }
    }
}

/// A network with weights.
pub trait Model {
    /// Scores of a batch.
    fn forward(&self, batch: &Batch, mode: Mode) -> Output;

    /// The state dict.
    fn weights(&self) -> &Weights;

    /// The state dict, to load or shrink it.
    fn weights_mut(&mut self) -> &mut Weights;
}

/// Scores of a batch computed in `precision`.
///
/// # Errors
/// Where the device has no such precision.
pub fn forward(model: &dyn Model, batch: &Batch, mode: Mode, precision: Precision) -> Result<Output> {
    let parameters = &model.weights().parameters;
    let device = parameters.flat().device();
    let _cast = precision.autocast(device)?;
    // Kernels of a CPU read the weights as they are.
    let _factors = precision.half().filter(|_| device.is_cuda()).map(|kind| parameters.factors_in(kind));
    Ok(model.forward(batch, mode))
}

/// What stayed of the flat tensors after a decision.
pub struct Shrunk {
    /// Of the weights.
    pub weights: Kept,
    /// Of the open alphas.
    pub alphas: Kept,
}

/// What a step learns: the others take no gradient, and nothing is kept for theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learn {
    /// The weights.
    Weights,
    /// The open alphas.
    Alphas,
    /// Both.
    Both,
}

/// A network whose edges mix primitives.
pub trait SearchModel: Model {
    /// The tables of alphas.
    fn alphas(&self) -> &Alphas;

    /// The tables of alphas, to set their values.
    fn alphas_mut(&mut self) -> &mut Alphas;

    /// The shape of its cells.
    fn topology(&self) -> Topology;

    /// The space it searches.
    fn space(&self) -> SpaceName;

    /// The primitive of an edge of a kind that a weight belongs to, by the weight's name.
    fn primitive_of(&self, weight: &str, kind: CellKind, edge: usize) -> Option<usize>;

    /// Chooses what the next steps learn.
    fn learn(&mut self, what: Learn);

    /// Fixes an edge of all cells of a kind to one primitive; its alpha stops training.
    fn fix(&mut self, kind: CellKind, edge: usize, primitive: usize) -> Shrunk;

    /// Takes one primitive out of an open edge of all cells of a kind.
    fn drop_primitive(&mut self, kind: CellKind, edge: usize, primitive: usize) -> Shrunk;

    /// Takes an edge out of all cells of a kind; its alpha stops training.
    fn prune(&mut self, kind: CellKind, edge: usize) -> Shrunk;

    /// Computes these cells alone, one of each kind, as their derived network would by its weights; or all again.
    fn narrow(&mut self, cells: Option<&[(CellKind, Vec<Choice>)]>);
}

/// The sizes of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkSpec {
    /// Cells and channels.
    pub model: ModelConfig,
    /// What only point networks have.
    pub point: PointConfig,
    /// What only image networks have.
    pub image: ImageConfig,
    /// What only graph networks have.
    pub graph: GraphConfig,
    /// What only networks of NAS-Bench-Graph have.
    pub nas_bench_graph: NasBenchGraphConfig,
    /// What only a ResGCN has.
    pub resgcn: ResGcnConfig,
    /// Classes or labels of the task.
    pub classes: usize,
    /// Numbers per input point or node.
    pub in_channels: i64,
    /// Whether every point of a cloud has a class, or every cloud.
    pub per_point: bool,
}

impl Default for NetworkSpec {
    /// The default sizes, for two classes and points or pixels of three numbers.
    fn default() -> Self {
        Self {
            model: ModelConfig::default(),
            point: PointConfig::default(),
            image: ImageConfig::default(),
            graph: GraphConfig::default(),
            nas_bench_graph: NasBenchGraphConfig::default(),
            resgcn: ResGcnConfig::default(),
            classes: 2,
            in_channels: 3,
            per_point: false,
        }
    }
}

/// A fresh supernet with weights and alphas drawn from `seed`.
pub fn supernet(
    space: SpaceName,
    spec: &NetworkSpec,
    alpha_scale: f64,
    seed: u64,
    device: Device,
) -> Box<dyn SearchModel> {
    composed_supernet(space, spec, alpha_scale, seed, device, &SupernetParts::default())
}

/// What is made of a supernet besides its space.
#[derive(Clone, Default)]
pub struct SupernetParts {
    /// What is put around its primitives.
    pub wrapping: Option<Rc<dyn Wrapping>>,
    /// The part of the channels that its edges work on; none for all.
    pub partial_channels: Option<PartialChannels>,
    /// Whether edges have weights.
    pub edge_weights: bool,
}

/// The same with such parts.
pub fn composed_supernet(
    space: SpaceName,
    spec: &NetworkSpec,
    alpha_scale: f64,
    seed: u64,
    device: Device,
    parts: &SupernetParts,
) -> Box<dyn SearchModel> {
    spaces::of(space).supernet(spec, alpha_scale, seed, device, parts)
}

/// A fresh network to train, with weights drawn from `seed`.
pub fn network(architecture: &Architecture, spec: &NetworkSpec, seed: u64, device: Device) -> Box<dyn Model> {
    match architecture {
        Architecture::Cell(genotype) => derived(genotype, spec, seed, device),
        Architecture::HandDesigned(hand_designed) => {
            Key::new(seed, Purpose::Weights).seed_torch();
            hand_designed.network(spec, device)
        }
    }
}

/// A fresh network of a derived cell with weights drawn from `seed`.
pub fn derived(genotype: &Genotype, spec: &NetworkSpec, seed: u64, device: Device) -> Box<dyn Model> {
    Key::new(seed, Purpose::Weights).seed_torch();
    spaces::of(genotype.space).derived(genotype, spec, device)
}

/// The weights of a derived network that evaluate it: an auxiliary head, which only training knows, does not count.
pub fn parameter_count(architecture: &Architecture, spec: &NetworkSpec) -> usize {
    let mut spec = spec.clone();
    spec.image.auxiliary = false;
    network(architecture, &spec, 0, Device::Cpu).weights().parameters.count()
}

/// The multiply-adds of convolutions and linear maps that an image network needs for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultiplyAdds {
    /// All of them.
    pub all: u64,
    /// Without the first convolution and the classifier. The published code has no counter; its six published counts
    /// are met within one million this way, and exceeded by 9 to 10 million by all.
    pub as_published: u64,
}

/// Counts in one evaluation of an image of `side` by `side` pixels.
///
/// # Errors
/// A cell of another space.
pub fn multiply_adds(genotype: &Genotype, spec: &NetworkSpec, side: i64) -> Result<MultiplyAdds> {
    let stem = if genotype.space == SpaceName::NAS_BENCH_201 {
        image::ImageStem::Cifar
    } else {
        genotype.require_space(SpaceName::IMAGE, "multiply-adds")?;
        spec.image.stem
    };
    let model = derived(genotype, spec, 0, Device::Cpu);
    let images = Tensor::f_zeros([1, 3, side, side], (Kind::Float, Device::Cpu))?;
    let batch = Batch::Images(ImageBatch { images, labels: Tensor::f_zeros([1], (Kind::Int64, Device::Cpu))? });
    let all = multiply_adds::during(|| no_grad(|| drop(model.forward(&batch, Mode::Evaluation))));
    let (first, stride) = stem.first_convolution();
    let pixels = (side / stride) * (side / stride);
    let weights = |wanted: &str| model.weights().iter().find(|(name, _)| *name == wanted).map_or(0, |(_, w)| w.numel());
    let ends = weights(first) as u64 * pixels.unsigned_abs() + weights(image::OUTPUT_WEIGHT) as u64;
    Ok(MultiplyAdds { all, as_published: all - ends })
}

/// The name of the last layer's bias, which has a value per class.
fn output_bias(kind: NetworkKind) -> &'static str {
    match kind {
        NetworkKind::Cells(space) => spaces::of(space).output_bias(),
        NetworkKind::HandDesigned(network) => network.output_bias(),
    }
}

/// The number of classes that a network with these weights tells apart; `origin` is their file.
///
/// # Errors
/// Weights of no such network.
pub fn class_count(kind: NetworkKind, weights: &BTreeMap<String, Tensor>, origin: &str) -> Result<usize> {
    let bias = output_bias(kind);
    weights.get(bias).map(Tensor::numel).ok_or_else(|| {
        Error::invalid(format!("{origin}: {bias}"), "a value per class", "nothing")
            .with_hint("these are the weights of another network")
    })
}

/// The numbers per input point or node that a network with these weights takes; absent for images, which all have
/// three, and for weights of another network.
pub fn input_channels(kind: NetworkKind, weights: &BTreeMap<String, Tensor>) -> Option<i64> {
    let (weight, per_channel) = match kind {
        NetworkKind::Cells(space) => (spaces::of(space).input_weight()?, 1),
        NetworkKind::HandDesigned(network) => network.input_weight()?,
    };
    weights.get(weight)?.size().get(1).map(|columns| columns / per_channel)
}
