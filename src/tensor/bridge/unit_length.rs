//! Rows of a ReLU brought to length 1 in one pass. Types, devices, errors and threads as in [`super::gather`].

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::tensors;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_unit_length(out: *mut *mut C_tensor, x: *const C_tensor, smallest: f64) -> *mut c_char;
}

/// ReLU(x) / max(|ReLU(x)|, `smallest`) of every row of `x` (R, C).
pub fn relu_unit_length(x: &Tensor, smallest: f64) -> Result<Tensor> {
    // SAFETY: the tensor outlives the call.
    let [out] = tensors(|out| unsafe { sgas_unit_length(out, x.as_ptr(), smallest) })?;
    Ok(out)
}
