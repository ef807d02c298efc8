//! Primitives on images (Liu, Simonyan and Yang 2019, "DARTS"; REFERENCE section 5). Features are (B, C, H, W),
//! channels-last; operations read nothing besides them, so the context is `()`.

mod pool;
mod preprocess;
mod reduce;
mod separable;
mod stripes;

pub use preprocess::ReluConvolution;
pub use reduce::FactorizedReduction;

use crate::ops::skip::Skip;
use crate::ops::{Operation, Shared, State};
use crate::tensor::parameters::Path;
use pool::{Pool, PoolKind};
use separable::Separable;
use tch::Tensor;

/// How the primitives of an edge are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// Channels of input and output.
    pub channels: i64,
    /// 2 where the edge halves the resolution, else 1.
    pub stride: i64,
    /// Whether batch norms have affine parameters.
    pub affine: bool,
    /// Whether a batch norm follows a pool.
    pub normed_pools: bool,
}

/// A primitive by its name; absent for `none`, which computes nothing. Panics on a name that no list of primitives
/// holds.
pub fn operation(path: &Path, primitive: &str, build: Build) -> Option<Box<dyn Operation<()>>> {
    Some(match primitive {
        "none" => return None,
        "max_pool_3x3" => Box::new(Pool::new(path, PoolKind::Maximum, build)),
        "avg_pool_3x3" => Box::new(Pool::new(path, PoolKind::Mean, build)),
        "skip_connect" if build.stride == 1 => Box::new(Skip),
        "skip_connect" => Box::new(FactorizedReduction::new(path, build.channels, build.channels, build.affine)),
        "sep_conv_3x3" => Box::new(Separable::twice(path, 3, build)),
        "sep_conv_5x5" => Box::new(Separable::twice(path, 5, build)),
        "sep_conv_7x7" => Box::new(Separable::twice(path, 7, build)),
        "dil_conv_3x3" => Box::new(Separable::dilated(path, 3, build)),
        "dil_conv_5x5" => Box::new(Separable::dilated(path, 5, build)),
        "conv_7x1_1x7" => Box::new(stripes::Stripes::new(path, build)),
        other => unreachable!("{other} is not a primitive of the image space"),
    })
}

/// max(x, 0) of a state, computed once for all edges that read it.
fn relu(state: &State) -> Tensor {
    state.shared(Shared::Relu, Tensor::relu)
}
