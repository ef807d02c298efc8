//! `gat` (Velickovic et al. 2018), one head.

use crate::ops::{Input, Map, Mode, Operation, State};
use crate::tensor::init::Init;
use crate::tensor::layers::{Activation, Block, LEAKY_SLOPE, scores};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::{Factor, Path};
use tch::Tensor;

/// y_i = sum over j of w_ij·h(x_j), w_i = softmax over j of LeakyReLU(a·[h(x_i), h(x_j)]), the point itself
/// included. The product with a splits into one score per point as target and one as source.
pub struct GraphAttention {
    block: Block,
    attention: Factor,
}

impl GraphAttention {
    /// At `path` (`att`, `nn.body...`).
    pub fn new(path: &Path, channels: i64) -> Self {
        let block = Block::new(&path.sub("nn"), channels, channels, Activation::Relu, false);
        // Glorot over the last two dimensions, which are 1 and 1.
        let init = Init::Uniform { bound: 3.0_f64.sqrt() };
        Self { block, attention: path.factor("att", &[1, 2 * channels, 1, 1], init) }
    }
}

impl Operation<Neighbours> for GraphAttention {
    fn forward(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Tensor {
        let hidden = state.block(&self.block, &state.read(), mode.by_batch_statistics());
        // (2, C): the target's half and the source's half.
        let attention = self.attention.tensor().view([2, -1]);
        let [target, source] = scores(&hidden, &attention);
        neighbours.attention(&hidden, &target, &source, LEAKY_SLOPE)
    }

    fn maps(&self) -> Vec<Map<'_>> {
        vec![Map::of_block(Input::Features, &self.block)]
    }
}
