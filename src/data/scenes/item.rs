//! What a layout gives: clouds with their splits and classes, and those that can't be used.

use std::collections::BTreeMap;

use super::cloud::Cloud;
use crate::data::split::Split;
use crate::error::Result;

/// A file, or a block of S3DIS.
#[derive(Debug)]
pub(super) struct Item {
    /// The file, and the place in the file.
    pub name: String,
    pub split: Split,
    /// What is held out together: the room of a block, else the file.
    pub group: String,
    /// Its clouds, or why it can't be used.
    pub clouds: Result<Vec<Cloud>>,
}

/// What a layout gives.
#[derive(Debug)]
pub(super) struct Opened {
    pub items: Vec<Item>,
    pub classes: Vec<String>,
    /// What says which clouds are for testing, in words.
    pub division: String,
    /// Columns that all good clouds have, the labels' left out.
    pub columns: Vec<String>,
    /// Files by extension.
    pub files: BTreeMap<String, usize>,
}
