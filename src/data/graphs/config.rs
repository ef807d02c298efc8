//! The section `[data.graphs]`: what becomes of the links as files store them.

use serde::{Deserialize, Serialize};

/// In which directions links lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkDirections {
    /// In both, whichever is stored.
    #[default]
    Both,
    /// As stored: messages flow from source to target.
    Stored,
}

/// What becomes of links from a node to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfLoops {
    /// They are left out.
    #[default]
    Removed,
    /// As stored.
    Stored,
}

/// What becomes of links that come more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// Each stays once.
    #[default]
    Merged,
    /// As stored; a link that is stored in both directions and led in both is then there twice each way.
    Stored,
}

/// `[data.graphs]`: the links that the network gets. The defaults are the published ones (docs/method.md, "Recipes of
/// the search").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraphDataConfig {
    /// In which directions links lead.
    pub links: LinkDirections,
    /// What becomes of links from a node to itself.
    pub self_loops: SelfLoops,
    /// What becomes of links that come more than once.
    pub duplicates: Duplicates,
}

impl GraphDataConfig {
    /// True for the defaults: a run of other data than graphs then keeps no such section.
    pub(in crate::data) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
