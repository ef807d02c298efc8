//! Dilated k-nearest-neighbour graphs over points or features, and gathers along them (REFERENCE section 5).
//!
//! Features are rows (R, C) with R = B·N; neighbours are row numbers. On a CPU the bridge's fused kernels do the
//! work, elsewhere plain tensor operations; both are the same function, which the tests of the kernels hold.

use crate::tensor::bridge::autocast::Autocast;
use crate::tensor::bridge::device::without_tf32;
use crate::tensor::bridge::gather::{self, AttentionScores, Neighbourhood, OwnPoint};
use crate::tensor::bridge::nearest::nearest_neighbours;
use crate::tensor::bridge::norm::edge_max_norm;
use crate::tensor::bridge::operators::leaky_relu;
use crate::tensor::fused::{done, is_fused};
use crate::tensor::layers::BatchNorm;
use std::cell::{OnceCell, RefCell};
use tch::{Device, Kind, Tensor};

/// Distances that exist at a time on the tensor path: on a GPU few, large blocks, because each is started by itself.
/// (The kernel's blocks stay in the cache.)
const BLOCK_BYTES: i64 = 64 << 20;
const BLOCK_BYTES_ON_GPU: i64 = 512 << 20;

/// The neighbours of every point of a batch of clouds.
pub struct Neighbours {
    /// Row numbers int64 (R, k), all inside the point's own cloud; column 0 is the point itself.
    pub rows: Tensor,
    /// Clouds B in the batch.
    pub clouds: i64,
    /// The same without column 0, from the first tensor operation that asks.
    others: OnceCell<Tensor>,
}

impl Neighbours {
    /// Of row numbers int64 (R, k), the point itself first.
    pub fn new(rows: Tensor, clouds: i64) -> Self {
        Self { rows, clouds, others: OnceCell::new() }
    }

    /// From indices inside each cloud, int64 (B, N, k), the point itself first.
    pub fn from_local(local: &Tensor) -> Self {
        let (clouds, points, k) = local.size3().expect("local indices are (B, N, k)");
        let rows = if clouds == 1 { local.contiguous() } else { local + first_rows(clouds, points, local.device()) };
        Self::new(rows.view([clouds * points, k]), clouds)
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
            return Self::new(done(nearest_neighbours(&features, ranks)), clouds);
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
        summed(&self.gather(x, itself))
    }

    /// Mean over all neighbours, (R, C).
    pub fn mean(&self, x: &Tensor) -> Tensor {
        if is_fused(x) {
            return done(gather::gather_mean(x, &self.graph()));
        }
        self.gather(x, OwnPoint::Kept).mean_dim([1_i64].as_slice(), false, None)
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
        let scores = target.unsqueeze(1) + self.gather(&source.unsqueeze(1), OwnPoint::Kept).squeeze_dim(2);
        let weights = leaky_relu(&scores, slope).softmax(-1, Kind::Float).to_kind(x.kind());
        weights.unsqueeze(1).bmm(&self.gather(x, OwnPoint::Kept)).squeeze_dim(1)
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
    ///
    /// As an embedding, because its gradient is one operator, sums in fp32 whatever the type, and does so in the same
    /// order at every run; that of `index_select` adds up in the type of the features, in any order on a GPU.
    pub fn gather(&self, x: &Tensor, itself: OwnPoint) -> Tensor {
        let rows = match itself {
            OwnPoint::Kept => &self.rows,
            OwnPoint::Skipped => self.others.get_or_init(|| self.rows.narrow(1, 1, self.k() - 1).contiguous()),
        };
        Tensor::embedding(x, rows, -1, false, false)
    }
}

/// Sum over the neighbours, (R, k, C) → (R, C), of the same type; it is made in fp32. CUDA's autocast would put it out in
/// fp32 too, and all that follows would be fp32.
fn summed(x: &Tensor) -> Tensor {
    let _as_they_come = done(Autocast::disabled(x.device()));
    x.sum_dim_intlist([1_i64].as_slice(), false, None)
}

/// The first row of every cloud, int64 (B, 1, 1): the same at every search of a pass, so the last ones are kept.
fn first_rows(clouds: i64, points: i64, device: Device) -> Tensor {
    thread_local! {
        static LAST: RefCell<Option<(i64, i64, Tensor)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        Some((of, size, first)) if (*of, *size, first.device()) == (clouds, points, device) => first.shallow_clone(),
        _ => {
            let first = Tensor::arange(clouds, (Kind::Int64, device)).view([clouds, 1, 1]) * points;
            *last = Some((clouds, points, first.shallow_clone()));
            first
        }
    })
}

/// As many points of each cloud as keep the distances of a block within that, one at least.
fn points_per_block(x: &Tensor) -> i64 {
    let (clouds, points, _) = x.size3().expect("features are (B, N, C)");
    let bytes = if x.device().is_cuda() { BLOCK_BYTES_ON_GPU } else { BLOCK_BYTES };
    (bytes / (size_of::<f32>() as i64 * clouds * points)).max(1)
}

/// The ranks of `k` neighbours, the point itself first: 0, `dilation`, 2 · `dilation`, ...
pub fn every(k: i64, dilation: i64) -> Vec<i64> {
    (0..k).map(|position| position * dilation).collect()
}

/// The points at `ranks` by plain tensor operations, as numbers within each cloud: (B, N, C) fp32 → int64 (B, N, k).
/// Distances exist for `block` points of every cloud at a time, (B, block, N); the result does not depend on it. They are
/// never made in TF32, whatever other products are allowed.
pub fn nearest_in_blocks(x: &Tensor, ranks: &[i64], block: i64) -> Tensor {
    let wanted = ranks.iter().max().map_or(0, |last| last + 1);
    let points = x.size()[1];
    let _exact = done(without_tf32());
    // One product per point, (1, C) by (C, 1).
    let (clouds, _, channels) = x.size3().expect("features are (B, N, C)");
    let rows = x.reshape([-1, 1, channels]);
    let squares = rows.bmm(&rows.transpose(1, 2)).view([clouds, 1, points]);
    let starts = (0..points).step_by(usize::try_from(block).expect("a block has a point"));
    let nearest = starts.map(|start| {
        let length = block.min(points - start);
        let distances = distances(x, &squares, start, length);
        let _ = distances.diagonal(start, 1, 2).fill_(f64::NEG_INFINITY);
        at_ranks(&distances.topk(wanted, -1, false, true).1, ranks)
    });
    let mut nearest: Vec<Tensor> = nearest.collect();
    if nearest.len() == 1 { nearest.swap_remove(0) } else { Tensor::cat(&nearest, 1) }
}

/// The columns of (B, N, last rank + 1) at these ranks: a slice where they are every d-th from 0, so that no list of
/// them must reach the device.
fn at_ranks(sorted: &Tensor, ranks: &[i64]) -> Tensor {
    let step = ranks.get(1).map_or(1, |second| (second - ranks[0]).max(1));
    if ranks.iter().zip(0..).all(|(&rank, position)| rank == position * step) {
        return sorted.slice(2, 0, None, step);
    }
    let columns: Vec<Tensor> = ranks.iter().map(|&rank| sorted.select(2, rank)).collect();
    Tensor::stack(&columns, 2)
}

/// |y|² - 2x·y of `length` points of every cloud to all of its points, (B, N, C) → (B, length, N): less |x|², which
/// changes no order, the squares of their distances.
fn distances(x: &Tensor, squares: &Tensor, start: i64, length: i64) -> Tensor {
    let own = x.narrow(1, start, length);
    squares.baddbmm(&own, &x.transpose(1, 2), 1.0, -2.0)
}
