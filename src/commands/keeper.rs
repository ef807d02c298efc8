//! The run folder as keeper of checkpoints and weights.

use super::identity::Identity;
use super::run_folder::RunFolder;
use super::signals::Signals;
use crate::checkpoint::{Checkpoint, CheckpointConfig, Cursor, Keeper, Turn, WhichWeights};
use crate::error::{Error, Result};
use crate::files::{remove_partial, sync_folder};
use crate::report::append::{self, Lengths};
use crate::tensor::parameters::Weights;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The state of a run.
const NEWEST: &str = "state.safetensors";
/// The one that comes: whole before it takes the newest's place.
const NEXT: &str = "state-next.safetensors";
/// The one before the newest.
const BEFORE: &str = "state-before.safetensors";

/// What stands beside the tensors of a checkpoint.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of the run itself.
    run: Value,
    /// Bytes of the logs.
    logs: Lengths,
    /// What the run is; absent in runs of version 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
}

/// A checkpoint that was read.
pub struct Loaded {
    /// The state of the run.
    pub checkpoint: Checkpoint,
    /// Its file, for errors.
    pub origin: String,
    /// What the run is; absent in runs of version 0.1.0.
    pub identity: Option<Identity>,
    logs: Lengths,
}

/// Reads the newest whole checkpoint of a run; one that is damaged is told of, and the one before it taken. `None` where
/// there is none at all.
///
/// # Errors
/// Checkpoints that are all damaged.
pub fn load(folder: &RunFolder) -> Result<Option<Loaded>> {
    // Where a newest one is missing, the process ended while the next took its place.
    let paths = [NEWEST, NEXT, BEFORE].map(|name| folder.checkpoint().join(name));
    let mut damage = None;
    for path in paths.iter().filter(|path| path.exists()) {
        match read(path) {
            Ok(loaded) => {
                if let Some(error) = damage {
                    tracing::warn!("{error}; going on from {}, which was kept before it", path.display());
                }
                return Ok(Some(loaded));
            }
            Err(error) => damage = damage.or(Some(error)),
        }
    }
    damage.map_or(Ok(None), |error| {
        Err(error.with_hint("no checkpoint of this run is whole: begin it anew in another folder"))
    })
}

/// What a run is, as its newest checkpoint says; `None` in runs of version 0.1.0, and where no checkpoint can be read.
pub fn identity(folder: &RunFolder) -> Option<Identity> {
    let paths = [NEWEST, NEXT, BEFORE].map(|name| folder.checkpoint().join(name));
    let state = paths.iter().find_map(|path| Checkpoint::load_state(path).ok())?;
    serde_json::from_value::<Kept>(state).ok()?.identity
}

fn read(path: &Path) -> Result<Loaded> {
    let origin = path.display().to_string();
    let Checkpoint { tensors, state } = Checkpoint::load(path)?;
    let Kept { run, logs, identity } = serde_json::from_value(state)
        .map_err(|error| Error::invalid(&origin, "the state of a run", error.to_string()))?;
    Ok(Loaded { checkpoint: Checkpoint { tensors, state: run }, origin, identity, logs })
}

impl Loaded {
    /// Takes back what came after the checkpoint: lines of logs, and files that a killed process left half-written.
    ///
    /// # Errors
    /// Files that can't be cut or removed.
    pub fn cut(&self, folder: &RunFolder) -> Result<()> {
        remove_partial(folder.path())?;
        remove_partial(&folder.checkpoint())?;
        append::cut(folder.path(), &self.logs)
    }
}

/// Keeps nothing: of several processes the first does. Signals to any of them count.
pub struct Follower(pub Signals);

impl Keeper for Follower {
    fn keep_checkpoint(&mut self, _: Checkpoint) -> Result<()> {
        Ok(())
    }

    fn turn(&mut self, _: Cursor) -> Turn {
        match self.0.stop() {
            Some(_) => Turn::Stop,
            None if self.0.take_keep() => Turn::Keep,
            None => Turn::GoOn,
        }
    }

    fn is_asked_to_stop(&self) -> bool {
        self.0.stop().is_some()
    }

    fn keep_weights(&mut self, _: WhichWeights, _: &Weights) -> Result<()> {
        Ok(())
    }
}

/// Writes into a run's folder.
pub struct RunKeeper<'a> {
    folder: &'a RunFolder,
    identity: &'a Identity,
    pace: CheckpointConfig,
    signals: Signals,
    kept: Instant,
    steps: usize,
}

impl<'a> RunKeeper<'a> {
    /// For a run whose folder is there.
    pub fn new(folder: &'a RunFolder, identity: &'a Identity, pace: &CheckpointConfig, signals: &Signals) -> Self {
        Self { folder, identity, pace: pace.clone(), signals: signals.clone(), kept: Instant::now(), steps: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.checkpoint().join(name)
    }

    /// Moves a file that the next checkpoint makes way for.
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        std::fs::rename(from, &to).map_err(|error| Error::write(to, error))
    }
}

impl Keeper for RunKeeper<'_> {
    /// The next one is whole on the disk before the newest becomes the one before it.
    fn keep_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let begun = Instant::now();
        let folder = self.folder.checkpoint();
        std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
        let Checkpoint { tensors, state } = checkpoint;
        let kept =
            Kept { run: state, logs: append::lengths(self.folder.path())?, identity: Some(self.identity.clone()) };
        let state = serde_json::to_value(kept).expect("a state is plain data");
        Checkpoint { tensors, state }.save(&self.path(NEXT))?;
        if self.path(NEWEST).exists() {
            self.rename(NEWEST, BEFORE)?;
        }
        self.rename(NEXT, NEWEST)?;
        sync_folder(&folder).map_err(|error| Error::write(&folder, error))?;
        let bytes = std::fs::metadata(self.path(NEWEST)).map_or(0, |file| file.len());
        tracing::debug!("state kept: {bytes} bytes in {:.4} s", begun.elapsed().as_secs_f64());
        (self.kept, self.steps) = (Instant::now(), 0);
        Ok(())
    }

    fn turn(&mut self, _: Cursor) -> Turn {
        if self.is_asked_to_stop() {
            return Turn::Stop;
        }
        self.steps += 1;
        let CheckpointConfig { steps, minutes } = self.pace;
        let is_time = minutes > 0.0 && self.kept.elapsed() >= Duration::from_secs_f64(60.0 * minutes);
        let is_due = is_time || (steps > 0 && self.steps >= steps);
        // Both are asked: what was asked for is done by whatever keeps it.
        if self.signals.take_keep() || is_due { Turn::Keep } else { Turn::GoOn }
    }

    fn is_asked_to_stop(&self) -> bool {
        self.signals.stop().is_some()
    }

    fn keep_weights(&mut self, which: WhichWeights, weights: &Weights) -> Result<()> {
        let path = match which {
            WhichWeights::Last => self.folder.last_weights(),
            WhichWeights::Best => self.folder.best_weights(),
        };
        Checkpoint::of_weights(weights).save(&path)
    }
}
