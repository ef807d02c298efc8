//! What a shape trains, and one step of it.

use sgas::batch::{Batch, PointBatch};
use sgas::error::Result;
use sgas::genotype::{SpaceName, zoo};
use sgas::model::{Model, SearchModel, derived, supernet};
use sgas::ops::Mode;
use sgas::optim::{AlphaConfig, WeightConfig};
use sgas::search::bilevel::Bilevel;
use sgas::search::second_order::Ahead;
use sgas::step::{LossConfig, WeightStep};
use sgas::task::Task;
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use tch::{Device, Kind, Tensor};

use crate::shape::{Shape, What};

const SEED: u64 = 1;
const PUBLISHED_CELL: &str = "Cri2_ModelNet_Best";

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
    Train { model: Box<dyn Model>, step: WeightStep, task: Task, rate: f64 },
}

impl Workload {
    /// With the published settings of search or retraining.
    pub fn new(shape: &Shape, precision: Precision, device: Device) -> Result<Self> {
        let batch = random_batch(shape, device);
        let task = Task::Classify { classes: shape.classes };
        let training = match shape.what {
            What::Search => search(shape, task, precision, device)?,
            What::Train => train(shape, task, precision, device)?,
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
            Training::Train { model, step, task, rate } => {
                step.run(&**model, *task, batch, Mode::TRAINING, *rate).map(drop)
            }
        }
    }
}

fn search(shape: &Shape, task: Task, precision: Precision, device: Device) -> Result<Training> {
    let (weights, alphas) = (WeightConfig::default(), AlphaConfig::default());
    let model = supernet(SpaceName::Point, &shape.network(), alphas.initial_scale, SEED, device)?;
    let bilevel = Bilevel::new(&*model, task, &weights, &alphas, precision);
    Ok(Training::Search { model, bilevel, rate: weights.learning_rate })
}

fn train(shape: &Shape, task: Task, precision: Precision, device: Device) -> Result<Training> {
    let weights = WeightConfig { learning_rate: 0.1, weight_decay: 1e-4, ..WeightConfig::default() };
    let model = derived(&zoo::find(PUBLISHED_CELL)?.genotype, &shape.network(), SEED, device)?;
    let step = WeightStep::new(&*model, &weights, precision, LossConfig::default());
    Ok(Training::Train { model, step, task, rate: weights.learning_rate })
}

/// A step costs the same for any data, so no loader takes part.
fn random_batch(shape: &Shape, device: Device) -> Batch {
    Key::new(SEED, Purpose::Synthetic).seed_torch();
    let points = Tensor::rand([shape.batch, shape.points, 3], (Kind::Float, Device::Cpu)) * 2.0 - 1.0;
    let labels = Tensor::randint(shape.classes as i64, [shape.batch], (Kind::Int64, Device::Cpu));
    Batch::Points(PointBatch { points, labels }).to_device(device)
}
