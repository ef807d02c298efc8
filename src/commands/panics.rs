//! Turns panics into errors: tch panics where libtorch throws, and no user should meet a backtrace.

use crate::error::{Error, Result, first_line};
use std::panic::PanicHookInfo;
use std::sync::Mutex;

/// Message and place of the first panic that nobody has reported yet.
static FIRST: Mutex<Option<(String, String)>> = Mutex::new(None);

/// Keeps panics from being printed; [`as_errors`] reports them.
pub fn silence() {
    std::panic::set_hook(Box::new(|info| {
        let mut first = FIRST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if first.is_none() {
            *first = Some((message(info), info.location().map(ToString::to_string).unwrap_or_default()));
        }
    }));
}

/// Calls `action`; a panic in it becomes an error.
///
/// # Errors
/// Those of `action`; [`Error::Torch`] for an exception of libtorch; [`Error::Run`] for any other panic.
pub fn as_errors<T>(action: impl FnOnce() -> Result<T>) -> Result<T> {
    let action = std::panic::AssertUnwindSafe(action);
    std::panic::catch_unwind(action).unwrap_or_else(|payload| {
        let first = FIRST.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let (message, place) = first.unwrap_or_else(|| (text_of(payload.as_ref()), "an unknown place".to_owned()));
        Err(from_panic(&message, &place))
    })
}

fn message(info: &PanicHookInfo<'_>) -> String {
    text_of(info.payload())
}

fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

/// tch unwraps a `TchError::Torch(text)`: the panic's message holds the text as Rust would write it in code.
fn from_panic(message: &str, place: &str) -> Error {
    match message.split_once("Torch(\"") {
        Some((_, rest)) => Error::Torch(
            first_line(&rest.replace("\\n", "\n").replace("\\\"", "\"")).trim_end_matches("\")").to_owned(),
        ),
        None => Error::run(format!("internal error at {place}: {}", first_line(message)))
            .with_hint("this is a fault of sgas: please report it with the command that you typed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_of_libtorch_keeps_its_first_line_only() {
        let message = "called `Result::unwrap()` on an `Err` value: Torch(\"shape '[3]' is \\\"invalid\\\"\\nException \
                       raised from infer_size\")";
        let error = from_panic(message, "tch.rs:1");
        assert_eq!(error.to_string(), "libtorch: shape '[3]' is \"invalid\"");
        assert_eq!(from_panic("Err: Torch(\"out of memory\")", "").to_string(), "libtorch: out of memory");
    }

    #[test]
    fn another_panic_names_its_place() {
        let error = as_errors::<()>(|| panic!("index out of bounds")).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("index out of bounds"), "{error}");
    }

    #[test]
    fn what_tch_panics_with_is_recognised() {
        let error = as_errors(|| Ok(tch::Tensor::zeros([2], tch::kind::FLOAT_CPU).view([3]))).unwrap_err();
        let Error::Torch(text) = error else { panic!("not an exception of libtorch: {error}") };
        assert!(text.contains("shape '[3]' is invalid for input of size 2"), "{text}");
    }
}
