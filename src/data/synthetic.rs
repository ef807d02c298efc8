//! The section `[data.synthetic]`: the size of the built-in sets, of every family.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::error::{Error, Result};

/// Points of a set that is made at once: some 6 GiB.
const MOST_AT_ONCE: usize = 1 << 28;

/// Kinds of solids and of pictures.
pub(super) const KINDS: usize = 10;

/// `[data.synthetic]`: the size of the built-in set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticConfig {
    /// Training clouds, all kinds together.
    pub train: usize,
    /// Test clouds, all kinds together.
    pub test: usize,
    /// Seed of the set; not the run's, so that runs with several seeds see the same data.
    pub seed: u64,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self { train: 400, test: 200, seed: 0 }
    }
}

impl SyntheticConfig {
    /// # Errors
    /// Fewer clouds than kinds, with the key.
    pub fn validate(&self) -> Result<()> {
        let sizes = KINDS..=bounds::MOST_SYNTHETIC;
        for (key, size) in [("train", self.train), ("test", self.test)] {
            bounds::check(&format!("data.synthetic.{key}"), &size, &sizes, "samples, at least one per kind")?;
        }
        Ok(())
    }

    /// Refuses a set that is made at once of so many points per sample, and would not fit into memory; `key` says what
    /// asks for the points.
    ///
    /// # Errors
    /// Such a set.
    pub(super) fn check_whole(&self, key: &str, points: usize) -> Result<()> {
        let samples = self.train.saturating_add(self.test);
        if samples.saturating_mul(points) <= MOST_AT_ONCE {
            return Ok(());
        }
        let expected =
            format!("at most {} points per sample, which {samples} samples in memory allow", MOST_AT_ONCE / samples);
        Err(Error::invalid(key, expected, points.to_string()).with_hint("make fewer samples, or fewer points of each"))
    }
}
