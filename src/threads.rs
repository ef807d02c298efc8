//! How libtorch's OpenMP threads wait for work, set before they exist.
//!
//! By default libgomp's threads spin while they wait. Alone on a machine that is fastest; beside a second busy
//! process it made a search step seven times slower (two cores; `benches/results/threads.md`). A short
//! spin keeps most of the speed of the one and nearly all of the other.

use std::env;
use std::process::Command;

/// libgomp's name for the number of turns that a thread spins before it sleeps.
const SPIN_COUNT: &str = "GOMP_SPINCOUNT";
/// The standard's name for how threads wait.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";
/// About ten microseconds.
const TURNS: &str = "1000";

/// Makes waiting threads sleep soon, unless the user's environment says how they wait.
///
/// libgomp reads the environment when it is loaded, which is before `main`: the program replaces itself by
/// itself with the variable set (same process, arguments and streams; 0.2 s to load libtorch again). Call it
/// first in `main`; a second call, and the replaced program's, find the variable set and return.
pub fn set_thread_defaults() {
    if user_decides(|name| env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut command = Command::new(program);
    command.args(env::args_os().skip(1)).env(SPIN_COUNT, TURNS);
    replace_program(command);
}

fn user_decides(is_set: impl Fn(&str) -> bool) -> bool {
    is_set(SPIN_COUNT) || is_set(WAIT_POLICY)
}

/// Returns only where the system refuses; threads then spin, and all else is the same.
#[cfg(unix)]
fn replace_program(mut command: Command) {
    use std::os::unix::process::CommandExt;
    if let Some(name) = env::args_os().next() {
        command.arg0(name);
    }
    let refusal = command.exec();
    tracing::debug!("threads keep libgomp's way of waiting: {refusal}");
}

/// libgomp is not what other systems use.
#[cfg(not(unix))]
fn replace_program(_: Command) {}

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
