//! `mr_conv` (Li et al. 2019, DeepGCNs).

use crate::ops::{Mode, Operation, Shared, State};
use crate::tensor::bridge::gather::OwnPoint;
use crate::tensor::layers::{Activation, Block};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// y_i = h([x_i, max over j ≠ i of (x_j - x_i)]); the maximum is (max over j of x_j) - x_i.
pub struct MaxRelativeConvolution {
    block: Block,
}

impl MaxRelativeConvolution {
    /// At `path` (`nn.body...`).
    pub fn new(path: &Path, channels: i64) -> Self {
        Self { block: Block::new(&path.sub("nn"), 2 * channels, channels, Activation::Relu, false) }
    }
}

impl Operation<Neighbours> for MaxRelativeConvolution {
    fn forward(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Tensor {
        let maximum = state.shared(Shared::NeighbourMaximum, |x| neighbours.maximum(x, OwnPoint::Skipped));
        let relative = maximum - &state.features;
        self.block.forward(&Tensor::cat(&[&state.features, &relative], 1), mode.is_training())
    }
}
