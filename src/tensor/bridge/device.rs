//! CUDA at run time: loading it, waiting for it, asking it for memory figures.
//!
//! The program links the CPU libraries alone; one binary serves both because libtorch_cuda is loaded when asked.

use std::ffi::c_char;
use std::sync::OnceLock;

use tch::Device;

use super::{check, take_text};
use crate::error::Result;

unsafe extern "C" {
    fn sgas_load_cuda() -> *mut c_char;
    fn sgas_allow_tf32(allowed: i32) -> *mut c_char;
    fn sgas_cuda_synchronize(index: i32) -> *mut c_char;
    fn sgas_cuda_peak_bytes(index: i32, out: *mut i64) -> *mut c_char;
    fn sgas_cuda_reset_peak(index: i32) -> *mut c_char;
}

/// Loads libtorch_cuda, once, with TF32 off; the error is the dynamic linker's reason.
///
/// Must come before anything else touches libtorch: it caches at first use whether CUDA is there (seeding and
/// asking for devices are uses too), and then CUDA stays out for the life of the process.
pub fn load_cuda() -> std::result::Result<(), String> {
    static LOADED: OnceLock<Option<String>> = OnceLock::new();
    let reason = LOADED.get_or_init(|| {
        // SAFETY: takes nothing and returns a text as `take_text` wants it.
        let reason = take_text(unsafe { sgas_load_cuda() });
        // cuDNN's default is TF32, and fp32 is to mean fp32.
        reason.or_else(|| allow_tf32(false).err().map(|error| error.to_string()))
    });
    reason.clone().map_or(Ok(()), Err)
}

/// Lets CUDA multiply fp32 numbers by TF32, which sees 11 of their 24 bits, or forbids it.
///
/// # Errors
/// libtorch's.
pub fn allow_tf32(allowed: bool) -> Result<()> {
    // SAFETY: a plain number.
    check(unsafe { sgas_allow_tf32(i32::from(allowed)) })
}

/// Waits until the device has done all it was given; at once on a CPU.
pub fn synchronize(device: Device) -> Result<()> {
    match device {
        // SAFETY: a plain number; libtorch checks it.
        Device::Cuda(index) => check(unsafe { sgas_cuda_synchronize(cuda_index(index)) }),
        _ => Ok(()),
    }
}

/// Most bytes of tensors that the device held since [`reset_peak_memory`]; `None` on a CPU, where libtorch does
/// not count.
pub fn peak_memory(device: Device) -> Result<Option<u64>> {
    let Device::Cuda(index) = device else { return Ok(None) };
    let mut bytes = 0_i64;
    // SAFETY: the place outlives the call.
    check(unsafe { sgas_cuda_peak_bytes(cuda_index(index), &raw mut bytes) })?;
    Ok(Some(bytes.unsigned_abs()))
}

/// Starts a new measurement of [`peak_memory`].
pub fn reset_peak_memory(device: Device) -> Result<()> {
    match device {
        // SAFETY: a plain number; libtorch checks it.
        Device::Cuda(index) => check(unsafe { sgas_cuda_reset_peak(cuda_index(index)) }),
        _ => Ok(()),
    }
}

fn cuda_index(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}
