//! The program: parse, run, print one error with its hint, exit code. A crate that adds spaces, strategies or objectives
//! registers them and calls [`main`] (`examples/extend`).

use crate::cli::{self, Meant};
use crate::commands::{self, STANDARD_OUTPUT};
use crate::data;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::tensor::bridge::{device, memory};
use crate::{panics, threads, visible};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Exit code of a command that did what it was asked.
const DONE: u8 = 0;
/// Exit code of a run that failed.
const FAILED: u8 = 1;
/// Exit code of a misuse.
const MISUSE: u8 = 2;

/// Does what was typed, and ends the process.
pub fn main() -> ExitCode {
    if let Some(code) = data::unpack_where_asked() {
        return code;
    }
    panics::silence();
    memory::keep_freed_memory();
    let code = match panics::as_errors(answer) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => DONE,
        Err(error) => {
            // What is typed wrong, or stopped, is so in all processes of a run, of which the first one says it.
            let is_common = error.exit_code() != FAILED && !error.is_of_rank() && commands::is_spoken_for();
            if !is_common && !matches!(error, Error::Told { .. }) {
                report(&error);
            }
            error.exit_code()
        }
    };
    if device::has_cuda() {
        return ExitCode::from(code);
    }
    // Where nobody reads it any more, nobody misses the rest.
    let _ = io::stdout().flush();
    memory::end_process(code)
}

fn answer() -> Result<u8> {
    let out = &mut io::stdout();
    match cli::parse(std::env::args_os()) {
        Ok(Meant::Work(global, command)) => {
            if command.computes() {
                threads::set_thread_defaults();
            }
            commands::run(&command, &global, out)?;
        }
        Ok(Meant::Answer(text)) => commands::print(out, &text)?,
        Ok(Meant::Files(folder, pages)) => {
            std::fs::create_dir_all(&folder).map_err(|source| Error::write(&folder, source))?;
            pages.iter().try_for_each(|(name, page)| write_atomically(&folder.join(name), page))?;
            commands::print(out, &format!("{} pages in {}\n", pages.len(), folder.display()))?;
        }
        Err(misuse) if misuse.use_stderr() => {
            visible::say(&misuse.render().to_string());
            return Ok(MISUSE);
        }
        // Help and version: clap knows whether a terminal shows bold letters.
        Err(asked) => {
            asked.print().and_then(|()| out.flush()).map_err(|source| Error::write(STANDARD_OUTPUT, source))?;
        }
    }
    Ok(DONE)
}

/// The reader of the results, such as `head`, has seen enough.
fn is_closed_pipe(error: &Error) -> bool {
    let Error::Write { path, source } = error else { return false };
    source.kind() == io::ErrorKind::BrokenPipe && path == Path::new(STANDARD_OUTPUT)
}

fn report(error: &Error) {
    let hint = error.hint().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    let details = panics::details(error).map(|details| format!("\n{details}\n")).unwrap_or_default();
    let word = if matches!(error, Error::Stopped { .. }) { "" } else { "error: " };
    visible::say(&format!("{word}{error}\n{hint}{details}"));
}
