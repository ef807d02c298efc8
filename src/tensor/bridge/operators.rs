//! Operators of libtorch that tch offers without their arguments.

use super::{C_tensor, Tensor, check_tensor};
use std::ffi::c_char;

unsafe extern "C" {
    fn sgas_leaky_relu(x: *mut C_tensor, slope: f64, out: *mut *mut C_tensor) -> *mut c_char;
}

/// x where positive, else slope·x, with libtorch's gradient (tch fixes the slope at 0.01).
pub fn leaky_relu(x: &Tensor, slope: f64) -> Tensor {
    // SAFETY: `x` lives through the call; the out-pointer is one place.
    check_tensor(|out| unsafe { sgas_leaky_relu(x.as_ptr().cast_mut(), slope, out) })
}
