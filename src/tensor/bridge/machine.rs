//! What the loaded libtorch and NVIDIA's driver say of themselves.
//!
//! The driver is asked by itself: libtorch's answers about a device need CUDA's headers, and the driver answers
//! also where libtorch's CUDA part is missing. Both count the devices alike, as `CUDA_VISIBLE_DEVICES` leaves them.

use std::ffi::{CStr, c_char};
use std::fmt;

use super::{check, take_text};
use crate::error::{Result, first_line};

/// What the driver answers, or its own or the dynamic linker's reason why not.
type Answer<T> = std::result::Result<T, String>;

/// Room for a device's name; NVIDIA's are far shorter.
const NAME_BYTES: usize = 256;

unsafe extern "C" {
    fn sgas_instructions(out: *mut *mut c_char) -> *mut c_char;
    fn sgas_libtorch_config(out: *mut *mut c_char) -> *mut c_char;
    fn sgas_cuda_config(out: *mut *mut c_char) -> *mut c_char;
    fn sgas_driver(cuda_version: *mut i32, devices: *mut i32) -> *mut c_char;
    fn sgas_gpu(
        index: i32,
        name: *mut c_char,
        size: i32,
        bytes: *mut u64,
        major: *mut i32,
        minor: *mut i32,
    ) -> *mut c_char;
}

/// Which generation a GPU is of, and so what its arithmetic units can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability {
    /// The generation: 7 is Volta and Turing, 8 Ampere and Ada, 9 Hopper.
    pub major: i32,
    /// Its variant.
    pub minor: i32,
}

impl Capability {
    /// Units for products of fp16 matrices (from 7.0).
    pub fn has_tensor_cores(self) -> bool {
        self.major >= 7
    }

    /// The same units for bf16 and TF32 (from 8.0).
    pub fn has_bf16(self) -> bool {
        self.major >= 8
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A GPU as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Its name.
    pub name: String,
    /// Its memory in bytes.
    pub memory_bytes: u64,
    /// Its compute capability.
    pub capability: Capability,
}

/// NVIDIA's driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Driver {
    /// The newest CUDA that it serves: 13000 is CUDA 13.0.
    pub cuda_version: i32,
    /// How many GPUs it shows to this process.
    pub gpus: usize,
}

/// What libtorch tells about its build and the processor it sees. Asks for CUDA too, so `load_cuda` comes first.
///
/// # Errors
/// An exception of libtorch.
pub fn libtorch_config() -> Result<String> {
    let mut text = std::ptr::null_mut();
    // SAFETY: the place outlives the call, and holds a text as `take_text` wants it where the call succeeded.
    check(unsafe { sgas_libtorch_config(&raw mut text) })?;
    Ok(take_text(text).unwrap_or_default())
}

/// The instructions that libtorch's kernels and ours use: `AVX512`, `AVX2` or `DEFAULT`. The variable
/// `ATEN_CPU_CAPABILITY` (`avx2`, `default`) keeps both to less than the processor has, as on another machine.
///
/// # Errors
/// An exception of libtorch.
pub fn instructions() -> Result<String> {
    let mut text = std::ptr::null_mut();
    // SAFETY: as in `libtorch_config`.
    check(unsafe { sgas_instructions(&raw mut text) })?;
    Ok(take_text(text).unwrap_or_default())
}

/// What libtorch's CUDA part tells about its build.
///
/// # Errors
/// A CUDA part that is not loaded.
pub fn cuda_config() -> Result<String> {
    let mut text = std::ptr::null_mut();
    // SAFETY: as in `libtorch_config`.
    check(unsafe { sgas_cuda_config(&raw mut text) })?;
    Ok(take_text(text).unwrap_or_default())
}

fn answered(text: *mut c_char) -> Answer<()> {
    take_text(text).map_or(Ok(()), |text| Err(first_line(&text)))
}

/// The driver of this machine.
///
/// # Errors
/// No driver (the dynamic linker's reason), or one that refuses.
pub fn driver() -> Answer<Driver> {
    let (mut cuda_version, mut devices) = (0, 0);
    // SAFETY: both places outlive the call.
    answered(unsafe { sgas_driver(&raw mut cuda_version, &raw mut devices) })?;
    Ok(Driver { cuda_version, gpus: usize::try_from(devices).unwrap_or(0) })
}

/// The GPU of this index.
///
/// # Errors
/// As [`driver`]; an index without a GPU.
pub fn gpu(index: usize) -> Answer<Gpu> {
    let mut name: [c_char; NAME_BYTES] = [0; NAME_BYTES];
    // The last byte stays zero.
    let room = i32::try_from(NAME_BYTES - 1).expect("a small number");
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    let mut capability = Capability { major: 0, minor: 0 };
    let mut memory_bytes = 0;
    let (major, minor) = (&raw mut capability.major, &raw mut capability.minor);
    // SAFETY: all places outlive the call, and `name` has more than `room` bytes.
    answered(unsafe { sgas_gpu(index, name.as_mut_ptr(), room, &raw mut memory_bytes, major, minor) })?;
    // SAFETY: the array ends with a zero.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
    Ok(Gpu { name, memory_bytes, capability })
}
