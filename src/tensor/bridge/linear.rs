//! Linear maps of rows by small matrices.

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::tensors;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_linear(out: *mut *mut C_tensor, x: *const C_tensor, weight: *const C_tensor) -> *mut c_char;
}

/// x·Wᵀ: (..., C_in) and (C_out, C_in) → (..., C_out). Up to 64 channels on either side, in fp32, it is a kernel of
/// ours, whose results are bit-equal for any number of threads; else, and under autocast, libtorch's own.
///
/// # Errors
/// Another device than the CPU, shapes that do not fit.
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    // SAFETY: the tensors outlive the call.
    let [out] = tensors(|out| unsafe { sgas_linear(out, x.as_ptr(), weight.as_ptr()) })?;
    Ok(out)
}
