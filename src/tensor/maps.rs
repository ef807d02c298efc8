//! Several linear maps of the same rows as one product.

use crate::tensor::bridge::composed::RowMaps;
use crate::tensor::fused::done;
use crate::tensor::layers::Linear;
use tch::Tensor;

/// What is made of a linear map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    /// ReLU(W·x): one tensor.
    Rectified,
    /// W·x: one tensor.
    Plain,
    /// Of W = [U, V] and pairs [x_i, x_j - x_i] the shares (U - V)·x of x_i and V·x of x_j: two tensors.
    Pair,
}

/// What the maps give of `rows` (R, C_in), map by map, (R, C_out) each. All have the same C_in (of pairs twice as many)
/// and C_out, and no bias.
pub fn map_together(rows: &Tensor, maps: &[(MapKind, &Linear)]) -> Vec<Vec<Tensor>> {
    let weights: Vec<Tensor> = maps.iter().map(|(_, linear)| linear.weight()).collect();
    let of_kind = |kind| (0..maps.len()).filter(move |&number| maps[number].0 == kind);
    let weights_of = |kind| of_kind(kind).map(|number| &weights[number]).collect();
    let joined = RowMaps {
        rectified: weights_of(MapKind::Rectified),
        plain: weights_of(MapKind::Plain),
        pairs: weights_of(MapKind::Pair),
    };
    let mapped = done(joined.of(rows));
    let mut given: Vec<Vec<Tensor>> = maps.iter().map(|_| Vec::new()).collect();
    for (number, tensor) in of_kind(MapKind::Rectified).zip(mapped.rectified) {
        given[number].push(tensor);
    }
    for (number, tensor) in of_kind(MapKind::Plain).zip(mapped.plain) {
        given[number].push(tensor);
    }
    for (number, pair) in of_kind(MapKind::Pair).zip(mapped.pairs) {
        given[number].extend(pair);
    }
    given
}
