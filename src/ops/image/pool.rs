//! `max_pool_3x3` and `avg_pool_3x3`.

use crate::ops::image::Build;
use crate::ops::{Mode, Operation, State};
use crate::tensor::layers::BatchNorm;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// What is taken of the 3×3 pixels around each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// The greatest.
    Maximum,
    /// The mean of those within the image: the padding does not count.
    Mean,
}

/// A pool, in a supernet with a batch norm after it.
pub struct Pool {
    kind: PoolKind,
    stride: i64,
    norm: Option<BatchNorm>,
}

impl Pool {
    /// The norm stands at `path` (`1`).
    pub fn new(path: &Path, kind: PoolKind, build: Build) -> Self {
        let norm = build.normed_pools.then(|| BatchNorm::with(&path.sub(1), build.channels, build.affine));
        Self { kind, stride: build.stride, norm }
    }
}

impl Operation<()> for Pool {
    fn forward(&self, state: &State, (): &(), mode: Mode) -> Tensor {
        let (x, kernel, stride, padding) = (&state.features, [3, 3], [self.stride; 2], [1, 1]);
        let pooled = match self.kind {
            PoolKind::Maximum => x.max_pool2d(kernel, stride, padding, [1, 1], false),
            PoolKind::Mean => x.avg_pool2d(kernel, stride, padding, false, false, None),
        };
        match &self.norm {
            Some(norm) => norm.forward(&pooled, mode.is_training()),
            None => pooled,
        }
    }
}
