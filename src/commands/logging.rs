//! Where logs go: standard error, above the bars, and the `log.txt` of the run that was entered last.

use super::Verbosity;
use crate::error::{Error, Result};
use crate::report::progress::EPOCH_TARGET;
use crate::report::terminal;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The open `log.txt`; none before a run folder is entered.
static RUN_LOG: Mutex<Option<File>> = Mutex::new(None);

/// Starts logging; a second call changes nothing.
pub fn start(verbosity: Verbosity) {
    let terminal = fmt::layer().with_writer(|| Terminal).without_time().with_target(false).with_ansi(false);
    let file = fmt::layer().with_writer(|| RunLog).with_target(false).with_ansi(false);
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

/// From now on logs also go to this file, after what it holds.
///
/// # Errors
/// A file that can't be written.
pub fn follow(path: &Path) -> Result<()> {
    let file = File::options().create(true).append(true).open(path).map_err(|source| Error::write(path, source))?;
    *run_log() = Some(file);
    Ok(())
}

fn run_log() -> MutexGuard<'static, Option<File>> {
    RUN_LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard error, with the bars out of the way.
struct Terminal;

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        terminal::bars().suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

struct RunLog;

impl Write for RunLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        run_log().as_mut().map_or(Ok(bytes.len()), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        run_log().as_mut().map_or(Ok(()), File::flush)
    }
}
