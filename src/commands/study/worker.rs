//! Does what a plan asks for: each run by a process of its own, which goes on where another was cut.
//!
//! A unit is taken by a lock that the run's process holds as well: it is free when both are gone, however they ended.

use super::folder::{State, Step, StudyFolder};
use super::plan::Unit;
use crate::commands::lock::RunLock;
use crate::commands::options::GlobalOptions;
use crate::commands::run_folder::RunFolder;
use crate::commands::signals::{self, Signals};
use crate::dist::place;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::reading;
use crate::visible::for_shell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How often a run that was killed is gone on with, before the unit counts as failed.
const TRIES: usize = 3;
/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How much of a run's last words is kept of a failure, in bytes.
const LAST_WORDS: u64 = 2000;

/// What became of the units.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Done by this process.
    pub done: usize,
    /// Names of those that other processes work on.
    pub elsewhere: Vec<String>,
    /// Those that failed, now or before, and why.
    pub failed: Vec<(String, String)>,
}

/// How the process of a run ended.
enum Ended {
    Well,
    /// By this process's wish: the signal that asked.
    Stopped(u8),
    /// By itself or a signal of others.
    Otherwise(ExitStatus),
}

/// Works on these units until nothing of them is free.
pub struct Worker<'a> {
    folder: &'a StudyFolder,
    global: &'a GlobalOptions,
    program: PathBuf,
    signals: Signals,
}

impl<'a> Worker<'a> {
    /// A worker of this program.
    ///
    /// # Errors
    /// A system that doesn't say where the program is.
    pub fn new(folder: &'a StudyFolder, global: &'a GlobalOptions) -> Result<Self> {
        let program = std::env::current_exe().map_err(|source| Error::read("the program itself", source))?;
        Ok(Self { folder, global, program, signals: signals::watch() })
    }

    /// Does what is left; where `retry` says so, what failed before as well.
    ///
    /// # Errors
    /// A study's folder that can't be written; [`Error::Stopped`] where a signal came.
    pub fn work(&self, units: &[&Unit], retry: bool) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        if retry {
            units.iter().try_for_each(|unit| self.folder.forgive(unit))?;
        }
        loop {
            let mut is_idle = true;
            outcome.elsewhere.clear();
            for unit in units {
                if self.folder.state(unit) != State::Open {
                    continue;
                }
                self.check_signal(unit)?;
                let Some(claim) = self.folder.claim(unit)? else {
                    outcome.elsewhere.push(unit.name.clone());
                    continue;
                };
                // Another process may have done it before it was free.
                if self.folder.state(unit) != State::Open {
                    continue;
                }
                if self.finish(unit, &claim)? {
                    outcome.done += usize::from(self.folder.state(unit) == State::Done);
                    is_idle = false;
                } else {
                    outcome.elsewhere.push(unit.name.clone());
                }
            }
            if is_idle {
                break;
            }
        }
        let failed = units.iter().filter_map(|unit| match self.folder.state(unit) {
            State::Failed(why) => Some((unit.name.clone(), why)),
            State::Open | State::Done => None,
        });
        outcome.failed = failed.collect();
        Ok(outcome)
    }

    /// All steps of a unit that are left; `false` where another process works on one of its runs.
    fn finish(&self, unit: &Unit, claim: &RunLock) -> Result<bool> {
        let mut tries = 0;
        while let Some(step) = self.folder.next(unit) {
            let run = RunFolder::open(self.folder.run(unit, step)).ok();
            // On a file system whose locks don't pass to another process, the run's own says that it is not free.
            if let Some(run) = run.as_ref().filter(|run| !run.is_finished()) {
                match RunLock::take_if_free(&run.checkpoint().join("lock"), "") {
                    Ok(Some(free)) => drop(free),
                    Ok(None) => return Ok(false),
                    // Its own process says what is wrong with it.
                    Err(_) => {}
                }
            }
            let going_on = if run.is_some() && step != Step::Evaluate { ", from where it was cut" } else { "" };
            tracing::info!("{}: {}{going_on}", unit.name, step.name());
            match self.run(unit, step, run.is_some(), claim)? {
                Ended::Well if self.folder.next(unit) == Some(step) => {
                    let why = format!("sgas {} ended without a result", step.name());
                    self.fail(unit, &why)?;
                    return Ok(true);
                }
                Ended::Well => tries = 0,
                Ended::Stopped(signal) => return Err(self.stopped(unit, signal)),
                Ended::Otherwise(status) if status.code().is_none() && tries + 1 < TRIES => {
                    tries += 1;
                    tracing::warn!("{}: sgas {} was ended ({status}): it goes on", unit.name, step.name());
                }
                Ended::Otherwise(status) => {
                    let words = last_words(&self.folder.log(unit));
                    self.fail(unit, &format!("sgas {} ended with {status}: {words}", step.name()))?;
                    return Ok(true);
                }
            }
        }
        Ok(true)
    }

    fn fail(&self, unit: &Unit, why: &str) -> Result<()> {
        tracing::warn!("{}: {why}", unit.name);
        self.folder.fail(unit, why)
    }

    /// Runs a step to its end.
    fn run(&self, unit: &Unit, step: Step, is_begun: bool, claim: &RunLock) -> Result<Ended> {
        let log = self.folder.log(unit);
        let words = self.words(unit, step, is_begun);
        let append = || File::options().create(true).append(true).open(&log).map_err(|error| Error::write(&log, error));
        let mut file = append()?;
        let typed: Vec<String> = words.iter().map(|word| for_shell(word.clone())).collect();
        writeln!(file, "\n$ sgas {}", typed.join(" ")).map_err(|error| Error::write(&log, error))?;
        let mut command = Command::new(&self.program);
        command.args(&words).stdin(Stdio::null()).stderr(append()?);
        // A run of a study is one process's, whoever started the study.
        for name in place::variables() {
            command.env_remove(name);
        }
        let result = match step {
            Step::Evaluate => Some(tempfile::tempfile().map_err(|error| Error::write("a temporary file", error))?),
            Step::Search | Step::Train => None,
        };
        let output = result
            .as_ref()
            .map_or_else(append, |file| file.try_clone().map_err(|error| Error::write("a temporary file", error)))?;
        command.stdout(output);
        // What a terminal sends goes to this process alone, which passes it on once.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let inherited = claim.inherited();
        let child = command.spawn().map_err(|source| Error::read(&self.program, source))?;
        drop(inherited);
        let ended = self.wait(child)?;
        if let (Ended::Well, Some(mut file)) = (&ended, result) {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0))
                .and_then(|_| file.read_to_end(&mut bytes))
                .map_err(|error| Error::read("a temporary file", error))?;
            write_atomically(&self.folder.scores(unit), &bytes)?;
        }
        Ok(ended)
    }

    /// Waits for a run; a signal that stops this process is passed on, and the run's end waited for.
    fn wait(&self, mut child: Child) -> Result<Ended> {
        let mut asked = None;
        loop {
            let status = child.try_wait().map_err(|source| Error::read("the process of a run", source))?;
            if let Some(status) = status {
                return Ok(match asked {
                    _ if status.success() => Ended::Well,
                    Some(signal) => Ended::Stopped(signal),
                    None => Ended::Otherwise(status),
                });
            }
            if let (None, Some(signal)) = (asked, self.signals.stop()) {
                asked = Some(signal);
                signals::pass_on(&child, signal);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn check_signal(&self, unit: &Unit) -> Result<()> {
        self.signals.stop().map_or(Ok(()), |signal| Err(self.stopped(unit, signal)))
    }

    fn stopped(&self, unit: &Unit, signal: u8) -> Error {
        let message = format!("stopped by {} at {}, whose state is kept", signals::name(signal), unit.name);
        let hint = Some(format!("go on: sgas study {}", self.folder.typed()));
        Error::Stopped { message, hint, signal }
    }

    /// What is typed for a step.
    fn words(&self, unit: &Unit, step: Step, is_begun: bool) -> Vec<String> {
        let mut words = vec![step.name().to_owned()];
        let path = |path: PathBuf| path.display().to_string();
        let run = path(self.folder.run(unit, step));
        let flags = match step {
            Step::Search => unit.search.as_ref(),
            Step::Train => unit.train.as_ref(),
            Step::Evaluate => None,
        };
        match step {
            Step::Evaluate => words.extend([format!("--run={run}"), "--json".to_owned()]),
            Step::Search | Step::Train if is_begun => words.extend([format!("--out={run}"), "--resume".to_owned()]),
            Step::Search | Step::Train => {
                words.extend(flags.into_iter().flatten().cloned());
                if step == Step::Train && unit.search.is_some() {
                    words.push(format!("--genotype={}", path(self.folder.run(unit, Step::Search))));
                }
                words.extend([format!("--seed={}", unit.seed), format!("--out={run}")]);
            }
        }
        words.extend(self.global.words());
        words
    }
}

/// The last line that says what went wrong, or else the last one.
fn last_words(log: &Path) -> String {
    let read = || -> Option<String> {
        let mut file = reading::open(log).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS))).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let error = text.rfind("error: ").map(|at| &text[at + "error: ".len()..]);
    error.unwrap_or_else(|| text.trim_end().lines().next_back().unwrap_or("it said nothing")).trim().to_owned()
}
