//! `gat` (Velickovic et al. 2018; PyTorch Geometric's `GATConv`), four heads side by side.

use super::{Operator, Rows, bias, with_bias};
use crate::tensor::init::Init;
use crate::tensor::layers::{LEAKY_SLOPE, Linear};
use crate::tensor::links::Links;
use crate::tensor::parameters::{Factor, Path};
use crate::tensor::precision::at_least_single;
use tch::Tensor;

/// Heads, which share the channels evenly.
pub const HEADS: i64 = 4;

/// Of every head h with its share of the channels: y_i = Σ_j w_ij V_h x_j + b_h, w_i = softmax over j of
/// LeakyReLU(a_dst·V_h x_i + a_src·V_h x_j), the node itself included once.
pub struct Attention {
    map: Linear,
    source: Factor,
    target: Factor,
    bias: Factor,
}

impl Attention {
    /// At `path` (`lin.weight`, `att_src`, `att_dst`, `bias`). Panics where the heads can't share the channels evenly:
    /// whoever reads a configuration has checked.
    pub fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        assert_eq!(outputs % HEADS, 0, "the heads share the channels evenly");
        let share = outputs / HEADS;
        let vectors = |name| path.factor(name, &[1, HEADS, share], Init::glorot(HEADS, share));
        Self {
            source: vectors("att_src"),
            target: vectors("att_dst"),
            map: Linear::glorot(&path.sub("lin"), inputs, outputs),
            bias: bias(path, outputs),
        }
    }
}

impl Operator for Attention {
    fn forward(&self, rows: &Rows, links: &Links) -> Tensor {
        let hidden = rows.map(&self.map);
        let apart = hidden.view([links.nodes(), HEADS, -1]);
        // Exponents need fp32.
        let wide = apart.to_kind(at_least_single(hidden.kind()));
        let scores = |vectors: &Factor| (&wide * vectors.tensor()).sum_dim_intlist([2_i64].as_slice(), false, None);
        let (target, source) = (scores(&self.target).unbind(1), scores(&self.source).unbind(1));
        let heads = apart.unbind(1).into_iter().zip(target.iter().zip(&source));
        let attended: Vec<Tensor> = heads
            .map(|(head, (target, source))| {
                links.attention(&head.contiguous(), &target.contiguous(), &source.contiguous(), LEAKY_SLOPE)
            })
            .collect();
        with_bias(Tensor::cat(&attended, 1), &self.bias)
    }
}
