//! Stub until the branch `decision` is merged.
#![allow(missing_docs)]

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionConfig {
    pub criterion: u8,
    pub warmup: usize,
    pub interval: usize,
    pub history: usize,
}

impl Default for DecisionConfig {
    fn default() -> Self {
        Self { criterion: 1, warmup: 9, interval: 7, history: 4 }
    }
}

impl DecisionConfig {
    pub fn validate(&self) -> Result<()> {
        if !(1..=2).contains(&self.criterion) {
            return Err(Error::invalid("decision.criterion", "1 or 2", self.criterion.to_string()));
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EdgeState {
    Open,
    Fixed(usize),
    Pruned,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EdgeScore {
    pub importance: f64,
    pub certainty: f64,
    pub stability: f64,
    pub score: f64,
}
