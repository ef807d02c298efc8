//! The section `[model]` of a configuration: how many cells of how many channels.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[model]`: size of the network, whatever the space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Channels of a node of the first cell.
    pub channels: i64,
    /// Cells in the stack.
    pub cells: usize,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self { channels: 32, cells: 2 }
    }
}

impl ModelConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        if !(1..=4096).contains(&self.channels) {
            return Err(Error::invalid("model.channels", "1 to 4096", self.channels.to_string()));
        }
        if !(1..=100).contains(&self.cells) {
            return Err(Error::invalid("model.cells", "1 to 100", self.cells.to_string()));
        }
        Ok(())
    }
}
