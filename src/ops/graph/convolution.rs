//! `semi_gcn` (Kipf and Welling 2017).

use super::aggregate;
use crate::ops::{Input, Map, Mode, Operation, Shared, State};
use crate::tensor::layers::{ActivatedNorm, Activation, Linear};
use crate::tensor::links::{Aggregate, Links};
use crate::tensor::mixture::Part;
use crate::tensor::parameters::Path;
use tch::Tensor;

/// y_i = norm(relu(V·sum over j of x_j / sqrt(d_i d_j))), the node itself included once; d counts the links into a node.
pub struct GraphConvolution {
    map: Linear,
    tail: ActivatedNorm,
}

impl GraphConvolution {
    /// At `path` (`gconv.lin`, `unlinear.1`).
    pub fn new(path: &Path, channels: i64) -> Self {
        Self {
            map: Linear::glorot(&path.sub("gconv").sub("lin"), channels, channels),
            tail: ActivatedNorm::new(&path.sub("unlinear").sub(1), channels, Activation::Relu),
        }
    }
}

impl Operation<Links> for GraphConvolution {
    fn forward(&self, state: &State, links: &Links, mode: Mode) -> Tensor {
        self.part(state, links, mode).finish()
    }

    fn part(&self, state: &State, links: &Links, mode: Mode) -> Part<'_> {
        let sum = aggregate(state, links, Aggregate::NormalizedSum);
        state.last_tail(state.map(&self.map, &sum), &self.tail, mode.by_batch_statistics())
    }

    fn shares(&self) -> &'static [Shared] {
        &[Shared::Linked(Aggregate::NormalizedSum)]
    }

    fn maps(&self) -> Vec<Map<'_>> {
        vec![Map::plain(Input::Shared(Shared::Linked(Aggregate::NormalizedSum)), &self.map)]
    }
}
