//! The section `[data.scenes]`: what is peculiar to labelled clouds.

use serde::{Deserialize, Serialize};

/// `[data.scenes]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SceneDataConfig {
    /// The area of S3DIS that is for testing, 1 to 6.
    pub area: u8,
}

impl Default for SceneDataConfig {
    fn default() -> Self {
        Self { area: 5 }
    }
}

impl SceneDataConfig {
    /// True for the defaults: a run of other data than labelled clouds then keeps no such section.
    pub(in crate::data) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
