//! How the process keeps memory, and a count of the bytes of tensors.

use std::ffi::c_char;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::check;
use crate::error::Result;

/// The C++ side's counter.
enum Counter {}

unsafe extern "C" {
    fn sgas_keep_freed_memory();
    fn sgas_meter_start(out: *mut *mut Counter) -> *mut c_char;
    fn sgas_meter_read(meter: *const Counter, held: *mut i64, peak: *mut i64, largest: *mut i64);
    fn sgas_meter_stop() -> *mut c_char;
}

/// Keeps freed memory for the next allocation instead of giving it back to the system (glibc; elsewhere nothing
/// happens). To be called once, early in the program.
pub fn keep_freed_memory() {
    // SAFETY: takes nothing; sets two options of the allocator.
    unsafe { sgas_keep_freed_memory() }
}

/// Bytes of CPU tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorBytes {
    /// Held now.
    pub held: i64,
    /// The most that were held at a time.
    pub peak: i64,
    /// Of the largest tensor.
    pub largest: i64,
}

/// Gives what `body` gives, and with it the bytes of the CPU tensors that this thread took in it, backward passes
/// included; `body` may read them from the [`Meter`] on its way.
///
/// # Errors
/// libtorch's, where it cannot be asked.
pub fn metered<T>(body: impl FnOnce(&Meter) -> T) -> Result<(T, TensorBytes)> {
    let mut counter = std::ptr::null_mut();
    // SAFETY: the place outlives the call.
    check(unsafe { sgas_meter_start(&raw mut counter) })?;
    let meter = Meter { counter: NonNull::new(counter).expect("a started meter has an address"), thread: PhantomData };
    let result = body(&meter);
    let bytes = meter.read();
    Ok((result, bytes))
}

/// Counts while [`metered`] runs.
pub struct Meter {
    counter: NonNull<Counter>,
    // It counts, and must end, on the thread that began it.
    thread: PhantomData<*const ()>,
}

impl Meter {
    /// What was counted so far.
    pub fn read(&self) -> TensorBytes {
        let (mut held, mut peak, mut largest) = (0, 0, 0);
        // SAFETY: the counter lives until this is dropped, and the three places outlive the call.
        unsafe { sgas_meter_read(self.counter.as_ptr(), &raw mut held, &raw mut peak, &raw mut largest) };
        TensorBytes { held, peak, largest }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // SAFETY: meters are nested as calls of `metered` are, so the thread's last is this one.
        let stopped = check(unsafe { sgas_meter_stop() });
        debug_assert!(stopped.is_ok(), "{stopped:?}");
    }
}
