//! Dilated k-nearest-neighbour graphs over points or features, and gathers along them (REFERENCE section 5).
//!
//! Features are rows (R, C) with R = B·N; neighbours are row numbers. On a CPU the bridge's fused kernels do the
//! work, elsewhere plain tensor operations; both are the same function, which the tests of the kernels hold.

use crate::tensor::bridge::autocast::Autocast;
use crate::tensor::bridge::gather::{self, AttentionScores, Neighbourhood, OwnPoint};
use crate::tensor::bridge::nearest::nearest_neighbours;
use crate::tensor::bridge::norm::edge_max_norm;
use crate::tensor::bridge::operators::leaky_relu;
use crate::tensor::fused::{done, is_fused};
use crate::tensor::layers::BatchNorm;
use tch::{Kind, Tensor};

/// Distances that exist at a time on the tensor path; the kernel's blocks stay in the cache.
const BLOCK_BYTES: i64 = 64 << 20;

/// The neighbours of every point of a batch of clouds.
pub struct Neighbours {
    /// Row numbers int64 (R, k), all inside the point's own cloud; column 0 is the point itself.
    pub rows: Tensor,
    /// Clouds B in the batch.
    pub clouds: i64,
}

impl Neighbours {
    /// From indices inside each cloud, int64 (B, N, k), the point itself first.
    pub fn from_local(local: &Tensor) -> Self {
        let (clouds, points, k) = local.size3().expect("local indices are (B, N, k)");
        let first = Tensor::arange(clouds, (Kind::Int64, local.device())).view([clouds, 1, 1]) * points;
        Self { rows: (local + first).view([clouds * points, k]), clouds }
    }

    /// The k·dilation nearest of every point by the features of `rows` (R, C), every dilation-th kept, the point
    /// itself forced to be the first (duplicates of a point compete with it). Computed in fp32 without gradient.
    pub fn nearest(rows: &Tensor, clouds: i64, k: i64, dilation: i64) -> Self {
        Self::at_ranks(rows, clouds, &every(k, dilation))
    }

    /// Of all points by their distance from a point, the nearest first, those at `ranks`; at rank 0 is the point
    /// itself. Computed in fp32 without gradient.
    pub fn at_ranks(rows: &Tensor, clouds: i64, ranks: &[i64]) -> Self {
        let _fp32 = done(Autocast::disabled(rows.device()));
        let features = rows.detach().to_kind(Kind::Float).view([clouds, -1, rows.size()[1]]);
        if is_fused(rows) {
            return Self { rows: done(nearest_neighbours(&features, ranks)), clouds };
        }
        Self::from_local(&nearest_in_blocks(&features, ranks, points_per_block(&features)))
    }

    /// Neighbours per point, itself included.
    pub fn k(&self) -> i64 {
        self.rows.size()[1]
    }

    fn graph(&self) -> Neighbourhood<'_> {
        Neighbourhood { neighbours: &self.rows, clouds: self.clouds }
    }

    /// Sum over the neighbours, (R, C).
    pub fn sum(&self, x: &Tensor, itself: OwnPoint) -> Tensor {
        if is_fused(x) {
            return done(gather::gather_sum(x, &self.graph(), itself));
        }
        self.gather(x, itself).sum_dim_intlist([1_i64].as_slice(), false, None)
    }

    /// Mean over all neighbours, (R, C).
    pub fn mean(&self, x: &Tensor) -> Tensor {
        if is_fused(x) {
            return done(gather::gather_mean(x, &self.graph()));
        }
        self.sum(x, OwnPoint::Kept) / self.k() as f64
    }

    /// Maximum over the neighbours, (R, C).
    pub fn maximum(&self, x: &Tensor, itself: OwnPoint) -> Tensor {
        if is_fused(x) {
            return done(gather::gather_max(x, &self.graph(), itself));
        }
        self.gather(x, itself).max_dim(1, false).0
    }

    /// Sum over the neighbours j of w_ij·x_j, w_i = softmax over j of LeakyReLU(target_i + source_j): (R, C)
    /// features, (R) scores in fp32.
    pub fn attention(&self, x: &Tensor, target: &Tensor, source: &Tensor, slope: f64) -> Tensor {
        if is_fused(x) {
            return done(gather::attention(x, &AttentionScores { target, source }, &self.graph(), slope));
        }
        let scores = target.unsqueeze(1) + source.index_select(0, &self.rows.view([-1])).view_as(&self.rows);
        let weights = leaky_relu(&scores, slope).softmax(-1, Kind::Float).to_kind(x.kind());
        (self.gather(x, OwnPoint::Kept) * weights.unsqueeze(-1)).sum_dim_intlist([1_i64].as_slice(), false, None)
    }

    /// Maximum over the neighbours j of norm(relu(target_i + source_j)); the norm's statistics run over all pairs
    /// (i, j).
    pub fn normed_edge_maximum(
        &self,
        target: &Tensor,
        source: &Tensor,
        itself: OwnPoint,
        norm: &BatchNorm,
        training: bool,
    ) -> Tensor {
        if is_fused(target) {
            return done(edge_max_norm(target, source, &self.graph(), itself, &norm.in_bridge(training)));
        }
        let pairs = (target.unsqueeze(1) + self.gather(source, itself)).relu();
        norm.forward(&pairs.flatten(0, 1), training).view_as(&pairs).max_dim(1, false).0
    }

    /// Features of the neighbours, (R, k, C), or (R, k - 1, C) without the point itself.
    pub fn gather(&self, x: &Tensor, itself: OwnPoint) -> Tensor {
        let rows = match itself {
            OwnPoint::Kept => self.rows.shallow_clone(),
            OwnPoint::Skipped => self.rows.narrow(1, 1, self.k() - 1),
        };
        let columns = rows.size()[1];
        x.index_select(0, &rows.reshape([-1])).view([-1, columns, x.size()[1]])
    }
}

/// As many points of each cloud as keep the distances of a block within [`BLOCK_BYTES`], one at least.
fn points_per_block(x: &Tensor) -> i64 {
    let (clouds, points, _) = x.size3().expect("features are (B, N, C)");
    (BLOCK_BYTES / (size_of::<f32>() as i64 * clouds * points)).max(1)
}

/// The ranks of `k` neighbours, the point itself first: 0, `dilation`, 2 · `dilation`, ...
pub fn every(k: i64, dilation: i64) -> Vec<i64> {
    (0..k).map(|position| position * dilation).collect()
}

/// The points at `ranks` by plain tensor operations, as numbers within each cloud: (B, N, C) fp32 → int64 (B, N, k).
/// Distances exist for `block` points of every cloud at a time, (B, block, N); the result does not depend on it.
pub fn nearest_in_blocks(x: &Tensor, ranks: &[i64], block: i64) -> Tensor {
    let wanted = ranks.iter().max().map_or(0, |last| last + 1);
    let ranks = Tensor::from_slice(ranks).to_device(x.device());
    let points = x.size()[1];
    let squares = (x * x).sum_dim_intlist([-1_i64].as_slice(), true, Kind::Float);
    let itself = Tensor::full([1], f64::NEG_INFINITY, (Kind::Float, x.device()));
    let starts = (0..points).step_by(usize::try_from(block).expect("a block has a point"));
    let nearest = starts.map(|start| {
        let length = block.min(points - start);
        let distances = squared_distances(x, &squares, start, length);
        distances.diagonal(start, 1, 2).copy_(&itself);
        distances.topk(wanted, -1, false, true).1.index_select(2, &ranks)
    });
    Tensor::cat(&nearest.collect::<Vec<_>>(), 1)
}

/// |x|² - 2x·y + |y|² of `length` points of every cloud to all of its points: (B, N, C) → (B, length, N).
fn squared_distances(x: &Tensor, squares: &Tensor, start: i64, length: i64) -> Tensor {
    let mut distances = x.narrow(1, start, length).matmul(&x.transpose(1, 2));
    distances *= -2.0;
    distances += squares.narrow(1, start, length);
    distances += squares.transpose(1, 2);
    distances
}
