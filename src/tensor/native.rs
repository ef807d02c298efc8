//! Where kernels of ours for CUDA serve: on a GPU that they were compiled for, and on which they gave once what libtorch's
//! operators give. Elsewhere those operators serve, as they do under `SGAS_NATIVE=off`.

use crate::error::{Error, Result};
use crate::tensor::bridge::autocast::Autocast;
use crate::tensor::bridge::device::without_tf32;
use crate::tensor::bridge::native::{self, List, Transposed};
use crate::tensor::bridge::norm::BatchNorm;
use crate::tensor::fused::is_plain;
use crate::tensor::nearest::{blocks, every, nearest_in_blocks, squares};
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

/// `off` keeps the kernels out.
pub const SWITCH: &str = "SGAS_NATIVE";
/// The types that kernels take.
const KINDS: [Kind; 3] = [Kind::Float, Kind::Half, Kind::BFloat16];
/// GPUs of one machine that are told apart.
const MOST_GPUS: usize = 64;

/// Whether kernels take a tensor.
pub fn serves(x: &Tensor) -> bool {
    KINDS.contains(&x.kind()) && !is_plain() && matches!(x.device(), Device::Cuda(index) if state(index).is_ok())
}

/// Whether the user keeps the kernels out.
pub fn is_switched_off() -> bool {
    std::env::var(SWITCH).is_ok_and(|switch| switch == "off")
}

/// Why kernels do not serve on a GPU; loads and tries them where nobody did.
pub fn state(index: usize) -> &'static std::result::Result<(), String> {
    static STATES: [OnceLock<std::result::Result<(), String>>; MOST_GPUS] = [const { OnceLock::new() }; MOST_GPUS];
    static TOO_MANY: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let Some(state) = STATES.get(index) else {
        return TOO_MANY.get_or_init(|| Err(format!("kernels serve on {MOST_GPUS} GPUs at most")));
    };
    state.get_or_init(|| {
        if is_switched_off() {
            return Err(format!("{SWITCH}=off"));
        }
        let loaded = native::load(index).and_then(|()| try_out(Device::Cuda(index)));
        loaded.map_err(|error| {
            let reason = error.to_string();
            tracing::warn!("cuda:{index}: kernels of sgas do not serve, libtorch's operators do: {reason}");
            reason
        })
    })
}

/// The rows of the points at `ranks`, as [`nearest_in_blocks`] finds them: (B, N, C) in any type → int64 (B·N, k).
/// Distances are fp32.
pub fn nearest(x: &Tensor, ranks: &[i64], block: i64) -> Result<Tensor> {
    let (clouds, points, _) = x.size3().expect("features are (B, N, C)");
    let _exact = without_tf32()?;
    let wide = x.to_kind(Kind::Float);
    let squares = squares(&wide);
    let factors = if widens_products(x) { x } else { &wide };
    let transposed = factors.transpose(1, 2);
    let mut rows = Tensor::empty([clouds * points, ranks.len() as i64], (Kind::Int64, x.device()));
    for (start, length) in blocks(points, block) {
        let own = factors.narrow(1, start, length);
        let product = if factors.kind() == Kind::Float {
            own.bmm(&transposed)
        } else {
            own.f_bmm_dtype(&transposed, Kind::Float)?
        };
        native::nearest(&mut rows, &product, &squares, start, ranks)?;
    }
    Ok(rows)
}

/// Whether products of half numbers can be given in fp32: they are exact, and Tensor Cores make them.
fn widens_products(x: &Tensor) -> bool {
    static WIDENS: OnceLock<bool> = OnceLock::new();
    let tried = || x.narrow(1, 0, 1).f_bmm_dtype(&x.transpose(1, 2), Kind::Float).is_ok();
    x.kind() != Kind::Float && *WIDENS.get_or_init(tried)
}

/// An error where a kernel gives on a GPU other numbers than libtorch's operators.
fn try_out(device: Device) -> Result<()> {
    let _as_they_come = Autocast::disabled(device)?;
    tch::no_grad(|| try_nearest(device))?;
    tch::with_grad(|| {
        KINDS.iter().try_for_each(|&kind| {
            try_lists(device, kind)?;
            try_edges(device, kind)
        })
    })
}

/// Numbers without a pattern, the same at every call; nothing is drawn, which would change what comes after.
fn numbers(shape: &[i64], device: Device) -> Tensor {
    let count: i64 = shape.iter().product();
    ((Tensor::arange(count, (Kind::Float, device)) * 12.9898).sin() * 437.585_f64).frac().view(shape)
}

fn try_nearest(device: Device) -> Result<()> {
    let (clouds, points) = (2, 77);
    let features = numbers(&[clouds, points, 6], device);
    let first = Tensor::arange(clouds, (Kind::Int64, device)).view([clouds, 1, 1]) * points;
    for kind in KINDS {
        for ranks in [every(5, 1), every(4, 9), vec![0, 3, 70]] {
            let features = features.to_kind(kind);
            let found = nearest(&features, &ranks, 40)?;
            let expected = nearest_in_blocks(&features.to_kind(Kind::Float), &ranks, points);
            // Where two distances are equal but for rounding, either may come first.
            let is_equal = found.eq_tensor(&(expected + &first).view_as(&found));
            agreed(is_equal.to_kind(Kind::Float).mean(None).double_value(&[]) > 0.95, "nearest points", kind)?;
        }
    }
    Ok(())
}

fn try_lists(device: Device, kind: Kind) -> Result<()> {
    let (rows, k) = (37, 5);
    let picked = (numbers(&[rows, k], device).abs() * rows as f64).to_kind(Kind::Int64).clamp(0, rows - 1);
    let flat = picked.flatten(0, 1);
    let transposed = Transposed::of(&picked, 1)?;
    let list = List { rows: &picked, transposed: Some(&transposed) };
    let weights = numbers(&[rows, k], device);
    for channels in [1, 2, 4, 8, 33] {
        let x = numbers(&[rows, channels], device).to_kind(kind).set_requires_grad(true);
        let gathered = tch::no_grad(|| x.index_select(0, &flat).view([rows, k, channels]));
        agreed(native::gather(&x, &list)?.equal(&gathered), "gathers", kind)?;

        let wide = x.detach().to_kind(Kind::Double).set_requires_grad(true);
        let of_pairs = || wide.index_select(0, &flat).view([rows, k, channels]);
        let wide_weights = weights.to_kind(Kind::Double).unsqueeze(2);
        let sum = |pairs: Tensor| pairs.sum_dim_intlist([1_i64].as_slice(), false, None);
        let probe = numbers(&[rows, channels], device).to_kind(kind);
        for (what, found, expected) in [
            (
                "gathers",
                native::gather(&x, &list)?.mean_dim([1_i64].as_slice(), false, None) * k as f64,
                sum(of_pairs()),
            ),
            ("sums", native::neighbour_sum(&x, None, &list, 0.5)?, sum(of_pairs()) * 0.5),
            ("weighted sums", native::neighbour_sum(&x, Some(&weights), &list, 1.0)?, sum(of_pairs() * wide_weights)),
            ("maxima", native::neighbour_maximum(&x, &list)?, of_pairs().max_dim(1, false).0),
        ] {
            close(&found, &expected, what, kind)?;
            let gradient = |y: &Tensor, x: &Tensor| {
                let loss = (y * probe.to_kind(y.kind())).sum(None);
                Tensor::run_backward(&[loss], &[x], false, false).swap_remove(0)
            };
            close(&gradient(&found, &x), &gradient(&expected, &wide), &format!("gradients of {what}"), kind)?;
        }
    }
    Ok(())
}

/// The tail of edge_conv in training and in evaluation, with scales of either sign.
fn try_edges(device: Device, kind: Kind) -> Result<()> {
    let (rows, k) = (70, 5);
    let picked = (numbers(&[rows, k], device).abs() * rows as f64).to_kind(Kind::Int64).clamp(0, rows - 1);
    let transposed = Transposed::of(&picked, 1)?;
    let list = List { rows: &picked, transposed: Some(&transposed) };
    for (channels, training) in [(1, true), (8, true), (33, true), (300, true), (8, false)] {
        let shares = numbers(&[2, rows, channels], device).to_kind(kind);
        let [scale, offset, mean] = [1.0, 0.5, 0.25].map(|factor| numbers(&[channels], device) * factor);
        let leaves = |kind: Kind| {
            let own = [shares.get(0), shares.get(1)].map(|share| share.to_kind(kind));
            let norm =
                [&scale, &offset].map(|part| part.to_kind(if kind == Kind::Double { kind } else { Kind::Float }));
            let [own, other] = own;
            let [scale, offset] = norm;
            [own, other, scale, offset].map(|leaf| leaf.copy().set_requires_grad(true))
        };
        let (found, wide) = (leaves(kind), leaves(Kind::Double));
        let statistics = |kind: Kind| [mean.to_kind(kind).copy(), (mean.to_kind(kind).abs() + 0.5).copy()];
        let (moved, expected_moved) = (statistics(Kind::Float), statistics(Kind::Double));
        let norm = BatchNorm {
            weight: Some(&found[2]),
            bias: Some(&found[3]),
            running_mean: &moved[0],
            running_var: &moved[1],
            training,
            momentum: 0.1,
            epsilon: 1e-5,
        };
        let y = native::edge_maximum(&found[0], &found[1], &list, &norm)?;
        let pairs =
            (wide[0].unsqueeze(1) + wide[1].index_select(0, &picked.flatten(0, 1)).view([rows, k, channels])).relu();
        let (weight, bias) = (Some(&wide[2]), Some(&wide[3]));
        let (running_mean, running_var) = (Some(&expected_moved[0]), Some(&expected_moved[1]));
        let normed =
            pairs.flatten(0, 1).batch_norm(weight, bias, running_mean, running_var, training, 0.1, 1e-5, false);
        let expected = normed.view_as(&pairs).max_dim(1, false).0;
        close(&y, &expected, "edges", kind)?;
        for (moved, expected) in moved.iter().zip(&expected_moved) {
            close(moved, expected, "running statistics of edges", Kind::Float)?;
        }
        let probe = numbers(&[rows, channels], device).to_kind(kind);
        let gradients = |y: &Tensor, leaves: &[Tensor; 4]| {
            let loss = (y * probe.to_kind(y.kind())).to_kind(Kind::Double).sum(None);
            Tensor::run_backward(&[loss], leaves, false, false)
        };
        for (found, expected) in gradients(&y, &found).iter().zip(gradients(&expected, &wide)) {
            close(found, &expected, "gradients of edges", kind)?;
        }
    }
    Ok(())
}

/// Sums of some numbers, each rounded to the type, of which bf16 is the coarsest.
fn close(found: &Tensor, expected: &Tensor, what: &str, kind: Kind) -> Result<()> {
    let difference = (found.to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
    let scale = expected.abs().max().double_value(&[]);
    let tolerance = if kind == Kind::Float { 1e-4 } else { 2e-2 } * scale;
    agreed(difference <= tolerance, &format!("{what} {:?} (by {difference:.1e} of {scale:.1e})", found.size()), kind)
}

fn agreed(is_equal: bool, what: &str, kind: Kind) -> Result<()> {
    let message = || format!("{what} in {kind:?} differ from libtorch's");
    if is_equal { Ok(()) } else { Err(Error::Torch(message())) }
}
