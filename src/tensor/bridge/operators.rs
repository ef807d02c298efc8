//! What tch lacks of single tensors: operators with all their arguments, and versions.

use super::{C_tensor, Tensor, check, check_tensor};
use crate::error::Result;
use std::ffi::c_char;

unsafe extern "C" {
    fn sgas_leaky_relu(x: *mut C_tensor, slope: f64, out: *mut *mut C_tensor) -> *mut c_char;
    fn sgas_share_version(leaf: *const C_tensor, whole: *const C_tensor) -> *mut c_char;
}

/// From now on a change of `whole` in place counts as one of `leaf`, which lies in its memory: a backward pass that needs
/// the leaf as it was then fails, where it would compute with the wrong numbers.
pub fn share_version(leaf: &Tensor, whole: &Tensor) -> Result<()> {
    // SAFETY: both tensors outlive the call.
    check(unsafe { sgas_share_version(leaf.as_ptr(), whole.as_ptr()) })
}

/// x where positive, else slope·x, with libtorch's gradient (tch fixes the slope at 0.01).
pub fn leaky_relu(x: &Tensor, slope: f64) -> Tensor {
    // SAFETY: `x` lives through the call; the out-pointer is one place.
    check_tensor(|out| unsafe { sgas_leaky_relu(x.as_ptr().cast_mut(), slope, out) })
}
