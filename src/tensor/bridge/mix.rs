//! The weighted sum of a mixed edge's primitives in one pass.

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::tensors;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_mix(
        out: *mut *mut C_tensor,
        weights: *const C_tensor,
        parts: *const *const C_tensor,
        count: i64,
    ) -> *mut c_char;
}

/// Σ_k w_k y_k of `weights` (K) and K tensors of one shape and type, whose type the result has; gradients are
/// computed only for what asks for one. Types, devices and errors as in [`super::gather`].
pub fn mix(weights: &Tensor, parts: &[&Tensor]) -> Result<Tensor> {
    let places: Vec<*const C_tensor> = parts.iter().map(|part| part.as_ptr()).collect();
    let count = i64::try_from(places.len()).expect("a slice is shorter than i64::MAX");
    // SAFETY: the tensors outlive the call, and `places` holds `count` of them.
    let [out] = tensors(|out| unsafe { sgas_mix(out, weights.as_ptr(), places.as_ptr(), count) })?;
    Ok(out)
}
