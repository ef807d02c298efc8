//! Search and training in bf16, and on CUDA in fp16, beside fp32: a hundred steps on the same fresh batches with the
//! same draws.
//!
//! The bounds are shares of the loss at the first step: over the whole run the losses differ by less than 5 % on
//! average, in means of ten steps, and over the last twenty steps by less than 5 % on average. bf16 keeps 8 bits, so
//! the curves part from the first step on and no step is like the other's; what must stay is where they go. Bound and
//! seed were fixed before; the sets, batches and rates were not: with the first ones the losses of fp32 itself were so
//! noisy that two curves parted by about the bound, so they were made calmer, and nothing is dropped out. Both must have learned: fallen by a quarter at least.

use super::{Case, SEED, graphs, images, mixed, points, resgcn, turn};
use sgas::ops::Mode;
use sgas::optim::{AlphaConfig, WeightConfig};
use sgas::search::bilevel::Bilevel;
use sgas::search::second_order::Ahead;
use sgas::step::{LossConfig, WeightStep};
use sgas::tensor::precision::Precision;
use sgas::tensor::random::{Key, Purpose};

const STEPS: u64 = 100;
const LAST: usize = 20;
const BOUND: f64 = 0.05;
const FALL: f64 = 0.75;

/// Losses of the weights' steps.
fn search(case: &Case, precision: Precision) -> Vec<f64> {
    let mut model = case.supernet().expect("a case with cells");
    let weights = WeightConfig { learning_rate: case.rate, ..WeightConfig::default() };
    let mut bilevel = Bilevel::new(&*model, case.task, &weights, &AlphaConfig::default(), precision);
    let step = |step| {
        let (batch, alpha_batch) = (case.batch(step), case.batch(STEPS + step));
        let key = |purpose| Key::new(SEED, purpose).at(0, step);
        let ahead = Ahead { batch: &batch, learning_rate: case.rate, key: key(Purpose::AlphaStep) };
        bilevel.step_alphas(&mut *model, &alpha_batch, &ahead).unwrap();
        key(Purpose::WeightStep).seed_torch();
        bilevel.step_weights(&mut *model, &batch, case.rate).unwrap().outcome.read().loss
    };
    (0..STEPS).map(step).collect()
}

fn train(case: &Case, precision: Precision) -> Vec<f64> {
    let model = case.network();
    let mut weights = WeightStep::new(&*model, &WeightConfig::default(), precision, LossConfig::default());
    let step = |step| {
        let batch = case.batch(step);
        Key::new(SEED, Purpose::WeightStep).at(0, step).seed_torch();
        weights.run(&*model, case.task, &batch, Mode::TRAINING, case.rate).unwrap().outcome.read().loss
    };
    (0..STEPS).map(step).collect()
}

fn mean(losses: &[f64]) -> f64 {
    losses.iter().sum::<f64>() / losses.len() as f64
}

fn assert_near(name: &str, curve: impl Fn(Precision) -> Vec<f64>) {
    let full = curve(Precision::Fp32);
    for precision in mixed() {
        assert_half_near(&format!("{name} in {}", precision.name()), &full, &curve(precision));
    }
}

fn assert_half_near(name: &str, full: &[f64], half: &[f64]) {
    let tens = |losses: &[f64]| losses.chunks(10).map(mean).collect::<Vec<_>>();
    let (full_tens, half_tens) = (tens(full), tens(half));
    println!("{name}: {half_tens:.3?}\nin fp32: {full_tens:.3?}");
    assert_ne!(full, half, "{name}: it computes otherwise");
    let first = full[0];
    let apart: Vec<f64> = full_tens.iter().zip(&half_tens).map(|(full, half)| (full - half).abs() / first).collect();
    let last = |losses: &[f64]| mean(&losses[losses.len() - LAST..]) / first;
    let (full_end, half_end) = (last(full), last(half));
    let told = format!("{name}: {:.4} apart, ends at {full_end:.4} and {half_end:.4} of the first loss", mean(&apart));
    println!("{told}");
    assert!(mean(&apart) < BOUND && (full_end - half_end).abs() < BOUND, "{told}");
    assert!(full_end < FALL && half_end < FALL, "{told}");
}

#[test]
fn points_in_half_learn_as_in_fp32() {
    let _turn = turn();
    assert_near("search on points", |precision| search(&points(), precision));
    assert_near("training on points", |precision| train(&points(), precision));
}

#[test]
fn images_in_half_learn_as_in_fp32() {
    let _turn = turn();
    assert_near("search on images", |precision| search(&images(), precision));
    assert_near("training on images", |precision| train(&images(), precision));
}

#[test]
fn graphs_in_half_learn_as_in_fp32() {
    let _turn = turn();
    assert_near("search on graphs", |precision| search(&graphs(), precision));
    assert_near("training on graphs", |precision| train(&graphs(), precision));
}

#[test]
fn a_resgcn_in_half_learns_as_in_fp32() {
    let _turn = turn();
    assert_near("training a ResGCN", |precision| train(&resgcn(), precision));
}
