//! How sure a decision is: what it would have been, had the alphas moved by other epochs of the same search (a bootstrap;
//! Efron 1979). Nothing is trained for it.
//!
//! A replica begins with initial alphas drawn anew from those that the search began with, and takes as many epochs as
//! the search took: each moves the alphas of the open edges as one of the search's epochs did, drawn with replacement.
//! Alphas of closed edges are what they were. The replicas' scores show what the noise of batches and of the first draw
//! does to the margin; they know one supernet and cannot show what other initial weights would do.

use super::config::DecisionConfig;
use super::reading::{Choice, EdgeState};
use super::score::{Distributions, distributions, score_edges};
use super::{best_primitive, first_greatest};
use crate::statistics::Summary;
use crate::topology::Topology;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Edges × primitives.
pub type Table = Vec<Vec<f64>>;

/// Replicas of a decision: a share of 0.95 is known to about 0.01.
const REPLICAS: usize = 400;
/// The fewest epochs whose movements can stand for others.
const FEWEST_EPOCHS: usize = 4;

/// What was decided, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decided {
    pub epoch: usize,
    pub edge: usize,
    pub primitive: usize,
    /// The score less that of the runner-up, where there is one.
    pub margin: Option<f64>,
}

/// How sure a decision is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// The score less that of the runner-up; absent where no other edge was open.
    pub margin: Option<f64>,
    /// Standard deviation of that margin over the replicas.
    pub margin_deviation: Option<f64>,
    /// Share of replicas in which the same edge is decided, 0 to 1.
    pub edge: f64,
    /// Share of replicas in which that edge has the same best primitive, 0 to 1; absent where its alphas did not choose it.
    pub primitive: Option<f64>,
}

impl Confidence {
    /// Whether edge and primitive are the same in at least so many of the replicas.
    pub fn reaches(&self, share: f64) -> bool {
        self.edge >= share && self.primitive.is_none_or(|primitive| primitive >= share)
    }
}

/// The confidence of a decision. `past` holds the alphas before training, then at the end of each epoch, the deciding one
/// last; `before` the states of the edges before it. Nothing where too few epochs were seen, or numbers overflow.
pub(super) fn confidence(
    topology: Topology,
    config: &DecisionConfig,
    past: &[Table],
    before: &[EdgeState],
    decided: Decided,
) -> Option<Confidence> {
    if past.len() <= FEWEST_EPOCHS {
        return None;
    }
    let open: Vec<usize> = (0..before.len()).filter(|edge| before[*edge] == EdgeState::Open).collect();
    let chosen = decided.edge;
    // The same replicas in every search: its seed has no say in how sure it was.
    let mut random = ChaCha8Rng::seed_from_u64(decided.epoch as u64);
    let mut margins = Vec::with_capacity(REPLICAS);
    let (mut same_edge, mut same_primitive) = (0, 0);
    for _ in 0..REPLICAS {
        let tables = replica(past, &open, config.history, &mut random);
        let alphas = tables.last()?;
        if alphas.iter().flatten().any(|alpha| !alpha.is_finite()) {
            return None;
        }
        let mut history: Vec<Distributions> = tables.iter().map(|table| distributions(topology, table)).collect();
        let current = history.pop()?;
        let scores = score_edges(topology, alphas, &current, history.iter(), config.criterion);
        let scores = open.iter().map(|&edge| (edge, scores[edge].score));
        same_edge += usize::from(first_greatest(scores.clone()).is_some_and(|(edge, _)| edge == chosen));
        same_primitive += usize::from(best_primitive(topology, &alphas[chosen]) == decided.primitive);
        let own = scores.clone().find(|(edge, _)| *edge == chosen);
        let other = first_greatest(scores.filter(|(edge, _)| *edge != chosen));
        margins.extend(own.zip(other).map(|((_, own), (_, other))| own - other));
    }
    let share = |count: usize| count as f64 / REPLICAS as f64;
    Some(Confidence {
        margin: decided.margin,
        margin_deviation: if margins.is_empty() { None } else { Summary::of(&margins).deviation },
        edge: share(same_edge),
        primitive: Some(share(same_primitive)),
    })
}

/// For every edge of a cell that is read off at the end: the share of replicas, 0 to 1, in which the cell has the same edge
/// with the same primitive. `past` holds the alphas at the end of each epoch, the reading one last. Nothing where too few
/// epochs were seen, or numbers overflow.
pub fn shares_of_reading(
    topology: Topology,
    past: &[Table],
    read: impl Fn(&[Vec<f64>]) -> Vec<Choice>,
) -> Option<Vec<f64>> {
    let (last, edges) = (past.last()?, past.first()?.len());
    if past.len() <= FEWEST_EPOCHS {
        return None;
    }
    let open: Vec<usize> = (0..edges).collect();
    let placed = |choices: Vec<Choice>| -> Vec<(usize, Choice)> { topology.nodes_of_kept().zip(choices).collect() };
    let cell = placed(read(last));
    let mut random = ChaCha8Rng::seed_from_u64(past.len() as u64);
    let mut same = vec![0_usize; cell.len()];
    for _ in 0..REPLICAS {
        let alphas = replica(past, &open, 0, &mut random).pop()?;
        if alphas.iter().flatten().any(|alpha| !alpha.is_finite()) {
            return None;
        }
        let other = placed(read(&alphas));
        for (count, choice) in same.iter_mut().zip(&cell) {
            *count += usize::from(other.contains(choice));
        }
    }
    Some(same.into_iter().map(|count| count as f64 / REPLICAS as f64).collect())
}

/// The alphas of a replica at the end of its last epochs: the deciding one and as many before it as stability looks back.
fn replica(past: &[Table], open: &[usize], history: usize, random: &mut ChaCha8Rng) -> Vec<Table> {
    let epochs = past.len() - 1;
    let initial: Vec<f64> = open.iter().flat_map(|&edge| &past[0][edge]).copied().collect();
    let mut alphas = past[0].clone();
    for &edge in open {
        alphas[edge].iter_mut().for_each(|alpha| *alpha = initial[random.random_range(0..initial.len())]);
    }
    let mut tables = Vec::new();
    for epoch in 1..=epochs {
        let drawn = random.random_range(1..=epochs);
        for (edge, row) in alphas.iter_mut().enumerate() {
            if !open.contains(&edge) {
                row.clone_from(&past[epoch][edge]);
                continue;
            }
            for (primitive, alpha) in row.iter_mut().enumerate() {
                *alpha += past[drawn][edge][primitive] - past[drawn - 1][edge][primitive];
            }
        }
        if epoch + history >= epochs {
            tables.push(alphas.clone());
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{GreedyDecision, read_off_best_primitive};
    use crate::topology::CellKind;

    /// A search of two inputs and one node, whose alphas move by `step` in each epoch.
    fn decided(step: impl Fn(usize) -> Table) -> Option<Confidence> {
        let config = DecisionConfig { warmup: 19, ..DecisionConfig::default() };
        let topology = Topology::new(2);
        let mut greedy = GreedyDecision::new(topology, &[CellKind::Normal], config);
        let mut alphas = vec![vec![0.001, -0.001, 0.0, 0.0005]; topology.edge_count()];
        greedy.begin(CellKind::Normal, alphas.clone());
        for epoch in 0..20 {
            for (row, moved) in alphas.iter_mut().zip(step(epoch)) {
                row.iter_mut().zip(moved).for_each(|(alpha, moved)| *alpha += moved);
            }
            if let Some(decision) = greedy.observe(epoch, CellKind::Normal, &alphas).unwrap().decision {
                return decision.confidence;
            }
        }
        panic!("epoch 19 decides");
    }

    #[test]
    fn steady_movement_of_one_edge_is_sure() {
        let one_edge = |_| -> Table { (0..5).map(|edge| vec![0.0, f64::from(edge) * 0.02, 0.0, 0.0]).collect() };
        let confidence = decided(one_edge).unwrap();
        assert_eq!((confidence.edge, confidence.primitive), (1.0, Some(1.0)));
        assert!(confidence.margin.unwrap() > 3.0 * confidence.margin_deviation.unwrap());
        assert!(confidence.reaches(0.95));
    }

    #[test]
    fn movement_by_chance_is_not() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let steps: Vec<Table> = (0..20)
            .map(|_| (0..5).map(|_| (0..4).map(|_| random.random_range(-0.1..0.1)).collect()).collect())
            .collect();
        let confidence = decided(|epoch| steps[epoch].clone()).unwrap();
        assert!(confidence.edge < 0.9, "{confidence:?}");
        assert!(confidence.margin_deviation.unwrap() > 0.1, "{confidence:?}");
        assert!(!confidence.reaches(0.95));
    }

    #[test]
    fn alphas_that_stay_where_they_began_are_as_likely_to_choose_any_edge() {
        let confidence = decided(|_| vec![vec![0.0; 4]; 5]).unwrap();
        assert!(confidence.edge < 0.5, "{confidence:?}");
        assert!(confidence.primitive.unwrap() < 0.7, "{confidence:?}");
    }

    #[test]
    fn a_cell_that_is_read_off_is_as_sure_as_the_movement_of_its_alphas() {
        let topology = Topology::new(2);
        let read = |alphas: &[Vec<f64>]| read_off_best_primitive(topology, alphas);
        // The first three edges win by steady steps; the last two, of which the second node keeps one more, hardly move.
        let past = |noise: f64| -> Vec<Table> {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            let mut alphas = vec![vec![0.0; 4]; topology.edge_count()];
            let mut step = || {
                for (edge, row) in alphas.iter_mut().enumerate() {
                    row[1 + edge % 3] += if edge < 3 { 0.1 } else { 0.0 };
                    row.iter_mut().for_each(|alpha| *alpha += random.random_range(-noise..=noise));
                }
                alphas.clone()
            };
            (0..20).map(|_| step()).collect()
        };
        let shares = shares_of_reading(topology, &past(0.01), read).unwrap();
        assert_eq!(shares.len(), topology.decision_count());
        assert!(shares[..3].iter().all(|share| *share == 1.0) && shares[3] < 0.9, "{shares:?}");
        let noisy = shares_of_reading(topology, &past(0.5), read).unwrap();
        assert!(noisy.iter().sum::<f64>() < shares.iter().sum::<f64>(), "{noisy:?}");
        assert_eq!(shares_of_reading(topology, &past(0.1)[..FEWEST_EPOCHS], read), None);
        let overflow = vec![vec![vec![f64::NAN; 4]; topology.edge_count()]; 8];
        assert_eq!(shares_of_reading(topology, &overflow, read), None);
    }

    #[test]
    fn closed_edges_are_what_they_were_and_open_ones_sum_drawn_epochs() {
        let past: Vec<Table> =
            (0..6).map(|epoch| vec![vec![f64::from(epoch); 2], vec![2.0 * f64::from(epoch); 2]]).collect();
        let tables = replica(&past, &[1], 2, &mut ChaCha8Rng::seed_from_u64(1));
        // Every epoch moves by 2, so that any five of them move by 10.
        let expected: Vec<Table> = (3..6).map(|epoch| past[epoch].clone()).collect();
        assert_eq!(tables, expected);
    }
}
