//! SGD, Adam and clipping against steps computed by hand in f64.

use super::numbers;
use sgas::optim::{Adam, AdamConfig, Optimizer, OptimizerKind, Sgd, WeightConfig, clip};
use tch::Tensor;

const START: [f32; 3] = [1.0, -2.0, 0.5];
/// One gradient per step.
const GRADIENTS: [[f32; 3]; 3] = [[0.5, -1.0, 0.0], [-0.25, 2.0, 4.0], [1.0, 1.0, -1.0]];
/// fp32 keeps 24 bits: a few roundings of numbers around 1.
const ROUNDING: f64 = 1e-6;

fn assert_close(ours: &Tensor, expected: [f64; 3]) {
    for (ours, expected) in numbers(ours).into_iter().zip(expected) {
        assert!((f64::from(ours) - expected).abs() < ROUNDING, "{ours} instead of {expected}");
    }
}

#[test]
fn sgd_with_momentum_and_decay() {
    let (rate, momentum, decay) = (0.1, 0.9, 0.01);
    let flat = Tensor::from_slice(&START);
    let mut sgd = Sgd::new(&flat, momentum, decay);
    let mut w = START.map(f64::from);
    let mut buffer = [0.0; 3];
    for gradient in GRADIENTS {
        sgd.step(&flat, Tensor::from_slice(&gradient), rate, None);
        for i in 0..3 {
            buffer[i] = momentum * buffer[i] + f64::from(gradient[i]) + decay * w[i];
            w[i] -= rate * buffer[i];
        }
        assert_close(&flat, w);
        assert_close(sgd.state()[0].1, buffer);
    }
    // By hand: 0.5 + 0.01·1 = 0.51; 1 - 0.1·0.51.
    let first = Tensor::from_slice(&START);
    Sgd::new(&first, momentum, decay).step(&first, Tensor::from_slice(&GRADIENTS[0]), rate, None);
    assert_close(&first, [0.949, -1.898, 0.4995]);
}

#[test]
fn adam_with_decay_and_bias_correction() {
    let config = AdamConfig { betas: (0.5, 0.999), epsilon: 1e-8, weight_decay: 0.1 };
    let rate = 0.01;
    let flat = Tensor::from_slice(&START);
    let mut adam = Adam::new(&flat, config);
    let mut w = START.map(f64::from);
    let (mut mean, mut square) = ([0.0; 3], [0.0; 3]);
    for (step, gradient) in (1_i32..).zip(GRADIENTS) {
        adam.step(&flat, Tensor::from_slice(&gradient), rate, None);
        for i in 0..3 {
            let gradient = f64::from(gradient[i]) + 0.1 * w[i];
            mean[i] = 0.5 * mean[i] + 0.5 * gradient;
            square[i] = 0.999 * square[i] + 0.001 * gradient * gradient;
            let (mean, square) = (mean[i] / (1.0 - 0.5_f64.powi(step)), square[i] / (1.0 - 0.999_f64.powi(step)));
            w[i] -= rate * mean / (square.sqrt() + 1e-8);
        }
        assert_close(&flat, w);
        assert_eq!(adam.steps(), i64::from(step));
    }
}

#[test]
fn the_first_step_of_adam_is_the_rate_whatever_the_gradient() {
    let flat = Tensor::from_slice(&START);
    let mut adam = Adam::new(&flat, AdamConfig { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0 });
    adam.step(&flat, Tensor::from_slice(&[0.5_f32, -1e3, 7.0]), 0.25, None);
    assert_close(&flat, [0.75, -1.75, 0.25]);
}

#[test]
fn the_configuration_chooses_the_optimizer_and_its_state_moves_the_next_step() {
    let config = |optimizer| WeightConfig { optimizer, momentum: 0.5, weight_decay: 0.0, ..WeightConfig::default() };
    for (kind, names) in [(OptimizerKind::Sgd, vec!["momentum"]), (OptimizerKind::Adam, vec!["mean", "square"])] {
        let flat = Tensor::from_slice(&START);
        let mut first = Optimizer::new(&config(kind), &flat);
        first.step(&flat, Tensor::from_slice(&GRADIENTS[0]), 0.1, None);
        assert_eq!(first.state().iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
        // A second optimizer with the same state and steps goes on as the first does.
        let copy = flat.copy();
        let mut second = Optimizer::new(&config(kind), &copy);
        for ((_, own), (_, saved)) in second.state().iter().zip(first.state()) {
            own.shallow_clone().copy_(saved);
        }
        second.set_steps(first.steps());
        first.step(&flat, Tensor::from_slice(&GRADIENTS[1]), 0.1, None);
        second.step(&copy, Tensor::from_slice(&GRADIENTS[1]), 0.1, None);
        super::assert_equal(&flat, &copy);
        let fresh = Tensor::from_slice(&START);
        Optimizer::new(&config(kind), &fresh).step(&fresh, Tensor::from_slice(&GRADIENTS[1]), 0.1, None);
        assert_ne!(numbers(&fresh), numbers(&flat));
    }
}

#[test]
fn clipping_scales_by_the_norm_of_all_and_only_downwards() {
    let mut long = Tensor::from_slice(&[3.0_f32, 0.0, -4.0]);
    assert_eq!(clip(&mut long, 1.0).double_value(&[]), 5.0);
    assert_close(&long, [0.6, 0.0, -0.8]);
    let mut short = Tensor::from_slice(&[0.3_f32, 0.0, -0.4]);
    assert!((clip(&mut short, 1.0).double_value(&[]) - 0.5).abs() < ROUNDING);
    assert_eq!(numbers(&short), [0.3, 0.0, -0.4]);
    let mut free = Tensor::from_slice(&[3.0_f32, 0.0, -4.0]);
    assert_eq!(clip(&mut free, 0.0).double_value(&[]), 5.0);
    assert_eq!(numbers(&free), [3.0, 0.0, -4.0]);
}
