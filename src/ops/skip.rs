//! `skip_connect`: the identity, in every space.

use crate::ops::{Mode, Operation, State};
use tch::Tensor;

/// y = x.
pub struct Skip;

impl<C> Operation<C> for Skip {
    fn forward(&self, state: &State, _: &C, _: Mode) -> Tensor {
        state.read()
    }

    fn is_identity(&self) -> bool {
        true
    }
}
