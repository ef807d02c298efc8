//! Dilated k-nearest-neighbour graphs over points or features, and gathers along them (docs/method.md, "Networks").
//!
//! Features are rows (R, C) with R = B·N; neighbours are row numbers. On a CPU the bridge's fused kernels do the
//! work, elsewhere plain tensor operations, of which kernels of ours for CUDA take the dearest; all are the same function,
//! which the tests of the kernels hold.

use crate::tensor::bridge::autocast::Autocast;
use crate::tensor::bridge::gather::{self, AttentionScores, Neighbourhood, OwnPoint};
use crate::tensor::bridge::native::{self as kernels, List, MOST_NEIGHBOURS, Transposed};
use crate::tensor::bridge::nearest::nearest_neighbours;
use crate::tensor::bridge::norm::edge_max_norm;
use crate::tensor::bridge::operators::leaky_relu;
use crate::tensor::fused::{done, is_fused};
use crate::tensor::layers::BatchNorm;
use crate::tensor::native::{self, Family};
use crate::tensor::nearest::{every, nearest_in_blocks, points_per_block};
use crate::tensor::precision::at_least_single;
use std::cell::{OnceCell, RefCell};
use tch::{Device, Kind, Tensor};

/// The neighbours of every point of a batch of clouds.
pub struct Neighbours {
    /// Row numbers int64 (R, k), all inside the point's own cloud; column 0 is the point itself.
    pub rows: Tensor,
    /// Clouds B in the batch.
    pub clouds: i64,
    /// The same without column 0, from the first tensor operation that asks.
    others: OnceCell<Tensor>,
    /// Both the other way round, from the first gradient that a kernel will take.
    transposed: [OnceCell<Transposed>; 2],
}

impl Neighbours {
    /// Of row numbers int64 (R, k), the point itself first.
    pub fn new(rows: Tensor, clouds: i64) -> Self {
        Self { rows, clouds, others: OnceCell::new(), transposed: [const { OnceCell::new() }; 2] }
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
        let as_they_are = rows.detach().view([clouds, -1, rows.size()[1]]);
        let block = points_per_block(&as_they_are);
        if native::serves(Family::Neighbours, rows) && kernels::selects(as_they_are.size()[1], ranks) {
            return Self::new(done(native::nearest(&as_they_are, ranks, block)), clouds);
        }
        if is_fused(rows) {
            let features = as_they_are.to_kind(Kind::Float);
            return Self::new(done(nearest_neighbours(&features, ranks)), clouds);
        }
        let features = as_they_are.to_kind(at_least_single(rows.kind()));
        Self::from_local(&nearest_in_blocks(&features, ranks, block))
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
        if self.is_native(x, itself) {
            return done(kernels::neighbour_sum(x, None, &self.list(x, itself), 1.0));
        }
        summed(&self.gather(x, itself))
    }

    /// Mean over all neighbours, (R, C).
    pub fn mean(&self, x: &Tensor) -> Tensor {
        if is_fused(x) {
            return done(gather::gather_mean(x, &self.graph()));
        }
        if native::serves(Family::Neighbours, x) {
            return done(kernels::neighbour_sum(x, None, &self.list(x, OwnPoint::Kept), 1.0 / self.k() as f64));
        }
        self.gather(x, OwnPoint::Kept).mean_dim([1_i64].as_slice(), false, None)
    }

    /// Maximum over the neighbours, (R, C).
    pub fn maximum(&self, x: &Tensor, itself: OwnPoint) -> Tensor {
        if is_fused(x) {
            return done(gather::gather_max(x, &self.graph(), itself));
        }
        if self.is_native(x, itself) {
            return done(kernels::neighbour_maximum(x, &self.list(x, itself)));
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
        let weights = leaky_relu(&scores, slope).softmax(-1, at_least_single(scores.kind()));
        if native::serves(Family::Neighbours, x) {
            return done(kernels::neighbour_sum(x, Some(&weights), &self.list(x, OwnPoint::Kept), 1.0));
        }
        weights.to_kind(x.kind()).unsqueeze(1).bmm(&self.gather(x, OwnPoint::Kept)).squeeze_dim(1)
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
        let is_whole = !norm.is_synchronised(training);
        if is_whole && is_fused(target) {
            return done(edge_max_norm(target, source, &self.graph(), itself, &norm.in_bridge(training)));
        }
        let is_alike = target.kind() == source.kind() && !norm.is_plain();
        if is_whole && is_alike && self.is_native(target, itself) {
            return done(kernels::edge_maximum(target, source, &self.list(source, itself), &norm.in_bridge(training)));
        }
        let pairs = (target.unsqueeze(1) + self.gather(source, itself)).relu();
        norm.forward(&pairs.flatten(0, 1), training).view_as(&pairs).max_dim(1, false).0
    }

    /// Features of the neighbours, (R, k, C), or (R, k - 1, C) without the point itself.
    ///
    /// As an embedding, because its gradient is one operator, sums in fp32 whatever the type, and does so in the same
    /// order at every run; that of `index_select` adds up in the type of the features, in any order on a GPU.
    pub fn gather(&self, x: &Tensor, itself: OwnPoint) -> Tensor {
        if native::serves(Family::Neighbours, x) {
            return done(kernels::gather(x, &self.list(x, itself)));
        }
        Tensor::embedding(x, self.rows_of(itself), -1, false, false)
    }

    /// Whether kernels of ours for CUDA take these features along these neighbours.
    fn is_native(&self, x: &Tensor, itself: OwnPoint) -> bool {
        native::serves(Family::Neighbours, x) && (1..=MOST_NEIGHBOURS).contains(&self.rows_of(itself).size()[1])
    }

    fn rows_of(&self, itself: OwnPoint) -> &Tensor {
        match itself {
            OwnPoint::Kept => &self.rows,
            OwnPoint::Skipped => self.others.get_or_init(|| self.rows.narrow(1, 1, self.k() - 1).contiguous()),
        }
    }

    /// As kernels take it for `x`.
    fn list(&self, x: &Tensor, itself: OwnPoint) -> List<'_> {
        let rows = self.rows_of(itself);
        let transposed = &self.transposed[usize::from(itself == OwnPoint::Kept)];
        let transposed = || transposed.get_or_init(|| done(Transposed::of(rows, self.clouds)));
        List { rows, transposed: x.requires_grad().then(transposed) }
    }
}

/// Sum over the neighbours, (R, k, C) → (R, C), of the same type; it is made in fp32. CUDA's autocast would put it out in
/// fp32 too, and all that follows would be fp32.
fn summed(x: &Tensor) -> Tensor {
    let _as_they_come = done(Autocast::disabled(x.device()));
    x.sum_dim_intlist([1_i64].as_slice(), false, None)
}

/// The first row of every cloud, int64 (B, 1, 1). They are the same at every search of a run, and kept for good: what was
/// recorded as a CUDA graph goes on reading them.
fn first_rows(clouds: i64, points: i64, device: Device) -> Tensor {
    thread_local! {
        static KNOWN: RefCell<Vec<(i64, i64, Tensor)>> = const { RefCell::new(Vec::new()) };
    }
    KNOWN.with_borrow_mut(|known| {
        let same = known.iter().find(|(of, size, first)| (*of, *size, first.device()) == (clouds, points, device));
        if let Some((_, _, first)) = same {
            return first.shallow_clone();
        }
        let first = Tensor::arange(clouds, (Kind::Int64, device)).view([clouds, 1, 1]) * points;
        known.push((clouds, points, first.shallow_clone()));
        first
    })
}
