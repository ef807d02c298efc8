//! `gat` (Velickovic et al. 2018), one head.

use crate::ops::{Input, Map, Mode, Operation, State};
use crate::tensor::init::Init;
use crate::tensor::layers::{ActivatedNorm, Activation, LEAKY_SLOPE, Linear, scores};
use crate::tensor::links::Links;
use crate::tensor::mixture::Part;
use crate::tensor::parameters::{Factor, Path};
use tch::Tensor;

/// z_i = sum over j of w_ij·V x_j, w_i = softmax over j of LeakyReLU(a_dst·V x_i + a_src·V x_j), the node itself
/// included once; y = norm(relu(z)).
pub struct GraphAttention {
    map: Linear,
    target: Factor,
    source: Factor,
    tail: ActivatedNorm,
}

impl GraphAttention {
    /// At `path` (`gconv.lin`, `gconv.att_src`, `gconv.att_dst`, `unlinear.1`).
    pub fn new(path: &Path, channels: i64) -> Self {
        let gconv = path.sub("gconv");
        // Glorot over the last two dimensions, 1 and C.
        let vector = |name| gconv.factor(name, &[1, 1, channels], Init::glorot(1, channels));
        Self {
            source: vector("att_src"),
            target: vector("att_dst"),
            map: Linear::glorot(&gconv.sub("lin"), channels, channels),
            tail: ActivatedNorm::new(&path.sub("unlinear").sub(1), channels, Activation::Relu),
        }
    }
}

impl Operation<Links> for GraphAttention {
    fn forward(&self, state: &State, links: &Links, mode: Mode) -> Tensor {
        self.part(state, links, mode).finish()
    }

    fn part(&self, state: &State, links: &Links, mode: Mode) -> Part<'_> {
        let hidden = state.map(&self.map, &state.read());
        let vectors = Tensor::cat(&[self.target.tensor(), self.source.tensor()], 0).squeeze_dim(1);
        let [target, source] = scores(&hidden, &vectors);
        let attended = links.attention(&hidden, &target, &source, LEAKY_SLOPE);
        state.last_tail(attended, &self.tail, mode.by_batch_statistics())
    }

    fn maps(&self) -> Vec<Map<'_>> {
        vec![Map::plain(Input::Features, &self.map)]
    }
}
