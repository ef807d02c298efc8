//! How the process keeps memory.

unsafe extern "C" {
    fn sgas_keep_freed_memory();
}

/// Keeps freed memory for the next allocation instead of giving it back to the system (glibc; elsewhere nothing
/// happens). To be called once, early in the program.
pub fn keep_freed_memory() {
    // SAFETY: takes nothing; sets two options of the allocator.
    unsafe { sgas_keep_freed_memory() }
}
