//! The system's allocator, which says what to do where it has no memory left. Without it the program would be aborted by
//! Rust, with no word of a key to change.

use crate::error::memory::{USUAL_HINT, may_run_out};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Ends the program with an error and a hint, exit code 1, where memory runs out, but where that is expected
/// ([`crate::error::memory::expecting_to_run_out`]). For `#[global_allocator]` of a program.
pub struct Telling;

// SAFETY: every call is the system's with the same arguments; a null pointer is passed on or never returned.
unsafe impl GlobalAlloc for Telling {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        told(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        told(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        told(unsafe { System.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn told(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() && !may_run_out() {
        end(bytes)
    }
    pointer
}

/// Nothing here may take memory.
#[cold]
fn end(bytes: usize) -> ! {
    static ENDS: AtomicBool = AtomicBool::new(false);
    // One thread says it; another waits for the end.
    while ENDS.swap(true, Ordering::SeqCst) {
        std::thread::sleep(Duration::from_secs(1));
    }
    let mut text = [0; 1024];
    let mut rest = &mut text[..];
    let mebibytes = bytes.div_ceil(1 << 20);
    // What does not fit is left out.
    let _ = write!(rest, "error: out of memory: the program asked for {mebibytes} MiB\nhint: {USUAL_HINT}\n");
    let left = rest.len();
    leave(&text[..text.len() - left])
}

#[cfg(unix)]
fn leave(text: &[u8]) -> ! {
    // SAFETY: the bytes outlive the call, and nothing comes after the second.
    unsafe {
        libc::write(2, text.as_ptr().cast(), text.len());
        libc::_exit(1)
    }
}

#[cfg(not(unix))]
fn leave(_: &[u8]) -> ! {
    std::process::abort()
}
