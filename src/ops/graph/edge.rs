//! `edge_conv` (Wang et al. 2019).

use crate::ops::{Mode, Operation, State};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::links::Links;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// y_i = max over j of h([x_i, x_j - x_i]), 0 without links.
///
/// With h's map W = [U, V], W·[x_i, x_j - x_i] = (U - V)·x_i + V·x_j: two maps per node instead of one per link.
/// Activation and norm stay per link, because the norm's statistics run over all links.
pub struct EdgeConvolution {
    block: Block,
}

impl EdgeConvolution {
    /// At `path` (`nn.body...`).
    pub fn new(path: &Path, channels: i64) -> Self {
        Self { block: Block::matrix(&path.sub("nn"), 2 * channels, channels, Activation::Relu) }
    }
}

impl Operation<Links> for EdgeConvolution {
    fn forward(&self, state: &State, links: &Links, mode: Mode) -> Tensor {
        let [target, source, _] = self.block.linear.forward_edges(&state.read(), None);
        links.normed_edge_maximum(&target, &source, &self.block.tail.norm, mode.by_batch_statistics())
    }
}
