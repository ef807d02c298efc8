//! Seeded randomness without saved generator state: every use has a key, and the key is the seed.
//!
//! A draw is determined by (seed, epoch, step, purpose); a run that resumes at a step draws what the uncut run would
//! have drawn. No key has a rank: processes that share a run must agree on order and augmentation, and what each draws
//! for itself (dropout) has its turn among the steps of all as step ([`crate::dist::Share::turn`]). Data and decisions
//! use ChaCha streams; libtorch's own generators (dropout, initialisation) are seeded from the same key before each
//! step.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What random numbers are for; two purposes never share a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights.
    Weights = 1,
    /// Initial alphas, and the tables of the random baseline.
    Alphas = 2,
    /// Which samples form the validation share.
    Split = 3,
    /// The order of the training samples of an epoch.
    Order = 4,
    /// The samples of the batch on which alphas step.
    AlphaBatch = 5,
    /// Augmentation of training samples, and random subsets of points.
    Augmentation = 6,
    /// Dropout and drop path in the step of the weights.
    WeightStep = 7,
    /// Dropout in the step of the alphas.
    AlphaStep = 8,
    /// The built-in synthetic data.
    Synthetic = 9,
    /// Sampling in evaluation: the same at every pass.
    Evaluation = 10,
    /// Which samples of a set without a test part form one.
    TestSplit = 11,
    /// Which training samples are used, where not all are.
    Subset = 12,
    /// What the strategy of a search draws.
    Strategy = 13,
    /// Another order of the samples that are left of an epoch, after the run went back.
    Reorder = 14,
    /// The random cells of a search without a supernet.
    Candidates = 15,
    /// Shares of primitives in the step of the weights, where a search draws them.
    WeightMixture = 16,
    /// The same in the step of the alphas.
    AlphaMixture = 17,
    /// Initial weights of edges.
    EdgeWeights = 18,
}

/// Names one stream of random numbers.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The run's seed.
    pub seed: u64,
    /// Epoch from 0.
    pub epoch: u64,
    /// Step within the epoch, or the sample's index, from 0.
    pub step: u64,
    /// What the numbers are for.
    pub purpose: Purpose,
}

impl Key {
    /// The key of a purpose at the start of a run.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self { seed, epoch: 0, step: 0, purpose }
    }

    /// The same purpose at this epoch and step (or sample).
    #[must_use]
    pub fn at(self, epoch: u64, step: u64) -> Self {
        Self { epoch, step, ..self }
    }

    /// The key of the same draws after a run went back so often in this epoch; 0 times change nothing.
    #[must_use]
    pub fn after_rollbacks(self, times: usize) -> Self {
        let other = Self { purpose: Purpose::Reorder, ..self.at(self.epoch, times as u64) };
        if times == 0 { self } else { Self { seed: other.generator().next_u64(), ..self } }
    }

    /// The stream: the key's fields are 28 of the 32 bytes of ChaCha's key, the rest 0, so distinct keys never collide.
    pub fn generator(self) -> ChaCha8Rng {
        let mut bytes = [0_u8; 32];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.step.to_le_bytes());
        bytes[24..28].copy_from_slice(&(self.purpose as u32).to_le_bytes());
        ChaCha8Rng::from_seed(bytes)
    }

    /// Seeds libtorch's generators (all devices) from this key.
    pub fn seed_torch(self) {
        // 63 bits: libtorch takes a signed seed.
        tch::manual_seed((self.generator().next_u64() >> 1) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_key_changes_the_stream() {
        let base = Key::new(1, Purpose::Order);
        let first = |key: Key| key.generator().next_u64();
        let others = [Key { seed: 2, ..base }, Key { purpose: Purpose::Split, ..base }, base.at(1, 0), base.at(0, 1)];
        assert_eq!(first(base), first(base));
        for other in others {
            assert_ne!(first(base), first(other), "{other:?}");
        }
    }

    #[test]
    fn streams_are_those_of_earlier_versions() {
        let key = Key::new(0x0102, Purpose::Augmentation).at(3, 4);
        let mut bytes = [0_u8; 32];
        (bytes[0], bytes[1], bytes[8], bytes[16], bytes[24]) = (2, 1, 3, 4, 6);
        assert_eq!(key.generator().next_u64(), ChaCha8Rng::from_seed(bytes).next_u64());
    }
}
