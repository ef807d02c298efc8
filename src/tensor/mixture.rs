//! The weighted sum of an edge's primitives.

use crate::tensor::bridge;
use crate::tensor::fused::{done, is_fused};
use tch::Tensor;

/// Σ_k w_k·y_k for weights fp32 (K) and outputs of one shape and type; a primitive without output adds nothing.
/// The sum has the outputs' type. Panics when no primitive has an output.
pub fn mix(weights: &Tensor, outputs: impl Iterator<Item = Option<Tensor>>) -> Tensor {
    let present: Vec<(i64, Tensor)> = (0..).zip(outputs).filter_map(|(k, output)| Some((k, output?))).collect();
    if present.iter().all(|(_, output)| is_fused(output)) {
        let places: Vec<i64> = present.iter().map(|(k, _)| *k).collect();
        let weights = weights.index_select(0, &Tensor::from_slice(&places));
        let parts: Vec<&Tensor> = present.iter().map(|(_, output)| output).collect();
        return done(bridge::mix::mix(&weights, &parts));
    }
    // A 0-dimensional weight does not promote the half output that it scales.
    let parts = present.into_iter().map(|(k, output)| output * weights.get(k));
    parts.reduce(|sum, part| sum + part).expect("a space has a primitive besides none")
}
