//! Where logs go: standard error, above the bars, and the `log.txt` of the run that was entered last. What is told
//! before a run is entered waits, and stands first in its log.

use super::Verbosity;
use crate::error::{Error, Result};
use crate::report::progress::EPOCH_TARGET;
use crate::report::terminal;
use crate::visible::visible;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The log of the run.
static RUN_LOG: Mutex<RunLog> = Mutex::new(RunLog::Waiting(Vec::new()));

enum RunLog {
    /// No run folder yet: what was told.
    Waiting(Vec<u8>),
    /// The open `log.txt`.
    Following(File),
}

/// Starts logging; a second call changes nothing.
pub fn start(verbosity: Verbosity) {
    // What can't be logged is lost; tracing itself would panic where standard error is full. Control characters are
    // made visible by the writers.
    let terminal = fmt::layer().with_target(false).with_ansi(false).with_ansi_sanitization(false);
    let terminal = terminal.log_internal_errors(false).without_time().with_writer(|| Terminal);
    let file = fmt::layer().with_target(false).with_ansi(false).with_ansi_sanitization(false);
    let file = file.log_internal_errors(false).with_writer(|| ToRunLog);
    let level = match verbosity {
        Verbosity::Quiet => Level::WARN,
        Verbosity::Normal => Level::INFO,
        Verbosity::Verbose => Level::DEBUG,
    };
    let bar_tells_epochs = io::stderr().is_terminal() && verbosity != Verbosity::Quiet;
    let shown = filter_fn(move |told| *told.level() <= level && !(bar_tells_epochs && told.target() == EPOCH_TARGET));
    let started = tracing_subscriber::registry()
        .with(terminal.with_filter(shown))
        .with(file.with_filter(LevelFilter::from_level(level.max(Level::INFO))))
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// From now on logs also go to this file, after what it holds; what was told before comes first. A resumed run cuts
/// its logs before.
///
/// # Errors
/// A file that can't be written.
pub fn follow(path: &Path) -> Result<()> {
    let unwritable = |source| Error::write(path, source);
    let mut file = File::options().create(true).append(true).open(path).map_err(unwritable)?;
    let mut log = run_log();
    if let RunLog::Waiting(told) = &*log {
        file.write_all(told).map_err(unwritable)?;
    }
    *log = RunLog::Following(file);
    Ok(())
}

fn run_log() -> MutexGuard<'static, RunLog> {
    RUN_LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A message as a terminal may show it; tracing hands over each in one piece.
fn shown(bytes: &[u8]) -> Vec<u8> {
    visible(&String::from_utf8_lossy(bytes)).into_owned().into_bytes()
}

/// Standard error, with the bars out of the way.
struct Terminal;

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shown = shown(bytes);
        terminal::bars().suspend(|| io::stderr().write_all(&shown)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

struct ToRunLog;

impl Write for ToRunLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shown = shown(bytes);
        match &mut *run_log() {
            RunLog::Waiting(told) => told.write_all(&shown),
            RunLog::Following(file) => file.write_all(&shown),
        }
        .map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut *run_log() {
            RunLog::Waiting(_) => Ok(()),
            RunLog::Following(file) => file.flush(),
        }
    }
}
