//! A found cell as a file: which primitives, from which states, into which node (REFERENCE section 1).
//!
//! Here are the types, what the search's choices become, loading and saving; `json` reads and writes the text and
//! says what is wrong with it, `space` names the primitives of the three spaces, [`zoo`] holds the published
//! cells. Nothing here knows what a primitive computes.

mod json;
mod space;
pub mod zoo;

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::decision::Choice;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::topology::{CELL_INPUTS, CellKind, EDGES_PER_NODE};

pub use space::SpaceName;

/// How many states a searched cell concatenates: the last four.
pub const CONCATENATED_STATES: usize = 4;

/// One kind of cell: two edges into every node and the states that make its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellGenotype {
    /// Primitive and source state, two per node, node by node.
    pub edges: Vec<(String, usize)>,
    /// The states whose concatenation is the cell's output.
    pub concat: Vec<usize>,
}

/// A derived architecture: its cells and where they came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct Genotype {
    /// The space whose primitives the cells use.
    pub space: SpaceName,
    /// The cell that keeps the resolution.
    pub normal: CellGenotype,
    /// The cell that halves the resolution; images have one, points and graphs have none.
    pub reduce: Option<CellGenotype>,
    /// The task that it was searched for.
    pub task: Option<String>,
    /// Keys that mean nothing to this program (provenance), kept as they are.
    pub extra: Map<String, Value>,
}

/// The states that a searched cell of `nodes` nodes concatenates: 2..6 for images, 1..5 for points and graphs.
pub fn searched_concat(nodes: usize) -> std::ops::Range<usize> {
    let states = CELL_INPUTS + nodes;
    states.saturating_sub(CONCATENATED_STATES)..states
}

impl CellGenotype {
    /// The number of inner nodes.
    pub fn nodes(&self) -> usize {
        self.edges.len() / EDGES_PER_NODE
    }

    fn from_choices(space: SpaceName, choices: &[Choice]) -> Self {
        let name = |choice: &Choice| (space.primitives()[choice.primitive].to_owned(), choice.source);
        let concat = searched_concat(choices.len() / EDGES_PER_NODE).collect();
        Self { edges: choices.iter().map(name).collect(), concat }
    }
}

impl Genotype {
    /// What a search read off: two choices per node, node by node, by the space's index of primitives.
    pub fn from_choices(space: SpaceName, normal: &[Choice], reduce: Option<&[Choice]>) -> Self {
        Self {
            space,
            normal: CellGenotype::from_choices(space, normal),
            reduce: reduce.map(|choices| CellGenotype::from_choices(space, choices)),
            task: None,
            extra: Map::new(),
        }
    }

    /// The cell of a kind; `None` for the reduction cell of points and graphs.
    pub fn cell(&self, kind: CellKind) -> Option<&CellGenotype> {
        match kind {
            CellKind::Normal => Some(&self.normal),
            CellKind::Reduce => self.reduce.as_ref(),
        }
    }

    /// Reads and checks a file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| Error::read(path, error))?;
        Self::from_json(&text, &path.display().to_string())
    }

    /// Writes the file, replacing an old one only when the new one is whole.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        write_atomically(path, self.to_json().as_bytes())
    }

    /// Refuses a cell of another space than the one that is to be trained or evaluated.
    pub fn require_space(&self, space: SpaceName, origin: &str) -> Result<()> {
        if self.space == space {
            return Ok(());
        }
        Err(Error::invalid(
            format!("{origin}: space"),
            format!("a cell of the {space} space"),
            format!("one of the {} space", self.space),
        )
        .with_hint(format!(
            "its primitives mean nothing there; choose a {space} cell, or a task of the {} space",
            self.space
        )))
    }
}

#[cfg(test)]
mod tests;
