//! The measures of an edge: importance, certainty, stability (equations 3 to 6 of the paper), and the score
//! that a criterion makes of them. Scores compare the edges of one kind of cell at one epoch only: each
//! measure is stretched to 0..1 over all of them, decided and pruned ones too.

use serde::{Deserialize, Serialize};

use super::config::Criterion;
use crate::topology::Topology;

/// The measures of one edge and their product.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EdgeScore {
    /// The share of all primitives that may be chosen, 0 to 1: what `none` leaves, or 1 where `none` is one of them.
    pub importance: f64,
    /// 1 minus the normalised entropy over those primitives, 0 to 1.
    pub certainty: f64,
    /// How much the distribution over them overlaps with the past epochs', 0 to 1; 0 without a past.
    /// Criterion 1 leaves it out of the score.
    pub stability: f64,
    /// The product of the measures of the criterion, each stretched to 0..1 over all edges. Where `none` may be chosen,
    /// importance is the same for all edges and no factor.
    pub score: f64,
}

/// The distribution over the primitives that may be chosen, an edge a row.
pub(super) type Distributions = Vec<Vec<f64>>;

/// exp(value) over the sum of all, safe from overflow; finite values give finite shares.
pub fn softmax(values: &[f64]) -> Vec<f64> {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = values.iter().map(|value| (value - greatest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|exponential| exponential / sum).collect()
}

/// The sum of the shares of all primitives that may be chosen: 1 where that is all of them.
pub(super) fn importance(topology: Topology, alphas: &[f64]) -> f64 {
    match topology.first_choosable() {
        0 => 1.0,
        first => softmax(alphas)[first..].iter().sum(),
    }
}

/// The distributions over the primitives that may be chosen. The softmax of the alphas without `none`'s is the
/// same as their shares divided by the importance, and stays a distribution where the importance is 0.
pub(super) fn distributions(topology: Topology, alphas: &[Vec<f64>]) -> Distributions {
    alphas.iter().map(|row| softmax(&row[topology.first_choosable()..])).collect()
}

/// Scores all edges of a kind of cell; `history` holds the distributions of the epochs before this one.
pub(super) fn score_edges<'a>(
    topology: Topology,
    alphas: &[Vec<f64>],
    current: &Distributions,
    history: impl ExactSizeIterator<Item = &'a Distributions> + Clone,
    criterion: Criterion,
) -> Vec<EdgeScore> {
    let importance: Vec<f64> = alphas.iter().map(|row| importance(topology, row)).collect();
    let certainty: Vec<f64> = current.iter().map(|row| certainty(row)).collect();
    let stability: Vec<f64> = (0..current.len()).map(|edge| stability(edge, current, history.clone())).collect();
    let stretched = [stretch(&importance), stretch(&certainty), stretch(&stability)];
    let first = usize::from(topology.first_choosable() == 0);
    let measures = match criterion {
        Criterion::One => &stretched[first..2],
        Criterion::Two => &stretched[first..],
    };
    (0..current.len())
        .map(|edge| EdgeScore {
            importance: importance[edge],
            certainty: certainty[edge],
            stability: stability[edge],
            score: measures.iter().map(|measure| measure[edge]).product(),
        })
        .collect()
}

/// 1 - entropy / greatest possible entropy.
fn certainty(distribution: &[f64]) -> f64 {
    let entropy: f64 = distribution.iter().filter(|&&share| share > 0.0).map(|share| -share * share.ln()).sum();
    1.0 - entropy / (distribution.len() as f64).ln()
}

/// The mean histogram intersection of the edge's distribution with those of the past.
fn stability<'a>(
    edge: usize,
    current: &Distributions,
    history: impl ExactSizeIterator<Item = &'a Distributions>,
) -> f64 {
    let length = history.len();
    if length == 0 {
        return 0.0;
    }
    let overlap = |old: &Distributions| old[edge].iter().zip(&current[edge]).map(|(a, b)| a.min(*b)).sum::<f64>();
    history.map(overlap).sum::<f64>() / length as f64
}

/// Moves and scales values to 0..1; all zeros where they are equal.
fn stretch(values: &[f64]) -> Vec<f64> {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = greatest - least;
    values.iter().map(|value| if range > 0.0 { (value - least) / range } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::NoneRule;

    const PUBLISHED: Topology = Topology::new(1);

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn softmax_survives_extremes() {
        let shares = softmax(&[f64::MAX, 0.0, f64::MIN]);
        assert_eq!(shares, [1.0, 0.0, 0.0]);
        assert!(softmax(&[-1e300; 4]).iter().all(|&share| close(share, 0.25)));
    }

    #[test]
    fn certainty_runs_from_uniform_to_one_primitive() {
        assert!(close(certainty(&[0.25; 4]), 0.0));
        assert!(close(certainty(&[0.0, 1.0, 0.0, 0.0]), 1.0));
        assert!(close(certainty(&[0.5, 0.5, 0.0, 0.0]), 0.5));
    }

    #[test]
    fn importance_is_what_none_leaves() {
        assert!(close(importance(PUBLISHED, &[0.0; 4]), 0.75));
        assert_eq!(importance(PUBLISHED, &[1e300, 0.0, 0.0]), 0.0);
    }

    #[test]
    fn stability_is_the_mean_overlap_with_the_past() {
        let current = vec![vec![0.7, 0.3]];
        assert_eq!(stability(0, &current, [].iter()), 0.0);
        let history = [vec![vec![0.7, 0.3]], vec![vec![0.3, 0.7]]];
        assert!(close(stability(0, &current, history.iter()), 0.8));
    }

    #[test]
    fn equal_measures_stretch_to_zero() {
        assert_eq!(stretch(&[2.0, 2.0]), [0.0, 0.0]);
        assert_eq!(stretch(&[1.0, 3.0, 2.0]), [0.0, 1.0, 0.5]);
    }

    #[test]
    fn only_criterion_two_counts_stability() {
        let alphas = vec![vec![0.0, 2.0, 0.0], vec![-1.0, 1.0, 0.5], vec![1.0, 0.1, 0.0]];
        let current = distributions(PUBLISHED, &alphas);
        let history = [distributions(PUBLISHED, &[vec![0.0, 0.0, 2.0], vec![0.0, 1.0, 0.5], vec![0.0, 0.3, 0.0]])];
        let one = score_edges(PUBLISHED, &alphas, &current, history.iter(), Criterion::One);
        let two = score_edges(PUBLISHED, &alphas, &current, history.iter(), Criterion::Two);
        assert!(one[0].score > 0.0);
        assert_eq!(two[0].score, 0.0, "the least stable edge");
        assert_eq!(one[0].stability, two[0].stability);
    }

    #[test]
    fn where_none_may_be_chosen_certainty_alone_decides_and_counts_it() {
        let free = Topology::new(1).with_none(NoneRule::Choosable);
        let alphas = vec![vec![5.0, 0.0, 0.0], vec![0.0, 1.0, 0.0]];
        let current = distributions(free, &alphas);
        assert_eq!(current[0].len(), 3);
        let scores = score_edges(free, &alphas, &current, [].iter(), Criterion::One);
        assert_eq!((scores[0].importance, scores[1].importance), (1.0, 1.0));
        assert_eq!((scores[0].score, scores[1].score), (1.0, 0.0), "the edge that is sure of none comes first");
    }
}
