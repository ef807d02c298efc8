//! The run folder as keeper of checkpoints and weights.

use super::run_folder::RunFolder;
use crate::checkpoint::{Checkpoint, Keeper, WhichWeights};
use crate::error::{Error, Result};
use crate::files::remove_partial;
use crate::report::append::{self, Lengths};
use crate::tensor::parameters::Weights;
use serde_json::json;
use std::path::PathBuf;

/// Writes into a run's folder.
pub struct RunKeeper<'a> {
    folder: &'a RunFolder,
}

impl<'a> RunKeeper<'a> {
    /// For a run whose folder is there.
    pub fn new(folder: &'a RunFolder) -> Self {
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.checkpoint().join("state.safetensors")
    }

    /// Goes back to the last whole epoch: `restore` takes the checkpoint and its file's name, for errors (before
    /// the first epoch it is not called), then the logs are cut back to it. What is refused leaves the run as it was.
    ///
    /// # Errors
    /// A checkpoint that is cut, not one, or that `restore` refuses.
    pub fn resume(&self, restore: impl FnOnce(&Checkpoint, &str) -> Result<()>) -> Result<()> {
        let path = self.path();
        if !path.exists() {
            return self.cut(&Lengths::new());
        }
        let origin = path.display().to_string();
        let mut checkpoint = Checkpoint::load(&path)?;
        let logs: Lengths = serde_json::from_value(checkpoint.state["logs"].take())
            .map_err(|error| Error::invalid(&origin, "the lengths of the logs", error.to_string()))?;
        checkpoint.state = checkpoint.state["run"].take();
        restore(&checkpoint, &origin)?;
        self.cut(&logs)
    }

    /// Takes back what came after the checkpoint: lines of logs, and files that a killed process left half-written.
    fn cut(&self, logs: &Lengths) -> Result<()> {
        remove_partial(self.folder.path())?;
        remove_partial(&self.folder.checkpoint())?;
        append::cut(self.folder.path(), logs)
    }
}

impl Keeper for RunKeeper<'_> {
    fn keep_checkpoint(&mut self, mut checkpoint: Checkpoint) -> Result<()> {
        let folder = self.folder.checkpoint();
        std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
        checkpoint.state = json!({ "run": checkpoint.state, "logs": append::lengths(self.folder.path())? });
        checkpoint.save(&self.path())
    }

    fn keep_weights(&mut self, which: WhichWeights, weights: &Weights) -> Result<()> {
        let path = match which {
            WhichWeights::Last => self.folder.last_weights(),
            WhichWeights::Best => self.folder.best_weights(),
        };
        Checkpoint::of_weights(weights).save(&path)
    }
}
