//! Where kernels of ours for CUDA serve: on a GPU that they were compiled for, and on which they gave once what libtorch's
//! operators give. Elsewhere those operators serve, as they do under `SGAS_NATIVE=off`.

use crate::error::{Error, Result};
use crate::tensor::bridge::autocast::Autocast;
use crate::tensor::bridge::device::without_tf32;
use crate::tensor::bridge::native::{self, Transposed};
use crate::tensor::fused::is_plain;
use crate::tensor::nearest::{blocks, every, nearest_in_blocks, squares};
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

/// `off` keeps the kernels out.
pub const SWITCH: &str = "SGAS_NATIVE";
/// GPUs of one machine that are told apart.
const MOST_GPUS: usize = 64;

/// Whether kernels take a tensor.
pub fn serves(x: &Tensor) -> bool {
    matches!(x.kind(), Kind::Float | Kind::Half | Kind::BFloat16)
        && !is_plain()
        && matches!(x.device(), Device::Cuda(index) if state(index).is_ok())
}

/// Why kernels do not serve on a GPU; loads and tries them where nobody did.
pub fn state(index: usize) -> &'static std::result::Result<(), String> {
    static STATES: [OnceLock<std::result::Result<(), String>>; MOST_GPUS] = [const { OnceLock::new() }; MOST_GPUS];
    static TOO_MANY: std::result::Result<(), String> = Ok(());
    let Some(state) = STATES.get(index) else { return &TOO_MANY };
    state.get_or_init(|| {
        if std::env::var(SWITCH).is_ok_and(|switch| switch == "off") {
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

/// The rows of the points at `ranks`, as [`nearest_in_blocks`] finds them: (B, N, C) fp32 → int64 (B·N, k).
pub fn nearest(x: &Tensor, ranks: &[i64], block: i64) -> Result<Tensor> {
    let (clouds, points, _) = x.size3().expect("features are (B, N, C)");
    let _exact = without_tf32()?;
    let (squares, transposed) = (squares(x), x.transpose(1, 2));
    let mut rows = Tensor::empty([clouds * points, ranks.len() as i64], (Kind::Int64, x.device()));
    for (start, length) in blocks(points, block) {
        let product = x.narrow(1, start, length).bmm(&transposed);
        native::nearest(&mut rows, &product, &squares, start, ranks)?;
    }
    Ok(rows)
}

/// An error where a kernel gives on a GPU other numbers than libtorch's operators.
fn try_out(device: Device) -> Result<()> {
    let _as_they_come = Autocast::disabled(device)?;
    tch::no_grad(|| {
        try_nearest(device)?;
        [Kind::Float, Kind::Half, Kind::BFloat16].iter().try_for_each(|&kind| try_gathers(device, kind))
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
    for ranks in [every(5, 1), every(4, 9), vec![0, 3, 70]] {
        let found = nearest(&features, &ranks, 40)?;
        let expected = (nearest_in_blocks(&features, &ranks, points) + &first).view_as(&found);
        // Where two distances are equal but for rounding, either may come first.
        let share = found.eq_tensor(&expected).to_kind(Kind::Float).mean(None);
        agreed(share.double_value(&[]) > 0.99, "nearest points", Kind::Float)?;
    }
    Ok(())
}

fn try_gathers(device: Device, kind: Kind) -> Result<()> {
    let rows = 37;
    let picked = (numbers(&[rows, 5], device).abs() * rows as f64).to_kind(Kind::Int64).clamp(0, rows - 1);
    let transposed = Transposed::of(&picked, 1)?;
    for channels in [1, 2, 4, 8, 33] {
        let x = numbers(&[rows, channels], device).to_kind(kind);
        let gathered = native::gather(&x, &picked, None)?;
        let expected = x.index_select(0, &picked.flatten(0, 1)).view_as(&gathered);
        agreed(gathered.equal(&expected), "gathers", kind)?;

        let of_pairs = numbers(&[rows * 5, channels], device).to_kind(kind);
        let sums = native::sum_pairs(&of_pairs, &transposed, rows)?.to_kind(Kind::Double);
        let wide = of_pairs.to_kind(Kind::Double);
        let expected = Tensor::zeros([rows, channels], (Kind::Double, device)).index_add(0, &picked.flatten(0, 1), &wide);
        let difference = (&sums - &expected).abs().max().double_value(&[]);
        // The sum is rounded to its type, of which bf16 is the coarsest.
        let tolerance = if kind == Kind::Float { 1e-5 } else { 1e-2 } * expected.abs().max().double_value(&[]);
        agreed(difference <= tolerance, "sums over pairs", kind)?;
    }
    Ok(())
}

fn agreed(is_equal: bool, what: &str, kind: Kind) -> Result<()> {
    let message = || format!("{what} in {kind:?} differ from libtorch's");
    if is_equal { Ok(()) } else { Err(Error::Torch(message())) }
}
