//! `gin` (Xu et al. 2019).

use crate::ops::{Mode, Operation, Shared, State};
use crate::tensor::bridge::gather::OwnPoint;
use crate::tensor::layers::{Activation, Block};
use crate::tensor::mixture::Part;
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::Path;
use tch::{Kind, Tensor};

/// y_i = h((1 + eps)·x_i + sum over j ≠ i of x_j); eps is a constant 0 that the reference keeps as a buffer.
pub struct GraphIsomorphism {
    block: Block,
    epsilon: Tensor,
}

impl GraphIsomorphism {
    /// At `path` (`eps`, `nn.body...`).
    pub fn new(path: &Path, channels: i64) -> Self {
        let block = Block::new(&path.sub("nn"), channels, channels, Activation::Relu, false);
        Self { block, epsilon: path.buffer("eps", Tensor::zeros([1], (Kind::Float, path.device()))) }
    }
}

impl Operation<Neighbours> for GraphIsomorphism {
    fn forward(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Tensor {
        self.part(state, neighbours, mode).finish()
    }

    fn part(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Part<'_> {
        let sum = state.shared(Shared::NeighbourSum, |x| neighbours.sum(x, OwnPoint::Skipped));
        // 0-dimensional, or a half activation would be promoted.
        let own = &state.read() * (&self.epsilon + 1.0).squeeze();
        state.last_block(&self.block, &(own + sum), mode.by_batch_statistics())
    }
}
