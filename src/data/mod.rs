//! Stub until the branch `data` is merged.
#![allow(missing_docs)]

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    pub points: usize,
    pub order: String,
    pub augmentation: String,
    pub validation: f64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { points: 1024, order: "random".into(), augmentation: "none".into(), validation: 0.1 }
    }
}

impl DataConfig {
    pub fn validate(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.validation) {
            return Err(Error::invalid("data.validation", "0 to less than 1", self.validation.to_string()));
        }
        Ok(())
    }
}
