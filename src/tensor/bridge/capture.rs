//! CUDA graphs: what a thread gives the device is recorded once, and given again as a whole, which takes the program
//! microseconds instead of one launch after the other.
//!
//! What is recorded must do the same whenever it is done: nothing that waits for the device, no numbers of the host that
//! change, and tensors that stay where they are.

use std::ffi::c_char;

use super::check;
use crate::error::Result;

/// The C++ object.
#[repr(C)]
struct Opaque {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn sgas_capture_is_there() -> i32;
    fn sgas_capture_begin(out: *mut *mut Opaque, device: i32) -> *mut c_char;
    fn sgas_capture_end(capture: *mut Opaque) -> *mut c_char;
    fn sgas_capture_replay(capture: *mut Opaque) -> *mut c_char;
    fn sgas_capture_free(capture: *mut Opaque) -> *mut c_char;
}

/// Whether libtorch's CUDA part is loaded and can record.
pub fn is_there() -> bool {
    // SAFETY: takes nothing.
    unsafe { sgas_capture_is_there() != 0 }
}

/// Work on a GPU that was recorded. The memory that it takes and gives lives as long as this.
pub struct Capture(*mut Opaque);

impl Capture {
    /// Records what `work` gives the GPU `cuda:index` instead of doing it. The tensors that it makes have no content
    /// before the first [`Self::replay`].
    ///
    /// # Errors
    /// libtorch's, and those of `work`, which may panic too; then nothing was recorded, and nothing done.
    pub fn record<T>(index: usize, work: impl FnOnce() -> Result<T>) -> Result<(Self, T)> {
        let mut capture = Self(std::ptr::null_mut());
        let index = i32::try_from(index).expect("a GPU's number is small");
        // SAFETY: the place outlives the call, which puts an object into it that is freed once, by drop.
        check(unsafe { sgas_capture_begin(&raw mut capture.0, index) })?;
        let made = work();
        // SAFETY: the object is there.
        let ended = check(unsafe { sgas_capture_end(capture.0) });
        let made = made?;
        ended?;
        Ok((capture, made))
    }

    /// Gives the device all of it.
    ///
    /// # Errors
    /// libtorch's.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: the object is there.
        check(unsafe { sgas_capture_replay(self.0) })
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the object is there, and nobody uses it after this.
            let _ = check(unsafe { sgas_capture_free(self.0) });
        }
    }
}
