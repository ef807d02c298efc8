//! Where kernels of ours for CUDA serve: on a GPU that they were compiled for, and on which they gave once what libtorch's
//! operators give. Elsewhere those operators serve, as they do under `SGAS_NATIVE=off`.

mod trial;

use crate::error::Result;
use crate::tensor::bridge::device::without_tf32;
use crate::tensor::bridge::native;
use crate::tensor::fused::{done, is_plain};
use crate::tensor::nearest::{blocks, squares};
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

/// `off` keeps the kernels out.
pub const SWITCH: &str = "SGAS_NATIVE";
/// The types that kernels take.
const KINDS: [Kind; 3] = [Kind::Float, Kind::Half, Kind::BFloat16];
/// GPUs of one machine that are told apart.
const MOST_GPUS: usize = 64;

/// Kernels that are tried together: where one of them is wrong on a GPU, those of its family do not serve there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// The nearest points, and what is made of neighbours.
    Neighbours,
    /// What is made along the links of graphs.
    Links,
    /// The sum of a node's weighed parts.
    Mixture,
    /// Rows of length 1, and sums of what many readers of a tensor want changed.
    Rows,
    /// Steps of the optimizers.
    Optimizers,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Neighbours, Self::Links, Self::Mixture, Self::Rows, Self::Optimizers];

    /// What its kernels are called.
    pub fn words(self) -> &'static str {
        match self {
            Self::Neighbours => "sgas's own kernels for neighbours",
            Self::Links => "sgas's own kernels for links",
            Self::Mixture => "sgas's own kernels for weighed sums",
            Self::Rows => "sgas's own kernels for rows",
            Self::Optimizers => "sgas's own kernels for optimizers",
        }
    }
}

/// What became of something that was tried once.
type Tried = OnceLock<std::result::Result<(), String>>;

/// Whether kernels of this family take a tensor.
pub fn serves(family: Family, x: &Tensor) -> bool {
    KINDS.contains(&x.kind()) && serves_on(family, x.device())
}

/// Whether kernels of this family take tensors on a device.
pub fn serves_on(family: Family, device: Device) -> bool {
    !is_plain() && matches!(device, Device::Cuda(index) if state(family, index).is_ok())
}

/// Whether the user keeps the kernels out.
pub fn is_switched_off() -> bool {
    std::env::var(SWITCH).is_ok_and(|switch| switch == "off")
}

/// Why kernels of this family do not serve on a GPU; loads and tries them where nobody did.
pub fn state(family: Family, index: usize) -> &'static std::result::Result<(), String> {
    static STATES: [[Tried; Family::ALL.len()]; MOST_GPUS] =
        [const { [const { OnceLock::new() }; Family::ALL.len()] }; MOST_GPUS];
    static TOO_MANY: Tried = OnceLock::new();
    let Some(states) = STATES.get(index) else {
        return TOO_MANY.get_or_init(|| Err(format!("kernels serve on {MOST_GPUS} GPUs at most")));
    };
    states[family as usize].get_or_init(|| {
        if is_switched_off() {
            return Err(format!("{SWITCH}=off"));
        }
        let tried = |()| trial::of(family, Device::Cuda(index)).map_err(|error| error.to_string());
        let found = loaded(index).clone().and_then(tried);
        found.inspect_err(|reason| {
            let what = family.words();
            tracing::warn!("cuda:{index}: {what} do not serve, libtorch's operators do: {reason}");
        })
    })
}

/// Why kernels can't be loaded on a GPU.
fn loaded(index: usize) -> &'static std::result::Result<(), String> {
    static LOADED: [Tried; MOST_GPUS] = [const { OnceLock::new() }; MOST_GPUS];
    LOADED[index].get_or_init(|| native::load(index).map_err(|error| error.to_string()))
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

/// Other names of rows (R, C) for so many readers at most, so that their gradients are added up at once; none where nobody
/// adds up gradients, or kernels do not serve.
pub fn readers_of(x: &Tensor, readers: usize) -> Vec<Tensor> {
    let readers = readers.min(native::MOST_READERS);
    if readers < 2 || x.dim() != 2 || !x.requires_grad() || !serves(Family::Rows, x) {
        return Vec::new();
    }
    done(native::readers(x, readers))
}

/// Whether kernels take a step of flat weights by this gradient.
pub fn steps(flat: &Tensor, gradient: &Tensor) -> bool {
    let are_taken = |x: &Tensor| x.kind() == Kind::Float && x.dim() == 1 && x.is_contiguous() && x.numel() > 0;
    [flat, gradient].into_iter().all(are_taken) && serves(Family::Optimizers, flat)
}

/// Whether products of half numbers can be given in fp32: they are exact, and Tensor Cores make them.
fn widens_products(x: &Tensor) -> bool {
    static WIDENS: OnceLock<bool> = OnceLock::new();
    let tried = || x.narrow(1, 0, 1).f_bmm_dtype(&x.transpose(1, 2), Kind::Float).is_ok();
    x.kind() != Kind::Float && *WIDENS.get_or_init(tried)
}
