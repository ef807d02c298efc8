//! A found cell as a file: which primitives, from which states, into which node (docs/method.md, "The cell").
//!
//! Here are the types, what the search's choices become, loading and saving; `json` reads and writes the text and
//! says what is wrong with it, `published` reads what the published code prints, `arch_string` the cells of NAS-Bench-201,
//! which `indices` reads as NASLib numbers them, `exported` and `switches` what NNI exports, `config_space` what NASLib configures, `space` knows the spaces by name, [`zoo`] holds the published
//! cells. Nothing here knows what a primitive computes.

mod arch_string;
mod config_space;
mod exported;
mod indices;
mod json;
mod published;
mod space;
mod switches;
pub mod zoo;

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::decision::{Choice, NONE};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::reading;
use crate::topology::{CellKind, Topology};

pub use arch_string::is_arch_string;
pub use indices::is_indices;
pub use space::{SpaceDescription, SpaceName};

/// One kind of cell: the edges into every node and the states that make its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellGenotype {
    /// The shape, whose steps are this cell's.
    pub topology: Topology,
    /// Primitive and source state, as many per node as the shape keeps, node by node.
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

impl CellGenotype {
    /// Node, primitive and source of every edge, in their order.
    pub fn edges_with_nodes(&self) -> impl Iterator<Item = (usize, &str, usize)> {
        let edges = self.topology.nodes_of_kept().zip(&self.edges);
        edges.map(|(node, (primitive, source))| (node, primitive.as_str(), *source))
    }

    fn from_choices(space: SpaceName, choices: &[Choice]) -> Self {
        let topology = space.topology();
        assert_eq!(choices.len(), topology.decision_count(), "a reading has every edge of the cell");
        let reads = |choice: &&Choice| !(topology.chooses_none() && choice.primitive == NONE);
        let concat = topology.derived_output(choices.iter().filter(reads).map(|choice| choice.source));
        let name = |choice: &Choice| (space.primitives()[choice.primitive].to_owned(), choice.source);
        Self { topology, edges: choices.iter().map(name).collect(), concat }
    }
}

impl Genotype {
    /// What a search read off: the choices of every node, node by node, by the space's index of primitives. Panics on
    /// another number of choices than the space's cells have edges.
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

    /// Reads and checks a file; see [`Self::load_as`].
    ///
    /// # Errors
    /// A file that can't be read or holds no valid cell.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_as(path, None)
    }

    /// Reads and checks a file: as this program writes it or prints it, or as the published code prints it. `asked` is
    /// the space of a cell that could be of several and names none.
    ///
    /// # Errors
    /// A file that can't be read or holds no valid cell.
    pub fn load_as(path: impl AsRef<Path>, asked: Option<SpaceName>) -> Result<Self> {
        let path = path.as_ref();
        let text = reading::text(path, reading::GENOTYPE)?;
        Self::from_text(&text, &path.display().to_string(), asked)
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
