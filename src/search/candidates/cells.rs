//! Cells as choices.

use crate::decision::Choice;
use crate::genotype::{Genotype, SpaceName};
use crate::topology::CellKind;

/// A derived cell for each kind of a space.
pub type Cells = Vec<(CellKind, Vec<Choice>)>;

/// As a genotype of the space.
pub fn genotype(space: SpaceName, cells: &Cells) -> Genotype {
    let cell = |wanted: CellKind| cells.iter().find(|(kind, _)| *kind == wanted).map(|(_, cell)| &cell[..]);
    let normal = cell(CellKind::Normal).expect("every space has normal cells");
    Genotype::from_choices(space, normal, cell(CellKind::Reduce))
}
