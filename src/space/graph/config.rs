//! The section `[graph]` of a configuration: what only the graph space has.

use crate::bounds;
use crate::error::{Error, Result};
use crate::tensor::parameters::Norms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Steps beyond which scores no longer change: after 200 at a share of 0.1, by less than 10⁻⁹ of them.
const MOST_STEPS: usize = 200;

/// `[graph]`: norms, dropout and propagation of graph networks. The published networks have batch norms and nothing of
/// the rest (docs/method.md, "Graphs with few labels").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GraphConfig {
    /// By what the norms of cells normalise: `batch`, or `none`, which leaves their scale and shift. The statistics of a
    /// graph under much dropout are not those of evaluation.
    pub norm: Norms,
    /// Dropout of the features of nodes.
    pub feature_dropout: f64,
    /// Dropout before the first map of every cell, and before the classifier.
    pub dropout: f64,
    /// Steps by which scores go along the links behind the classifier; 0 for none.
    pub propagation: usize,
    /// The share of a node's own scores in each of them.
    pub teleport: f64,
}

impl Default for GraphConfig {
    fn default() -> Self {
        Self { norm: Norms::Batch, feature_dropout: 0.0, dropout: 0.0, propagation: 0, teleport: 0.1 }
    }
}

impl GraphConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        bounds::check("graph.propagation", &self.propagation, &(0..=MOST_STEPS), "steps")?;
        let shares = [
            ("graph.feature_dropout", self.feature_dropout),
            ("graph.dropout", self.dropout),
            ("graph.teleport", self.teleport),
        ];
        for (key, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::invalid(key, "a number from 0 to less than 1", value.to_string()));
            }
        }
        Ok(())
    }
}
