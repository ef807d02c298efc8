//! What is said of a few numbers: mean, deviation, a 95 % interval, and how far two orders agree.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use std::cmp::Ordering;

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

/// How two ways to get the same numbers differ, number by number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// The first less the second.
    pub difference: Summary,
    /// The mean difference in deviations of the differences (Cohen's d_z); absent of one pair, and where all differ alike.
    pub effect: Option<f64>,
    /// How likely so great a mean difference is, of either sign, where there is none, by the paired t-test; absent as
    /// above.
    pub p: Option<f64>,
}

impl Paired {
    /// Of as many numbers each, at least one.
    pub fn of(first: &[f64], second: &[f64]) -> Self {
        assert_eq!(first.len(), second.len(), "pairs have two numbers");
        let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
        let difference = Summary::of(&differences);
        let effect =
            difference.deviation.filter(|deviation| *deviation > 0.0).map(|deviation| difference.mean / deviation);
        let p = effect.and_then(|effect| {
            let t = StudentsT::new(0.0, 1.0, (difference.n - 1) as f64).ok()?;
            Some(2.0 * t.cdf(-(effect * (difference.n as f64).sqrt()).abs()))
        });
        Self { difference, effect, p }
    }
}

/// Kendall's τ_b of two scores of the same things: 1 for the same order, -1 for the opposite, ties in either taken into
/// account (Kendall 1945). NaN where one of them is the same for all.
pub fn kendall_tau(first: &[f64], second: &[f64]) -> f64 {
    tau_and_z(first, second).0
}

/// With its deviation from 0 in standard deviations of independent orders, ties taken into account.
fn tau_and_z(first: &[f64], second: &[f64]) -> (f64, f64) {
    kendalls::tau_b_with_comparator(first, second, f64::total_cmp).expect("two scores of the same things")
}

/// Kendall's τ_b with how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tau {
    /// How many things were ordered.
    pub n: usize,
    /// τ_b.
    pub tau: f64,
    /// The ends of its 95 % interval, by the percentiles of as many things drawn from these with replacement
    /// (Efron 1979).
    pub interval: [f64; 2],
    /// How likely so great a τ_b, of either sign, is of independent orders: exact where nothing is tied, as of a normal
    /// deviation else (Kendall 1970).
    pub p: f64,
}

impl Tau {
    /// Of two scores of the same things; nothing of fewer than three, and where one score is the same for all.
    pub fn of(first: &[f64], second: &[f64]) -> Option<Self> {
        let n = first.len();
        let (tau, z) = if n < 3 { return None } else { tau_and_z(first, second) };
        if tau.is_nan() {
            return None;
        }
        let mut draws = ChaCha8Rng::seed_from_u64(0);
        let mut taus: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let drawn: Vec<usize> = (0..n).map(|_| draws.random_range(0..n)).collect();
                let of = |scores: &[f64]| -> Vec<f64> { drawn.iter().map(|index| scores[*index]).collect() };
                kendall_tau(&of(first), &of(second))
            })
            .filter(|tau| !tau.is_nan())
            .collect();
        taus.sort_by(f64::total_cmp);
        let at = |share: f64| taus[((taus.len() - 1) as f64 * share).round() as usize];
        let tail = (1.0 - COVERED) / 2.0;
        let has_ties = |scores: &[f64]| {
            let mut sorted = scores.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted.windows(2).any(|pair| pair[0].total_cmp(&pair[1]) == Ordering::Equal)
        };
        let p = if n <= GREATEST_EXACT && !has_ties(first) && !has_ties(second) {
            exact_p(n, tau)
        } else {
            2.0 * Normal::standard().cdf(-z.abs())
        };
        Some(Self { n, tau, interval: [at(tail), at(1.0 - tail)], p })
    }
}

/// Draws that an interval is taken of.
const RESAMPLES: usize = 10_000;
/// Up to so many things the distribution of τ is counted out.
const GREATEST_EXACT: usize = 100;

/// The share of all orders of `n` things whose τ is at least as far from 0.
fn exact_p(n: usize, tau: f64) -> f64 {
    let pairs = n * (n - 1) / 2;
    // The share of orders with so many pairs against: the i-th thing goes before 0 to i - 1 of those so far, each as likely.
    let mut shares = vec![1.0];
    for i in 2..=n {
        let mut next = vec![0.0; shares.len() + i - 1];
        for (against, share) in shares.iter().enumerate() {
            next[against..against + i].iter_mut().for_each(|next| *next += share / i as f64);
        }
        shares = next;
    }
    let against = ((1.0 - tau.abs()) / 2.0 * pairs as f64).round() as usize;
    (2.0 * shares[..=against.min(pairs)].iter().sum::<f64>()).min(1.0)
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

    #[test]
    fn pairs_tell_their_difference_effect_and_p() {
        let paired = Paired::of(&[3.0, 5.0, 4.0, 6.0], &[1.0, 2.0, 3.0, 2.0]);
        assert_eq!(paired.difference.mean, 2.5);
        // The differences 2, 3, 1, 4 have deviation 1.29099; t = 3.87298 with 3 degrees of freedom.
        assert!((paired.effect.unwrap() - 1.936_492).abs() < 1e-6);
        assert!((paired.p.unwrap() - 0.030_466).abs() < 1e-6, "{paired:?}");
        assert_eq!((Paired::of(&[1.0, 2.0], &[0.0, 1.0]).effect, Paired::of(&[1.0], &[0.0]).p), (None, None));
    }

    #[test]
    fn the_published_orders_agree_as_published() {
        // Evaluation ranks of the ten cells of each criterion in the order of their search (Li et al. 2020, figure 1: 0.56 and
        // 0.42). The p values are those that scipy.stats.kendalltau counts out.
        let search: Vec<f64> = (1..=10).map(f64::from).collect();
        let first = [2.0, 3.0, 1.0, 6.0, 8.0, 7.0, 4.0, 5.0, 10.0, 9.0];
        let second = [4.0, 6.0, 1.0, 2.0, 3.0, 10.0, 5.0, 8.0, 9.0, 7.0];
        for (evaluation, tau, p) in [(first, "0.5556", "0.0286"), (second, "0.4222", "0.1083")] {
            let told = Tau::of(&search, &evaluation).unwrap();
            assert_eq!((format!("{:.4}", told.tau), format!("{:.4}", told.p)), (tau.to_owned(), p.to_owned()));
            assert!(told.interval[0] < told.tau && told.tau < told.interval[1], "{told:?}");
        }
        assert_eq!(Tau::of(&[1.0, 2.0, 3.0], &[1.0; 3]), None);
        assert_eq!(Tau::of(&[1.0, 2.0], &[1.0, 2.0]), None);
    }

    #[test]
    fn of_ties_the_deviation_is_normal() {
        let told = Tau::of(&[1.0, 2.0, 2.0, 3.0, 4.0, 5.0], &[1.0, 3.0, 2.0, 4.0, 4.0, 6.0]).unwrap();
        // As scipy.stats.kendalltau says.
        assert!((told.tau - 0.928_571).abs() < 1e-6 && (told.p - 0.011_402).abs() < 1e-6, "{told:?}");
    }
}
