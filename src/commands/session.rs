//! A run from its beginning, or from where it stands, to its end: the folder and its lock, what the run is and whether it
//! is still the same, checkpoints, signals, and going back where numbers went wrong.

use super::estimate;
use super::identity::{self, Difference, Identity};
use super::keeper::{self, Follower, Loaded, RunKeeper};
use super::lock::RunLock;
use super::observers::{self, Watched};
use super::resolve::{Begun, by_some_recipe};
use super::run_folder::{self, About, RunFolder};
use super::signals::{self, Signals};
use super::{BatchChoice, GlobalOptions, RunOptions, logging};
use crate::checkpoint::{Checkpoint, Cursor, Keeper};
use crate::config::{self, RunConfig};
use crate::data::{DataIdentity, VARIANTS};
use crate::dist::Processes;
use crate::error::{Error, Result};
use crate::genotype::Genotype;
use crate::memory;
use crate::report::{Change, Event, Observer, Observers};
use crate::step::{self, Ended, Learning, OnNan};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Keys that are filled in where they are left open: where the data lies, and what follows from the data itself.
const FILLED: [&str; 4] = ["data.source", "data.normalize", "data.features", "data.scenes.block"];

/// A run that was begun, and is to go on.
pub struct GoingOn<R> {
    /// Its folder.
    pub folder: RunFolder,
    /// Its configuration.
    pub begun: Begun<R>,
    loaded: Loaded,
    lock: RunLock,
}

/// The run that `--resume` asks for: the one in `--out`, or else the newest of the configuration that `typed` gives,
/// unfinished ones first. `None` where there is none, and a run begins.
///
/// # Errors
/// A run of another command, one that another process works on, one without a whole checkpoint, or whose config.toml is
/// not what it began with.
pub fn find<R: RunConfig + Clone>(
    options: &RunOptions,
    typed: impl Fn(Option<&str>) -> Result<R>,
) -> Result<Option<GoingOn<R>>> {
    let folder = match &options.out {
        _ if !options.resume => return check_free(options).map(|()| None),
        Some(path) if RunFolder::holds_run(path) => Some(RunFolder::begun(path, R::COMMAND)?),
        Some(_) => None,
        None => {
            let (run, _) = by_some_recipe(&typed)?;
            let variants = VARIANTS.iter().filter_map(|variant| typed(Some(variant)).ok());
            let typed: Vec<R> = std::iter::once(run).chain(variants).collect();
            newest_alike(&typed, options.batch == Some(BatchChoice::Auto))
        }
    };
    let Some(folder) = folder else {
        let place = options.out.as_ref().map_or_else(
            || format!("{}, of this configuration,", run_folder::root().display()),
            |path| path.display().to_string(),
        );
        tracing::info!("--resume: nothing was begun in {place} so the run begins");
        check_free(options)?;
        return Ok(None);
    };
    if !folder.checkpoint().is_dir() {
        return Err(without_checkpoint(&folder));
    }
    let lock = folder.lock()?;
    let loaded = keeper::load(&folder)?.ok_or_else(|| without_checkpoint(&folder))?;
    let path = folder.config();
    let begun = match &loaded.identity {
        Some(identity) => {
            let origin = loaded.origin.clone();
            let run: R = serde_json::from_value(identity.configuration.clone())
                .map_err(|error| Error::invalid(&origin, "the configuration of a run", error.to_string()))?;
            check_config(&run, &path)?;
            identity::check_keys(&options.resume_anyway, &identity.configuration)?;
            Begun { origin, run }
        }
        None => Begun { origin: path.display().to_string(), run: config::read(&path)? },
    };
    if lock.killed_since > 0 && folder.ended_without_a_word() {
        tracing::warn!("{}", perhaps_killed(&folder, lock.killed_since, &begun.run));
    }
    Ok(Some(GoingOn { folder, begun, loaded, lock }))
}

fn check_free(options: &RunOptions) -> Result<()> {
    options.out.as_deref().map_or(Ok(()), RunFolder::check_free)
}

/// The newest run of one of these configurations, whatever its batch where that was chosen for it; one that is finished
/// only where no other is.
fn newest_alike<R: RunConfig>(typed: &[R], any_batch: bool) -> Option<RunFolder> {
    let is_alike = |kept: &serde_json::Value, typed: &serde_json::Value| {
        let source = typed.pointer("/data/source").and_then(serde_json::Value::as_str);
        let batch = format!("{}.batch", R::COMMAND);
        let is_filled = |key: &str| {
            FILLED.contains(&key) && !(key == "data.source" && source.is_some()) || any_batch && key == batch
        };
        let differences = identity::differences(kept, typed);
        differences.iter().all(|difference| is_filled(&difference.key))
    };
    let typed: Vec<serde_json::Value> = typed.iter().map(identity::configuration).collect();
    let is_wanted = |run: &RunFolder| {
        let Ok(kept) = config::read::<R>(&run.config()) else { return false };
        let kept = identity::configuration(&kept);
        typed.iter().any(|typed| is_alike(&kept, typed))
    };
    let mut alike: Vec<RunFolder> =
        run_folder::all(&run_folder::root(), R::COMMAND).into_iter().filter(is_wanted).collect();
    // Stable: the newest stay first.
    alike.sort_by_key(RunFolder::is_finished);
    alike.into_iter().next()
}

/// What may have ended a run that says nothing of its end.
fn perhaps_killed(folder: &RunFolder, killed: u64, run: &impl RunConfig) -> String {
    let processes = if killed == 1 { "a process".to_owned() } else { format!("{killed} processes") };
    format!(
        "{} ended without a word, and since it began this system ended {processes} for want of memory; if the run was \
         ended so: {}; what changes goes on with --resume-anyway KEY",
        folder.path().display(),
        estimate::advice(run, None)
    )
}

fn without_checkpoint(folder: &RunFolder) -> Error {
    Error::usage(format!("{}: its checkpoint is gone", folder.path().display()))
        .with_hint("what was learned is lost; begin the run anew in another folder, or remove this one")
}

/// Refuses a config.toml that is not what the run began with; one that is gone is written again.
fn check_config<R: RunConfig>(begun: &R, path: &Path) -> Result<()> {
    if !path.exists() {
        tracing::info!("{} is gone, and is written again from the checkpoint", path.display());
        return Ok(());
    }
    require_config(begun, path)
}

/// Refuses a configuration and a cell in the folder of a run that are not those that it was made with, as far as its
/// checkpoint tells; looked at before a network is evaluated by them.
///
/// # Errors
/// The first key that differs, or the cell.
pub fn check_description<R: RunConfig>(folder: &RunFolder) -> Result<()> {
    let Some(identity) = keeper::identity(folder) else { return Ok(()) };
    let Ok(begun) = serde_json::from_value::<R>(identity.configuration) else { return Ok(()) };
    require_config(&begun, &folder.config())?;
    let path = folder.genotype();
    let now = identity.genotype.as_ref().map(|_| Genotype::load(&path)).transpose()?;
    let now = now.as_ref().map(identity::digest_of_cell);
    let Some(Difference { was, now, .. }) = identity::difference_of_cells(identity.genotype.as_deref(), now.as_deref())
    else {
        return Ok(());
    };
    let (expected, found) = (format!("the cell that was trained ({was})"), format!("another ({now})"));
    Err(Error::invalid(path.display().to_string(), expected, found).with_hint("put back the file as the run wrote it"))
}

fn require_config<R: RunConfig>(begun: &R, path: &Path) -> Result<()> {
    let hint = "put it back as it was, or remove it: the run writes it again from its checkpoint; what may change is \
                changed by --set KEY=VALUE and --resume-anyway KEY";
    let placed = |error: Error| match error.to_string().contains(&path.display().to_string()) {
        true => error,
        false => error.at(path.display().to_string()),
    };
    let found: R = config::read(path).map_err(|error| placed(error).with_hint(hint))?;
    let differences = identity::differences(&identity::configuration(begun), &identity::configuration(&found));
    let Some(Difference { key, was, now }) = differences.into_iter().next() else { return Ok(()) };
    Err(Error::invalid(format!("{}: {key}", path.display()), format!("{was}, as the run began"), now).with_hint(hint))
}

impl<R: RunConfig> GoingOn<R> {
    /// Refuses a configuration or cell that the run did not begin with, before any data is read; what the data may fill
    /// in is left for [`Session::open`].
    ///
    /// # Errors
    /// The keys that differ.
    pub fn check(&self, run: &R, genotype: Option<&Genotype>, anyway: &[String]) -> Result<()> {
        let is_open = |difference: &Difference| FILLED[1..].contains(&difference.key.as_str());
        let found = self.differences(run, genotype).into_iter().filter(|difference| !is_open(difference));
        identity::allow(found.collect(), anyway, &self.name()).map(drop)
    }

    fn name(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn differences(&self, run: &R, genotype: Option<&Genotype>) -> Vec<Difference> {
        let now = identity::configuration(run);
        let mut found = identity::differences(&identity::configuration(&self.begun.run), &now);
        if let Some(begun) = &self.loaded.identity {
            let digest = genotype.map(identity::digest_of_cell);
            found.extend(identity::difference_of_cells(begun.genotype.as_deref(), digest.as_deref()));
        }
        found
    }

    /// Whether it came to its end, and nothing asks for more.
    pub fn stage(&self, run: &R) -> Stage {
        let is_same = || self.differences(run, None).iter().all(|difference| difference.key == "genotype");
        if self.folder.is_finished() && is_same() { Stage::Finished } else { Stage::GoesOn }
    }

    /// Where the cell that is found is written as well, as the run began.
    pub fn save(&self) -> Option<PathBuf> {
        self.loaded.identity.as_ref()?.save.clone()
    }
}

/// How far a run is that processes are about to share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// It begins.
    New,
    /// It was begun.
    GoesOn,
    /// It came to its end.
    Finished,
}

/// What a run is made of.
pub struct Parts<'a, R> {
    /// Its configuration, with what the data filled in.
    pub run: &'a R,
    /// Its options.
    pub options: &'a RunOptions,
    /// What every command takes.
    pub global: &'a GlobalOptions,
    /// Who shares the run; the first of them has its folder.
    pub processes: &'a Processes,
    /// What it is.
    pub about: About,
    /// The cell that is trained.
    pub genotype: Option<&'a Genotype>,
    /// What its data is.
    pub data: Option<DataIdentity>,
    /// Where the cell that is found is written as well.
    pub save: Option<PathBuf>,
    /// What its observers know.
    pub watched: Watched<'a>,
}

/// A run in this process.
pub struct Session<'a, R> {
    parts: Parts<'a, R>,
    identity: Identity,
    place: Option<(RunFolder, RunLock)>,
    loaded: Option<Loaded>,
    changes: Vec<Difference>,
    signals: Signals,
    /// Why the run goes back to its checkpoint.
    fault: Option<Error>,
}

impl<'a, R: RunConfig> Session<'a, R> {
    /// A run that begins, or goes on.
    ///
    /// # Errors
    /// A run that did not begin with this configuration, cell or data, key by key.
    pub fn open(parts: Parts<'a, R>, going_on: Option<GoingOn<R>>) -> Result<Self> {
        let mut identity = Identity {
            configuration: identity::configuration(parts.run),
            genotype: parts.genotype.map(identity::digest_of_cell),
            data: parts.data.clone(),
            machine: identity::machine(parts.watched.device, parts.global.deterministic),
            save: parts.save.clone(),
            changes: Vec::new(),
        };
        let signals = signals::watch();
        parts.processes.together(agreed(parts.processes, &identity))?;
        let Some(going_on) = going_on else {
            let (place, loaded, changes) = (None, None, Vec::new());
            return Ok(Self { parts, identity, place, loaded, changes, signals, fault: None });
        };
        let mut differences = going_on.differences(parts.run, parts.genotype);
        if let Some(begun) = &going_on.loaded.identity {
            differences.extend(identity::difference_of_data(begun.data.as_ref(), parts.data.as_ref()));
            identity.changes.clone_from(&begun.changes);
            identity::tell_machine(&begun.machine, &identity.machine);
        }
        let changes = identity::allow(differences, &parts.options.resume_anyway, &going_on.name())?;
        let GoingOn { folder, lock, loaded, .. } = going_on;
        Ok(Self { parts, identity, place: Some((folder, lock)), loaded: Some(loaded), changes, signals, fault: None })
    }

    /// The folder, where this process has it; none before [`Self::go`].
    pub fn folder(&self) -> Option<&RunFolder> {
        self.place.as_ref().map(|(folder, _)| folder)
    }

    fn command_to_go_on(&self) -> Option<String> {
        Some(format!("sgas {} --out {} --resume", R::COMMAND, self.folder()?.typed()))
    }

    /// What changed since the run began.
    pub fn changes_so_far(&self) -> &[Change] {
        &self.identity.changes
    }

    /// Calls `attempt`, which makes the network and [`Self::go`]es; again, from the last checkpoint, where numbers went
    /// wrong and the run is to go back.
    ///
    /// # Errors
    /// Those of `attempt`; checkpoints that are all damaged.
    pub fn run<T>(&mut self, mut attempt: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        loop {
            match attempt(self) {
                Err(error) if error.is_not_finite() && self.goes_back() => {
                    if let Some(folder) = self.folder() {
                        self.loaded = Some(keeper::load(folder)?.ok_or_else(|| without_checkpoint(folder))?);
                    }
                    self.fault = Some(error);
                }
                Err(error) if error.is_not_finite() => return Err(self.hinted(error)),
                ended => return ended,
            }
        }
    }

    fn goes_back(&self) -> bool {
        let is_asked_to = self.parts.run.common().on_nan == OnNan::Rollback;
        let has_begun = self.place.is_some() || !self.parts.processes.leads();
        is_asked_to && has_begun && matches!(self.parts.processes.any(self.signals.stop().is_some()), Ok(false))
    }

    fn hinted(&self, error: Error) -> Error {
        let Some(command) = self.command_to_go_on() else { return error };
        error.with_hint(format!(
            "lower weights.learning_rate (--set weights.learning_rate=... --resume-anyway weights.learning_rate) or set \
             weights.clip, or let the run go back or leave such steps out (--on-nan rollback or skip); from its last \
             checkpoint goes on: {command}"
        ))
    }

    /// Runs what is left, and gives the observers for what follows. `restore` brings `learning` to a checkpoint.
    ///
    /// # Errors
    /// A folder that can't be made or written; what the run reports; [`Error::Stopped`] where a signal ended it.
    pub fn go<L: Learning>(
        &mut self,
        learning: &mut L,
        data: Option<&L::Data>,
        restore: impl Fn(&mut L, &Checkpoint, &str) -> Result<()>,
    ) -> Result<Observers> {
        let processes = self.parts.processes;
        let restored = self.loaded.as_ref().map(|loaded| restore(learning, &loaded.checkpoint, &loaded.origin));
        processes.together(restored.transpose())?;
        if processes.are_several() {
            let own = learning.save();
            let state = processes.from_first(|| Ok(own.state.clone()))?;
            let state = Checkpoint { tensors: processes.tensors_of_first(&own.tensors)?, state };
            if !processes.leads() {
                restore(learning, &state, "rank 0")?;
            }
        }
        let begun = if processes.leads() { self.begin(learning) } else { Ok(Observers(Vec::new())) };
        let mut observers = processes.together(begun)?;
        let at = learning.position().cursor;
        let went_back = self.fault.is_some();
        if let Some(fault) = self.fault.take() {
            learning.position().roll_back().map_err(|error| error.at(fault.to_string()))?;
            let (epoch, step) = (at.epoch, at.step);
            observers.observe(&Event::Rollback { epoch, step, what: fault.to_string() })?;
        }
        let changes = std::mem::take(&mut self.changes);
        changes.iter().try_for_each(|difference| observers.observe(&Event::Change(changed(difference, at))))?;
        let pace = &self.parts.run.common().checkpoint;
        let mut keeper: Box<dyn Keeper> = match self.folder() {
            Some(folder) => Box::new(RunKeeper::new(folder, &self.identity, pace, &self.signals)),
            None => Box::new(Follower(self.signals.clone())),
        };
        if went_back || !changes.is_empty() {
            // It stays known, whatever ends the run.
            keeper.keep_checkpoint(learning.save())?;
        }
        match step::run(learning, data, &mut observers, &mut *keeper)? {
            Ended::Whole => Ok(observers),
            Ended::Stopped(at) => {
                // Of several processes one may have been asked alone.
                let mut signal = 0;
                for known in signals::STOPPING {
                    if processes.any(self.signals.stop() == Some(known))? {
                        signal = known;
                    }
                }
                let message =
                    format!("stopped by {} in epoch {}, after step {}", signals::name(signal), at.epoch, at.step);
                let hint = self.command_to_go_on().map(|command| format!("go on: {command}"));
                Err(Error::Stopped { message, hint, signal })
            }
        }
    }

    /// Makes the folder, or brings it to where the run stands, and gives its observers.
    fn begin<L: Learning>(&mut self, learning: &mut L) -> Result<Observers> {
        let at = learning.position().cursor;
        self.identity.changes.extend(self.changes.iter().map(|difference| changed(difference, at)));
        let pace = self.parts.run.common().checkpoint.clone();
        let config = self.parts.run.to_toml();
        let describe = |folder: &RunFolder| -> Result<()> {
            if let Some(genotype) = self.parts.genotype {
                genotype.save(folder.genotype())?;
            }
            folder.describe(&self.parts.about, &config)
        };
        match (&self.place, &self.loaded) {
            (Some((folder, _)), Some(loaded)) => {
                loaded.cut(folder)?;
                describe(folder)?;
            }
            _ => {
                let Parts { about, options, .. } = &self.parts;
                let (task, seed) = (&about.task, self.parts.run.common().seed);
                let first = learning.save();
                let folder = RunFolder::create(R::COMMAND, task, seed, options.out.as_deref(), |folder| {
                    let copy = Checkpoint { tensors: first.below(""), state: first.state.clone() };
                    RunKeeper::new(folder, &self.identity, &pace, &self.signals).keep_checkpoint(copy)?;
                    describe(folder)
                })?;
                let lock = folder.lock()?;
                self.place = Some((folder, lock));
            }
        }
        let folder = self.folder().expect("the run has a folder now");
        memory::advise(&format!(
            "{}; from its last checkpoint goes on: {}, with --resume-anyway KEY for what changes",
            estimate::advice(self.parts.run, None),
            self.command_to_go_on().expect("the run has a folder now")
        ));
        logging::follow(&folder.log())?;
        observers::of_run(folder, &self.parts.watched, self.parts.global)
    }
}

/// Refuses to share a run with the first process where this one would make another of it.
fn agreed(processes: &Processes, own: &Identity) -> Result<()> {
    let first = processes.from_first(|| Ok(own.clone()))?;
    let is_kept = |difference: &Difference| difference.key != "data.source";
    let mut differences = identity::differences(&first.configuration, &own.configuration);
    differences.retain(is_kept);
    differences.extend(identity::difference_of_data(first.data.as_ref(), own.data.as_ref()));
    let Some(Difference { key, was, now }) = differences.into_iter().next() else { return Ok(()) };
    let rank = processes.share().rank;
    Err(Error::invalid(format!("rank {rank}: {key}"), format!("{was}, as rank 0 has it"), now)
        .with_hint("every process of a run needs the same data and options"))
}

fn changed(Difference { key, was, now }: &Difference, at: Cursor) -> Change {
    Change { epoch: at.epoch, step: at.step, key: key.clone(), was: was.clone(), now: now.clone() }
}
