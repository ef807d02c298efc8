//! The best score of a run so far.

use serde::{Deserialize, Serialize};

/// The greatest validation score so far; none where none was seen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Best(Option<f64>);

impl Best {
    /// Takes a score into account; whether it is the greatest so far, which the first of equals is.
    pub fn is_beaten_by(&mut self, score: f64) -> bool {
        let before = *self;
        self.join(Self(Some(score)));
        *self != before
    }

    /// The better of both.
    pub fn join(&mut self, other: Self) {
        if let Some(score) = other.0
            && self.0.is_none_or(|best| score > best)
        {
            *self = other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_greatest_is_the_best() {
        let mut best = Best::default();
        let beaten = [0.5, 0.25, 0.5, 0.75].map(|score| best.is_beaten_by(score));
        assert_eq!((beaten, best), ([true, false, false, true], Best(Some(0.75))));
        let mut joined = Best(Some(0.25));
        joined.join(Best::default());
        assert_eq!(joined, Best(Some(0.25)));
        joined.join(best);
        assert_eq!(joined, best);
        assert_eq!(serde_json::from_str::<Best>("null").unwrap(), Best::default());
        assert_eq!(serde_json::from_str::<Best>("0.75").unwrap(), best);
    }
}
