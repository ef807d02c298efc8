//! `mr_conv` (Li et al. 2019, DeepGCNs).

use super::aggregate;
use crate::ops::{Input, Map, Mode, Operation, Shared, State};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::links::{Aggregate, Links};
use crate::tensor::mixture::Part;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// y_i = h([x_i, max over j of (x_j - x_i)]), the maximum 0 without links.
pub struct MaxRelativeConvolution {
    block: Block,
}

impl MaxRelativeConvolution {
    /// At `path` (`nn.body...`).
    pub fn new(path: &Path, channels: i64) -> Self {
        Self { block: Block::matrix(&path.sub("nn"), 2 * channels, channels, Activation::Relu) }
    }
}

impl Operation<Links> for MaxRelativeConvolution {
    fn forward(&self, state: &State, links: &Links, mode: Mode) -> Tensor {
        self.part(state, links, mode).finish()
    }

    fn part(&self, state: &State, links: &Links, mode: Mode) -> Part<'_> {
        let relative = aggregate(state, links, Aggregate::RelativeMaximum);
        state.last_block_of_pair(&self.block, &relative, mode.by_batch_statistics())
    }

    fn shares(&self) -> &'static [Shared] {
        &[Shared::Linked(Aggregate::RelativeMaximum)]
    }

    fn maps(&self) -> Vec<Map<'_>> {
        vec![Map::of_last_block(Input::Joined(Shared::Linked(Aggregate::RelativeMaximum)), &self.block)]
    }
}
