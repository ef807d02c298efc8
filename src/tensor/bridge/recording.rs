//! Records of what a thread calls: begun and ended around a closure, and read line by line.

use std::ffi::c_char;

use super::{check, take_text};
use crate::error::{Error, Result};

/// Begins a record of this thread; fails inside of another one of the same kind.
type Start = unsafe extern "C" fn() -> *mut c_char;
/// Ends it and gives its lines.
type Stop = unsafe extern "C" fn(*mut *mut c_char) -> *mut c_char;

/// Gives what `body` gives, and the lines of what was recorded meanwhile, as `parse` reads them.
///
/// # Errors
/// Inside of another such record of the same thread; a line that `parse` does not know.
pub(super) fn recording<T, L>(
    (start, stop): (Start, Stop),
    body: impl FnOnce() -> T,
    parse: impl Fn(&str) -> Option<L>,
) -> Result<(T, Vec<L>)> {
    // SAFETY: takes nothing.
    check(unsafe { start() })?;
    let running = Running(stop);
    let result = body();
    std::mem::forget(running);
    let text = end(stop)?;
    let read = |line: &str| parse(line).ok_or_else(|| Error::Torch(format!("no line of a record: {line}")));
    Ok((result, text.lines().map(read).collect::<Result<_>>()?))
}

/// Ends the record also when a panic unwinds.
struct Running(Stop);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = end(self.0);
    }
}

fn end(stop: Stop) -> Result<String> {
    let mut text = std::ptr::null_mut();
    // SAFETY: the place outlives the call; what is put there is ours to free.
    check(unsafe { stop(&raw mut text) })?;
    Ok(take_text(text).unwrap_or_default())
}
