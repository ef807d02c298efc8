//! Primitives on images (Liu, Simonyan and Yang 2019, "DARTS"; docs/method.md, "Primitives"). Features are (B, C, H,
//! W), channels-last; operations read nothing besides them, so the context is `()`.

pub mod nas_bench_201;
mod pool;
mod preprocess;
mod reduce;
mod separable;
mod stripes;

pub use preprocess::ReluConvolution;
pub use reduce::FactorizedReduction;

use crate::ops::{Operation, Primitive, Shared, Skip, State, build};
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

/// What a search mixes. Alphas are stored by the place in this table, so a new primitive comes last.
pub const PRIMITIVES: [Primitive<(), Build>; 8] = [
    Primitive::none(),
    Primitive::new("max_pool_3x3", |path, build| Box::new(Pool::new(path, PoolKind::Maximum, build))),
    Primitive::new("avg_pool_3x3", |path, build| Box::new(Pool::new(path, PoolKind::Mean, build))),
    Primitive::new("skip_connect", |path, build| match build.stride {
        1 => Box::new(Skip),
        _ => Box::new(FactorizedReduction::new(path, build.channels, build.channels, build.affine)),
    }),
    Primitive::new("sep_conv_3x3", |path, build| Box::new(Separable::twice(path, 3, build))),
    Primitive::new("sep_conv_5x5", |path, build| Box::new(Separable::twice(path, 5, build))),
    Primitive::new("dil_conv_3x3", |path, build| Box::new(Separable::dilated(path, 3, build))),
    Primitive::new("dil_conv_5x5", |path, build| Box::new(Separable::dilated(path, 5, build))),
];

/// What only retraining knows, for the cells of other methods (NASNet, AmoebaNet).
pub const RETRAINED: [Primitive<(), Build>; 2] = [
    Primitive::new("sep_conv_7x7", |path, build| Box::new(Separable::twice(path, 7, build))),
    Primitive::new("conv_7x1_1x7", |path, build| Box::new(stripes::Stripes::new(path, build))),
];

/// A primitive by its name; absent for `none`. Panics on a name that no table holds.
pub fn operation(path: &Path, primitive: &str, after: Build) -> Option<Box<dyn Operation<()>>> {
    let retrained = RETRAINED.iter().any(|known| known.name == primitive);
    build(if retrained { &RETRAINED } else { &PRIMITIVES }, path, primitive, after)
}

/// max(x, 0) of a state, computed once for all edges that read it.
fn relu(state: &State) -> Tensor {
    state.shared(Shared::Relu, Tensor::relu)
}
