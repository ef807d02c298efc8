//! What a user may set about the decisions: criterion, first epoch, interval, history.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::error::{Error, Result};
use crate::topology::Topology;

/// Epochs that the fixed cell trains on after the last decision (published settings).
const EPOCHS_AFTER_LAST_DECISION: usize = 5;

/// How edges are ranked; written as 1 or 2 in configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "i64", into = "i64")]
pub enum Criterion {
    /// Importance and certainty of the edge.
    #[default]
    One,
    /// Importance, certainty and stability of the edge.
    Two,
}

impl TryFrom<i64> for Criterion {
    type Error = Error;

    fn try_from(number: i64) -> Result<Self> {
        match number {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            other => Err(Error::invalid("criterion", "1 or 2", other.to_string())
                .with_hint("1 ranks edges by importance and certainty, 2 by stability as well")),
        }
    }
}

impl From<Criterion> for i64 {
    fn from(criterion: Criterion) -> Self {
        match criterion {
            Criterion::One => 1,
            Criterion::Two => 2,
        }
    }
}

impl std::fmt::Display for Criterion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        i64::from(*self).fmt(f)
    }
}

/// When and how a search decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionConfig {
    /// How edges are ranked.
    pub criterion: Criterion,
    /// The first deciding epoch, counted from 0: that many and one more are trained before it.
    pub warmup: usize,
    /// Epochs from one decision to the next.
    pub interval: usize,
    /// How many past epochs an edge's stability compares with.
    pub history: usize,
}

impl Default for DecisionConfig {
    /// The published settings for point clouds and graphs (images: interval 5).
    fn default() -> Self {
        Self { criterion: Criterion::One, warmup: 9, interval: 7, history: 4 }
    }
}

impl DecisionConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        let values = [
            ("warmup", self.warmup, bounds::SOME_EPOCHS),
            ("interval", self.interval, bounds::EPOCHS),
            ("history", self.history, bounds::HISTORY),
        ];
        values.iter().try_for_each(|(key, value, range)| {
            let hint = || format!("the published settings are decision.{key} = {}", Self::published(key));
            bounds::check(&format!("decision.{key}"), value, range, "epochs").map_err(|error| error.with_hint(hint()))
        })
    }

    /// The epochs of a whole search of cells of this shape: 50 with the published settings.
    pub fn epochs(&self, topology: Topology) -> usize {
        let intervals = topology.decision_count().saturating_sub(1);
        self.warmup
            .saturating_add(self.interval.saturating_mul(intervals))
            .saturating_add(EPOCHS_AFTER_LAST_DECISION + 1)
    }

    /// Whether edges are decided at the end of `epoch`, as long as some are open.
    pub fn is_due(&self, epoch: usize) -> bool {
        epoch.checked_sub(self.warmup).is_some_and(|past| past.is_multiple_of(self.interval))
    }

    fn published(key: &str) -> &'static str {
        match key {
            "interval" => "5 for images, 7 for points and graphs",
            "warmup" => "9",
            _ => "4",
        }
    }
}

/// The batch size after so many deciding epochs: decided edges free memory, so every one of those epochs
/// (not every kind of cell) adds `growth` samples.
pub fn grown_batch(base: usize, growth: usize, deciding_epochs: usize) -> usize {
    base.saturating_add(growth.saturating_mul(deciding_epochs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_lengths_are_fifty_epochs() {
        let points = DecisionConfig::default();
        assert_eq!(points.epochs(Topology::new(3)), 50);
        let images = DecisionConfig { interval: 5, ..DecisionConfig::default() };
        assert_eq!(images.epochs(Topology::new(4)), 50);
    }

    #[test]
    fn published_batches_at_the_end() {
        assert_eq!(grown_batch(64, 8, 8), 128);
        assert_eq!(grown_batch(28, 4, 6), 52);
        assert_eq!(grown_batch(6, 1, 6), 12);
    }

    #[test]
    fn due_every_interval_from_the_warm_up_on() {
        let config = DecisionConfig { warmup: 2, interval: 3, ..DecisionConfig::default() };
        let due: Vec<usize> = (0..10).filter(|&epoch| config.is_due(epoch)).collect();
        assert_eq!(due, [2, 5, 8]);
    }

    #[test]
    fn zeros_are_refused_by_name() {
        for key in ["interval", "history"] {
            let config: DecisionConfig = toml::from_str(&format!("{key} = 0")).unwrap();
            let error = config.validate().unwrap_err();
            let most = if key == "interval" { 1_000_000 } else { 10_000 };
            assert_eq!(error.to_string(), format!("decision.{key}: expected 1 to {most} epochs, found 0"));
            assert!(error.hint().unwrap().contains(&format!("decision.{key} = ")));
            assert_eq!(error.exit_code(), 2);
        }
        assert!(DecisionConfig { warmup: 0, ..DecisionConfig::default() }.validate().is_ok());
    }

    #[test]
    fn the_criterion_is_a_number_in_configurations() {
        let config: DecisionConfig = toml::from_str("criterion = 2").unwrap();
        assert_eq!(config.criterion, Criterion::Two);
        assert!(toml::to_string(&config).unwrap().contains("criterion = 2"));
        let error = toml::from_str::<DecisionConfig>("criterion = 3").unwrap_err();
        assert!(error.to_string().contains("expected 1 or 2, found 3"), "{error}");
        assert!(toml::from_str::<DecisionConfig>("criterium = 1").is_err());
    }
}
