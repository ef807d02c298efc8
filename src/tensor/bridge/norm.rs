//! Batch norm behind a (leaky) ReLU in fused kernels with their own backward passes: over rows, and over the pairs of
//! edge_conv before their maximum. Types, devices, errors and threads as in [`super::gather`].

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::gather::{Neighbourhood, OwnPoint};
use super::tensors;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_relu_norm(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        leak: f64,
        norm: *const *const C_tensor,
        training: i32,
        momentum: f64,
        epsilon: f64,
    ) -> *mut c_char;
    fn sgas_edge_max_norm(
        out: *mut *mut C_tensor,
        a: *const C_tensor,
        b: *const C_tensor,
        neighbours: *const C_tensor,
        clouds: i64,
        skip_self: i32,
        norm: *const *const C_tensor,
        training: i32,
        momentum: f64,
        epsilon: f64,
    ) -> *mut c_char;
}

/// A batch norm's tensors, (C) each, and settings; the meaning is libtorch's `batch_norm`.
#[derive(Debug, Clone)]
pub struct BatchNorm<'a> {
    /// Scale; may be negative. Kernels before a maximum or behind a ReLU want one.
    pub weight: Option<&'a Tensor>,
    /// Offset, where there is a scale.
    pub bias: Option<&'a Tensor>,
    /// Moved in place in training, used in evaluation.
    pub running_mean: &'a Tensor,
    /// Moved in place (by the unbiased variance) in training, used in evaluation.
    pub running_var: &'a Tensor,
    /// Whether the statistics are the batch's own.
    pub training: bool,
    /// The share of the batch in the moved running statistics.
    pub momentum: f64,
    /// What is added to the variance.
    pub epsilon: f64,
}

impl BatchNorm<'_> {
    /// In the order of the C side; null where there is none.
    pub(super) fn tensors(&self) -> [*const C_tensor; 4] {
        [self.weight, self.bias, Some(self.running_mean), Some(self.running_var)]
            .map(|tensor| tensor.map_or(std::ptr::null(), |tensor| tensor.as_ptr()))
    }
}

/// Batch norm of leaky ReLU(x) over the rows of `x` (R, C); `leak` is the slope below zero, 0 for ReLU.
pub fn relu_norm(x: &Tensor, leak: f64, norm: &BatchNorm) -> Result<Tensor> {
    let (places, training) = (norm.tensors(), i32::from(norm.training));
    // SAFETY: the tensors outlive the call, and `places` holds the four that the function reads.
    let [out] = tensors(|out| unsafe {
        sgas_relu_norm(out, x.as_ptr(), leak, places.as_ptr(), training, norm.momentum, norm.epsilon)
    })?;
    Ok(out)
}

/// max_j norm(ReLU(a_i + b_j)), (R, C), where the norm's statistics run over all pairs (i, j): what follows the
/// linear map in edge_conv, with `a` and `b` its shares of the point and of the neighbour, (R, C) each.
pub fn edge_max_norm(a: &Tensor, b: &Tensor, graph: &Neighbourhood, own: OwnPoint, norm: &BatchNorm) -> Result<Tensor> {
    let (places, training) = (norm.tensors(), i32::from(norm.training));
    let neighbours = graph.neighbours.as_ptr();
    // SAFETY: the tensors outlive the call, and `places` holds the four that the function reads.
    let [out] = tensors(|out| unsafe {
        sgas_edge_max_norm(
            out,
            a.as_ptr(),
            b.as_ptr(),
            neighbours,
            graph.clouds,
            own.skipped(),
            places.as_ptr(),
            training,
            norm.momentum,
            norm.epsilon,
        )
    })?;
    Ok(out)
}
