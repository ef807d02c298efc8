//! Depthwise convolution of images with its own backward pass. Types, devices, errors and threads as in
//! [`super::gather`].

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::tensors;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_depthwise(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        weight: *const C_tensor,
        stride: i64,
        padding: i64,
        dilation: i64,
        relu: i32,
    ) -> *mut c_char;
}

/// How the window of a depthwise convolution moves, the same in height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// Distance between neighbouring outputs.
    pub stride: i64,
    /// Rows and columns of zeros around the image.
    pub padding: i64,
    /// Distance between neighbouring taps.
    pub dilation: i64,
}

/// The convolution of `x` (B, C, H, W), or with `relu` of max(x, 0), with one kernel per channel, (C, 1, k, k) with k
/// 3, 5 or 7; the result lies channels-last.
pub fn depthwise(x: &Tensor, weight: &Tensor, steps: Steps, relu: bool) -> Result<Tensor> {
    let Steps { stride, padding, dilation } = steps;
    // SAFETY: both tensors outlive the call.
    let [out] = tensors(|out| unsafe {
        sgas_depthwise(out, x.as_ptr(), weight.as_ptr(), stride, padding, dilation, i32::from(relu))
    })?;
    Ok(out)
}
