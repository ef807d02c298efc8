//! A block on every row, in the spaces of points and graphs: `conv_1x1`, and what brings a cell's inputs to its width.

use crate::ops::{Input, Map, Mode, Operation, State};
use crate::tensor::layers::Block;
use crate::tensor::mixture::Part;
use tch::Tensor;

/// y_i = h(x_i).
pub struct RowBlock(pub Block);

impl<C> Operation<C> for RowBlock {
    fn forward(&self, state: &State, context: &C, mode: Mode) -> Tensor {
        self.part(state, context, mode).finish()
    }

    fn part(&self, state: &State, _: &C, mode: Mode) -> Part<'_> {
        state.last_block(&self.0, &state.read(), mode.by_batch_statistics())
    }

    fn maps(&self) -> Vec<Map<'_>> {
        vec![Map::of_last_block(Input::Features, &self.0)]
    }
}
