//! The section `[point]` of a configuration: what only the point space has.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[point]`: neighbours, stem and head of point networks (docs/method.md, "Networks").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PointConfig {
    /// Neighbours of a point, itself included.
    pub k: i64,
    /// Width of the fusion layer before pooling over all points.
    pub embedding: i64,
    /// Dropout in the classifier.
    pub dropout: f64,
    /// Channels of the stem per channel of a node.
    pub stem_multiplier: i64,
}

impl Default for PointConfig {
    fn default() -> Self {
        Self { k: 9, embedding: 1024, dropout: 0.5, stem_multiplier: 3 }
    }
}

impl PointConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        let ranges = [
            ("point.k", self.k, 2, 256),
            ("point.embedding", self.embedding, 1, 65536),
            ("point.stem_multiplier", self.stem_multiplier, 1, 64),
        ];
        for (key, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                return Err(Error::invalid(key, format!("{low} to {high}"), value.to_string()));
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::invalid("point.dropout", "a number from 0 to less than 1", self.dropout.to_string()));
        }
        Ok(())
    }

    /// The fewest points a cloud may have in a network of `cells` cells: the last cell's dilation is `cells`.
    pub fn minimum_points(&self, cells: usize) -> usize {
        usize::try_from(self.k).expect("validated to be positive") * cells
    }
}
