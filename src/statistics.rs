//! What is said of a few numbers: mean, deviation, a 95 % interval, and how far two orders agree.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The share of means that an interval covers.
const COVERED: f64 = 0.95;

/// Several measurements of the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their deviation with n - 1; absent of one.
    pub deviation: Option<f64>,
    /// Half the width of the mean's 95 % interval by Student's t, as of normal measurements; absent of one.
    pub interval: Option<f64>,
}

impl Summary {
    /// Of these, at least one. Panics without any.
    pub fn of(values: &[f64]) -> Self {
        assert!(!values.is_empty(), "a summary is of at least one value");
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let deviation = (n > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            (squares / (n - 1) as f64).sqrt()
        });
        let t = || StudentsT::new(0.0, 1.0, (n - 1) as f64).ok().map(|t| t.inverse_cdf(0.5 + COVERED / 2.0));
        let interval = deviation.and_then(|deviation| Some(t()? * deviation / (n as f64).sqrt()));
        Self { n, mean, deviation, interval }
    }

    /// Whether the interval excludes zero; of one value it can't be said.
    pub fn excludes_zero(&self) -> bool {
        self.interval.is_some_and(|half| self.mean.abs() > half)
    }
}

/// Kendall's τ_b of two scores of the same things: 1 for the same order, -1 for the opposite, ties in either taken into
/// account (Kendall 1945). NaN where one of them is the same for all.
pub fn kendall_tau(first: &[f64], second: &[f64]) -> f64 {
    assert_eq!(first.len(), second.len(), "two scores of the same things");
    let (mut agreement, mut pairs) = (0.0, [0.0_f64; 2]);
    for i in 0..first.len() {
        for j in 0..i {
            // 0 for a tie, where `signum` is 1.
            let order = |scores: &[f64]| f64::from(i8::from(scores[i] > scores[j]) - i8::from(scores[i] < scores[j]));
            let orders = [order(first), order(second)];
            agreement += orders[0] * orders[1];
            pairs.iter_mut().zip(orders).for_each(|(pairs, order)| *pairs += order.abs());
        }
    }
    agreement / (pairs[0] * pairs[1]).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_that_of_the_tables() {
        let summary = Summary::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!((summary.n, summary.mean), (4, 2.5));
        // t of 3 degrees of freedom at 0.975 is 3.18245 in every table.
        let deviation = (5.0_f64 / 3.0).sqrt();
        assert!((summary.deviation.unwrap() - deviation).abs() < 1e-12);
        assert!((summary.interval.unwrap() - 3.182_446 * deviation / 2.0).abs() < 1e-5);
        assert!(summary.excludes_zero() && !Summary::of(&[-1.0, 2.0]).excludes_zero());
        let one = Summary::of(&[7.0]);
        assert_eq!((one.mean, one.deviation, one.interval, one.excludes_zero()), (7.0, None, None, false));
    }

    #[test]
    fn tau_counts_pairs_and_ties() {
        let order = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(kendall_tau(&order, &order), 1.0);
        assert_eq!(kendall_tau(&order, &[4.0, 3.0, 2.0, 1.0]), -1.0);
        // Five pairs of six agree.
        assert!((kendall_tau(&order, &[1.0, 2.0, 4.0, 3.0]) - 4.0 / 6.0).abs() < 1e-12);
        // A tie in one: five pairs, all agree, of six and five.
        assert!((kendall_tau(&order, &[1.0, 2.0, 3.0, 3.0]) - 5.0 / 30.0_f64.sqrt()).abs() < 1e-12);
        assert!(kendall_tau(&order, &[1.0; 4]).is_nan());
    }
}
