//! What half precision loses, and what loss scaling and fp32 weights keep.

use super::{Case, FLOAT, SEED, cases, device, turn};
use crate::numbers;
use sgas::model::Model;
use sgas::ops::Mode;
use sgas::optim::{Adam, AdamConfig, NonFinite, Scaler, Sgd, WeightConfig};
use sgas::step::{LossConfig, WeightStep};
use sgas::tensor::bridge::autocast::Autocast;
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};
use tch::{Kind, Tensor};

/// fp16's smallest number is 2^-24; the gradient of a product's output below, beyond it.
const TINY: f64 = 1.0 / (1_i64 << 30) as f64;

#[test]
fn a_gradient_below_fp16_survives_with_loss_scaling_alone() {
    let gradient = |precision| {
        let weight = Tensor::ones([4, 4], FLOAT).to_device(device()).set_requires_grad(true);
        let loss = {
            let _guard = Autocast::enter(device(), Kind::Half).unwrap();
            let product = Tensor::ones([2, 4], FLOAT).to_device(device()).matmul(&weight);
            assert_eq!(product.kind(), Kind::Half);
            product.to_kind(Kind::Float).sum(Kind::Float) * TINY
        };
        let mut scaler = Scaler::new(precision, device());
        let gradients = Tensor::run_backward(&[scaler.scaled(&loss)], &[&weight], false, false);
        let mut gradient = gradients[0].copy();
        assert!(scaler.unscale(&mut gradient).is_none_or(|skip| skip.flag.double_value(&[]) == 0.0));
        numbers(&gradient)
    };
    assert_eq!(gradient(Precision::Fp32), [0.0; 16], "without scaling");
    // Two rows of ones; 65536 times that is a normal number of fp16, so nothing is rounded.
    assert_eq!(gradient(Precision::Fp16), [(2.0 * TINY) as f32; 16], "with scaling");
}

/// The gradient, in fp16, of a loss that scaling brings back to its size; a processor computes in fp16 where it is
/// asked to by hand.
fn fp16_gradient(case: &Case, model: &dyn Model, scaling: Precision) -> Tensor {
    Key::new(SEED, Purpose::WeightStep).seed_torch();
    let batch = case.batch(0);
    let logits = {
        let _guard = Autocast::enter(device(), Kind::Half).unwrap();
        model.forward(&batch, Mode::TRAINING).logits
    };
    assert_eq!(logits.kind(), Kind::Half);
    let loss = case.task.loss(&logits, batch.target()) / 65536.0;
    let mut scaler = Scaler::new(scaling, device());
    let mut gradient = model.weights().parameters.gradient(&scaler.scaled(&loss));
    assert!(scaler.unscale(&mut gradient).is_none_or(|skip| skip.flag.double_value(&[]) == 0.0));
    gradient
}

#[test]
fn gradients_of_whole_networks_survive_too() {
    let _turn = turn();
    for case in cases() {
        let model = case.network();
        let lost = fp16_gradient(&case, &*model, Precision::Fp32).eq(0.0);
        let kept = fp16_gradient(&case, &*model, Precision::Fp16).ne(0.0);
        let share = lost.logical_and(&kept).sum(Kind::Double) / kept.sum(Kind::Double);
        let share = share.double_value(&[]);
        println!("{:?}: {:.1} % of the gradient's numbers survive with scaling alone", case.kind, 100.0 * share);
        assert!(share > 0.01, "{:?}: {share}", case.kind);
    }
}

/// Whole steps in fp16: the scale of 65536 is too great for some networks at first, and halves until a step is taken;
/// activations beyond fp16 then skip one and leave the weights.
#[test]
fn whole_steps_in_fp16_find_their_scale_and_skip_what_overflows() {
    let _turn = turn();
    for case in cases() {
        let model = case.network();
        let mut step = WeightStep::new(&*model, &WeightConfig::default(), Precision::Fp16, LossConfig::default());
        // The program refuses fp16 on a processor, so the casts are asked for here.
        step.precision = Precision::Fp32;
        let mut run = |batch| {
            let _guard = Autocast::enter(device(), Kind::Half).unwrap();
            Key::new(SEED, Purpose::WeightStep).seed_torch();
            let outcome = step.run(&*model, case.task, &batch, Mode::TRAINING, case.rate).unwrap();
            (outcome.outcome.read().gradient_norm, model.weights().parameters.flat().copy(), step.scaler.scale())
        };
        let start = model.weights().parameters.flat().copy();
        let (taken, skipped) = first_taken((0..8).map(|_| run(case.batch(0))), &start);
        let (norm, moved, scale) = taken.expect("one of eight steps is taken");
        println!("{:?}: {skipped} steps skipped at first, then a gradient of norm {norm:?}", case.kind);
        assert!(norm.is_ok_and(|norm| norm > 0.0 && norm < 1e3), "{:?}: {norm:?}", case.kind);
        assert_eq!((moved.kind(), scale), (Kind::Float, 65536.0 / f64::from(1 << skipped)));
        assert_ne!(numbers(&moved), numbers(&start));
        let (outcome, rested, halved) = run(case.overflowing());
        assert!(matches!(outcome, Err(NonFinite::Infinite | NonFinite::NotANumber)), "{:?}", case.kind);
        crate::assert_equal(&rested, &moved);
        assert_eq!(halved, scale / 2.0, "{:?}", case.kind);
    }
}

type Outcome = (Result<f64, NonFinite>, Tensor, f64);

/// The first step that was taken, and how many were skipped before it, which left the weights as they were.
fn first_taken(outcomes: impl Iterator<Item = Outcome>, start: &Tensor) -> (Option<Outcome>, u32) {
    let mut skipped = 0;
    for outcome in outcomes {
        if outcome.0.is_ok() {
            return (Some(outcome), skipped);
        }
        crate::assert_equal(&outcome.1, start);
        skipped += 1;
    }
    (None, skipped)
}

#[test]
fn an_update_that_half_loses_is_kept_by_the_optimizer() {
    // Half of the distance from 1 to the next number below is 2.4e-4 in fp16 and 2.0e-3 in bf16.
    let (rate, gradient, steps) = (1e-4, 1.0, 100);
    let single = (Kind::Float, device());
    let update = || Tensor::full([3], gradient, single);
    for half in [Kind::Half, Kind::BFloat16] {
        let mut weights = Tensor::ones([3], (half, device()));
        for _ in 0..steps {
            weights -= update().to_kind(half) * rate;
        }
        assert_eq!(numbers(&weights), [1.0; 3], "{half:?} was to lose it");
    }
    let expected = 1.0 - rate * f64::from(steps);
    let near = |flat: &Tensor| numbers(flat).iter().all(|weight| (f64::from(*weight) - expected).abs() < 1e-5);
    let flat = Tensor::ones([3], single);
    let mut sgd = Sgd::new(&flat, 0.0, 0.0);
    (0..steps).for_each(|_| sgd.step(&flat, update(), rate, None));
    assert!(near(&flat), "{:?}", numbers(&flat));
    let flat = Tensor::ones([3], single);
    let mut adam = Adam::new(&flat, AdamConfig { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0 });
    (0..steps).for_each(|_| adam.step(&flat, update(), rate, None));
    assert!(near(&flat), "{:?}", numbers(&flat));
}

/// Numbers of the weights that a step moves by less than bf16 can tell.
#[test]
fn networks_in_bf16_keep_updates_that_bf16_would_lose() {
    let _turn = turn();
    for case in cases() {
        let model = case.network();
        let mut step = WeightStep::new(&*model, &WeightConfig::default(), Precision::Bf16, LossConfig::default());
        let flat = || model.weights().parameters.flat().copy();
        let before = flat();
        Key::new(SEED, Purpose::WeightStep).seed_torch();
        step.run(&*model, case.task, &case.batch(0), Mode::TRAINING, 1e-3).unwrap();
        let after = flat();
        let same_in_bf16 = before.to_kind(Kind::BFloat16).eq_tensor(&after.to_kind(Kind::BFloat16));
        let kept = before.ne_tensor(&after).logical_and(&same_in_bf16).sum(Kind::Int64).int64_value(&[]);
        assert!(kept > 100, "{:?}: {kept}", case.kind);
        assert_eq!(after.kind(), Kind::Float);
    }
}
