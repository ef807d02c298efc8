//! The network of labelled clouds: its size, its random neighbours, its memory, its steps.

use super::{assert_equal, turn};
use sgas::batch::{Batch, PointBatch};
use sgas::model::{self, Architecture, HandDesigned, Model, NetworkSpec, ResGcnConfig};
use sgas::ops::Mode;
use sgas::optim::{OptimizerKind, WeightConfig};
use sgas::step::{LossConfig, WeightStep};
use sgas::task::{IGNORED, Task};
use sgas::tensor::bridge::memory::metered;
use sgas::tensor::fused::TensorPath;
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use tch::{Device, IndexOp, Kind, Tensor};

const TASK: Task = Task::Segment { classes: 4 };

fn network(resgcn: ResGcnConfig) -> Box<dyn Model> {
    let spec = NetworkSpec { resgcn, classes: 4, in_channels: 5, ..NetworkSpec::default() };
    model::network(&Architecture::HandDesigned(HandDesigned::ResGcn), &spec, 1, Device::Cpu)
}

fn small() -> ResGcnConfig {
    ResGcnConfig { blocks: 3, channels: 8, k: 6, fusion: 16, prediction: [16, 8], ..ResGcnConfig::default() }
}

/// Labels say on which side of two planes a point lies.
fn batch(clouds: i64, points: i64) -> Batch {
    Key::new(3, Purpose::Synthetic).seed_torch();
    let x = Tensor::rand([clouds, points, 5], (Kind::Float, Device::Cpu)) * 2.0 - 1.0;
    let side = |axis| x.i((.., .., axis)).gt(0.0).to_kind(Kind::Int64);
    let labels = (side(0) * 2 + side(1)).flatten(0, -1);
    Batch::Points(PointBatch { points: x, labels })
}

#[test]
fn resgcn_28_has_as_many_weights_as_published() {
    let _turn = turn();
    let spec = NetworkSpec { classes: 13, in_channels: 9, ..NetworkSpec::default() };
    assert_eq!(model::parameter_count(&Architecture::HandDesigned(HandDesigned::ResGcn), &spec), 3_644_301);
}

#[test]
fn weights_start_as_gaussians_and_biases_at_zero() {
    let _turn = turn();
    let model = network(ResGcnConfig { channels: 64, ..small() });
    let weight = |wanted: &str| model.weights().iter().find(|(name, _)| *name == wanted).unwrap().1.shallow_clone();
    let map = weight("backbone.0.body.gconv.nn.0.weight");
    assert_eq!(map.size(), [64, 128, 1, 1]);
    let deviation = map.std(true).double_value(&[]);
    // 8192 draws: the standard error of the deviation is 0.8 %.
    assert!((deviation / (2.0 / 128.0_f64).sqrt() - 1.0).abs() < 0.04, "{deviation}");
    assert_eq!(weight("prediction.3.0.bias").abs().max().double_value(&[]), 0.0);
}

#[test]
fn neighbours_are_drawn_in_training_alone_and_by_the_seed() {
    let _turn = turn();
    let batch = batch(2, 60);
    let always = network(ResGcnConfig { stochastic: 1.0, dropout: 0.0, ..small() });
    let scores = |model: &dyn Model, mode, seed| {
        Key::new(seed, Purpose::WeightStep).seed_torch();
        model.forward(&batch, mode).logits
    };
    assert_equal(&scores(&*always, Mode::TRAINING, 1), &scores(&*always, Mode::TRAINING, 1));
    assert!(!scores(&*always, Mode::TRAINING, 1).equal(&scores(&*always, Mode::TRAINING, 2)));
    assert_equal(&scores(&*always, Mode::Evaluation, 1), &scores(&*always, Mode::Evaluation, 2));
    let never = network(ResGcnConfig { stochastic: 0.0, dropout: 0.0, ..small() });
    assert_equal(&scores(&*never, Mode::TRAINING, 1), &scores(&*never, Mode::TRAINING, 2));
    // Where no dilation leaves a choice, all draws are the same neighbours.
    let one = |stochastic| network(ResGcnConfig { blocks: 2, stochastic, dropout: 0.0, ..small() });
    let (drawn, plain) = (scores(&*one(1.0), Mode::TRAINING, 1), scores(&*one(0.0), Mode::TRAINING, 1));
    let difference = (drawn - plain).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "the order of neighbours changes sums by their last bits alone: {difference}");
}

#[test]
fn points_that_do_not_count_change_neither_loss_nor_gradient() {
    let _turn = turn();
    let model = network(ResGcnConfig { dropout: 0.0, stochastic: 0.0, ..small() });
    let Batch::Points(PointBatch { points, labels }) = batch(1, 50) else { unreachable!() };
    let logits = model.forward(&Batch::Points(PointBatch { points, labels: labels.copy() }), Mode::Evaluation).logits;
    let counted = labels.copy();
    let _ = counted.i(30..).fill_(IGNORED);
    let loss = |logits: &Tensor, labels: &Tensor| TASK.loss(logits, labels);
    assert_equal(&loss(&logits, &counted), &loss(&logits.i(..30), &labels.i(..30)));
    let gradient = model.weights().parameters.gradient(&loss(&logits, &counted));
    assert!(gradient.isfinite().all().is_nonzero() && gradient.abs().max().double_value(&[]) > 0.0);
    let nothing = loss(&logits, &counted.full_like(IGNORED));
    assert_eq!(nothing.double_value(&[]), 0.0);
}

#[test]
fn it_learns() {
    let _turn = turn();
    let model = network(small());
    let weights = WeightConfig {
        optimizer: OptimizerKind::Adam,
        learning_rate: 0.01,
        weight_decay: 0.0,
        clip: 0.0,
        ..WeightConfig::default()
    };
    let mut step = WeightStep::new(&*model, &weights, Precision::Fp32, LossConfig::default());
    let batch = batch(2, 128);
    let mut losses = Vec::new();
    for number in 0..40 {
        Key::new(1, Purpose::WeightStep).at(0, number).seed_torch();
        losses.push(step.run(&*model, TASK, &batch, Mode::TRAINING, 0.01).unwrap().outcome.read().loss);
    }
    assert!(losses[39] < 0.5 * losses[0], "{losses:?}");
}

/// 5000² distances are 100 MB, and features of all pairs of a block 2 MB: rows of a block are 160 kB.
#[test]
fn no_tensor_holds_all_distances_nor_features_of_all_pairs() {
    let _turn = turn();
    let model = network(ResGcnConfig { k: 13, ..small() });
    let batch = batch(1, 5000);
    let step = || {
        let logits = model.forward(&batch, Mode::TRAINING).logits;
        drop(model.weights().parameters.gradient(&TASK.loss(&logits, batch.target())));
    };
    let ((), kernels) = metered(|_| step()).unwrap();
    // The greatest is a block of distances in the search, 64 points by 5000, in fp32.
    assert!(kernels.largest <= 64 * 5000 * 4, "{} bytes", kernels.largest);
    assert!(kernels.peak < 20 << 20, "{} bytes at a time", kernels.peak);
    let _plain = TensorPath::enter();
    let ((), plain) = metered(|_| step()).unwrap();
    assert!(plain.largest <= 64 << 20, "{} bytes", plain.largest);
}
