//! Scores of classification: overall accuracy, mean class accuracy (balanced accuracy), per class, confusion.

/// Counts of (actual class, predicted class).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// No samples yet.
    pub fn new(classes: usize) -> Self {
        Self { counts: vec![vec![0; classes]; classes] }
    }

    /// Counts one sample. Panics on a class out of range.
    pub fn add(&mut self, actual: usize, predicted: usize) {
        self.counts[actual][predicted] += 1;
    }

    /// Adds counts of as many classes. Panics on a class out of range.
    pub fn add_counts(&mut self, counts: &[Vec<u64>]) {
        for (actual, row) in counts.iter().enumerate() {
            for (predicted, count) in row.iter().enumerate() {
                self.counts[actual][predicted] += count;
            }
        }
    }

    /// Rows are actual classes, columns predicted ones.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Samples in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Samples of a class.
    pub fn support(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// The share of all samples that were predicted right; 0 without samples.
    pub fn overall_accuracy(&self) -> f64 {
        let right: u64 = (0..self.counts.len()).map(|class| self.counts[class][class]).sum();
        ratio(right, self.total())
    }

    /// The share of a class's samples that were predicted right; `None` for a class without samples.
    pub fn class_accuracy(&self, class: usize) -> Option<f64> {
        let support = self.support(class);
        (support > 0).then(|| ratio(self.counts[class][class], support))
    }

    /// The mean of the class accuracies, over the classes that have samples.
    pub fn mean_class_accuracy(&self) -> f64 {
        let accuracies: Vec<f64> = (0..self.counts.len()).filter_map(|class| self.class_accuracy(class)).collect();
        accuracies.iter().sum::<f64>() / accuracies.len().max(1) as f64
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracies_of_a_known_confusion() {
        let mut confusion = Confusion::new(3);
        for (actual, predicted) in [(0, 0), (0, 0), (0, 1), (1, 1)] {
            confusion.add(actual, predicted);
        }
        assert_eq!(confusion.overall_accuracy(), 0.75);
        assert_eq!(confusion.class_accuracy(0), Some(2.0 / 3.0));
        assert_eq!(confusion.class_accuracy(2), None);
        // The class without samples does not count, as in scikit-learn's balanced accuracy.
        assert!((confusion.mean_class_accuracy() - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-15);
    }
}
