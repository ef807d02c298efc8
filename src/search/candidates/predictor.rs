//! The cells that `predictor` trains: first one of each primitive alone, then, one after the other, the cell of which a
//! linear model of the scores so far promises most (docs/method.md, "Random cells").
//!
//! Models that predict scores of cells are compared by White, Zela, Ru, Liu and Hutter, "How Powerful are Performance
//! Predictors in Neural Architecture Search?" (NeurIPS 2021, arXiv:2104.01177).

use super::cells::Cells;
use super::sample::{draw, fingerprint, sample};
use crate::decision::Choice;
use crate::error::Result;
use crate::genotype::SpaceName;
use crate::search::limits::Limits;
use crate::tensor::random::{Key, Purpose};
use crate::topology::CellKind;
use rand::seq::SliceRandom;
use tch::Tensor;

/// What the squares of the model's weights count beside the squares of its errors. Scores are ranks from 0 to 1, and
/// features are shares of edges.
const RIDGE: f64 = 0.3;

/// Draws of sources for a cell of one primitive, of which none meets the limits.
const MOST_REFUSED: usize = 20;

/// A proposer of cells of one space.
#[derive(Clone, Copy)]
pub struct Predictor<'a> {
    /// The space.
    pub space: SpaceName,
    /// What ties and sources are drawn by.
    pub seed: u64,
    /// What cells must keep within.
    pub limits: Option<&'a Limits>,
}

impl Predictor<'_> {
    /// At most so many cells to begin with, each of one primitive on all edges, whose sources are drawn; the primitives in
    /// an order that is drawn too, `none` left out. One random cell where none of them meets the limits.
    ///
    /// # Errors
    /// What [`sample`] reports.
    pub fn first(self, most: usize) -> Result<Vec<Cells>> {
        let mut generator = Key::new(self.seed, Purpose::Candidates).generator();
        let mut primitives: Vec<usize> =
            (usize::from(self.space.topology().has_none())..self.space.primitives().len()).collect();
        primitives.shuffle(&mut generator);
        let mut cells = Vec::new();
        for primitive in primitives {
            let alone = (0..MOST_REFUSED).map(|_| {
                let mut cells = draw(self.space, &mut generator);
                let choices = cells.iter_mut().flat_map(|(_, cell)| cell);
                choices.for_each(|choice| choice.primitive = primitive);
                cells
            });
            cells.extend(alone.into_iter().find(|cells| self.allows(cells)));
        }
        cells.truncate(most);
        if cells.is_empty() { sample(self.space, self.seed, 1, self.limits) } else { Ok(cells) }
    }

    /// The cell to train after these, given as indices in the order of their scores, the best first.
    ///
    /// From the one of which the model promises most, one choice after the other is changed, each time the one that
    /// promises most, until no change promises more. If a cell like the last one is known (with the same features), the
    /// best one beside it that is not known comes instead.
    ///
    /// # Errors
    /// What [`sample`] reports, where everything beside is known.
    pub fn next(self, known: &[Cells], order: &[usize]) -> Result<Cells> {
        let features: Vec<Vec<f64>> = known.iter().map(|cells| self.features(cells)).collect();
        let weights = fit(&features, &ranks(order));
        let promise = |cells: &Cells| dot(&self.features(cells), &weights);
        let by_promise = |one: &Cells, other: &Cells| promise(one).total_cmp(&promise(other));
        let mut generator = Key::new(self.seed, Purpose::Candidates).at(known.len() as u64, 0).generator();
        let mut best = order.iter().rev().map(|index| known[*index].clone()).max_by(by_promise).unwrap_or_default();
        loop {
            let mut beside = self.beside(&best);
            beside.shuffle(&mut generator);
            // From here the best one first, equals in the order that was drawn.
            beside.sort_by(|one, other| by_promise(other, one));
            let is_better = |cells: &&Cells| promise(cells) > promise(&best) + 1e-9;
            if let Some(better) = beside.iter().take_while(is_better).find(|cells| self.allows(cells)) {
                best = better.clone();
                continue;
            }
            let is_like_known = |cells: &Cells| features.contains(&self.features(cells));
            if !is_like_known(&best) {
                return Ok(best);
            }
            let is_known = |cells: &Cells| known.iter().any(|other| fingerprint(other) == fingerprint(cells));
            let other = beside.iter().find(|cells| !is_like_known(cells) && self.allows(cells));
            let other = other.or_else(|| beside.iter().find(|cells| !is_known(cells) && self.allows(cells)));
            return match other {
                Some(cells) => Ok(cells.clone()),
                None => Ok(sample(self.space, self.seed, known.len() + 1, self.limits)?.swap_remove(known.len())),
            };
        }
    }

    /// Whether cells keep within the limits. Networks that can't be counted do not.
    fn allows(self, cells: &Cells) -> bool {
        self.limits.is_none_or(|limits| limits.meet(cells).unwrap_or(false))
    }

    /// What the model sees of cells: for every kind, and every primitive, its share of all edges, and the shares of edges
    /// of the primitive that read an input of the cell, and that lead into a node that no edge reads.
    fn features(self, cells: &Cells) -> Vec<f64> {
        let (topology, primitives) = (self.space.topology(), self.space.primitives().len());
        let of_kind = |(_, cell): &(CellKind, Vec<Choice>)| {
            let mut shares = vec![0.0; 3 * primitives];
            let share = 1.0 / cell.len() as f64;
            for (choice, node) in cell.iter().zip(topology.nodes_of_kept()) {
                let is_read = cell.iter().any(|other| other.source == topology.state_of(node));
                let seen = [true, topology.reads_input(choice.source), !is_read];
                for (group, _) in seen.into_iter().enumerate().filter(|(_, seen)| *seen) {
                    shares[group * primitives + choice.primitive] += share;
                }
            }
            shares
        };
        cells.iter().flat_map(of_kind).collect()
    }

    /// The cells that differ in one primitive or one source.
    fn beside(self, cells: &Cells) -> Vec<Cells> {
        let topology = self.space.topology();
        let primitives = topology.first_choosable()..self.space.primitives().len();
        let nodes: Vec<usize> = topology.nodes_of_kept().collect();
        let mut beside = Vec::new();
        for (kind, (_, cell)) in cells.iter().enumerate() {
            for (place, choice) in cell.iter().enumerate() {
                for primitive in primitives.clone().filter(|primitive| *primitive != choice.primitive) {
                    let mut other = cells.clone();
                    other[kind].1[place].primitive = primitive;
                    beside.push(other);
                }
                let is_of_node = |other: &usize| nodes[*other] == nodes[place];
                let taken: Vec<usize> = (0..cell.len()).filter(is_of_node).map(|other| cell[other].source).collect();
                for source in topology.sources(nodes[place]).into_iter().filter(|source| !taken.contains(source)) {
                    let mut other = cells.clone();
                    other[kind].1[place].source = source;
                    // The edges of a node stand in ascending order of their sources.
                    let edges: Vec<usize> = (0..cell.len()).filter(is_of_node).collect();
                    let (first, last) = (edges[0], edges[edges.len() - 1]);
                    other[kind].1[first..=last].sort_by_key(|choice| choice.source);
                    beside.push(other);
                }
            }
        }
        beside
    }
}

/// Ranks from 0 (the worst) to 1 of cells in this order, the best first.
fn ranks(order: &[usize]) -> Vec<f64> {
    let mut ranks = vec![0.0; order.len()];
    for (place, index) in order.iter().enumerate() {
        ranks[*index] = 1.0 - (place as f64 + 0.5) / order.len() as f64;
    }
    ranks
}

/// The weights of ridge regression of centred targets on centred features: Xᵀ (X Xᵀ + [`RIDGE`])⁻¹ y.
fn fit(features: &[Vec<f64>], targets: &[f64]) -> Vec<f64> {
    let count = features.len() as i64;
    let rows = Tensor::from_slice(&features.concat()).view([count, -1]);
    let centred = &rows - rows.mean_dim(0, true, None);
    let targets = Tensor::from_slice(targets);
    let targets = &targets - targets.mean(None);
    let products = centred.matmul(&centred.tr()) + Tensor::eye(count, (tch::Kind::Double, tch::Device::Cpu)) * RIDGE;
    let weights = centred.tr().matmul(&Tensor::linalg_solve(&products, &targets.unsqueeze(1), true));
    Vec::<f64>::try_from(weights.view(-1)).expect("the products are fp64")
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn predictor(space: SpaceName) -> Predictor<'static> {
        Predictor { space, seed: 3, limits: None }
    }

    #[test]
    fn the_model_is_ridge_regression() {
        // Centred, x is ∓1/2 and y too: w = Σxy / (Σx² + 0.3).
        let weights = fit(&[vec![0.0, 7.0], vec![1.0, 7.0]], &[0.0, 1.0]);
        assert!((weights[0] - 0.5 / 0.8).abs() < 1e-12 && weights[1] == 0.0, "{weights:?}");
        assert_eq!(ranks(&[2, 3, 0, 1]), [0.375, 0.125, 0.875, 0.625]);
    }

    #[test]
    fn the_first_cells_are_of_one_primitive_each() {
        for space in SpaceName::all() {
            let cells = predictor(space).first(100).unwrap();
            let primitives: HashSet<usize> = cells.iter().map(|cells| cells[0].1[0].primitive).collect();
            let all = space.primitives().len() - usize::from(space.topology().has_none());
            assert_eq!((cells.len(), primitives.len()), (all, all), "{space}");
            for cells in &cells {
                let mut choices = cells.iter().flat_map(|(_, cell)| cell);
                assert!(choices.all(|choice| choice.primitive == cells[0].1[0].primitive));
            }
            assert_eq!(predictor(space).first(2).unwrap(), cells[..2]);
        }
    }

    #[test]
    fn features_are_shares_of_primitives_by_place() {
        // Node 1 reads the input, the other nodes node 1: it alone is read.
        let choice = |primitive, source| Choice { primitive, source };
        let cell = vec![choice(2, 0), choice(2, 1), choice(5, 1), choice(5, 1)];
        let features = predictor(SpaceName::NAS_BENCH_GRAPH).features(&vec![(CellKind::Normal, cell)]);
        let primitives = SpaceName::NAS_BENCH_GRAPH.primitives().len();
        let expected = |place: usize| match (place / primitives, place % primitives) {
            (0, 2 | 5) | (2, 5) => 0.5,
            (1 | 2, 2) => 0.25,
            _ => 0.0,
        };
        assert_eq!(features, (0..3 * primitives).map(expected).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_proposed_is_new_and_soon_better_than_any_primitive_alone() {
        // The best cell has one primitive behind the inputs of a cell and another elsewhere.
        for space in SpaceName::all() {
            let (topology, predictor) = (space.topology(), predictor(space));
            let last = space.primitives().len() - 1;
            let score = |cells: &Cells| -> usize {
                let good = |choice: &&Choice| {
                    choice.primitive == if topology.reads_input(choice.source) { last } else { last - 1 }
                };
                cells.iter().flat_map(|(_, cell)| cell).filter(good).count()
            };
            let mut cells = predictor.first(100).unwrap();
            let alone = cells.iter().map(score).max().unwrap();
            for _ in 0..6 {
                let mut order: Vec<usize> = (0..cells.len()).collect();
                order.sort_by_key(|index| std::cmp::Reverse(score(&cells[*index])));
                let next = predictor.next(&cells, &order).unwrap();
                assert_eq!(next, predictor.next(&cells, &order).unwrap());
                assert!(cells.iter().all(|other| fingerprint(other) != fingerprint(&next)), "{space}");
                for (_, cell) in &next {
                    let nodes: Vec<usize> = topology.nodes_of_kept().collect();
                    let mut places: Vec<(usize, usize)> =
                        cell.iter().zip(nodes).map(|(choice, node)| (node, choice.source)).collect();
                    assert!(places.iter().all(|(node, source)| topology.sources(*node).contains(source)));
                    assert!(places.is_sorted());
                    places.dedup();
                    assert_eq!(places.len(), topology.decision_count());
                }
                cells.push(next);
            }
            let best = cells.iter().map(score).max().unwrap();
            assert!(best > alone, "{space}: {best} after {alone}");
        }
    }
}
