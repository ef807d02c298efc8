//! `semi_gcn` (Kipf and Welling 2017).

use crate::ops::{Input, Map, Mode, Operation, State};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// Every point has k neighbours, so the normalisation is 1/k:
/// y_i = mean over j of h(x_j), the point itself included.
pub struct SemiGcn {
    block: Block,
}

impl SemiGcn {
    /// At `path` (`nn.body...`).
    pub fn new(path: &Path, channels: i64) -> Self {
        Self { block: Block::new(&path.sub("nn"), channels, channels, Activation::Relu, false) }
    }
}

impl Operation<Neighbours> for SemiGcn {
    fn forward(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Tensor {
        let hidden = state.block(&self.block, &state.read(), mode.by_batch_statistics());
        neighbours.mean(&hidden)
    }

    fn maps(&self) -> Vec<Map<'_>> {
        vec![Map::of_block(Input::Features, &self.block)]
    }
}
