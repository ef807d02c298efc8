//! Panics as errors, and all that is known of them where `RUST_BACKTRACE` asks.
//!
//! Operations of tensors unwind where libtorch throws: the bridge's with an [`Error`], tch's with a text. The program's
//! outermost frame and every thread of a loader catch what unwinds and go on with an error; no user should meet a
//! backtrace that was not asked for.

use crate::error::{Error, Result, first_line};
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

/// The panics so far of which nobody has made an error, and those that [`details`] will tell.
static SEEN: Mutex<Vec<Panic>> = Mutex::new(Vec::new());

/// More than this are not kept.
const MOST: usize = 32;

/// A panic as it was when it began.
struct Panic {
    thread: Thread,
    place: String,
    /// The whole message.
    text: String,
    backtrace: Backtrace,
    /// An error was made of it.
    is_caught: bool,
}

/// Keeps panics from being printed; [`as_errors`] reports them.
pub fn silence() {
    std::panic::set_hook(Box::new(record));
}

/// Notes panics as [`silence`] does, and lets them be printed as before.
pub fn watch() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        record(info);
        print(info);
    }));
}

fn record(info: &PanicHookInfo<'_>) {
    let mut seen = seen();
    if seen.len() < MOST {
        seen.push(Panic {
            thread: thread::current(),
            place: info.location().map(ToString::to_string).unwrap_or_default(),
            text: text_of(info.payload()),
            backtrace: Backtrace::capture(),
            is_caught: false,
        });
    }
}

fn seen() -> MutexGuard<'static, Vec<Panic>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `action`; a panic in it becomes an error.
///
/// # Errors
/// Those of `action`, and those of [`caught`].
pub fn as_errors<T>(action: impl FnOnce() -> Result<T>) -> Result<T> {
    caught(action)?
}

/// Calls `action`; a panic in it becomes an error.
///
/// # Errors
/// [`Error::torch`] for an exception of libtorch; [`Error::Run`] with message and place for any other panic.
pub fn caught<T>(action: impl FnOnce() -> T) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(action)).map_err(error_of)
}

fn error_of(payload: Box<dyn Any + Send>) -> Error {
    let place = take_place();
    match payload.downcast::<Error>() {
        Ok(error) => *error,
        Err(other) => from_text(&text_of(other.as_ref()), &place),
    }
}

/// The place of the panic that was caught: of this thread's, else (rayon's threads hand theirs on) of the first of all.
/// The note of it is dropped, unless it has a backtrace for [`details`].
fn take_place() -> String {
    let here = thread::current().id();
    let mut seen = seen();
    let open = |panic: &Panic| !panic.is_caught;
    let mine = seen.iter().position(|panic| open(panic) && panic.thread.id() == here);
    let Some(index) = mine.or_else(|| seen.iter().position(open)) else { return "an unknown place".to_owned() };
    let panic = &mut seen[index];
    panic.is_caught = true;
    let place = match panic.thread.name() {
        Some(name) if name != "main" => format!("{} in the thread '{name}'", panic.place),
        _ => panic.place.clone(),
    };
    if panic.backtrace.status() != BacktraceStatus::Captured {
        seen.remove(index);
    }
    place
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    match (payload.downcast_ref::<String>(), payload.downcast_ref::<Error>()) {
        (Some(text), _) => text.clone(),
        (None, Some(error)) => whole(error),
        (None, None) => "without a message".to_owned(),
    }
}

/// An error with all that libtorch said.
fn whole(error: &Error) -> String {
    match error {
        Error::OutOfMemory { details, .. } if !details.is_empty() => format!("libtorch: {}", details.trim()),
        Error::Torch(text) => format!("libtorch: {}", text.trim()),
        Error::At { place, source } => format!("{place}: {}", whole(source)),
        other => other.to_string(),
    }
}

/// tch unwraps a `TchError::Torch(text)`: the panic's message holds the text as Rust would write it in code.
fn from_text(message: &str, place: &str) -> Error {
    match (of_tch(message), Error::of_thread_text(message)) {
        (Some(text), _) => Error::torch(text),
        (None, Some(error)) => error,
        (None, None) => Error::run(format!("internal error at {place}: {}", first_line(message)))
            .with_hint("this is a fault of sgas: please report it with the command that you typed"),
    }
}

/// libtorch's text in a panic of tch.
fn of_tch(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("Torch(\"")?;
    Some(unescaped(rest.strip_suffix("\")").unwrap_or(rest)))
}

/// A text as it was before Rust wrote it with escapes.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, if letter == '\\' { letters.next() } else { None }) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('r')) => {}
            ('\\', Some(other)) => plain.push(other),
            (letter, _) => plain.push(letter),
        }
    }
    plain
}

/// What `RUST_BACKTRACE` asks to be told after `error`: of every panic so far the whole message, with libtorch's C++
/// stack, its place and the backtrace; else libtorch's whole text. `None` where it does not ask, or nothing is known.
pub fn details(error: &Error) -> Option<String> {
    if Backtrace::capture().status() != BacktraceStatus::Captured {
        return None;
    }
    let told: Vec<String> = seen().drain(..).map(|panic| panic.to_string()).collect();
    let text = whole(error);
    match told.is_empty() {
        false => Some(told.join("\n")),
        true => (text != error.to_string()).then_some(text),
    }
}

impl std::fmt::Display for Panic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let thread = self.thread.name().unwrap_or("without a name");
        let text = of_tch(&self.text).unwrap_or_else(|| self.text.clone());
        write!(f, "panic in the thread '{thread}' at {}:\n{}\n{}", self.place, text.trim(), self.backtrace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::layers::relu_unit_length;
    use tch::{Tensor, kind::FLOAT_CPU};

    #[test]
    fn an_exception_of_libtorch_shows_its_first_line_and_keeps_the_rest() {
        let message = "called `Result::unwrap()` on an `Err` value: Torch(\"shape '[3]' is \\\"invalid\\\"\\nException \
                       raised from infer_size\")";
        let error = from_text(message, "tch.rs:1");
        assert_eq!(error.to_string(), "libtorch: shape '[3]' is \"invalid\"");
        assert_eq!(whole(&error), "libtorch: shape '[3]' is \"invalid\"\nException raised from infer_size");
        assert_eq!(from_text("Err: Torch(\"sizes differ\")", "").to_string(), "libtorch: sizes differ");
        let memory = from_text("Err: Torch(\"std::bad_alloc\\nException raised\")", "");
        assert!(memory.is_out_of_memory());
        assert_eq!(memory.to_string(), "out of memory: std::bad_alloc");
        assert_eq!(whole(&memory), "libtorch: std::bad_alloc\nException raised");
        let thread =
            from_text("The global thread pool has not been initialized.: ThreadPoolBuildError { .. }", "x.rs:1");
        assert!(
            thread.to_string().starts_with("the system starts no more threads") && thread.hint().is_some(),
            "{thread}"
        );
    }

    #[test]
    fn another_panic_names_its_place() {
        let error = as_errors::<()>(|| panic!("index out of bounds")).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("index out of bounds"), "{error}");
    }

    #[test]
    fn what_tch_panics_with_is_recognised() {
        let error = as_errors(|| Ok(Tensor::zeros([2], FLOAT_CPU).view([3]))).unwrap_err();
        let Error::Torch(text) = error else { panic!("not an exception of libtorch: {error}") };
        assert!(text.contains("shape '[3]' is invalid for input of size 2"), "{text}");
    }

    /// More rows than any memory holds, which are views of one.
    fn endless() -> Tensor {
        Tensor::zeros([1, 1024], FLOAT_CPU).expand([1 << 45, 1024], false)
    }

    #[test]
    fn memory_that_runs_out_is_told_alike_by_a_kernel_and_by_an_operator() {
        for kernel in [true, false] {
            let action = || Ok(if kernel { relu_unit_length(&endless()) } else { endless().contiguous() });
            let error = as_errors(action).unwrap_err();
            assert!(error.is_out_of_memory(), "kernel {kernel}: {error}");
            assert!(whole(&error).starts_with("libtorch: "), "kernel {kernel}: {error}");
            assert_eq!(error.exit_code(), 1);
            assert!(error.to_string().contains("memory"), "kernel {kernel}: {error}");
            assert!(error.hint().unwrap().contains("--batch"), "kernel {kernel}: {error}");
        }
    }

    #[test]
    fn an_error_that_unwinds_comes_back_as_it_was() {
        let error = as_errors::<()>(|| Error::usage("--x: no").with_hint("leave it out").raise()).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint(), error.exit_code()), ("--x: no", Some("leave it out"), 2));
    }
}
