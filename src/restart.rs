//! The program replaces itself by itself, with a variable of the environment set: same process, arguments and streams.
//!
//! For what can't be changed in a process that has begun. It costs the 0.2 s in which libtorch is loaded again.

use std::env;
use std::process::Command;

/// Starts the program again with `variable` set to `value`. Returns only where the system refuses, with its reason in
/// the log.
pub fn with(variable: &str, value: &str) {
    let Ok(program) = env::current_exe() else { return };
    let mut command = Command::new(program);
    command.args(env::args_os().skip(1)).env(variable, value);
    replace_program(command);
}

#[cfg(unix)]
fn replace_program(mut command: Command) {
    use std::os::unix::process::CommandExt;
    if let Some(name) = env::args_os().next() {
        command.arg0(name);
    }
    let refusal = command.exec();
    tracing::debug!("the program can't be started again: {refusal}");
}

/// Only Unix replaces a program within its process.
#[cfg(not(unix))]
fn replace_program(_: Command) {}
