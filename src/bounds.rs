//! Bounds of the whole numbers that a user may set.
//!
//! They are far beyond what any run needs, and near enough that no sum or product of them overflows: what lies outside
//! is a slip of the finger, and is told as one before anything is computed with it.

use crate::error::{Error, Result};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// Epochs: at a second each, a million take eleven days.
pub const EPOCHS: RangeInclusive<usize> = 1..=1_000_000;

/// Steps of a whole run.
pub const STEPS: RangeInclusive<usize> = 1..=10_000_000;

/// Epochs of a part of a run that may be left out.
pub const SOME_EPOCHS: RangeInclusive<usize> = 0..=1_000_000;

/// Past epochs that every epoch of a search is compared with.
pub const HISTORY: RangeInclusive<usize> = 1..=10_000;

/// Random cells of a search.
pub const CANDIDATES: RangeInclusive<usize> = 1..=100_000;

/// Samples in a batch: no set in use has more than a few times as many.
pub const MOST_SAMPLES: usize = 1_000_000;

/// Points of a cloud: neighbours of a million take a million times a million distances.
pub const POINTS: RangeInclusive<usize> = 1..=1_000_000;

/// Samples of a built-in set, each part; the least is one of each kind.
pub const MOST_SYNTHETIC: usize = 1_000_000;

/// Refuses a value of `key` outside its range; `what` says what is counted, or is empty.
///
/// # Errors
/// The value, with key and range.
pub fn check<N: PartialOrd + Display>(key: &str, value: &N, range: &RangeInclusive<N>, what: &str) -> Result<()> {
    if range.contains(value) {
        return Ok(());
    }
    let expected = format!("{} to {} {what}", range.start(), range.end());
    Err(Error::invalid(key, expected.trim_end(), value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_is_told_with_key_and_range() {
        check("train.epochs", &1, &EPOCHS, "epochs").unwrap();
        let error = check("train.epochs", &0, &EPOCHS, "epochs").unwrap_err();
        assert_eq!(error.to_string(), "train.epochs: expected 1 to 1000000 epochs, found 0");
        assert_eq!(check("a", &-1_i64, &(0..=9), "").unwrap_err().to_string(), "a: expected 0 to 9, found -1");
    }
}
