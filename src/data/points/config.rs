//! The section `[data.hdf5]`: what HDF5 files of shapes call what they hold.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// `[data.hdf5]`: which files of a folder, and the names of their datasets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hdf5DataConfig {
    /// Where a folder holds several sets: the names of the wanted files without their part and number, such as
    /// `objectdataset_augmentedrot_scale75`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
    /// The points: (n, points, 3), or 6 with normals.
    pub data: String,
    /// The classes: (n) or (n, 1), from 0.
    pub label: String,
    /// Normals of the same shape as the points, which not every file has.
    pub normal: String,
}

impl Default for Hdf5DataConfig {
    fn default() -> Self {
        Self { files: None, data: "data".to_owned(), label: "label".to_owned(), normal: "normal".to_owned() }
    }
}

impl Hdf5DataConfig {
    /// # Errors
    /// A dataset without a name.
    pub(in crate::data) fn validate(&self) -> Result<()> {
        let names = [("data", &self.data), ("label", &self.label), ("normal", &self.normal)];
        match names.iter().find(|(_, name)| name.is_empty()) {
            Some((key, _)) => Err(Error::invalid(format!("data.hdf5.{key}"), "the name of a dataset", "an empty text")),
            None => Ok(()),
        }
    }
}
