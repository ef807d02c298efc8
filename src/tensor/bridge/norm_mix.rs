//! The weighted sum of an edge's primitives, of which some end in a batch norm whose output is never stored. Types,
//! devices, errors and threads as in [`super::gather`].

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::norm::BatchNorm;
use super::tensors;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_norm_mix(
        out: *mut *mut C_tensor,
        weights: *const C_tensor,
        parts: *const *const C_tensor,
        norms: *const *const C_tensor,
        count: i64,
        training: i32,
        momentum: f64,
        epsilon: f64,
    ) -> *mut c_char;
}

/// Σ_k w_k·norm_k(x_k) of `weights` (K), all 1 where absent, and K tensors of one shape, (R, C) or (B, C, H, W), and
/// type, whose type the result has; a part without norm is taken as it is. All norms are in the same mode.
pub fn norm_mix(weights: Option<&Tensor>, parts: &[(&Tensor, Option<BatchNorm<'_>>)]) -> Result<Tensor> {
    let places: Vec<*const C_tensor> = parts.iter().map(|(part, _)| part.as_ptr()).collect();
    let none = [std::ptr::null(); 4];
    let norms: Vec<[*const C_tensor; 4]> =
        parts.iter().map(|(_, norm)| norm.as_ref().map_or(none, BatchNorm::tensors)).collect();
    let settings = parts.iter().find_map(|(_, norm)| norm.as_ref());
    let (training, momentum, epsilon) =
        settings.map_or((0, 0.0, 0.0), |norm| (i32::from(norm.training), norm.momentum, norm.epsilon));
    let count = i64::try_from(places.len()).expect("a slice is shorter than i64::MAX");
    let weights = weights.map_or(std::ptr::null(), |weights| weights.as_ptr());
    // SAFETY: the tensors outlive the call; `places` holds `count` of them and `norms` four places for each.
    let [out] = tensors(|out| unsafe {
        let norms = norms.as_ptr().cast::<*const C_tensor>();
        sgas_norm_mix(out, weights, places.as_ptr(), norms, count, training, momentum, epsilon)
    })?;
    Ok(out)
}
