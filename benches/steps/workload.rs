//! The workload of a named shape, with the published settings of search or retraining.

use sgas::commands::bench::samples::Samples as BatchSamples;
use sgas::commands::bench::workload::Workload;
use sgas::error::Result;
use sgas::genotype::zoo;
use sgas::model::{Architecture, HandDesigned, network, supernet};
use sgas::ops::Mode;
use sgas::optim::{AlphaConfig, OptimizerKind, WeightConfig};
use sgas::search::bilevel::Bilevel;
use sgas::step::{LossConfig, WeightStep};
use sgas::task::Task;
use sgas::tensor::precision::Precision;
use tch::Device;

use crate::shape::{S3DIS_CHANNELS, Samples, Shape, What};

const SEED: u64 = 1;

/// Steps of a shape on random samples.
pub fn workload(shape: &Shape, precision: Precision, device: Device) -> Result<Workload> {
    let task = match shape.samples {
        Samples::Graph { .. } => Task::MultiLabel { labels: shape.classes },
        Samples::ResGcn { .. } => Task::Segment { classes: shape.classes },
        _ => Task::Classify { classes: shape.classes },
    };
    let batch = || samples(shape.samples).batch(shape.batch as usize, task, SEED, device);
    match &shape.what {
        What::Search => {
            let (weights, alphas) = (search_weights(shape.samples), AlphaConfig::default());
            let model = supernet(shape.space(), &shape.network(), alphas.initial_scale, SEED, device);
            let bilevel = Box::new(Bilevel::new(&*model, task, &weights, &alphas, precision));
            let (batch, alpha_batch) = (batch(), batch());
            Ok(Workload::Search { model, bilevel, rate: weights.learning_rate, batch, alpha_batch })
        }
        What::Train { cell, drop_path, auxiliary_weight } => {
            let weights = training_weights(shape.samples);
            let architecture = match cell {
                Some(cell) => Architecture::Cell(Box::new(zoo::find(cell)?.genotype.clone())),
                None => Architecture::HandDesigned(HandDesigned::ResGcn),
            };
            let model = network(&architecture, &shape.network(), SEED, device);
            let loss = LossConfig { auxiliary_weight: *auxiliary_weight, ..LossConfig::default() };
            let step = WeightStep::new(&*model, &weights, precision, loss);
            let mode = Mode::Training { drop_path: *drop_path };
            Ok(Workload::Train { model, step, task, mode, rate: weights.learning_rate, batch: batch() })
        }
    }
}

fn samples(samples: Samples) -> BatchSamples {
    match samples {
        Samples::Point { points, .. } => BatchSamples::Clouds { points, channels: 3 },
        Samples::ResGcn { points, .. } => BatchSamples::Clouds { points, channels: S3DIS_CHANNELS },
        Samples::Image { pixels } => BatchSamples::Images { side: pixels },
        Samples::Graph { nodes, links, features } => BatchSamples::Graphs { nodes, links, features },
    }
}

fn search_weights(samples: Samples) -> WeightConfig {
    let learning_rate = match samples {
        Samples::Point { .. } | Samples::Graph { .. } => 0.005,
        Samples::Image { .. } => 0.025,
        Samples::ResGcn { .. } => unreachable!("a ResGCN is not searched"),
    };
    WeightConfig { learning_rate, ..WeightConfig::default() }
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
