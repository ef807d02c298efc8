//! A set of graphs as opened from whichever layout: its graphs, what their nodes are labelled with, and the split of
//! every node.

use std::collections::BTreeMap;

use super::division::{Marks, shorten};
use super::nodes::Graph;
use crate::data::split::Shares;

/// A set that was found and read.
#[derive(Debug)]
pub(super) struct GraphSet {
    pub graphs: Vec<Graph>,
    /// The split of every node, graph by graph.
    pub marks: Marks,
    /// Of the classes, or of the labels.
    pub names: Vec<String>,
    /// Nodes have several labels, each of which holds or not.
    pub multi_label: bool,
    /// Where it comes from, in words.
    pub origin: String,
    /// How it is stored, in words.
    pub layout: &'static str,
    /// What says which nodes are for testing, in words.
    pub division: String,
    /// Files by extension.
    pub files: BTreeMap<String, usize>,
    /// What was taken for what, in words.
    pub told: Vec<String>,
}

impl GraphSet {
    /// Numbers per node.
    pub fn channels(&self) -> usize {
        self.graphs.first().map_or(0, |graph| graph.features.columns)
    }
}

/// What messages call a graph of a folder.
pub(super) fn graph_name(place: &str, number: Option<u64>) -> String {
    number.map_or_else(|| place.to_owned(), |number| format!("{place}, graph {number}"))
}

/// So many graphs in words.
pub(super) fn count(graphs: usize) -> String {
    if graphs == 1 { "one graph".to_owned() } else { format!("{graphs} graphs") }
}

/// Makes a set's marks those of a run that uses a share of the training nodes.
pub(super) fn with_training_share(graphs: &[Graph], mut marks: Marks, shares: Shares) -> Marks {
    shorten(graphs, &mut marks, shares);
    marks
}
