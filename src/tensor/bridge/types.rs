//! In which types numbers really reach operators and kernels: what tests hold the list of fp32 computations against.

use std::ffi::c_char;

use tch::Kind;

use super::profile::plain;
use super::recording::recording;
use crate::error::Result;

unsafe extern "C" {
    fn sgas_types_start() -> *mut c_char;
    fn sgas_types_stop(out: *mut *mut c_char) -> *mut c_char;
}

/// Calls of an operator or kernel with numbers of these types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// libtorch's name (`aten::mm`), or the kernel's (`gather_max`), the same in both passes.
    pub name: String,
    /// Called from a backward pass.
    pub backward: bool,
    /// How often.
    pub calls: u64,
    /// Of an operator the types of its tensors of floating numbers in order, behind autocast's casts; of a kernel the
    /// type of a tensor that it computes with.
    pub inputs: Vec<Kind>,
    /// The types of an operator's results in order; none of a kernel.
    pub outputs: Vec<Kind>,
    /// The kernel that called it, where one did.
    pub within: Option<String>,
}

/// Gives what `body` gives, and the types of what reached operators and kernels that this thread called in it. An
/// operator that calls itself, as autocast makes it, counts once: where its numbers have the types they are computed
/// in.
///
/// # Errors
/// Inside of another such record of the same thread.
pub fn recorded<T>(body: impl FnOnce() -> T) -> Result<(T, Vec<Arrival>)> {
    recording((sgas_types_start, sgas_types_stop), body, arrival)
}

fn arrival(line: &str) -> Option<Arrival> {
    let mut words = line.splitn(6, ' ');
    let backward = words.next()? == "1";
    let calls = words.next()?.parse().ok()?;
    let (inputs, outputs) = (kinds(words.next()?)?, kinds(words.next()?)?);
    let within = Some(words.next()?).filter(|name| *name != "-").map(plain);
    Some(Arrival { name: plain(words.next()?), backward, calls, inputs, outputs, within })
}

fn kinds(names: &str) -> Option<Vec<Kind>> {
    names.split(',').filter(|name| *name != "-").map(kind).collect()
}

fn kind(name: &str) -> Option<Kind> {
    match name {
        "Float" => Some(Kind::Float),
        "Double" => Some(Kind::Double),
        "Half" => Some(Kind::Half),
        "BFloat16" => Some(Kind::BFloat16),
        _ => None,
    }
}
