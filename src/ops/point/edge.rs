//! `edge_conv` (Wang et al. 2019).

use crate::ops::{Mode, Operation, State};
use crate::tensor::bridge::gather::OwnPoint;
use crate::tensor::layers::{Activation, Block, Linear, PreparedPair};
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

    /// The map of pairs.
    pub fn map(&self) -> &Linear {
        &self.block.linear
    }

    /// Features of the points, (R, C) → (R, C_out); and x for what else reads it. `prepared` is the map's, where it has
    /// one.
    pub fn forward_rows(
        &self,
        x: &Tensor,
        prepared: Option<&PreparedPair>,
        neighbours: &Neighbours,
        training: bool,
    ) -> [Tensor; 2] {
        let [target, source, x] = self.block.linear.forward_edges(x, prepared);
        [neighbours.normed_edge_maximum(&target, &source, self.itself, &self.block.tail.norm, training), x]
    }
}

impl Operation<Neighbours> for EdgeConvolution {
    fn forward(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Tensor {
        let [output, _] = self.forward_rows(&state.read(), None, neighbours, mode.by_batch_statistics());
        output
    }
}
