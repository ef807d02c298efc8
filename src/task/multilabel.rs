//! Scores of several labels that hold or not: micro-F1 and macro-F1.

/// Right and wrong predictions of one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LabelCounts {
    /// It was predicted and holds.
    pub true_positives: u64,
    /// It was predicted and does not hold.
    pub false_positives: u64,
    /// It holds and was not predicted.
    pub false_negatives: u64,
}

impl LabelCounts {
    /// Things for which it holds.
    pub fn support(self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// 2·tp / (2·tp + fp + fn); 0 for a label that neither holds nor was predicted, as in scikit-learn.
    pub fn f1(self) -> f64 {
        let right = 2 * self.true_positives;
        right as f64 / (right + self.false_positives + self.false_negatives).max(1) as f64
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            true_positives: self.true_positives + other.true_positives,
            false_positives: self.false_positives + other.false_positives,
            false_negatives: self.false_negatives + other.false_negatives,
        }
    }
}

/// Counts of every label, and the mean over graphs that the published code reports.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelScores {
    counts: Vec<LabelCounts>,
    /// Σ over graphs of nodes · micro-F1 of the graph, and of nodes.
    by_graph: (f64, f64),
}

impl LabelScores {
    /// Nothing yet.
    pub fn new(labels: usize) -> Self {
        Self { counts: vec![LabelCounts::default(); labels], by_graph: (0.0, 0.0) }
    }

    /// Adds the counts of a graph with so many nodes, one per label.
    pub fn add_graph(&mut self, nodes: usize, counts: &[LabelCounts]) {
        let pooled = counts.iter().fold(LabelCounts::default(), |sum, counts| sum.plus(*counts));
        self.by_graph.0 += nodes as f64 * pooled.f1();
        self.by_graph.1 += nodes as f64;
        for (sum, counts) in self.counts.iter_mut().zip(counts) {
            *sum = sum.plus(*counts);
        }
    }

    /// All sums in one row: the two over graphs, then three counts of every label.
    pub(super) fn numbers(&self) -> Vec<f64> {
        let of_label = |counts: &LabelCounts| {
            [counts.true_positives, counts.false_positives, counts.false_negatives].map(|count| count as f64)
        };
        [self.by_graph.0, self.by_graph.1].into_iter().chain(self.counts.iter().flat_map(of_label)).collect()
    }

    /// Takes such a row back.
    pub(super) fn from_numbers(numbers: &[f64]) -> Self {
        let (by_graph, counts) = numbers.split_at(2);
        let of_label = |row: &[f64]| LabelCounts {
            true_positives: row[0] as u64,
            false_positives: row[1] as u64,
            false_negatives: row[2] as u64,
        };
        Self { counts: counts.chunks_exact(3).map(of_label).collect(), by_graph: (by_graph[0], by_graph[1]) }
    }

    /// One per label, in their order.
    pub fn counts(&self) -> &[LabelCounts] {
        &self.counts
    }

    /// F1 of all labels and nodes pooled.
    pub fn micro_f1(&self) -> f64 {
        self.counts.iter().fold(LabelCounts::default(), |sum, counts| sum.plus(*counts)).f1()
    }

    /// The mean of the labels' F1.
    pub fn macro_f1(&self) -> f64 {
        self.counts.iter().map(|counts| counts.f1()).sum::<f64>() / self.counts.len().max(1) as f64
    }

    /// The published code's score: the mean over graphs of their micro-F1, each weighted by its nodes.
    pub fn graph_mean_micro_f1(&self) -> f64 {
        self.by_graph.0 / self.by_graph.1.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(true_positives: u64, false_positives: u64, false_negatives: u64) -> LabelCounts {
        LabelCounts { true_positives, false_positives, false_negatives }
    }

    #[test]
    fn scores_of_known_counts() {
        let mut scores = LabelScores::new(2);
        scores.add_graph(3, &[counts(2, 1, 0), counts(0, 0, 1)]);
        scores.add_graph(1, &[counts(1, 0, 0), counts(0, 0, 0)]);
        assert_eq!(scores.counts(), [counts(3, 1, 0), counts(0, 0, 1)]);
        assert_eq!(scores.micro_f1(), 6.0 / 8.0);
        assert_eq!(scores.macro_f1(), (6.0 / 7.0) / 2.0);
        assert_eq!(scores.graph_mean_micro_f1(), (3.0 * (4.0 / 6.0) + 1.0) / 4.0);
        assert_eq!(counts(0, 0, 0).f1(), 0.0);
    }
}
