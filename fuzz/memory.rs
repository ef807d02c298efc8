//! An allocator that counts, because libFuzzer's own limit of an allocation needs a sanitizer: what is asked for beyond
//! a gibibyte ends the process, also where it would never be touched.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most bytes that reading one input may hold at once.
const MOST: usize = 1 << 30;

static HELD: AtomicUsize = AtomicUsize::new(0);
static BEFORE: AtomicUsize = AtomicUsize::new(0);

/// Runs `read`, which may hold [`MOST`] bytes more than are held now.
pub fn bounded(read: impl FnOnce()) {
    BEFORE.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
    read();
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn take(size: usize) {
    let held = HELD.fetch_add(size, Ordering::Relaxed).wrapping_add(size);
    if held.saturating_sub(BEFORE.load(Ordering::Relaxed)) > MOST {
        // An allocator must not unwind. Printing may allocate.
        BEFORE.store(usize::MAX, Ordering::Relaxed);
        eprintln!("more than {MOST} bytes are asked for: {held}, of which {size} at once");
        std::process::abort();
    }
}

// SAFETY: every call is passed on as it comes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size.saturating_sub(layout.size()));
        HELD.fetch_sub(layout.size().saturating_sub(size), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}
