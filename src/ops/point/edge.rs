//! `edge_conv` (Wang et al. 2019).

use crate::ops::{Mode, Operation, State};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// y_i = max over j ≠ i of h([x_i, x_j - x_i]).
///
/// With h's map W = [U, V], W·[x_i, x_j - x_i] = (U - V)·x_i + V·x_j: two maps per point instead of one per
/// pair. Activation and norm stay per pair, because the norm's statistics run over all pairs.
pub struct EdgeConvolution {
    block: Block,
}

impl EdgeConvolution {
    /// At `path` (`nn.body...`).
    pub fn new(path: &Path, channels: i64) -> Self {
        Self { block: Block::new(&path.sub("nn"), 2 * channels, channels, Activation::Relu, false) }
    }
}

impl Operation<Neighbours> for EdgeConvolution {
    fn forward(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Tensor {
        let [own, other] = self.block.linear.halves();
        let none = None::<Tensor>;
        let target = state.features.linear(&(own - &other), none.as_ref());
        let source = state.features.linear(&other, none.as_ref());
        neighbours.normed_edge_maximum(&target, &source, &self.block.tail.norm, mode.is_training())
    }
}
