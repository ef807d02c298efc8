//! Dilated nearest neighbours in feature space (Li et al., DeepGCNs, 2019) without a matrix of all distances.

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::tensors;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_nearest(out: *mut *mut C_tensor, x: *const C_tensor, ranks: *const i64, k: i64) -> *mut c_char;
}

/// Neighbours as global row numbers, int64 (B·N, k), of `x` fp32 (B, N, C): of all points by squared distance,
/// ascending (lower number first among equals), those at the k `ranks`; at rank 0 is always the point itself. Runs in
/// fp32 under autocast too.
///
/// # Errors
/// Another type than fp32, another device than the CPU, no ranks, or one beyond the points.
pub fn nearest_neighbours(x: &Tensor, ranks: &[i64]) -> Result<Tensor> {
    // SAFETY: tensor and ranks outlive the call.
    let [out] = tensors(|out| unsafe { sgas_nearest(out, x.as_ptr(), ranks.as_ptr(), ranks.len() as i64) })?;
    Ok(out)
}
