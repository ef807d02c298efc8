//! The image space in whole networks, and the alphas' step of second order.

use super::{assert_equal, turn};
use sgas::batch::{Batch, ImageBatch};
use sgas::genotype::{SpaceName, zoo};
use sgas::model::{self, Model, ModelConfig, NetworkKind, NetworkSpec, SearchModel};
use sgas::ops::Mode;
use sgas::optim::{AlphaConfig, WeightConfig};
use sgas::search::AlphaOrder;
use sgas::search::bilevel::Bilevel;
use sgas::search::second_order::Ahead;
use sgas::space::image::{ImageConfig, ImageStem};
use sgas::space::point::PointConfig;
use sgas::task::Task;
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use sgas::topology::CellKind;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

const TASK: Task = Task::Classify { classes: 5 };

fn spec(cells: usize, image: ImageConfig) -> NetworkSpec {
    let model = ModelConfig { channels: 4, cells };
    NetworkSpec { model, image, ..crate::spec() }
}

fn batch(side: i64, seed: u64) -> Batch {
    Key::new(seed, Purpose::Synthetic).seed_torch();
    let images = Tensor::randn([4, 3, side, side], (Kind::Float, Device::Cpu));
    Batch::Images(ImageBatch { images, labels: Tensor::from_slice(&[0_i64, 1, 2, 3]) })
}

fn supernet() -> Box<dyn SearchModel> {
    model::supernet(SpaceName::IMAGE, &spec(3, ImageConfig::default()), 1e-3, 1, Device::Cpu)
}

fn derived(cell: &str, spec: &NetworkSpec) -> Box<dyn Model> {
    model::derived(&zoo::find(cell).unwrap().genotype, spec, 1, Device::Cpu)
}

#[test]
fn a_decision_reaches_the_cells_of_its_kind_alone() {
    let _turn = turn();
    let mut model = supernet();
    let left = |model: &dyn SearchModel, cell: usize| {
        let prefix = format!("cells.{cell}._ops.3.");
        model.weights().iter().filter(|(name, _)| name.starts_with(&prefix)).count()
    };
    let before: Vec<usize> = (0..3).map(|cell| left(&*model, cell)).collect();
    // Of three cells the second and third reduce.
    model.fix(CellKind::Normal, 3, 4);
    assert!(left(&*model, 0) < before[0] && left(&*model, 1) == before[1] && left(&*model, 2) == before[2]);
    model.prune(CellKind::Reduce, 3);
    assert!(left(&*model, 0) > 0 && left(&*model, 1) == 0 && left(&*model, 2) == 0);
    assert_eq!(model.forward(&batch(16, 1), Mode::TRAINING).logits.size(), [4, 5]);
}

#[test]
fn the_auxiliary_head_speaks_in_training_alone() {
    let _turn = turn();
    let config = ImageConfig { auxiliary: true, ..ImageConfig::default() };
    let model = derived("Cri1_CIFAR_1", &spec(4, config.clone()));
    let scores = |mode| model.forward(&batch(32, 1), mode).auxiliary.map(|scores| scores.size());
    assert_eq!(scores(Mode::TRAINING), Some(vec![4, 5]));
    assert_eq!(scores(Mode::Evaluation), None);
    let large = derived("Cri1_CIFAR_1", &spec(4, ImageConfig { stem: ImageStem::Imagenet, ..config }));
    let output = large.forward(&batch(224, 1), Mode::TRAINING);
    let weights: BTreeMap<String, Tensor> =
        large.weights().iter().map(|(name, value)| (name.to_owned(), value.shallow_clone())).collect();
    assert_eq!(model::class_count(NetworkKind::Cells(SpaceName::IMAGE), &weights, "weights").unwrap(), 5);
    assert_eq!((output.logits.size(), output.auxiliary.unwrap().size()), (vec![4, 5], vec![4, 5]));
}

#[test]
fn bf16_is_near_fp32_on_images() {
    let _turn = turn();
    let (model, batch) = (supernet(), batch(16, 1));
    let scores = |precision| model::forward(&*model, &batch, Mode::TRAINING, precision).unwrap().logits;
    let (single, half) = (scores(Precision::Fp32), scores(Precision::Bf16));
    assert_eq!(half.kind(), Kind::BFloat16);
    let difference = (&single - half.to_kind(Kind::Float)).abs().max().double_value(&[]);
    // bf16 keeps 8 bits (2^-9 = 0.002 per rounding); some dozen layers add up, less their averaging.
    let greatest = single.abs().max().double_value(&[]);
    assert!(difference > 0.0 && difference < 0.1 * greatest, "{difference} beside {greatest}");
    let gradient = model.weights().parameters.gradient(&TASK.loss(&half, batch.target()));
    assert!(gradient.isfinite().all().int64_value(&[]) == 1);
}

#[test]
fn the_cells_of_other_methods_train() {
    let _turn = turn();
    for cell in ["NASNet", "AmoebaNet"] {
        let model = derived(cell, &spec(3, ImageConfig::default()));
        let seeded = |drop_path| {
            let batch = batch(16, 1);
            Key::new(1, Purpose::WeightStep).seed_torch();
            model.forward(&batch, Mode::Training { drop_path }).logits
        };
        let (dropped, whole) = (seeded(0.3), seeded(0.0));
        assert_equal(&dropped, &seeded(0.3));
        assert!(!dropped.equal(&whole), "{cell}: paths are dropped");
        let gradient = model.weights().parameters.gradient(&TASK.loss(&dropped, batch(16, 1).target()));
        assert!(gradient.isfinite().all().int64_value(&[]) == 1 && gradient.abs().max().double_value(&[]) > 0.0);
    }
}

/// Alphas after one step of this order, from the same weights and momentum; the weights must not move.
fn alphas_after(order: AlphaOrder, seed: u64) -> Tensor {
    let mut model = supernet();
    let (weights, alphas) = (WeightConfig::default(), AlphaConfig { learning_rate: 0.1, ..AlphaConfig::default() });
    let mut bilevel = Bilevel::new(&*model, TASK, &weights, &alphas, Precision::Fp32).of_order(order);
    let (training, validation) = (batch(16, 1), batch(16, 2));
    bilevel.step_weights(&mut *model, &training, 0.1).unwrap();
    let flat = model.weights().parameters.flat().copy();
    let momentum = bilevel.weights.optimizer.state()[0].1.copy();
    let ahead = Ahead { batch: &training, learning_rate: 0.1, key: Key::new(seed, Purpose::AlphaStep) };
    bilevel.step_alphas(&mut *model, &validation, &ahead).unwrap();
    assert_equal(&flat, model.weights().parameters.flat());
    assert_equal(&momentum, bilevel.weights.optimizer.state()[0].1);
    model.alphas().open().flat().copy()
}

#[test]
fn second_order_leaves_the_weights_to_the_bit_and_moves_the_alphas_otherwise() {
    let _turn = turn();
    let (first, second) = (alphas_after(AlphaOrder::First, 1), alphas_after(AlphaOrder::Second, 1));
    assert_equal(&second, &alphas_after(AlphaOrder::Second, 1));
    assert!(!first.equal(&second) && second.isfinite().all().int64_value(&[]) == 1);
}

/// Its four passes draw the same dropout, or the difference would be one between two networks: after the last the
/// generator stands where the single pass of first order leaves it.
#[test]
fn every_pass_of_second_order_draws_the_same() {
    let _turn = turn();
    let point = PointConfig { k: 4, embedding: 16, dropout: 0.5, ..PointConfig::default() };
    let spec = NetworkSpec { point, ..spec(2, ImageConfig::default()) };
    let next_draw = |order| {
        let mut model = model::supernet(SpaceName::POINT, &spec, 1e-3, 1, Device::Cpu);
        let (weights, alphas) = (WeightConfig::default(), AlphaConfig::default());
        let mut bilevel = Bilevel::new(&*model, TASK, &weights, &alphas, Precision::Fp32).of_order(order);
        let batch = super::batch();
        let ahead = Ahead { batch: &batch, learning_rate: 1e-3, key: Key::new(1, Purpose::AlphaStep) };
        bilevel.step_alphas(&mut *model, &batch, &ahead).unwrap();
        Tensor::rand([8], (Kind::Float, Device::Cpu))
    };
    assert_equal(&next_draw(AlphaOrder::First), &next_draw(AlphaOrder::Second));
}
