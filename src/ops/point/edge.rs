//! `edge_conv` (Wang et al. 2019).

use crate::ops::{Mode, Operation, State};
use crate::tensor::bridge::gather::OwnPoint;
use crate::tensor::layers::{Activation, Block};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// y_i = max over the neighbours j of h([x_i, x_j - x_i]); in cells without i itself.
///
/// With h's map W = [U, V], W·[x_i, x_j - x_i] = (U - V)·x_i + V·x_j: two maps per point instead of one per
/// pair. Activation and norm stay per pair, because the norm's statistics run over all pairs.
pub struct EdgeConvolution {
    block: Block,
    itself: OwnPoint,
}

impl EdgeConvolution {
    /// The primitive of cells, at `path` (`nn.body...`).
    pub fn new(path: &Path, channels: i64) -> Self {
        let block = Block::new(&path.sub("nn"), 2 * channels, channels, Activation::Relu, false);
        Self::between(block, OwnPoint::Skipped)
    }

    /// With `block` as h, and with or without the first of the neighbours.
    pub fn between(block: Block, itself: OwnPoint) -> Self {
        Self { block, itself }
    }

    /// Features of the points, (R, C) → (R, C_out).
    pub fn forward_rows(&self, x: &Tensor, neighbours: &Neighbours, training: bool) -> Tensor {
        let [target, source] = self.block.linear.forward_edges(x);
        neighbours.normed_edge_maximum(&target, &source, self.itself, &self.block.tail.norm, training)
    }
}

impl Operation<Neighbours> for EdgeConvolution {
    fn forward(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Tensor {
        self.forward_rows(&state.features, neighbours, mode.is_training())
    }
}
