//! Aggregation along the links of a graph in fused kernels with their own backward passes: sums, means and maxima in
//! one pass, attention, and edge_conv with its norm. Nothing of size (links, channels) is ever stored.
//!
//! Everywhere: features are rows (N, C), one per node; a link leads from its source to its target. fp32 and fp64 are
//! computed as they are, bf16 and fp16 in fp32 and rounded once. CPU only; other devices and wrong shapes are
//! [`crate::error::Error::Torch`]. Results are bit-equal for any number of threads, because each node's row is
//! written by one thread in the order of its links, forward and backward. There is no second derivative: asking for
//! one is an error, not a zero.

use std::ffi::c_char;

use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;

use super::gather::AttentionScores;
use super::norm::BatchNorm;
use super::{some_tensors, tensors};
use crate::error::Result;
use crate::tensor::adjacency::Adjacency;

unsafe extern "C" {
    fn sgas_link_aggregate(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        links: *const *const C_tensor,
        wanted: i64,
    ) -> *mut c_char;
    fn sgas_link_attention(
        out: *mut *mut C_tensor,
        h: *const C_tensor,
        target: *const C_tensor,
        source: *const C_tensor,
        links: *const *const C_tensor,
        slope: f64,
    ) -> *mut c_char;
    fn sgas_link_edge_max_norm(
        out: *mut *mut C_tensor,
        a: *const C_tensor,
        b: *const C_tensor,
        links: *const *const C_tensor,
        norm: *const *const C_tensor,
        training: i32,
        momentum: f64,
        epsilon: f64,
    ) -> *mut c_char;
}

/// What a node can be told of its sources, (N, C) each. For mean and normalised sum every node has exactly one link to
/// itself; sum and maximum run over the links as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// Σ x_j.
    Sum,
    /// The mean of x_j.
    Mean,
    /// Σ x_j / sqrt(d_i d_j), with the degrees d that count the links into a node.
    NormalizedSum,
    /// max x_j - x_i; 0 for a node without links into it.
    RelativeMaximum,
}

impl Aggregate {
    /// All, in the order of the C side.
    pub const ALL: [Self; 4] = [Self::Sum, Self::Mean, Self::NormalizedSum, Self::RelativeMaximum];

    /// A bit for each that is wanted.
    pub(super) fn bits(wanted: &[Self]) -> i64 {
        let bits = Self::ALL.iter().zip(0..).filter(|(which, _)| wanted.contains(which)).map(|(_, bit)| 1_i64 << bit);
        bits.sum()
    }
}

/// The links of a graph as the kernels take them. Only an [`Adjacency`] makes one, so every index is inside.
#[derive(Debug)]
pub struct LinkLists {
    /// In the order of the C side (`LinkTensors` in links.h).
    tensors: [Tensor; 7],
}

impl LinkLists {
    /// On the CPU.
    pub fn new(adjacency: &Adjacency) -> Self {
        let nodes = 0..adjacency.nodes();
        let loops = |node| adjacency.loops_of(node) as f32;
        let excess: Vec<f32> = nodes.clone().map(|node| loops(node) - 1.0).collect();
        let others = |node| adjacency.sources_of(node).len() as f32 - loops(node);
        let root: Vec<f32> = nodes.map(|node| (others(node) + 1.0).sqrt().recip()).collect();
        Self {
            tensors: [
                Tensor::from_slice(adjacency.incoming()),
                Tensor::from_slice(adjacency.sources()),
                Tensor::from_slice(adjacency.outgoing()),
                Tensor::from_slice(adjacency.targets()),
                Tensor::from_slice(adjacency.positions()),
                Tensor::from_slice(&excess),
                Tensor::from_slice(&root),
            ],
        }
    }

    /// The same with every tensor changed: moved, or its memory shared.
    #[must_use]
    pub fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Self {
        Self { tensors: self.tensors.each_ref().map(change) }
    }

    /// Where they are.
    pub fn device(&self) -> Device {
        self.tensors[0].device()
    }

    /// What they were made of; lists that lie elsewhere are waited for.
    pub fn adjacency(&self) -> Adjacency {
        let [incoming, sources, outgoing, targets, positions] =
            std::array::from_fn(|list| Vec::<i32>::try_from(&self.tensors[list]).expect("lists are int32"));
        Adjacency::from_lists(incoming, sources, outgoing, targets, positions)
    }

    /// Nodes N.
    pub fn nodes(&self) -> i64 {
        self.tensors[0].size()[0] - 1
    }

    /// Links E.
    pub fn links(&self) -> i64 {
        self.tensors[1].size()[0]
    }

    /// 1 / sqrt(links from others + 1), fp32 (N).
    pub fn root(&self) -> &Tensor {
        &self.tensors[6]
    }

    /// Links into every node, fp32 (N).
    pub fn count_into(&self) -> Tensor {
        let (bounds, nodes) = (&self.tensors[0], self.nodes());
        (bounds.narrow(0, 1, nodes) - bounds.narrow(0, 0, nodes)).to_kind(Kind::Float)
    }

    /// Links from every node to itself, fp32 (N).
    pub fn count_loops(&self) -> Tensor {
        &self.tensors[5] + 1.0
    }

    pub(super) fn pointers(&self) -> [*const C_tensor; 7] {
        self.tensors.each_ref().map(|tensor| tensor.as_ptr())
    }
}

/// The links as operators of libtorch take them: int64.
#[derive(Debug)]
pub struct PlainLists {
    /// In the order of the C side (`Lists` in composed_links.cpp).
    tensors: [Tensor; 6],
    /// The nodes that no link leads into, bool (N, 1), where there are any.
    unreached: Option<Tensor>,
}

impl PlainLists {
    /// On the CPU.
    pub fn new(adjacency: &Adjacency) -> Self {
        let wide = |numbers: &[i32]| Tensor::from_slice(numbers).to_kind(Kind::Int64);
        let targets: Vec<i32> =
            (0..adjacency.nodes()).flat_map(|node| vec![node as i32; adjacency.sources_of(node).len()]).collect();
        let unreached: Vec<bool> = (0..adjacency.nodes()).map(|node| adjacency.sources_of(node).is_empty()).collect();
        Self {
            unreached: unreached.contains(&true).then(|| Tensor::from_slice(&unreached).unsqueeze(1)),
            tensors: [
                wide(adjacency.incoming()),
                wide(adjacency.sources()),
                wide(&targets),
                wide(adjacency.outgoing()),
                wide(adjacency.positions()),
                wide(adjacency.targets()),
            ],
        }
    }

    /// The same with every tensor changed: moved, or its memory shared.
    #[must_use]
    pub fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Self {
        Self { unreached: self.unreached.as_ref().map(&change), tensors: self.tensors.each_ref().map(change) }
    }

    pub(super) fn pointers(&self) -> [*const C_tensor; 7] {
        let mut pointers = [std::ptr::null(); 7];
        for (pointer, tensor) in pointers.iter_mut().zip(self.tensors.iter().chain(&self.unreached)) {
            *pointer = tensor.as_ptr();
        }
        pointers
    }
}

/// The wanted aggregates of `x` (N, C), in the order of [`Aggregate::ALL`].
pub fn aggregate(x: &Tensor, links: &LinkLists, wanted: &[Aggregate]) -> Result<[Option<Tensor>; 4]> {
    let (bits, lists) = (Aggregate::bits(wanted), links.pointers());
    // SAFETY: the tensors outlive the call, and `lists` holds the seven that the function reads.
    some_tensors(|out| unsafe { sgas_link_aggregate(out, x.as_ptr(), lists.as_ptr(), bits) })
}

/// Σ_j w_ij h_j over the links into a node, which has exactly one to itself, with w_i = softmax_j(LeakyReLU(t_i + s_j)),
/// (N, C): one head of graph attention (Veličković et al., 2018). Softmax runs in fp32 at least.
pub fn attention(h: &Tensor, scores: &AttentionScores, links: &LinkLists, negative_slope: f64) -> Result<Tensor> {
    let (target, source, lists) = (scores.target.as_ptr(), scores.source.as_ptr(), links.pointers());
    // SAFETY: the tensors outlive the call, and `lists` holds the seven that the function reads.
    let [out] =
        tensors(|out| unsafe { sgas_link_attention(out, h.as_ptr(), target, source, lists.as_ptr(), negative_slope) })?;
    Ok(out)
}

/// max_j norm(ReLU(a_i + b_j)) over the links into a node, 0 for one without, (N, C); the norm's statistics run over all
/// links. What follows the linear map in edge_conv, with `a` and `b` its shares of target and source, (N, C) each.
pub fn edge_max_norm(a: &Tensor, b: &Tensor, links: &LinkLists, norm: &BatchNorm) -> Result<Tensor> {
    let (places, lists, training) = (norm.tensors(), links.pointers(), i32::from(norm.training));
    // SAFETY: the tensors outlive the call; `lists` and `places` hold the seven and four that the function reads.
    let [out] = tensors(|out| unsafe {
        sgas_link_edge_max_norm(
            out,
            a.as_ptr(),
            b.as_ptr(),
            lists.as_ptr(),
            places.as_ptr(),
            training,
            norm.momentum,
            norm.epsilon,
        )
    })?;
    Ok(out)
}
