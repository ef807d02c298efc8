//! Where time goes: every operator that a thread calls, libtorch's and the bridge's, in forward and backward passes.

use std::ffi::c_char;
use std::time::Duration;

use super::recording::recording;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_profile_start() -> *mut c_char;
    fn sgas_profile_stop(out: *mut *mut c_char) -> *mut c_char;
}

/// An operator in one kind of pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// libtorch's name (`aten::mm`, `AddmmBackward0`), or the kernel's (`gather_max`), the same in both passes.
    pub name: String,
    /// Called from a backward pass.
    pub backward: bool,
    /// How often.
    pub calls: u64,
    /// Time on the calling thread without that of the operators which it called itself.
    pub own: Duration,
}

/// Gives what `body` gives, and every operator that this thread called in it. On a CPU backward passes run on the
/// thread that asks for them. Profiled steps take longer: an operator costs about a microsecond more.
///
/// # Errors
/// Inside of another profile of the same thread.
pub fn profiled<T>(body: impl FnOnce() -> T) -> Result<(T, Vec<Operator>)> {
    recording((sgas_profile_start, sgas_profile_stop), body, operator)
}

fn operator(line: &str) -> Option<Operator> {
    let mut words = line.splitn(4, ' ');
    let backward = words.next()? == "1";
    let (calls, nanoseconds) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Operator { name: plain(words.next()?), backward, calls, own: Duration::from_nanos(nanoseconds) })
}

/// A kernel's name without what C++ puts around it: `sgas_gather_max` and
/// `torch::autograd::CppNode<sgas::(anonymous namespace)::GatherMax>` are both `gather_max`. What autograd's engine does
/// around each node of a graph has one name.
pub(super) fn plain(name: &str) -> String {
    const ENGINE: &str = "autograd::engine::evaluate_function";
    if name.starts_with(ENGINE) {
        return ENGINE.to_owned();
    }
    if let Some(kernel) = name.strip_prefix("sgas_") {
        return kernel.to_owned();
    }
    match name.strip_prefix("torch::autograd::CppNode<").and_then(|rest| rest.strip_suffix('>')) {
        Some(class) => snake_case(class.rsplit("::").next().unwrap_or(class)),
        None => name.to_owned(),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_have_one_name_in_both_passes() {
        assert_eq!(plain("sgas_gather_max"), "gather_max");
        assert_eq!(plain("torch::autograd::CppNode<sgas::(anonymous namespace)::GatherMax>"), "gather_max");
        assert_eq!(plain("aten::mm"), "aten::mm");
        let around = "autograd::engine::evaluate_function: torch::autograd::CppNode<sgas::(anonymous namespace)::Mix>";
        assert_eq!(plain(around), "autograd::engine::evaluate_function");
    }
}
