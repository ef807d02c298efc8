//! The scaler beside PyTorch's, step by step.
//!
//! The tables were made by torch 2.11 on a CPU, with
//! `scaler = torch.amp.GradScaler("cpu", init_scale=START, growth_interval=INTERVAL)` and, for every gradient `g` of a
//! series, `w.grad = torch.tensor([1.0, g]); scaler.unscale_(sgd); scaler.step(sgd); scaler.update()`. The columns
//! are what `g` is, `scaler.get_scale()` and `scaler._get_growth_tracker()` after the step, and whether `w` stayed.

use super::*;

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

fn fp16(scale: f64, growth_interval: i64) -> Scaler {
    let state = ScalerState { scale, clean_steps: 0, enabled: true };
    Scaler { growth_interval, ..Scaler::from_state(&state, Device::Cpu) }
}

fn gradient(value: f32) -> Tensor {
    Tensor::from_slice(&[1.0_f32, value])
}

/// (scale, growth tracker, skipped) after a step.
fn step(scaler: &mut Scaler, value: f32) -> (f64, u32, bool) {
    let found = scaler.unscale(&mut gradient(value)).expect("it scales");
    let state = scaler.state();
    (state.scale, state.clean_steps, found.flag.double_value(&[]) != 0.0)
}

#[test]
fn a_scripted_series_goes_as_in_pytorch_at_every_step() {
    let pytorch = [
        (1.0, (65536.0, 1, false)),
        (1.0, (65536.0, 2, false)),
        (1.0, (131_072.0, 0, false)),
        (1.0, (131_072.0, 1, false)),
        (INF, (65536.0, 0, true)),
        (1.0, (65536.0, 1, false)),
        (1.0, (65536.0, 2, false)),
        (NAN, (32768.0, 0, true)),
        (-INF, (16384.0, 0, true)),
        (1.0, (16384.0, 1, false)),
        (1.0, (16384.0, 2, false)),
        (1.0, (32768.0, 0, false)),
        (1.0, (32768.0, 1, false)),
        (1.0, (32768.0, 2, false)),
        (1.0, (65536.0, 0, false)),
        (1.0, (65536.0, 1, false)),
    ];
    let mut scaler = fp16(65536.0, 3);
    for (number, (value, expected)) in pytorch.into_iter().enumerate() {
        assert_eq!(step(&mut scaler, value), expected, "step {number}");
    }
}

/// 1999 clean steps, an inf, 2000 clean, 1999 clean, a NaN, 2000 clean: every step at which PyTorch's scale moves, and
/// the tracker in between.
#[test]
fn the_real_interval_goes_as_in_pytorch() {
    let runs = [(1999, 1.0), (1, INF), (2000, 1.0), (1999, 1.0), (1, NAN), (2000, 1.0)];
    let series = runs.into_iter().flat_map(|(count, value)| std::iter::repeat_n(value, count));
    let moves = [(1999, 32768.0), (3999, 65536.0), (5999, 32768.0), (7999, 65536.0)];
    let mut scaler = Scaler::new(Precision::Fp16, Device::Cpu);
    let (mut scale, mut tracker) = (65536.0, 0);
    for (number, value) in series.enumerate() {
        (scale, tracker) = match moves.iter().find(|(at, _)| *at == number) {
            Some((_, moved)) => (*moved, 0),
            None => (scale, tracker + 1),
        };
        let found = step(&mut scaler, value);
        assert_eq!(found, (scale, tracker, !value.is_finite()), "step {number}");
    }
    assert_eq!((scale, tracker), (65536.0, 0));
}

#[test]
fn the_scale_does_not_grow_beyond_fp32() {
    let pytorch = [8.507_059_173_023_462e37, 1.701_411_834_604_692_3e38, 1.701_411_834_604_692_3e38];
    let mut scaler = fp16(2.0_f64.powi(125), 1);
    for expected in pytorch {
        assert_eq!(step(&mut scaler, 0.0), (expected, 0, false));
    }
}

#[test]
fn the_cause_of_a_skipped_step_is_told() {
    let skipped = |values: &[f32]| {
        let mut gradient = Tensor::from_slice(values);
        let found = Scaler::new(Precision::Fp16, Device::Cpu).unscale(&mut gradient).expect("it scales");
        let norm = gradient.norm_scalaropt_dtype(2, Kind::Float).double_value(&[]);
        (found.flag.double_value(&[]) != 0.0).then(|| NonFinite::of_norm(norm))
    };
    assert_eq!(skipped(&[1.0, INF, -INF]), Some(NonFinite::Infinite));
    assert_eq!(skipped(&[1.0, NAN, INF]), Some(NonFinite::NotANumber));
    assert_eq!(skipped(&[1.0, f32::MAX]), None);
}

#[test]
fn unscaling_is_exact() {
    let mut flat = Tensor::from_slice(&[65536.0_f32, -131_072.0, 65536.0 * 1.234_567_9]);
    let found = Scaler::new(Precision::Fp16, Device::Cpu).unscale(&mut flat).expect("it scales");
    assert_eq!(found.flag.double_value(&[]), 0.0);
    assert_eq!(Vec::<f32>::try_from(flat).unwrap(), [1.0, -2.0, 1.234_567_9]);
}

#[test]
fn a_scaler_that_was_kept_goes_on_where_it_stood() {
    let mut whole = Scaler::new(Precision::Fp16, Device::Cpu);
    for value in [1.0, INF, 1.0, 1.0] {
        step(&mut whole, value);
    }
    let text = serde_json::to_string(&whole.state()).unwrap();
    assert_eq!(text, r#"{"scale":32768.0,"clean_steps":2,"enabled":true}"#);
    let kept: ScalerState = serde_json::from_str(&text).unwrap();
    let mut resumed = Scaler { growth_interval: 3, ..Scaler::from_state(&kept, Device::Cpu) };
    assert_eq!(resumed.state(), whole.state());
    assert_eq!(step(&mut resumed, 1.0), (65536.0, 0, false));
}

#[test]
fn precisions_with_wide_exponents_are_left_alone() {
    for precision in [Precision::Fp32, Precision::Bf16] {
        let mut scaler = Scaler::new(precision, Device::Cpu);
        assert_eq!(scaler.scale(), 1.0);
        assert!(scaler.unscale(&mut gradient(INF)).is_none());
    }
}
