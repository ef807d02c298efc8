//! `mr_conv` (Li et al. 2019, DeepGCNs).

use crate::ops::{Input, Map, Mode, Operation, Shared, State};
use crate::tensor::bridge::gather::OwnPoint;
use crate::tensor::layers::{Activation, Block};
use crate::tensor::mixture::Part;
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
        self.part(state, neighbours, mode).finish()
    }

    fn part(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Part<'_> {
        let relative = state.shared(Shared::RelativeMaximum, |x| neighbours.maximum(x, OwnPoint::Skipped) - x);
        state.last_block_of_pair(&self.block, &relative, mode.by_batch_statistics())
    }

    fn maps(&self) -> Vec<Map<'_>> {
        vec![Map::of_last_block(Input::Joined(Shared::RelativeMaximum), &self.block)]
    }
}
