//! The section `[search]` of a configuration.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How edges are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StrategyKind {
    /// Sequential greedy decisions by criterion 1 or 2.
    Sgas,
    /// No decisions; the cell is read off at the end (DARTS).
    Darts,
    /// No training; the cell is read off random alphas (the paper's baseline).
    Random,
}

/// Which samples the alphas learn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlphaData {
    /// The share held out of the training split.
    Validation,
    /// The test split: the published protocol on ModelNet.
    Test,
}

/// How a batch for the alphas is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlphaBatch {
    /// A fresh random batch at every step.
    Random,
    /// The whole set at every step (PPI).
    Whole,
}

/// `[search]`: the bilevel loop (REFERENCE section 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// `sgas`, `darts` or `random`.
    pub strategy: StrategyKind,
    /// Order of the alphas' gradient; 1 is the published default.
    pub order: u8,
    /// Epochs; absent: as many as the decisions need.
    pub epochs: Option<usize>,
    /// Samples per batch before the first decision.
    pub batch: usize,
    /// Samples by which batches grow after every deciding epoch.
    pub batch_growth: usize,
    /// Which samples the alphas learn from and the supernet is scored on.
    pub alpha_data: AlphaData,
    /// How batches for the alphas are drawn.
    pub alpha_batch: AlphaBatch,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            strategy: StrategyKind::Sgas,
            order: 1,
            epochs: None,
            batch: 28,
            batch_growth: 4,
            alpha_data: AlphaData::Validation,
            alpha_batch: AlphaBatch::Random,
        }
    }
}

impl SearchConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        if self.order != 1 {
            return Err(Error::invalid(
                "search.order",
                "1 (second order is not available yet)",
                self.order.to_string(),
            ));
        }
        if self.batch < 2 {
            return Err(Error::invalid("search.batch", "at least 2, for batch norm", self.batch.to_string()));
        }
        if self.epochs == Some(0) {
            return Err(Error::invalid("search.epochs", "at least 1", "0"));
        }
        Ok(())
    }
}
