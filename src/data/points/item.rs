//! A shape of a set before it is read, and shapes that lie in memory as their files store them.

use super::format::Raw;
use crate::data::split::Split;

/// One shape of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// File, and position in the file, for messages.
    pub name: String,
    /// Position of its class in the list of classes.
    pub label: usize,
    /// Where none is for validation, a share is held out of those for training later.
    pub split: Split,
}

/// Shapes that are in memory as their files store them.
pub(super) type Loaded = Vec<(Item, Raw)>;
