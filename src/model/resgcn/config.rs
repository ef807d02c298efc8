//! The section `[resgcn]` of a configuration: the sizes of a ResGCN.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[resgcn]`: depth and width (docs/method.md, "ResGCN"). The defaults are those of ResGCN-28.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResGcnConfig {
    /// Edge convolutions, the head among them; the others are residual.
    pub blocks: usize,
    /// Channels of a point in every block.
    pub channels: i64,
    /// Neighbours of a point, itself included.
    pub k: i64,
    /// Probability with which the k neighbours of a block are drawn out of the k · dilation nearest, in training.
    pub stochastic: f64,
    /// Width of what all points are pooled into.
    pub fusion: i64,
    /// Widths of the prediction's hidden layers.
    pub prediction: [i64; 2],
    /// Dropout before the last layer.
    pub dropout: f64,
}

impl Default for ResGcnConfig {
    fn default() -> Self {
        Self { blocks: 28, channels: 64, k: 16, stochastic: 0.2, fusion: 1024, prediction: [512, 256], dropout: 0.3 }
    }
}

impl ResGcnConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        if !(1..=1000).contains(&self.blocks) {
            return Err(Error::invalid("resgcn.blocks", "1 to 1000", self.blocks.to_string()));
        }
        let widths = [("resgcn.channels", self.channels, 1, 4096), ("resgcn.k", self.k, 2, 255)];
        let wide = [("resgcn.fusion", self.fusion), ("resgcn.prediction.0", self.prediction[0])];
        let wide = wide.into_iter().chain([("resgcn.prediction.1", self.prediction[1])]);
        for (key, value, low, high) in widths.into_iter().chain(wide.map(|(key, value)| (key, value, 1, 65536))) {
            if !(low..=high).contains(&value) {
                return Err(Error::invalid(key, format!("{low} to {high}"), value.to_string()));
            }
        }
        if !(0.0..=1.0).contains(&self.stochastic) {
            return Err(Error::invalid("resgcn.stochastic", "a probability, 0 to 1", self.stochastic.to_string()));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let found = self.dropout.to_string();
            return Err(Error::invalid("resgcn.dropout", "a number from 0 to less than 1", found));
        }
        Ok(())
    }

    /// The dilation of the block at this position, the head being the first: 1, 1, 2, 3, ...
    pub fn dilation(&self, block: usize) -> i64 {
        i64::try_from(block.max(1)).expect("validated to be small")
    }

    /// The fewest points that a cloud may have: k times the dilation of the last block.
    pub fn minimum_points(&self) -> usize {
        usize::try_from(self.k * self.dilation(self.blocks - 1)).expect("validated to be positive")
    }
}
