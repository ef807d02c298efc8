//! Networks in their modes: decided edges leave, drops keep the expectation and the seed, bf16 stays near fp32,
//! skipped steps touch nothing.

use super::{assert_equal, batch, cell, numbers, spec, turn};
use sgas::batch::{Batch, PointBatch};
use sgas::cell::{Cell, CellEdge, Content, DropPath, JoinedStates};
use sgas::genotype::SpaceName;
use sgas::model::{self, Learn, Model, SearchModel};
use sgas::ops::{Mode, Operation, State};
use sgas::optim::{NonFinite, WeightConfig};
use sgas::step::{LossConfig, WeightStep};
use sgas::task::Task;
use sgas::tensor::bridge::autocast::Autocast;
use sgas::tensor::neighbours::Neighbours;
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use sgas::topology::CellKind;
use tch::{Device, Kind, Tensor};

const TASK: Task = Task::Classify { classes: 5 };

fn supernet() -> Box<dyn SearchModel> {
    model::supernet(SpaceName::POINT, &spec(), 1e-3, 1, Device::Cpu)
}

fn derived() -> Box<dyn Model> {
    model::derived(&cell(), &spec(), 1, Device::Cpu)
}

#[test]
fn a_decided_edge_leaves_memory_and_its_alpha_rests() {
    let _turn = turn();
    let mut model = supernet();
    let (kind, flat) = (CellKind::Normal, |model: &dyn SearchModel| model.weights().parameters.flat().size()[0]);
    let of_edge = |model: &dyn SearchModel, edge: &str| {
        let weights = model.weights();
        weights.iter().filter(|(name, _)| name.contains(edge)).map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    let whole = flat(&*model);
    assert_eq!(model.alphas().open().count(), 9 * 10);
    model.fix(kind, 3, 2);
    assert!(flat(&*model) < whole && model.alphas().open().count() == 8 * 10);
    let left = of_edge(&*model, "._ops.3._ops.");
    assert!(!left.is_empty() && left.iter().all(|name| name.contains("._ops.3._ops.2.")), "{left:?}");
    let fixed = flat(&*model);
    model.prune(kind, 2);
    assert!(flat(&*model) < fixed && model.alphas().open().count() == 7 * 10);
    assert!(of_edge(&*model, "._ops.2._ops.").is_empty());
    // An identity has no weights: nothing of the edge is left.
    model.fix(kind, 5, 1);
    assert!(of_edge(&*model, "._ops.5._ops.").is_empty());
    assert_eq!(model.alphas().values(kind).len(), 9, "resting rows still count in the criteria");
    assert_eq!(model.forward(&batch(), Mode::TRAINING).logits.size(), [6, 5]);
}

#[test]
fn alphas_and_weights_learn_each_alone() {
    let _turn = turn();
    let mut model = supernet();
    for (what, weights, alphas) in
        [(Learn::Alphas, false, true), (Learn::Weights, true, false), (Learn::Both, true, true)]
    {
        model.learn(what);
        assert!(model.weights().parameters.iter().all(|(_, leaf)| leaf.requires_grad() == weights), "{what:?}");
        assert!(model.alphas().open().iter().all(|(_, leaf)| leaf.requires_grad() == alphas), "{what:?}");
    }
}

/// y = x, with or without drop path.
struct Copy {
    is_identity: bool,
}

impl Operation<()> for Copy {
    fn forward(&self, state: &State, (): &(), _: Mode) -> Tensor {
        state.features.shallow_clone()
    }

    fn is_identity(&self) -> bool {
        self.is_identity
    }
}

/// One node whose only edge copies state 0, over `units` units of 2 rows and 3 channels of ones.
fn copied(is_identity: bool, units: i64, mode: Mode) -> Tensor {
    let edge = CellEdge::new(0, Content::Fixed(Box::new(Copy { is_identity })));
    let copy = || -> Box<dyn Operation<()>> { Box::new(Copy { is_identity: true }) };
    let ones = || Tensor::ones([2 * units, 3], (Kind::Float, Device::Cpu));
    let mut masks = DropPath::new(mode.drop_path(), units, 1, Device::Cpu);
    Cell::new(vec![copy(), copy()], vec![vec![edge]], JoinedStates { states: vec![2], leaves_alone: false }).forward(
        &[&State::new(ones()), &State::new(ones())],
        &(),
        None,
        &mut masks,
        mode,
    )
}

#[test]
fn drop_path_drops_whole_units_keeps_the_expectation_and_spares_the_identity() {
    let _turn = turn();
    let (units, mode) = (20_000, Mode::Training { drop_path: 0.25 });
    Key::new(3, Purpose::WeightStep).seed_torch();
    let dropped = copied(false, units, mode).view([units, 6]);
    let kept = numbers(&dropped.select(1, 0));
    assert!(kept.iter().all(|value| *value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6));
    assert_equal(&dropped, &dropped.select(1, 0).unsqueeze(1).expand([units, 6], false).contiguous());
    // Standard error of the mean: sqrt(p / (1 - p) / n) = 0.004; five of them.
    let mean = dropped.mean(Kind::Double).double_value(&[]);
    assert!((mean - 1.0).abs() < 0.0205, "{mean}");
    for spared in
        [copied(true, units, mode), copied(false, units, Mode::TRAINING), copied(false, units, Mode::Evaluation)]
    {
        assert_eq!(spared.min().double_value(&[]), 1.0);
    }
}

#[test]
fn drops_repeat_with_the_seed_and_only_with_it() {
    let _turn = turn();
    let (model, batch) = (derived(), batch());
    let pass = |seed, drop_path| {
        Key::new(seed, Purpose::WeightStep).at(2, 5).seed_torch();
        model.forward(&batch, Mode::Training { drop_path }).logits.detach()
    };
    for drop_path in [0.0, 0.5] {
        assert_equal(&pass(1, drop_path), &pass(1, drop_path));
        assert_ne!(numbers(&pass(1, drop_path)), numbers(&pass(2, drop_path)));
    }
    let evaluated = || model.forward(&batch, Mode::Evaluation).logits.detach();
    assert_equal(&evaluated(), &evaluated());
}

#[test]
fn bf16_is_near_fp32_and_its_losses_alphas_and_neighbours_are_fp32() {
    let _turn = turn();
    let (model, batch) = (derived(), batch());
    let logits = |precision| model::forward(&*model, &batch, Mode::Evaluation, precision).unwrap().logits.detach();
    let (full, half) = (logits(Precision::Fp32), logits(Precision::Bf16));
    let difference = (&full - half.to_kind(Kind::Float)).abs().max().double_value(&[]);
    let greatest = full.abs().max().double_value(&[]);
    // bf16 keeps 8 bits (2^-9 = 0.002 per rounding); some dozen layers add up, less their averaging.
    assert!(difference > 0.0 && difference < 0.05 * greatest, "{difference} beside {greatest}");
    assert_eq!(half.kind(), Kind::BFloat16);
    assert_eq!(TASK.loss(&half, batch.target()).kind(), Kind::Float);

    let supernet = supernet();
    let points = batch.points();
    let rows = points.points.flatten(0, 1);
    let graph = || Neighbours::nearest(&rows, 6, 4, 2).rows;
    let (graph_before, mixture_before) = (graph(), supernet.alphas().mixture(CellKind::Normal));
    let _cast = Autocast::enter(Device::Cpu, Kind::BFloat16).unwrap();
    assert_equal(&graph(), &graph_before);
    let cast = supernet.alphas().mixture(CellKind::Normal);
    for (cast, before) in cast.edges().iter().zip(mixture_before.edges()) {
        assert_eq!(cast.kind(), Kind::Float);
        assert_equal(cast, before);
    }
}

#[test]
fn fp16_on_a_processor_is_refused_by_the_engine_too() {
    let _turn = turn();
    let error = model::forward(&*derived(), &batch(), Mode::TRAINING, Precision::Fp16).err().unwrap();
    assert_eq!(error.exit_code(), 2);
}

/// The whole step under loss scaling, computed in fp32 because a processor has no fp16 networks.
#[test]
fn a_skipped_step_leaves_weights_and_momentum_and_halves_the_scale() {
    let _turn = turn();
    let mut model = derived();
    let config = WeightConfig { learning_rate: 0.1, ..WeightConfig::default() };
    let mut step = WeightStep::new(&*model, &config, Precision::Fp16, LossConfig::default());
    step.precision = Precision::Fp32;
    let mut run = |model: &dyn Model, batch: &Batch| {
        Key::new(1, Purpose::WeightStep).seed_torch();
        let outcome = step.run(model, TASK, batch, Mode::TRAINING, 0.1).unwrap();
        let flat = model.weights().parameters.flat().detach().copy();
        (outcome.outcome.read().gradient_norm, flat, step.optimizer.state()[0].1.copy(), step.scaler.scale())
    };
    let (norm, flat, momentum, scale) = run(&*model, &batch());
    assert!(norm.unwrap() > 0.0 && momentum.abs().max().double_value(&[]) > 0.0);
    assert_eq!(scale, 65536.0);

    // Features beyond fp32's range: the loss and the gradient are no numbers.
    let Batch::Points(PointBatch { points, labels }) = batch() else { unreachable!("points") };
    let broken = Batch::Points(PointBatch { points: points * f64::from(f32::MAX) * 4.0, labels });
    for halved in [32768.0, 16384.0] {
        let (skipped, after, momentum_after, scale) = run(&*model, &broken);
        assert_eq!(skipped, Err(NonFinite::NotANumber));
        assert_equal(&after, &flat);
        assert_equal(&momentum_after, &momentum);
        assert_eq!(scale, halved);
    }
    // Running statistics are no weights: give the network clean ones and it goes on.
    let fresh = derived();
    let buffers: std::collections::BTreeMap<String, Tensor> = model
        .weights()
        .parameters
        .iter()
        .chain(fresh.weights().buffers.iter())
        .map(|(name, tensor)| (name.to_owned(), tensor.detach().copy()))
        .collect();
    model.weights_mut().load(&buffers, "fresh buffers").unwrap();
    let (norm, moved, _, scale) = run(&*model, &batch());
    assert!(norm.is_ok() && numbers(&moved) != numbers(&flat));
    assert_eq!(scale, 16384.0);
}

#[test]
fn loss_scaling_does_not_change_a_clean_step() {
    let _turn = turn();
    let flat_after = |precision| {
        let model = derived();
        let mut step = WeightStep::new(&*model, &WeightConfig::default(), precision, LossConfig::default());
        step.precision = Precision::Fp32;
        Key::new(1, Purpose::WeightStep).seed_torch();
        let norm =
            step.run(&*model, TASK, &batch(), Mode::TRAINING, 0.1).unwrap().outcome.read().gradient_norm.unwrap();
        (norm, model.weights().parameters.flat().detach().copy())
    };
    // The scale is a power of two, so multiplying and dividing by it rounds nothing; were the norm taken before
    // unscaling, it would be 65536 times as great and the clipped step another.
    let (plain, scaled) = (flat_after(Precision::Fp32), flat_after(Precision::Fp16));
    assert_eq!(plain.0, scaled.0);
    assert_equal(&plain.1, &scaled.1);
}

#[test]
fn without_loss_scaling_a_broken_gradient_is_an_error_and_moves_nothing() {
    let _turn = turn();
    let model = derived();
    let before = model.weights().parameters.flat().detach().copy();
    let mut step = WeightStep::new(&*model, &WeightConfig::default(), Precision::Fp32, LossConfig::default());
    let Batch::Points(PointBatch { points, labels }) = batch() else { unreachable!("points") };
    let broken = Batch::Points(PointBatch { points: points * f64::from(f32::MAX) * 4.0, labels });
    let outcome = step.run(&*model, TASK, &broken, Mode::TRAINING, 0.1).unwrap().outcome;
    let error = outcome.read().check("").err().unwrap();
    assert!(error.to_string().starts_with("the gradient's norm is ") && error.exit_code() == 1, "{error}");
    assert_equal(model.weights().parameters.flat(), &before);
}
