//! The weighted sum of an edge's primitives, and what a primitive contributes to it.

use crate::tensor::bridge;
use crate::tensor::fused::{done, is_fused};
use crate::tensor::layers::BatchNorm;
use tch::Tensor;

/// What a primitive gives: features, and the batch norm that is still to be applied to them. Left to the sum, the
/// norm's output need not be stored.
pub struct Part<'a> {
    features: Tensor,
    norm: Option<(&'a BatchNorm, bool)>,
}

impl<'a> Part<'a> {
    /// What needs no norm.
    pub fn plain(features: Tensor) -> Self {
        Self { features, norm: None }
    }

    /// What `norm`, in training or not, is still to be applied to.
    pub fn normed(features: Tensor, norm: &'a BatchNorm, training: bool) -> Self {
        Self { features, norm: Some((norm, training)) }
    }

    /// The features with the norm applied.
    pub fn finish(self) -> Tensor {
        match self.norm {
            Some((norm, training)) => norm.forward(&self.features, training),
            None => self.features,
        }
    }

    fn in_bridge(&self) -> (&Tensor, Option<bridge::norm::BatchNorm<'_>>) {
        (&self.features, self.norm.map(|(norm, training)| norm.in_bridge(training)))
    }
}

/// Σ_k w_k·y_k for weights fp32 (K) and parts of one shape and type; a primitive without part adds nothing. The sum
/// has the parts' type. Panics when no primitive has a part.
pub fn mix<'a>(weights: &Tensor, parts: impl Iterator<Item = Option<Part<'a>>>) -> Tensor {
    let present: Vec<(i64, Part)> = (0..).zip(parts).filter_map(|(k, part)| Some((k, part?))).collect();
    if present.iter().all(|(_, part)| is_fused(&part.features)) {
        let places: Vec<i64> = present.iter().map(|(k, _)| *k).collect();
        let weights = weights.index_select(0, &Tensor::from_slice(&places));
        return done(fused(&weights, &present));
    }
    // A 0-dimensional weight does not promote the half output that it scales.
    let parts = present.into_iter().map(|(k, part)| part.finish() * weights.get(k));
    parts.reduce(|sum, part| sum + part).expect("a space has a primitive besides none")
}

fn fused(weights: &Tensor, present: &[(i64, Part<'_>)]) -> crate::error::Result<Tensor> {
    if present.iter().any(|(_, part)| part.norm.is_some()) {
        let parts: Vec<_> = present.iter().map(|(_, part)| part.in_bridge()).collect();
        return bridge::norm_mix::norm_mix(Some(weights), &parts);
    }
    let parts: Vec<&Tensor> = present.iter().map(|(_, part)| &part.features).collect();
    bridge::mix::mix(weights, &parts)
}
