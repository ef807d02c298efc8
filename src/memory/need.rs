//! What a step of any size needs, from trials of one or two small sizes.
//!
//! A step takes and gives back its tensors in the same order whatever its batch, and most of them grow with it: of the
//! bytes held at one moment of it, two sizes give a line. The need of another size is the greatest of these lines there.
//! The greatest value alone would not do: in a small trial it may be the optimizer that holds most, and at the real size
//! the features.

/// The parts that a step is cut into where two trials have not the same moments.
const PARTS: usize = 100;
/// More moments than this a round of a loop over samples does not have.
const LONGEST_ROUND: usize = 16;

/// The step of one size as it was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    size: u64,
    moments: Vec<Moment>,
}

/// Where tensors were given back after others had been taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    /// Bytes held.
    high: i64,
    /// Bytes taken since the moment before.
    rise: i64,
    /// Bytes given back.
    fall: i64,
}

impl Trial {
    /// A step of so many samples or nodes that held these bytes over time.
    pub fn new(size: u64, held: &[i64]) -> Self {
        let (mut moments, mut low) = (Vec::new(), 0);
        let lows = held.iter().skip(1).copied().chain(held.last().copied());
        let last = held.len().saturating_sub(1);
        for (index, (&high, next)) in held.iter().zip(lows).enumerate() {
            if next < high || index == last {
                add(&mut moments, Moment { high, rise: high - low, fall: high - next });
                low = next;
            }
        }
        Self { size, moments }
    }

    /// The most bytes held.
    pub fn peak(&self) -> u64 {
        self.highs().map(i64::unsigned_abs).max().unwrap_or(0)
    }

    fn highs(&self) -> impl Iterator<Item = i64> {
        self.moments.iter().map(|moment| moment.high)
    }

    /// The most bytes held in each of as many parts of the step.
    fn in_parts(&self) -> Vec<i64> {
        let highs: Vec<i64> = self.highs().collect();
        // Each overlaps with its neighbours, because moments of two trials lie a little apart.
        let part = |part: usize| {
            let (first, end) =
                (part.saturating_sub(1) * highs.len() / PARTS, ((part + 2) * highs.len()).div_ceil(PARTS));
            first..end.min(highs.len())
        };
        (0..PARTS).map(|index| highs[part(index)].iter().copied().max().unwrap_or(0)).collect()
    }
}

/// Adds a moment. Of a loop over samples only the last round is kept, so that steps of all sizes have the same moments:
/// rounds take and give back the same, but for what was taken before the first and is given back after the last.
fn add(moments: &mut Vec<Moment>, moment: Moment) {
    moments.push(moment);
    let count = moments.len();
    let is_round = |length: &usize| {
        let (before, last) = moments[count - 2 * length..].split_at(*length);
        let rises = before.iter().zip(last).skip(1).all(|(before, last)| before.rise == last.rise);
        rises && before.iter().zip(last).take(length - 1).all(|(before, last)| before.fall == last.fall)
    };
    if let Some(length) = (2..=LONGEST_ROUND.min(count / 2)).find(is_round) {
        moments.drain(count - 2 * length..count - length);
    } else if let [.., before, last] = moments[..]
        && (before.rise, before.fall) == (last.rise, last.fall)
    {
        moments.pop();
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
        Self { lines: vec![(only.peak() as f64, 0.0)] }
    }

    /// From two sizes, the smaller first. Where the two have not the same moments, those of a hundred parts are compared.
    pub fn between(small: &Trial, large: &Trial) -> Self {
        if small.size >= large.size {
            return Self::of(large);
        }
        let sizes = (small.size as f64, large.size as f64);
        let line = |(small, large): (i64, i64)| {
            let slope = ((large - small) as f64 / (sizes.1 - sizes.0)).max(0.0);
            (large as f64 - slope * sizes.1, slope)
        };
        let (small, large): (Vec<i64>, Vec<i64>) = match small.moments.len() == large.moments.len() {
            true => (small.highs().collect(), large.highs().collect()),
            false => (small.in_parts(), large.in_parts()),
        };
        Self { lines: small.into_iter().zip(large).map(line).collect() }
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

    #[test]
    fn what_holds_most_at_a_small_size_need_not_at_a_large_one() {
        // 100 of weights, 10 per sample of features, then an optimizer of 300 without features.
        let step = |size: i64| Trial::new(size.unsigned_abs(), &[100, 100 + 10 * size, 100, 400]);
        let need = Need::between(&step(2), &step(4));
        assert_eq!([2, 30, 100].map(|size| need.at(size)), [400, 400, 1100]);
        assert_eq!(need.greatest_within(1100), Some(100));
        assert_eq!(need.greatest_within(1109), Some(100));
        assert_eq!(need.greatest_within(399), None);
    }

    #[test]
    fn a_loop_over_samples_is_one_moment() {
        // For every sample scratch memory of 9 and 7, of which 2 stay until the end; then features of 3.
        let step = |size: i64| {
            let round = |sample| [10, 19, 10, 17].map(|held| held + 2 * sample);
            let held: Vec<i64> = (0..size).flat_map(round).chain([10, 10 + 3 * size]).collect();
            Trial::new(size.unsigned_abs(), &held)
        };
        assert_eq!(step(2).highs().collect::<Vec<_>>(), [21, 19, 16]);
        assert_eq!(step(4).highs().collect::<Vec<_>>(), [25, 23, 22]);
        assert_eq!(Need::between(&step(2), &step(4)).at(100), 310);
    }

    #[test]
    fn steps_of_other_moments_are_compared_part_by_part() {
        let step = |size: i64, more: usize| {
            let held = (0..1000 + more).flat_map(|at| [at as i64 * size, 0]);
            Trial::new(size.unsigned_abs(), &held.collect::<Vec<_>>())
        };
        let need = Need::between(&step(2, 0), &step(4, 7));
        let found = need.at(100) as f64;
        assert!((0.95..1.1).contains(&(found / 100_000.0)), "{found}");
    }

    #[test]
    fn one_trial_says_what_it_was() {
        let need = Need::of(&Trial::new(3, &[10, 30, 20]));
        assert_eq!((need.at(3), need.greatest_within(29)), (30, None));
        assert_eq!(Need::of(&Trial::new(3, &[])).at(3), 0);
    }
}
