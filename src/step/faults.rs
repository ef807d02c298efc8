//! Numbers that are inf or NaN: what becomes of the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a run where a loss or gradient is inf or NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnNan {
    /// It ends; the last checkpoint stays.
    #[default]
    Stop,
    /// The step moves nothing, and the next one comes, up to 20 in a row.
    Skip,
    /// It goes back to the last checkpoint, and on with the rest of the epoch's samples in another order, up to
    /// three times in an epoch.
    Rollback,
}

/// Steps in a row that are skipped before the run ends.
pub const MOST_SKIPPED: usize = 20;
/// How often a run goes back within an epoch before it ends.
pub const MOST_ROLLBACKS: usize = 3;
