//! The program: parse, run, print one error with its hint, exit code. A crate that adds spaces, strategies or objectives
//! registers them and calls [`main`] (`examples/extend`).

use crate::error::Error;
use crate::tensor::bridge::memory;
use crate::{cli, commands, panics, threads};
use std::process::ExitCode;

/// Does what was typed.
pub fn main() -> ExitCode {
    threads::set_thread_defaults();
    memory::keep_freed_memory();
    let Some((global, command)) = cli::parse() else { return ExitCode::SUCCESS };
    panics::silence();
    match panics::as_errors(|| commands::run(&command, &global, &mut std::io::stdout())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The reader of the results, such as `head`, has seen enough.
fn is_closed_pipe(error: &Error) -> bool {
    matches!(error, Error::Write { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
}

fn report(error: &Error) {
    match error {
        Error::Stopped { .. } => eprintln!("{error}"),
        _ => eprintln!("error: {error}"),
    }
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
    if let Some(details) = panics::details(error) {
        eprintln!("\n{details}");
    }
}
