//! Random cells: every choice of a space is as likely as any other.

use super::cells::Cells;
use crate::decision::Choice;
use crate::error::{Error, Result};
use crate::genotype::SpaceName;
use crate::search::limits::Limits;
use crate::tensor::random::{Key, Purpose};
use rand::RngExt;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;

/// Random cells in a row that no search goes on behind, because none met the limits.
const MOST_REFUSED: usize = 1000;

/// Draws after which a cell may come twice: then the space has hardly more than were drawn.
const MOST_DRAWS: usize = 100;

/// So many cells, the same for the same seed; different ones where the space has as many. Within the limits, where there
/// are some.
///
/// # Errors
/// Limits that none of [`MOST_REFUSED`] cells in a row meets; networks that can't be counted.
pub fn sample(space: SpaceName, seed: u64, count: usize, limits: Option<&Limits>) -> Result<Vec<Cells>> {
    let mut generator = Key::new(seed, Purpose::Candidates).generator();
    let mut known = HashSet::new();
    let mut drawn = || -> Result<Cells> {
        let Some(limits) = limits else { return Ok(draw(space, &mut generator)) };
        for _ in 0..MOST_REFUSED {
            let cells = draw(space, &mut generator);
            if limits.meet(&cells)? {
                return Ok(cells);
            }
        }
        Err(Error::run(format!("of {MOST_REFUSED} random cells none has {}", limits.words()))
            .with_hint("raise the bound, or search by --strategy sgas, which keeps within it"))
    };
    let mut fresh = || {
        let mut cells = drawn()?;
        for _ in 1..MOST_DRAWS {
            if known.insert(fingerprint(&cells)) {
                break;
            }
            cells = drawn()?;
        }
        Ok(cells)
    };
    (0..count).map(|_| fresh()).collect()
}

pub(super) fn fingerprint(cells: &Cells) -> Vec<(usize, usize)> {
    cells.iter().flat_map(|(_, cell)| cell.iter().map(|choice| (choice.source, choice.primitive))).collect()
}

/// One random cell of each kind.
pub(in crate::search) fn draw(space: SpaceName, generator: &mut ChaCha8Rng) -> Cells {
    space.kinds().iter().map(|kind| (*kind, draw_cell(space, generator))).collect()
}

/// Every node keeps edges and every edge a primitive, drawn evenly; node by node in ascending order of sources.
fn draw_cell(space: SpaceName, generator: &mut ChaCha8Rng) -> Vec<Choice> {
    let topology = space.topology();
    let mut choices = Vec::with_capacity(topology.decision_count());
    for node in 0..topology.steps() {
        let sources = topology.sources(node);
        let mut kept = index::sample(generator, sources.len(), topology.kept(node)).into_vec();
        kept.sort_unstable();
        for place in kept {
            let primitive = generator.random_range(topology.first_choosable()..space.primitives().len());
            choices.push(Choice { primitive, source: sources[place] });
        }
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_valid_distinct_and_repeatable_in_every_space() {
        for space in SpaceName::all() {
            let cells = sample(space, 7, 50, None).unwrap();
            assert_eq!(cells, sample(space, 7, 50, None).unwrap());
            assert_ne!(cells, sample(space, 8, 50, None).unwrap());
            assert_eq!(cells.iter().map(fingerprint).collect::<HashSet<_>>().len(), 50);
            for (_, cell) in cells.iter().flatten() {
                assert_eq!(cell.len(), space.topology().decision_count());
                for (choice, node) in cell.iter().zip(space.topology().nodes_of_kept()) {
                    assert!(space.topology().sources(node).contains(&choice.source));
                    assert!(choice.primitive >= space.topology().first_choosable());
                }
            }
        }
    }

    #[test]
    fn every_primitive_and_edge_comes_equally_often() {
        let space = SpaceName::POINT;
        let cells = sample(space, 1, 3000, None).unwrap();
        let mut primitives = [0; 10];
        let mut sources = [0; 5];
        for choice in cells.iter().flatten().flat_map(|(_, cell)| cell) {
            primitives[choice.primitive] += 1;
        }
        for choice in cells.iter().flatten().flat_map(|(_, cell)| &cell[4..]) {
            sources[choice.source] += 1;
        }
        // 18000 draws of nine primitives, and 6000 of four sources; five deviations of these counts.
        assert_eq!(primitives[0], 0);
        assert!(primitives[1..].iter().all(|count: &i32| (count - 2000).abs() < 5 * 43), "{primitives:?}");
        assert!(sources[..4].iter().all(|count: &i32| (count - 1500).abs() < 5 * 28), "{sources:?}");
    }
}
