//! What a strategy puts around the primitives of a supernet: noise, dropout, a scale.

use crate::ops::{Map, Mode, Operation, Shared, State};
use std::rc::Rc;
use tch::Tensor;

/// Changes what primitives give, in any space.
pub trait Wrapping {
    /// From a primitive's name, its input and its output, features of the space each, to what its edge gets.
    fn around(&self, primitive: &str, input: &Tensor, output: Tensor, mode: Mode) -> Tensor;
}

struct Wrapped<C> {
    inner: Box<dyn Operation<C>>,
    primitive: String,
    wrapping: Rc<dyn Wrapping>,
}

/// A primitive with something around it.
pub fn wrapped<C: 'static>(
    inner: Box<dyn Operation<C>>,
    primitive: &str,
    wrapping: Rc<dyn Wrapping>,
) -> Box<dyn Operation<C>> {
    Box::new(Wrapped { inner, primitive: primitive.to_owned(), wrapping })
}

impl<C> Operation<C> for Wrapped<C> {
    fn forward(&self, state: &State, context: &C, mode: Mode) -> Tensor {
        let output = self.inner.forward(state, context, mode);
        self.wrapping.around(&self.primitive, &state.features, output, mode)
    }

    fn shares(&self) -> &'static [Shared] {
        self.inner.shares()
    }

    fn maps(&self) -> Vec<Map<'_>> {
        self.inner.maps()
    }
}
