//! `max_pool_3x3` and `avg_pool_3x3`.

use crate::ops::image::Build;
use crate::ops::{Mode, Operation, Shared, State};
use crate::tensor::convolution::mean_pool;
use crate::tensor::layers::BatchNorm;
use crate::tensor::mixture::Part;
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
        self.part(state, &(), mode).finish()
    }

    fn part(&self, state: &State, (): &(), mode: Mode) -> Part<'_> {
        let pooled = self.kind.pooled(state, self.stride);
        match &self.norm {
            Some(norm) => Part::normed(pooled, norm, mode.by_batch_statistics()),
            None => Part::plain(pooled),
        }
    }
}

impl PoolKind {
    /// Computed once for all edges that read the state.
    fn pooled(self, state: &State, stride: i64) -> Tensor {
        match self {
            Self::Maximum => {
                state.shared(Shared::MaximumPool, |x| x.max_pool2d([3, 3], [stride; 2], [1, 1], [1, 1], false))
            }
            Self::Mean => state.shared(Shared::MeanPool, |x| mean_pool(x, stride)),
        }
    }
}
