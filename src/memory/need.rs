//! What a step of any size needs, from trials of one or two small sizes.
//!
//! A step takes the same tensors in the same order whatever its batch, and most of them grow with it: of the bytes that
//! are held when the i-th tensor has been taken, two sizes give a line. The need of another size is the greatest of these
//! lines there. The greatest value alone would not do: in a small trial it may be the optimizer that holds most, and at
//! the real size the features.

/// The step of one size as it was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Samples, or nodes.
    pub size: u64,
    /// Bytes held when each tensor had been taken, in the order in which they were taken.
    pub curve: Vec<i64>,
}

impl Trial {
    fn peak(&self) -> f64 {
        self.curve.iter().copied().max().unwrap_or(0) as f64
    }
}

/// Bytes that a step needs, by its size.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// (bytes of a step of no size, bytes per unit of size)
    lines: Vec<(f64, f64)>,
}

impl Need {
    /// As measured at one size; of no other anything is known but that smaller ones need no more.
    pub fn of(only: &Trial) -> Self {
        Self { lines: vec![(only.peak(), 0.0)] }
    }

    /// From two sizes, the smaller first. Where the two did not take equally many tensors, from their peaks alone.
    pub fn between(small: &Trial, large: &Trial) -> Self {
        let sizes = (small.size as f64, large.size as f64);
        let line = |small: f64, large: f64| {
            let slope = ((large - small) / (sizes.1 - sizes.0)).max(0.0);
            (large - slope * sizes.1, slope)
        };
        if small.curve.len() != large.curve.len() {
            return Self { lines: vec![line(small.peak(), large.peak())] };
        }
        let points = small.curve.iter().zip(&large.curve);
        Self { lines: points.map(|(small, large)| line(*small as f64, *large as f64)).collect() }
    }

    /// Bytes of a step of this size.
    pub fn at(&self, size: u64) -> u64 {
        let size = size as f64;
        self.lines.iter().map(|(base, slope)| base + slope * size).fold(0.0, f64::max) as u64
    }

    /// The greatest size that fits into so many bytes; `None` where no size does.
    pub fn greatest_within(&self, bytes: u64) -> Option<u64> {
        let room = bytes as f64;
        if self.lines.iter().any(|(base, _)| *base > room) {
            return None;
        }
        let growing = self.lines.iter().filter(|(_, slope)| *slope > 0.0);
        let greatest = growing.map(|(base, slope)| (room - base) / slope).fold(f64::INFINITY, f64::min);
        Some(greatest as u64).filter(|greatest| *greatest > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(size: u64, curve: &[i64]) -> Trial {
        Trial { size, curve: curve.to_vec() }
    }

    #[test]
    fn what_holds_most_at_a_small_size_need_not_at_a_large_one() {
        // 100 of weights, 10 per sample of features, then an optimizer of 300 without features.
        let step = |size: i64| vec![100, 100 + 10 * size, 400];
        let need = Need::between(&trial(2, &step(2)), &trial(4, &step(4)));
        assert_eq!([2, 30, 100].map(|size| need.at(size)), [400, 400, 1100]);
        assert_eq!(need.greatest_within(1100), Some(100));
        assert_eq!(need.greatest_within(1109), Some(100));
        assert_eq!(need.greatest_within(399), None);
    }

    #[test]
    fn steps_of_other_tensors_are_compared_by_their_peaks() {
        let need = Need::between(&trial(2, &[10, 20]), &trial(4, &[10, 15, 40]));
        assert_eq!([4, 8].map(|size| need.at(size)), [40, 80]);
    }

    #[test]
    fn one_trial_says_what_it_was() {
        let need = Need::of(&trial(3, &[10, 30, 20]));
        assert_eq!((need.at(3), need.greatest_within(29)), (30, None));
        assert_eq!(Need::of(&trial(3, &[])).at(3), 0);
    }
}
