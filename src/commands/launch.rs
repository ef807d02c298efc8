//! `sgas launch`: several processes of this program on this machine that share a run, as torchrun starts them; and again
//! from the last checkpoint where one failed.

use super::options::LaunchOptions;
use super::signals::{self, Signals};
use super::{Command as Work, GlobalOptions};
use crate::dist::place;
use crate::error::{Error, Result};
use crate::tensor::bridge::group::Store;
use clap::Parser;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Exit code of a process whose user's input must change.
const MISUSE: u8 = 2;
/// How often processes are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long the others have to end by themselves after one failed: they find out when they next sum.
const GRACE: Duration = Duration::from_secs(20);

/// What each of the processes reads of its words.
#[derive(Parser)]
struct Shared {
    #[command(flatten)]
    _global: GlobalOptions,
    #[command(subcommand)]
    _work: Work,
}

/// Starts them and waits for all.
///
/// # Errors
/// A command that can't be shared; processes that fail more often than they may be restarted; [`Error::Told`] where the
/// first process said why, or that a signal stopped it.
pub fn run(options: &LaunchOptions) -> Result<()> {
    check(&options.command)?;
    if let Some(least) = options.least.filter(|least| *least > options.nproc) {
        return Err(Error::invalid(
            "--least",
            format!("at most --nproc, which is {}", options.nproc),
            least.to_string(),
        ));
    }
    let program = std::env::current_exe().map_err(|source| Error::read("the program itself", source))?;
    let signals = signals::watch();
    let mut words = options.command.clone();
    let mut world = options.nproc;
    for attempt in 0.. {
        let failed = match attempt_of(&program, &words, world, attempt, &signals)? {
            Ended::Well => return Ok(()),
            Ended::Stopped(signal) => {
                return Err(Error::Told { code: 128 + signal });
            }
            Ended::Failed(failed) => failed,
        };
        let told: Vec<String> = failed.iter().map(|(rank, how)| format!("rank {rank} ({how})")).collect();
        let told = told.join(", ");
        if failed.iter().any(|(_, how)| how.is_misuse) {
            return Err(Error::Told { code: MISUSE });
        }
        if attempt == options.restarts {
            let hint = "what it said stands above; --restarts N goes on from the last checkpoint by itself";
            return Err(Error::run(format!("{told} of {world} processes failed")).with_hint(hint));
        }
        if let Some(least) = options.least {
            world = world.saturating_sub(failed.len()).max(least);
        }
        tracing::warn!("failed: {told}; restart {} of {} with {world} processes", attempt + 1, options.restarts);
        if !words.iter().any(|word| word == "--resume") {
            words.push("--resume".to_owned());
        }
    }
    unreachable!("attempts end")
}

/// Refuses what processes can't share, before any is started.
fn check(words: &[String]) -> Result<()> {
    let hint = "sgas launch --nproc 2 -- search --task modelnet40";
    match words.first().map(String::as_str) {
        Some("search" | "train") => {}
        other => {
            let found = other.unwrap_or("nothing");
            return Err(Error::invalid("sgas launch: the command after --", "search or train", found).with_hint(hint));
        }
    }
    let typed = std::iter::once("sgas").chain(words.iter().map(String::as_str));
    Shared::try_parse_from(typed).map(drop).map_err(|error| {
        let text = error.to_string();
        let text = text.trim().strip_prefix("error: ").unwrap_or(text.trim()).to_owned();
        Error::usage(format!("sgas launch: {text}"))
    })
}

enum Ended {
    Well,
    Stopped(u8),
    /// The processes that failed by themselves, and how.
    Failed(Vec<(usize, How)>),
}

/// How a process failed.
struct How {
    status: String,
    /// Whether the user's input must change.
    is_misuse: bool,
}

impl std::fmt::Display for How {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.status)
    }
}

/// Processes that are ended where they are dropped.
struct Children(Vec<(Child, Option<std::process::ExitStatus>)>);

impl Drop for Children {
    fn drop(&mut self) {
        for (child, status) in &mut self.0 {
            if status.is_none() {
                // It may have ended meanwhile.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

impl Children {
    fn signal(&self, signal: u8) {
        for (child, _) in self.0.iter().filter(|(_, status)| status.is_none()) {
            signals::pass_on(child, signal);
        }
    }
}

fn attempt_of(program: &Path, words: &[String], world: usize, attempt: usize, signals: &Signals) -> Result<Ended> {
    // Its clients' keys begin otherwise; it is open as long as this attempt.
    let store = Store::serve(0, "launch")?;
    let mut children = Children(Vec::new());
    for rank in 0..world {
        let child = start(program, words, rank, world, store.port, attempt)?;
        children.0.push((child, None));
    }
    let mut asked = None;
    let mut failed: Vec<(usize, How)> = Vec::new();
    let mut first_failure: Option<Instant> = None;
    let mut ended_by_us = false;
    while children.0.iter().any(|(_, status)| status.is_none()) {
        for (rank, (child, status)) in children.0.iter_mut().enumerate().filter(|(_, (_, status))| status.is_none()) {
            *status = child.try_wait().map_err(|source| Error::read("a process of the run", source))?;
            if let Some(status) = status.filter(|status| !status.success()) {
                // One that was killed, or fails first, takes the others with it: they are not counted.
                if first_failure.is_none() || (status.code().is_none() && !ended_by_us) {
                    failed.push((
                        rank,
                        How { status: status.to_string(), is_misuse: status.code() == Some(MISUSE.into()) },
                    ));
                }
                first_failure.get_or_insert_with(Instant::now);
            }
        }
        if let (None, Some(signal)) = (asked, signals.stop()) {
            asked = Some(signal);
            children.signal(signal);
        }
        if !ended_by_us && first_failure.is_some_and(|failure| failure.elapsed() > GRACE) {
            ended_by_us = true;
            children.signal(9);
        }
        std::thread::sleep(LOOK);
    }
    Ok(match asked {
        Some(signal) if first_failure.is_some() => Ended::Stopped(signal),
        _ if failed.is_empty() => Ended::Well,
        _ => Ended::Failed(failed),
    })
}

/// A process of the run; the first one speaks for all.
fn start(program: &Path, words: &[String], rank: usize, world: usize, port: u16, attempt: usize) -> Result<Child> {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    if rank > 0 {
        command.stdout(Stdio::null());
    }
    let numbers = [
        ("RANK", rank),
        ("LOCAL_RANK", rank),
        ("WORLD_SIZE", world),
        ("LOCAL_WORLD_SIZE", world),
        (place::PORT, port.into()),
        (place::ATTEMPT, attempt),
    ];
    for (name, number) in numbers {
        command.env(name, number.to_string());
    }
    command.env(place::HOST, "127.0.0.1").env(place::LAUNCHER_STORE, "True");
    // What a terminal sends goes to this process alone, which passes it on once.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(|source| Error::read(program, source))
}
