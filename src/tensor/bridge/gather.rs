//! Gathers over the neighbours of a point in fused kernels with their own backward passes: maximum, sum,
//! weighted sum, attention. Nothing of size (points · k, channels) is ever stored.
//!
//! Everywhere: features are rows (R, C) of `clouds` clouds of equal size; `neighbours` are int64 (R, k), k at
//! most 255, global row numbers inside the point's own cloud, its first column the point itself. fp32 and fp64
//! are computed as they are, bf16 and fp16 in fp32 and rounded once. CPU only; other devices, wrong shapes and
//! indices outside the cloud are [`crate::error::Error::Torch`]. Results are bit-equal for any number of
//! threads. There is no second derivative: asking for one is an error, not a zero.

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::tensors;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_gather_max(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        neighbours: *const C_tensor,
        clouds: i64,
        skip_self: i32,
    ) -> *mut c_char;
    fn sgas_gather_sum(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        neighbours: *const C_tensor,
        clouds: i64,
        skip_self: i32,
        factor: f64,
    ) -> *mut c_char;
    fn sgas_attention(
        out: *mut *mut C_tensor,
        h: *const C_tensor,
        target: *const C_tensor,
        source: *const C_tensor,
        neighbours: *const C_tensor,
        clouds: i64,
        slope: f64,
    ) -> *mut c_char;
}

/// Whom a point's neighbour list is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPoint {
    /// All k columns.
    Kept,
    /// All but the first, which is the point itself.
    Skipped,
}

impl OwnPoint {
    pub(super) fn skipped(self) -> i32 {
        i32::from(self == Self::Skipped)
    }
}

/// A batch's neighbour graph, as all kernels take it.
#[derive(Debug)]
pub struct Neighbourhood<'a> {
    /// Global row numbers, int64 (R, k), contiguous.
    pub neighbours: &'a Tensor,
    /// The number of clouds B; each has R / B points.
    pub clouds: i64,
}

/// max_j x_j per channel, (R, C); the gradient goes to the first of equal values.
pub fn gather_max(x: &Tensor, graph: &Neighbourhood, own: OwnPoint) -> Result<Tensor> {
    let Neighbourhood { neighbours, clouds } = graph;
    // SAFETY: the tensors outlive the call.
    let [out] =
        tensors(|out| unsafe { sgas_gather_max(out, x.as_ptr(), neighbours.as_ptr(), *clouds, own.skipped()) })?;
    Ok(out)
}

/// Σ_j x_j, (R, C).
pub fn gather_sum(x: &Tensor, graph: &Neighbourhood, own: OwnPoint) -> Result<Tensor> {
    scaled_sum(x, graph, own, 1.0)
}

/// The mean of x_j over all k neighbours, (R, C).
pub fn gather_mean(x: &Tensor, graph: &Neighbourhood) -> Result<Tensor> {
    scaled_sum(x, graph, OwnPoint::Kept, 1.0 / graph.neighbours.size()[1] as f64)
}

fn scaled_sum(x: &Tensor, graph: &Neighbourhood, own: OwnPoint, factor: f64) -> Result<Tensor> {
    let Neighbourhood { neighbours, clouds } = graph;
    // SAFETY: the tensors outlive the call.
    let [out] = tensors(|out| unsafe {
        sgas_gather_sum(out, x.as_ptr(), neighbours.as_ptr(), *clouds, own.skipped(), factor)
    })?;
    Ok(out)
}

/// The two halves of graph attention's a·[h_i, h_j], each (R).
#[derive(Debug)]
pub struct AttentionScores<'a> {
    /// t_i = a_target · h_i.
    pub target: &'a Tensor,
    /// s_j = a_source · h_j.
    pub source: &'a Tensor,
}

/// Σ_j w_ij h_j with w_i = softmax_j(LeakyReLU(t_i + s_j)) over all k neighbours, (R, C): one head of graph
/// attention (Veličković et al., 2018). Softmax runs in fp32 at least, whatever type `h` has.
pub fn attention(h: &Tensor, scores: &AttentionScores, graph: &Neighbourhood, negative_slope: f64) -> Result<Tensor> {
    let Neighbourhood { neighbours, clouds } = graph;
    let (target, source) = (scores.target.as_ptr(), scores.source.as_ptr());
    // SAFETY: the tensors outlive the call.
    let [out] = tensors(|out| unsafe {
        sgas_attention(out, h.as_ptr(), target, source, neighbours.as_ptr(), *clouds, negative_slope)
    })?;
    Ok(out)
}
