//! CUDA at run time: loading it, waiting for it, asking it for memory figures.
//!
//! The program links the CPU libraries alone; one binary serves both because libtorch_cuda is loaded when asked.

use std::ffi::c_char;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tch::{Device, Tensor};
use torch_sys::C_tensor;

use super::{check, check_tensor, take_text};
use crate::error::{Result, first_line};

unsafe extern "C" {
    fn sgas_load_cuda(broke_off: *mut i32) -> *mut c_char;
    fn sgas_cuda_deterministic() -> *mut c_char;
    fn sgas_allow_tf32(allowed: i32) -> *mut c_char;
    fn sgas_exact_products(exact: i32) -> *mut c_char;
    fn sgas_are_products_exact(out: *mut i32) -> *mut c_char;
    fn sgas_upload(out: *mut *mut C_tensor, tensor: *const C_tensor, index: i32) -> *mut c_char;
    fn sgas_cuda_synchronize(index: i32) -> *mut c_char;
    fn sgas_cuda_peak_bytes(index: i32, reserved: i32, out: *mut i64) -> *mut c_char;
    fn sgas_cuda_reset_peak(index: i32) -> *mut c_char;
}

/// Where a process that was started again reads why CUDA stays out: see [`load_broke_off`].
pub const WITHOUT_CUDA: &str = "SGAS_WITHOUT_CUDA";

/// How loading libtorch_cuda ended.
#[derive(Debug, Clone)]
struct Load {
    failure: Option<String>,
    broke_off: bool,
}

/// Loads libtorch_cuda, once, with TF32 off; the error is the dynamic linker's reason, or what an initialiser of the
/// library threw.
///
/// Must come before anything else touches libtorch: it caches at first use whether CUDA is there (seeding and
/// asking for devices are uses too), and then CUDA stays out for the life of the process.
pub fn load_cuda() -> std::result::Result<(), String> {
    load().failure.clone().map_or(Ok(()), Err)
}

/// True where an initialiser of libtorch_cuda threw. Half of the library is there then, and the lock of the system's
/// loader is held for good: a process that goes on should start again with [`WITHOUT_CUDA`] set.
pub fn load_broke_off() -> bool {
    load().broke_off
}

/// True where libtorch_cuda is there, and tools that watch the GPU want to see the process end as usual.
pub fn has_cuda() -> bool {
    LOADED.get().is_some_and(|load| load.failure.is_none())
}

static LOADED: OnceLock<Load> = OnceLock::new();

fn load() -> &'static Load {
    LOADED.get_or_init(|| {
        if let Ok(reason) = std::env::var(WITHOUT_CUDA) {
            return Load { failure: Some(reason), broke_off: false };
        }
        let mut broke_off = 0;
        // SAFETY: the place outlives the call, which returns a text as `take_text` wants it.
        let reason = take_text(unsafe { sgas_load_cuda(&raw mut broke_off) }).map(|text| first_line(&text));
        let broke_off = broke_off != 0;
        let reason = if broke_off { reason.map(|text| format!("its initialisation failed: {text}")) } else { reason };
        // cuDNN's default is TF32, and fp32 is to mean fp32.
        let failure = reason.or_else(|| allow_tf32(false).err().map(|error| error.to_string()));
        Load { failure, broke_off }
    })
}

/// From now on operators on CUDA give the same bits at every run, by slower algorithms where the usual ones don't; an
/// operator that has none is an error. Must come before the first product of matrices, at which cuBLAS starts.
///
/// # Errors
/// libtorch's.
pub fn make_deterministic() -> Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { sgas_cuda_deterministic() })
}

/// Lets CUDA multiply fp32 numbers by TF32, which sees 11 of their 24 bits, or forbids it.
///
/// # Errors
/// libtorch's.
pub fn allow_tf32(allowed: bool) -> Result<()> {
    // SAFETY: a plain number.
    check(unsafe { sgas_allow_tf32(i32::from(allowed)) })?;
    TF32_ALLOWED.store(allowed, Ordering::Relaxed);
    Ok(())
}

/// What [`allow_tf32`] was told last.
static TF32_ALLOWED: AtomicBool = AtomicBool::new(false);

/// While this lives, products of fp32 matrices see all their bits, also where [`allow_tf32`] allowed TF32.
#[must_use = "TF32 comes back where the guard is dropped"]
pub struct WithoutTf32(());

/// For products that stay fp32 by definition, such as the distances of neighbours; `None`, and nothing to do, where
/// TF32 is off anyway. The setting is the process's: libtorch asks it when a product is launched.
///
/// # Errors
/// libtorch's.
pub fn without_tf32() -> Result<Option<WithoutTf32>> {
    if !TF32_ALLOWED.load(Ordering::Relaxed) {
        return Ok(None);
    }
    // SAFETY: a plain number.
    check(unsafe { sgas_exact_products(1) })?;
    Ok(Some(WithoutTf32(())))
}

impl Drop for WithoutTf32 {
    fn drop(&mut self) {
        // SAFETY: a plain number.
        let _ = check(unsafe { sgas_exact_products(0) });
    }
}

/// Whether libtorch multiplies fp32 matrices with all their bits now.
///
/// # Errors
/// libtorch's.
pub fn are_products_exact() -> Result<bool> {
    let mut exact = 0;
    // SAFETY: the place outlives the call.
    check(unsafe { sgas_are_products_exact(&raw mut exact) })?;
    Ok(exact != 0)
}

/// The tensor on `device`. From host memory to a GPU it goes through pinned memory on a stream of its own, and the
/// program does not wait for it. Panics as libtorch's own operators do.
pub fn upload(tensor: &Tensor, device: Device) -> Tensor {
    match (tensor.device(), device) {
        // SAFETY: the tensor outlives the call.
        (Device::Cpu, Device::Cuda(index)) => {
            check_tensor(|out| unsafe { sgas_upload(out, tensor.as_ptr(), cuda_index(index)) })
        }
        _ => tensor.to_device(device),
    }
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
    peak_bytes(device, false)
}

/// Most bytes that libtorch had of the device for its tensors since [`reset_peak_memory`], pools of recorded passes and
/// what it keeps for later included; `None` on a CPU.
pub fn peak_reserved_memory(device: Device) -> Result<Option<u64>> {
    peak_bytes(device, true)
}

fn peak_bytes(device: Device, is_reserved: bool) -> Result<Option<u64>> {
    let Device::Cuda(index) = device else { return Ok(None) };
    let mut bytes = 0_i64;
    // SAFETY: the place outlives the call.
    check(unsafe { sgas_cuda_peak_bytes(cuda_index(index), i32::from(is_reserved), &raw mut bytes) })?;
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

pub(super) fn cuda_index(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_exact_inside_of_the_guard_alone() {
        assert!(without_tf32().unwrap().is_none());
        allow_tf32(true).unwrap();
        assert!(!are_products_exact().unwrap());
        let guard = without_tf32().unwrap();
        assert!(guard.is_some() && are_products_exact().unwrap());
        drop(guard);
        assert!(!are_products_exact().unwrap());
        allow_tf32(false).unwrap();
        assert!(are_products_exact().unwrap() && without_tf32().unwrap().is_none());
    }
}
