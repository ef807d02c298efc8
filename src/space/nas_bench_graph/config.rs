//! The section `[nas_bench_graph]` of a configuration: what only that space has.

use crate::error::{Error, Result};
use crate::ops::nas_bench_graph::HEADS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[nas_bench_graph]`: linear layers around the cell, and dropout (docs/method.md, "NAS-Bench-Graph"). The width is
/// `model.channels`. The defaults are the published values for Cora and Citeseer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NasBenchGraphConfig {
    /// Linear layers before the cell, 0 or 1. Without one, what reads the cell's input reads the raw features; a search
    /// always has one.
    pub layers_before: usize,
    /// Linear layers between the cell and the classifier, 0 or 1.
    pub layers_after: usize,
    /// Dropout of the features and of every state that is read.
    pub dropout: f64,
}

impl Default for NasBenchGraphConfig {
    fn default() -> Self {
        Self { layers_before: 0, layers_after: 1, dropout: 0.7 }
    }
}

impl NasBenchGraphConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        let layers = [
            ("nas_bench_graph.layers_before", self.layers_before),
            ("nas_bench_graph.layers_after", self.layers_after),
        ];
        if let Some((key, value)) = layers.into_iter().find(|(_, value)| *value > 1) {
            return Err(Error::invalid(key, "0 or 1", value.to_string()));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let key = "nas_bench_graph.dropout";
            return Err(Error::invalid(key, "a number from 0 to less than 1", self.dropout.to_string()));
        }
        Ok(())
    }

    /// Refuses a width that the heads of `gat` can't share evenly.
    ///
    /// # Errors
    /// Such a width.
    pub fn check_width(&self, channels: i64) -> Result<()> {
        if channels % HEADS == 0 {
            return Ok(());
        }
        let expected = format!("a multiple of {HEADS}, as many as gat has heads");
        Err(Error::invalid("model.channels", expected, channels.to_string()))
    }
}
