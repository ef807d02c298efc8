//! What a shape trains, and one step of it.

use rand::RngExt;
use sgas::batch::{Batch, GraphBatch, ImageBatch, PointBatch};
use sgas::error::Result;
use sgas::genotype::zoo;
use sgas::model::{Architecture, Model, SearchModel, network, supernet};
use sgas::ops::Mode;
use sgas::optim::{AlphaConfig, OptimizerKind, WeightConfig};
use sgas::search::bilevel::Bilevel;
use sgas::search::second_order::Ahead;
use sgas::step::{LossConfig, WeightStep};
use sgas::task::Task;
use sgas::tensor::adjacency::{Adjacency, Link};
use sgas::tensor::convolution::channels_last;
use sgas::tensor::links::Links;
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use tch::{Device, Kind, Tensor};

use crate::shape::{S3DIS_CHANNELS, Samples, Shape, What};

const SEED: u64 = 1;

/// What is timed on its own.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    Alphas,
    Weights,
    Train,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Self::Alphas => "alpha_step",
            Self::Weights => "weight_step",
            Self::Train => "train_step",
        }
    }
}

/// A network, what trains it, and a batch.
pub struct Workload {
    batch: Batch,
    training: Training,
}

enum Training {
    Search { model: Box<dyn SearchModel>, bilevel: Bilevel, rate: f64 },
    Train { model: Box<dyn Model>, step: WeightStep, task: Task, mode: Mode, rate: f64 },
}

impl Workload {
    /// With the published settings of search or retraining.
    pub fn new(shape: &Shape, precision: Precision, device: Device) -> Result<Self> {
        let batch = random_batch(shape, device);
        let task = match shape.samples {
            Samples::Graph { .. } => Task::MultiLabel { labels: shape.classes },
            Samples::ResGcn { .. } => Task::Segment { classes: shape.classes },
            _ => Task::Classify { classes: shape.classes },
        };
        let training = match &shape.what {
            What::Search => search(shape, task, precision, device)?,
            What::Train { cell, drop_path, auxiliary_weight } => {
                let weights = training_weights(shape.samples);
                let architecture = match cell {
                    Some(cell) => Architecture::Cell(zoo::find(cell)?.genotype.clone()),
                    None => Architecture::ResGcn,
                };
                let model = network(&architecture, &shape.network(), SEED, device);
                let loss = LossConfig { auxiliary_weight: *auxiliary_weight, ..LossConfig::default() };
                let step = WeightStep::new(&*model, &weights, precision, loss);
                let mode = Mode::Training { drop_path: *drop_path };
                Training::Train { model, step, task, mode, rate: weights.learning_rate }
            }
        };
        Ok(Self { batch, training })
    }

    pub fn parts(&self) -> &'static [Part] {
        match &self.training {
            Training::Search { .. } => &[Part::Alphas, Part::Weights],
            Training::Train { .. } => &[Part::Train],
        }
    }

    /// Trained weights of the network.
    pub fn parameters(&self) -> usize {
        match &self.training {
            Training::Search { model, .. } => model.weights().parameters.count(),
            Training::Train { model, .. } => model.weights().parameters.count(),
        }
    }

    pub fn run(&mut self, part: Part) -> Result<()> {
        let batch = &self.batch;
        match &mut self.training {
            Training::Search { model, bilevel, rate } => match part {
                Part::Alphas => {
                    let key = Key::new(SEED, Purpose::AlphaStep);
                    bilevel.step_alphas(&mut **model, batch, &Ahead { batch, learning_rate: *rate, key })
                }
                _ => bilevel.step_weights(&mut **model, batch, *rate).map(drop),
            },
            Training::Train { model, step, task, mode, rate } => {
                step.run(&**model, *task, batch, *mode, *rate).map(drop)
            }
        }
    }
}

fn search(shape: &Shape, task: Task, precision: Precision, device: Device) -> Result<Training> {
    let learning_rate = match shape.samples {
        Samples::Point { .. } | Samples::Graph { .. } => 0.005,
        Samples::Image { .. } => 0.025,
        Samples::ResGcn { .. } => unreachable!("a ResGCN is not searched"),
    };
    let (weights, alphas) = (WeightConfig { learning_rate, ..WeightConfig::default() }, AlphaConfig::default());
    let model = supernet(shape.space(), &shape.network(), alphas.initial_scale, SEED, device);
    let bilevel = Bilevel::new(&*model, task, &weights, &alphas, precision);
    Ok(Training::Search { model, bilevel, rate: learning_rate })
}

fn training_weights(samples: Samples) -> WeightConfig {
    let (optimizer, learning_rate, weight_decay, clip) = match samples {
        Samples::Point { .. } => (OptimizerKind::Sgd, 0.1, 1e-4, 5.0),
        Samples::Image { .. } => (OptimizerKind::Sgd, 0.025, 3e-4, 5.0),
        Samples::Graph { .. } => (OptimizerKind::Adam, 0.002, 0.0, 5.0),
        Samples::ResGcn { .. } => (OptimizerKind::Adam, 0.001, 0.0, 0.0),
    };
    WeightConfig { optimizer, learning_rate, weight_decay, clip, ..WeightConfig::default() }
}

/// A step costs the same for any data, so no loader takes part.
fn random_batch(shape: &Shape, device: Device) -> Batch {
    Key::new(SEED, Purpose::Synthetic).seed_torch();
    let labels = || Tensor::randint(shape.classes as i64, [shape.batch], (Kind::Int64, Device::Cpu));
    let float = (Kind::Float, Device::Cpu);
    let batch = match shape.samples {
        Samples::Point { points, .. } => {
            let points = Tensor::rand([shape.batch, points, 3], float) * 2.0 - 1.0;
            Batch::Points(PointBatch { points, labels: labels() })
        }
        Samples::ResGcn { points, .. } => {
            let labels = Tensor::randint(shape.classes as i64, [shape.batch * points], (Kind::Int64, Device::Cpu));
            let points = Tensor::rand([shape.batch, points, S3DIS_CHANNELS], float) * 2.0 - 1.0;
            Batch::Points(PointBatch { points, labels })
        }
        Samples::Image { pixels } => {
            let images = channels_last(&Tensor::randn([shape.batch, 3, pixels, pixels], float));
            Batch::Images(ImageBatch { images, labels: labels() })
        }
        Samples::Graph { nodes, links, features } => {
            let graphs: Vec<Adjacency> = (0..shape.batch).map(|number| random_graph(nodes, links, number)).collect();
            let rows = shape.batch * nodes as i64;
            Batch::Graphs(GraphBatch {
                features: Tensor::randn([rows, features], float),
                links: Links::new(&Adjacency::join(&graphs.iter().collect::<Vec<_>>())),
                labels: Tensor::randint(2, [rows, shape.classes as i64], float),
                scored: None,
                sizes: vec![nodes; graphs.len()],
            })
        }
    };
    batch.to_device(device)
}

/// Links between any two nodes, in both directions, and none from a node to itself.
fn random_graph(nodes: usize, links: usize, number: i64) -> Adjacency {
    let mut generator = Key::new(SEED, Purpose::Synthetic).at(0, number.unsigned_abs()).generator();
    let nodes = nodes as u32;
    let mut link = || -> Link {
        let source = generator.random_range(0..nodes);
        [source, (source + generator.random_range(1..nodes)) % nodes]
    };
    let one_way: Vec<Link> = (0..links / 2).map(|_| link()).collect();
    let other_way = one_way.iter().map(|[source, target]| [*target, *source]);
    Adjacency::new(nodes as usize, &one_way.iter().copied().chain(other_way).collect::<Vec<_>>())
}
