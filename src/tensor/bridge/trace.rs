//! A trace of everything that runs in a closure, by libtorch's Kineto profiler: operators of every thread and, with
//! CUDA, its calls and kernels. Written as Chrome's trace events, which Perfetto and `chrome://tracing` draw.

use std::ffi::{CString, c_char};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::check;
use super::profile::plain;
use super::recording::recording;
use crate::error::{Error, Result};

unsafe extern "C" {
    fn sgas_trace_start() -> *mut c_char;
    fn sgas_trace_stop(out: *mut *mut c_char) -> *mut c_char;
    fn sgas_trace_save(path: *const c_char) -> *mut c_char;
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// An operator on a thread of the processor, with all that it calls.
    Operator,
    /// A call of CUDA's runtime or driver.
    Call,
    /// What the GPU did: a kernel, a copy, a fill.
    Kernel,
}

/// Something that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// libtorch's number of the thread.
    pub thread: u64,
    /// Nanoseconds on the clock of all events.
    pub start: u64,
    /// Nanoseconds.
    pub duration: u64,
    /// As libtorch or CUDA names it; a kernel of the bridge has one name in both passes.
    pub name: String,
}

/// Gives what `body` gives, and what ran in it; writes the trace to `path`. `body` must wait for the device at its
/// end, or kernels are missing.
///
/// # Errors
/// Inside of another profile by libtorch; a libtorch without Kineto; a file that can't be written.
pub fn traced<T>(path: &Path, body: impl FnOnce() -> T) -> Result<(T, Vec<Event>)> {
    let (result, events) = recording((sgas_trace_start, sgas_trace_stop), body, event)?;
    save(path)?;
    Ok((result, events))
}

/// Kineto tells nobody of a file that it could not write, so an older one goes first.
fn save(path: &Path) -> Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::usage(format!("{}: a file's name has no NUL", path.display())))?;
    if path.exists() {
        fs::remove_file(path).map_err(|error| Error::write(path, error))?;
    }
    // SAFETY: the text outlives the call.
    check(unsafe { sgas_trace_save(name.as_ptr()) })?;
    match fs::metadata(path) {
        Ok(file) if file.len() > 0 => Ok(()),
        Ok(_) => Err(Error::run(format!("{}: the trace is empty", path.display()))),
        Err(error) => Err(Error::write(path, error)),
    }
}

fn event(line: &str) -> Option<Event> {
    let mut words = line.splitn(5, ' ');
    let kind = match words.next()? {
        "operator" => EventKind::Operator,
        "call" => EventKind::Call,
        "kernel" => EventKind::Kernel,
        _ => return None,
    };
    let mut number = || words.next()?.parse().ok();
    let (thread, start, duration) = (number()?, number()?, number()?);
    let name = words.next()?;
    let name = if kind == EventKind::Operator { plain(name) } else { name.to_owned() };
    Some(Event { kind, thread, start, duration, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_events() {
        let kernel = "kernel 0 17 5 void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<float> >";
        let found = event(kernel).unwrap();
        assert_eq!((found.kind, found.start, found.duration), (EventKind::Kernel, 17, 5));
        assert!(found.name.ends_with("FillFunctor<float> >"), "{found:?}");
        assert_eq!(event("operator 1 17 5 aten::mm").unwrap().kind, EventKind::Operator);
        assert_eq!(event("something 1 17 5 aten::mm"), None);
        assert_eq!(event("operator 1 17 aten::mm"), None);
    }
}
