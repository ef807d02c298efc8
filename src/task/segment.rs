//! Scores of segmentation: intersection over union, per class and mean, over all points of a pass.

use super::Confusion;

/// Who was taken for whom, point by point, as intersections and unions of what is a class and what is taken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    confusion: Confusion,
}

impl Overlap {
    /// No points yet.
    pub fn new(classes: usize) -> Self {
        Self { confusion: Confusion::new(classes) }
    }

    /// Adds the counts of (actual, predicted), row by row.
    pub fn add(&mut self, counts: &[Vec<u64>]) {
        self.confusion.add_counts(counts);
    }

    /// Who was taken for whom.
    pub fn confusion(&self) -> &Confusion {
        &self.confusion
    }

    /// Points that are the class and are taken for it.
    pub fn intersection(&self, class: usize) -> u64 {
        self.confusion.counts()[class][class]
    }

    /// Points that are the class or are taken for it.
    pub fn union(&self, class: usize) -> u64 {
        let taken: u64 = self.confusion.counts().iter().map(|row| row[class]).sum();
        self.confusion.support(class) + taken - self.intersection(class)
    }

    /// Intersection over union; `None` for a class that no point is or is taken for.
    pub fn iou(&self, class: usize) -> Option<f64> {
        let union = self.union(class);
        (union > 0).then(|| self.intersection(class) as f64 / union as f64)
    }

    /// The mean over the classes that have one; 0 without points.
    pub fn mean_iou(&self) -> f64 {
        let ious: Vec<f64> = self.ious().flatten().collect();
        ious.iter().sum::<f64>() / ious.len().max(1) as f64
    }

    /// The published code's mean over all classes, in which one without any counts as 1.
    pub fn published_mean_iou(&self) -> f64 {
        let classes = self.confusion.counts().len();
        self.ious().map(|iou| iou.unwrap_or(1.0)).sum::<f64>() / classes.max(1) as f64
    }

    fn ious(&self) -> impl Iterator<Item = Option<f64>> {
        (0..self.confusion.counts().len()).map(|class| self.iou(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_known_counts() {
        let mut overlap = Overlap::new(4);
        overlap.add(&[vec![3, 1, 0, 0], vec![0, 2, 0, 0], vec![2, 0, 0, 0], vec![0, 0, 0, 0]]);
        overlap.add(&[vec![1, 0, 0, 0], vec![0, 0, 0, 0], vec![0, 0, 1, 0], vec![0, 0, 0, 0]]);
        // Class 0: 4 of 5 + 2; class 1: 2 of 3; class 2: 1 of 3; class 3 is nowhere.
        let expected = [Some(4.0 / 7.0), Some(2.0 / 3.0), Some(1.0 / 3.0), None];
        assert_eq!([0, 1, 2, 3].map(|class| overlap.iou(class)), expected);
        let sum = 4.0 / 7.0 + 2.0 / 3.0 + 1.0 / 3.0;
        assert!((overlap.mean_iou() - sum / 3.0).abs() < 1e-15);
        assert!((overlap.published_mean_iou() - (sum + 1.0) / 4.0).abs() < 1e-15);
        assert_eq!(overlap.confusion().total(), 10);
        assert_eq!(Overlap::new(2).mean_iou(), 0.0);
    }
}
