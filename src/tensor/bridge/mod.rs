//! The bridge to what tch lacks: CUDA at run time, autocast per device, figures of memory and GPUs, a profile of
//! operators. The C++ side is in the `.cpp` files beside; `bridge.h` says how a function must look. Kernels have a
//! file of their own each.
//!
//! This folder holds the only unsafe Rust of the crate; what leaves it is safe, and every C++ exception comes
//! back as [`Error::torch`] makes it.
#![allow(unsafe_code, reason = "calls of C functions; the rest of the crate forbids it")]

use std::ffi::{CStr, c_char};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::error::{Error, Result};

pub mod allocator;
pub mod architectures;
pub mod autocast;
pub mod capture;
pub mod composed;
pub mod depthwise;
pub mod device;
pub mod gather;
pub mod group;
pub mod linear;
pub mod links;
pub mod machine;
pub mod memory;
pub mod mix;
pub mod native;
pub mod nearest;
pub mod norm;
pub mod norm_mix;
pub mod operators;
pub mod profile;
mod recording;
pub mod trace;
pub mod types;
pub mod unit_length;
pub mod work;

unsafe extern "C" {
    fn sgas_free_text(text: *mut c_char);
}

/// The version of the libtorch that this program was built with.
pub const LIBTORCH_VERSION: &str = env!("SGAS_LIBTORCH_VERSION");

/// Takes the text that a bridge function returned: none where the pointer is null.
fn take_text(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: bridge functions return null or a NUL-terminated copy that is ours to free, once.
    unsafe {
        let owned = CStr::from_ptr(text).to_string_lossy().into_owned();
        sgas_free_text(text);
        Some(owned)
    }
}

/// Turns what a bridge function returned into a result.
fn check(text: *mut c_char) -> Result<()> {
    match take_text(text) {
        None => Ok(()),
        Some(text) => Err(Error::torch(text.trim())),
    }
}

/// Calls a bridge function that gives `N` tensors through its out-pointer (an array of `N` places).
fn tensors<const N: usize>(call: impl FnOnce(*mut *mut C_tensor) -> *mut c_char) -> Result<[Tensor; N]> {
    Ok(some_tensors(call)?.map(|tensor| tensor.expect("a bridge function fills every place")))
}

/// The same from a function that gives as many as it is asked for.
fn list_of_tensors(count: usize, call: impl FnOnce(*mut *mut C_tensor) -> *mut c_char) -> Result<Vec<Tensor>> {
    let mut places = vec![std::ptr::null_mut::<C_tensor>(); count];
    check(call(places.as_mut_ptr()))?;
    // SAFETY: a function that returned no text has put a tensor of its own into every place (`sgas::give`).
    Ok(places.into_iter().map(|place| unsafe { Tensor::from_ptr(place) }).collect())
}

/// The same from a function that leaves places empty.
fn some_tensors<const N: usize>(call: impl FnOnce(*mut *mut C_tensor) -> *mut c_char) -> Result<[Option<Tensor>; N]> {
    let mut places = [std::ptr::null_mut::<C_tensor>(); N];
    check(call(places.as_mut_ptr()))?;
    // SAFETY: what a function that returned no text has put into a place is a tensor of its own (`sgas::give`).
    Ok(places.map(|place| (!place.is_null()).then(|| unsafe { Tensor::from_ptr(place) })))
}

/// One tensor from a bridge function that can fail only as libtorch's own operators do: its error unwinds, and the
/// program's outermost frame gives it back.
#[track_caller]
fn check_tensor(call: impl FnOnce(*mut *mut C_tensor) -> *mut c_char) -> Tensor {
    let [tensor] = tensors(call).unwrap_or_else(|error| error.raise());
    tensor
}
