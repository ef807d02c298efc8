//! The section `[graph]` of a configuration: what only the graph space has.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// `[graph]`: dropout of graph networks. The published networks have none (docs/method.md, "Networks").
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraphConfig {
    /// Dropout of the features of nodes.
    pub feature_dropout: f64,
    /// Dropout before the first map of every cell, and before the classifier.
    pub dropout: f64,
}

impl GraphConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        for (key, value) in [("graph.feature_dropout", self.feature_dropout), ("graph.dropout", self.dropout)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::invalid(key, "a number from 0 to less than 1", value.to_string()));
            }
        }
        Ok(())
    }
}
