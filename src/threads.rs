//! How libtorch's OpenMP threads wait for work, set before they exist.
//!
//! By default libgomp's threads spin while they wait. Alone on a machine that is fastest; beside a second busy
//! process it made a search step seven times slower (two cores; `benches/results/threads.md`). A short
//! spin keeps most of the speed of the one and nearly all of the other.

use crate::restart;
use std::env;

/// libgomp's name for the number of turns that a thread spins before it sleeps.
const SPIN_COUNT: &str = "GOMP_SPINCOUNT";
/// The standard's name for how threads wait.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";
/// About ten microseconds.
const TURNS: &str = "1000";

/// Makes waiting threads sleep soon, unless the user's environment says how they wait.
///
/// libgomp reads the environment when it is loaded, which is before `main`: the program starts again with the variable
/// set. Call it before anything is begun; a second call, and that of the program started again, find the variable set and
/// return. Where the system refuses, threads spin, and all else is the same.
pub fn set_thread_defaults() {
    if user_decides(|name| env::var_os(name).is_some()) {
        return;
    }
    restart::with(SPIN_COUNT, TURNS);
}

fn user_decides(is_set: impl Fn(&str) -> bool) -> bool {
    is_set(SPIN_COUNT) || is_set(WAIT_POLICY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_variable_of_the_user_wins() {
        assert!(!user_decides(|_| false));
        assert!(user_decides(|name| name == "GOMP_SPINCOUNT"));
        assert!(user_decides(|name| name == "OMP_WAIT_POLICY"));
    }
}
