//! The kernels on images against plain tensor operations: values and all gradients, per type, at borders, at strides
//! and at numbers of channels off every vector's width.

use crate::kernels::{BFLOAT, DOUBLE, HALF, SINGLE, close, evaluated, random};
use sgas::tensor::bridge::depthwise::{Steps, depthwise};
use sgas::tensor::bridge::norm::BatchNorm;
use sgas::tensor::bridge::norm_mix::norm_mix;
use sgas::tensor::convolution::laid_out;
use tch::{Kind, Tensor};

/// A gradient in a half type comes rounded, is multiplied by all taps or by the norm's scale, and is rounded again:
/// twice what one rounding may do.
const KINDS: [(Kind, f64); 4] =
    [(Kind::Float, SINGLE), (Kind::Double, DOUBLE), (Kind::BFloat16, 2.0 * BFLOAT), (Kind::Half, 2.0 * HALF)];

/// fp64 as it is, all else fp32: what weights and statistics have, and what an oracle computes in.
fn wide(kind: Kind) -> Kind {
    if kind == Kind::Double { Kind::Double } else { Kind::Float }
}

/// The kernel in this type against the oracle on the very same numbers: value and every gradient.
fn agree(
    what: &str,
    (kind, tolerance): (Kind, f64),
    inputs: &[Tensor],
    kernel: &dyn Fn(&[Tensor]) -> Tensor,
    oracle: &dyn Fn(&[Tensor]) -> Tensor,
) {
    let exact: Vec<Tensor> = inputs.iter().map(|input| input.to_kind(wide(kind))).collect();
    let probe = random(&oracle(&exact).size(), 5).to_kind(wide(kind));
    let found = evaluated(inputs, &probe, kernel);
    assert_eq!(found[0].kind(), kind, "{what}: the result has the inputs' type");
    for (place, (found, expected)) in found.iter().zip(&evaluated(&exact, &probe, oracle)).enumerate() {
        close(found, expected, tolerance, &format!("{what} {kind:?}, output or gradient {place}"));
    }
}

#[test]
fn depthwise_equals_relu_and_convolution() {
    for (size, stride, dilation) in [(3, 1, 1), (5, 1, 1), (7, 1, 1), (3, 2, 1), (5, 2, 1), (7, 2, 1)]
        .into_iter()
        .chain([(3, 1, 2), (5, 1, 2), (3, 2, 2), (5, 2, 2)])
    {
        let padding = dilation * (size - 1) / 2;
        for (shape, relu) in [([2, 37, 13, 30], true), ([3, 4, 12, 12], false), ([1, 20, 1, 3], true)] {
            for (kind, tolerance) in KINDS {
                let inputs = [
                    laid_out(&random(&shape, 11).to_kind(kind)),
                    random(&[shape[1], 1, size, size], 12).to_kind(wide(kind)),
                ];
                let steps = Steps { stride, padding, dilation };
                let kernel = |x: &[Tensor]| depthwise(&x[0], &x[1], steps, relu).unwrap();
                let oracle = |x: &[Tensor]| {
                    let read = if relu { x[0].relu() } else { x[0].shallow_clone() }.contiguous();
                    let [strides, paddings, dilations] = [stride, padding, dilation].map(|step| [step; 2]);
                    read.conv2d(&x[1], None::<&Tensor>, strides, paddings, dilations, shape[1])
                };
                let what = format!("{size}x{size}, stride {stride}, dilation {dilation}, {shape:?}");
                agree(&what, (kind, tolerance), &inputs, &kernel, &oracle);
            }
        }
    }
}

/// Running mean and variance of three norms, as both paths move them.
fn statistics(channels: i64, kind: Kind) -> [Tensor; 2] {
    [0.25, 1.5].map(|start| Tensor::full([3, channels], start, (wide(kind), tch::Device::Cpu)))
}

/// weights, three parts, and the affine parameters of the first part's norm; the last part has no norm.
fn mixed(x: &[Tensor], running: &[Tensor; 2], training: bool) -> Tensor {
    let [mean, variance] = running;
    let (means, variances) = (mean.unbind(0), variance.unbind(0));
    let norm = |at: usize, affine: bool| BatchNorm {
        weight: affine.then_some(&x[4]),
        bias: affine.then_some(&x[5]),
        running_mean: &means[at],
        running_var: &variances[at],
        training,
        momentum: 0.1,
        epsilon: 1e-5,
    };
    let parts = [(&x[1], Some(norm(0, true))), (&x[2], Some(norm(1, false))), (&x[3], None)];
    norm_mix(Some(&x[0]), &parts).unwrap()
}

fn mixed_plainly(x: &[Tensor], running: &[Tensor; 2], training: bool) -> Tensor {
    let [mean, variance] = running;
    let norm = |at: i64, affine: bool| {
        let (weight, bias) = (affine.then_some(&x[4]), affine.then_some(&x[5]));
        let (mean, variance) = (mean.get(at), variance.get(at));
        let part = x[1 + at as usize].contiguous();
        part.batch_norm(weight, bias, Some(&mean), Some(&variance), training, 0.1, 1e-5, false)
    };
    norm(0, true) * x[0].get(0) + norm(1, false) * x[0].get(1) + &x[3] * x[0].get(2)
}

#[test]
fn norm_mix_equals_a_chain_of_norms_and_products() {
    for shape in [vec![2, 37, 5, 9], vec![300, 20], vec![4, 16, 1, 1]] {
        for (kind, tolerance) in KINDS {
            for training in [true, false] {
                let (channels, wide) = (shape[1], wide(kind));
                let part = |seed| {
                    let part = random(&shape, seed).to_kind(kind);
                    if shape.len() == 4 { laid_out(&part) } else { part }
                };
                let parameter = |seed| random(&[channels], seed).to_kind(wide);
                let weights = Tensor::from_slice(&[0.5, 0.3, 0.2]).to_kind(wide);
                let inputs = [weights, part(1), part(2), part(3), parameter(4), parameter(5)];
                let (ours, theirs) = (statistics(channels, kind), statistics(channels, kind));
                let kernel = |x: &[Tensor]| mixed(x, &ours, training);
                let oracle = |x: &[Tensor]| mixed_plainly(x, &theirs, training);
                agree(&format!("norm_mix {shape:?}"), (kind, tolerance), &inputs, &kernel, &oracle);
                // The oracle ran once more, for the shape of its result.
                let _ = kernel(&inputs);
                for (ours, theirs) in ours.iter().zip(&theirs) {
                    close(ours, theirs, tolerance.min(SINGLE), "running statistics");
                }
            }
        }
    }
}

#[test]
fn one_and_two_threads_agree_in_every_bit_on_images() {
    let everything = |threads: i32| {
        let before = tch::get_num_threads();
        tch::set_num_threads(threads);
        let part = |seed| laid_out(&random(&[4, 20, 24, 24], seed).to_kind(Kind::Float));
        let [weights, parameter] = [3, 20].map(|size| random(&[size], 6).to_kind(Kind::Float));
        let taps = random(&[20, 1, 5, 5], 7).to_kind(Kind::Float);
        let inputs = [weights, part(1), part(2), part(3), parameter.copy(), parameter, taps];
        let steps = Steps { stride: 1, padding: 4, dilation: 2 };
        let running = statistics(20, Kind::Float);
        let kernel = |x: &[Tensor]| depthwise(&mixed(x, &running, true), &x[6], steps, true).unwrap();
        let all = evaluated(&inputs, &random(&[4, 20, 24, 24], 8).to_kind(Kind::Float), &kernel);
        tch::set_num_threads(before);
        all
    };
    for (place, (one, two)) in everything(1).iter().zip(&everything(2)).enumerate() {
        assert!(one.equal(two), "output or gradient {place}");
    }
}

#[test]
fn wrong_images_come_back_as_errors() {
    let x = random(&[2, 4, 6, 6], 1).to_kind(Kind::Float);
    let taps = |size: i64| random(&[4, 1, size, size], 2).to_kind(Kind::Float);
    let steps = Steps { stride: 1, padding: 1, dilation: 1 };
    let fails = |x: &Tensor, weight: &Tensor, steps: Steps, part: &str| {
        let error = depthwise(x, weight, steps, false).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    fails(&x.get(0), &taps(3), steps, "images (B, C, H, W)");
    fails(&x, &taps(4), steps, "k 3, 5 or 7");
    fails(&x.narrow(1, 0, 3), &taps(3), steps, "k 3, 5 or 7");
    fails(&x, &taps(3), Steps { padding: 3, ..steps }, "padding of 0 to 2");
    fails(&x, &taps(7), Steps { padding: 0, ..steps }, "smaller than the window");
    assert!(norm_mix(None, &[]).is_err(), "nothing to mix");
    let other = x.narrow(0, 0, 1);
    let error = norm_mix(None, &[(&x, None), (&other, None)]).unwrap_err().to_string();
    assert!(error.contains("expected all parts as"), "{error}");
}
