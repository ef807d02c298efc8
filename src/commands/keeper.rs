//! The run folder as keeper of checkpoints and weights.

use super::run_folder::RunFolder;
use crate::checkpoint::{Checkpoint, Keeper, WhichWeights};
use crate::error::{Error, Result};
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

    /// The state of the last whole epoch, with the logs cut back to it; absent before the first. Also gives the
    /// file's name, for errors.
    ///
    /// # Errors
    /// A checkpoint that is cut or not one.
    pub fn resume(&self) -> Result<Option<(Checkpoint, String)>> {
        let path = self.path();
        if !path.exists() {
            append::cut(self.folder.path(), &Lengths::new())?;
            return Ok(None);
        }
        let origin = path.display().to_string();
        let mut checkpoint = Checkpoint::load(&path)?;
        let logs: Lengths = serde_json::from_value(checkpoint.state["logs"].take())
            .map_err(|error| Error::invalid(&origin, "the lengths of the logs", error.to_string()))?;
        checkpoint.state = checkpoint.state["run"].take();
        append::cut(self.folder.path(), &logs)?;
        Ok(Some((checkpoint, origin)))
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
