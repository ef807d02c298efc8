//! How the process keeps memory, a count of the bytes of tensors, and what a GPU has left.

use std::ffi::c_char;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::check;
use super::device::cuda_index;
use crate::error::Result;
use tch::Device;

/// The C++ side's counter.
enum Counter {}

unsafe extern "C" {
    fn sgas_keep_freed_memory();
    fn sgas_end_process(code: i32) -> !;
    fn sgas_meter_start(cuda: i32, out: *mut *mut Counter) -> *mut c_char;
    fn sgas_meter_read(meter: *const Counter, held: *mut i64, peak: *mut i64, largest: *mut i64);
    fn sgas_meter_curve(meter: *const Counter, curve: *mut i64, count: usize) -> usize;
    fn sgas_meter_stop() -> *mut c_char;
    fn sgas_cuda_room(index: i32, free: *mut u64, total: *mut u64) -> *mut c_char;
    fn sgas_cuda_empty_cache() -> *mut c_char;
}

/// Ends the process at once, with this exit code: libtorch's thousands of operators are not taken apart one by one, which
/// would take a third of the time of a short command. What is to be written must have been written.
pub fn end_process(code: u8) -> ! {
    // SAFETY: the function takes a number and does not return.
    unsafe { sgas_end_process(i32::from(code)) }
}

/// Keeps freed memory for the next allocation instead of giving it back to the system (glibc; elsewhere nothing
/// happens). To be called once, early in the program.
pub fn keep_freed_memory() {
    // SAFETY: takes nothing; sets two options of the allocator.
    unsafe { sgas_keep_freed_memory() }
}

/// Bytes of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CudaRoom {
    /// That nobody holds, this process and others.
    pub free: u64,
    /// All of them.
    pub total: u64,
}

/// What the GPU of this index has left; what libtorch keeps of freed tensors is not free.
///
/// # Errors
/// libtorch's.
pub fn cuda_room(index: usize) -> Result<CudaRoom> {
    let (mut free, mut total) = (0, 0);
    // SAFETY: both places outlive the call.
    check(unsafe { sgas_cuda_room(cuda_index(index), &raw mut free, &raw mut total) })?;
    Ok(CudaRoom { free, total })
}

/// Gives the memory of freed tensors back to the GPU; nothing happens on a CPU.
///
/// # Errors
/// libtorch's.
pub fn empty_cache(device: Device) -> Result<()> {
    match device {
        // SAFETY: takes nothing.
        Device::Cuda(_) => check(unsafe { sgas_cuda_empty_cache() }),
        _ => Ok(()),
    }
}

/// Bytes of tensors of a kind of device.
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
    metered_on(Device::Cpu, body)
}

/// The same of the tensors on `device`.
///
/// # Errors
/// See [`metered`].
pub fn metered_on<T>(device: Device, body: impl FnOnce(&Meter) -> T) -> Result<(T, TensorBytes)> {
    let mut counter = std::ptr::null_mut();
    // SAFETY: the place outlives the call.
    check(unsafe { sgas_meter_start(i32::from(device.is_cuda()), &raw mut counter) })?;
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

    /// Bytes held over time: when each block had been taken, and before, where others had been given back.
    pub fn curve(&self) -> Vec<i64> {
        // SAFETY: the counter lives until this is dropped; nothing is written where there is no room.
        let count = unsafe { sgas_meter_curve(self.counter.as_ptr(), std::ptr::null_mut(), 0) };
        let mut curve = vec![0; count];
        // SAFETY: as above, and `curve` has room for `count` numbers.
        unsafe { sgas_meter_curve(self.counter.as_ptr(), curve.as_mut_ptr(), count) };
        curve
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // SAFETY: meters are nested as calls of `metered` are, so the thread's last is this one.
        let stopped = check(unsafe { sgas_meter_stop() });
        debug_assert!(stopped.is_ok(), "{stopped:?}");
    }
}
