//! Dilated nearest neighbours in feature space (Li et al., DeepGCNs, 2019) without a matrix of all distances.

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::tensors;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_nearest(out: *mut *mut C_tensor, x: *const C_tensor, k: i64, dilation: i64) -> *mut c_char;
}

/// Neighbours as global row numbers, int64 (B·N, k), of `x` fp32 (B, N, C): of the k · `dilation` nearest in
/// squared distance, ascending (lower number first among equals), every `dilation`-th; the first is always the
/// point itself. Runs in fp32 under autocast too.
///
/// # Errors
/// Another type than fp32, another device than the CPU, or fewer than k · `dilation` points.
pub fn nearest_neighbours(x: &Tensor, k: i64, dilation: i64) -> Result<Tensor> {
    // SAFETY: the tensor outlives the call.
    let [out] = tensors(|out| unsafe { sgas_nearest(out, x.as_ptr(), k, dilation) })?;
    Ok(out)
}
