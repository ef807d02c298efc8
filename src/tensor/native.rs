//! Where kernels of ours for CUDA serve: on a GPU that they were compiled for, and on which they gave once what libtorch's
//! operators give. Elsewhere those operators serve, as they do under `SGAS_NATIVE=off`.

mod trial;

use crate::error::Result;
use crate::tensor::bridge::device::without_tf32;
use crate::tensor::bridge::native;
use crate::tensor::fused::is_plain;
use crate::tensor::nearest::{blocks, squares};
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
    KINDS.contains(&x.kind()) && serves_on(x.device())
}

/// Whether kernels take tensors on a device.
pub fn serves_on(device: Device) -> bool {
    !is_plain() && matches!(device, Device::Cuda(index) if state(index).is_ok())
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
        let loaded = native::load(index).and_then(|()| trial::all(Device::Cuda(index)));
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
