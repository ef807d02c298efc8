//! `gin` (Xu et al. 2019).

use super::aggregate;
use crate::ops::{Mode, Operation, Shared, State};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::links::{Aggregate, Links};
use crate::tensor::mixture::Part;
use crate::tensor::parameters::Path;
use tch::{Kind, Tensor};

/// y_i = h((1 + eps)·x_i + sum over j of x_j); eps is a constant 0 that the reference keeps as a buffer.
pub struct GraphIsomorphism {
    block: Block,
    epsilon: Tensor,
}

impl GraphIsomorphism {
    /// At `path` (`eps`, `nn.body...`).
    pub fn new(path: &Path, channels: i64) -> Self {
        let block = Block::matrix(&path.sub("nn"), channels, channels, Activation::Relu);
        Self { block, epsilon: path.buffer("eps", Tensor::zeros([1], (Kind::Float, path.device()))) }
    }
}

impl Operation<Links> for GraphIsomorphism {
    fn forward(&self, state: &State, links: &Links, mode: Mode) -> Tensor {
        self.part(state, links, mode).finish()
    }

    fn part(&self, state: &State, links: &Links, mode: Mode) -> Part<'_> {
        let sum = aggregate(state, links, Aggregate::Sum);
        // 0-dimensional, or a half activation would be promoted.
        let own = &state.read() * (&self.epsilon + 1.0).squeeze();
        state.last_block(&self.block, &(own + sum), mode.by_batch_statistics())
    }

    fn shares(&self) -> &'static [Shared] {
        &[Shared::Linked(Aggregate::Sum)]
    }
}
