//! The weighted sum of primitives, and what a primitive contributes to it: edge by edge with the kernels of a CPU, for
//! all edges of a node at once elsewhere.

use crate::tensor::bridge::composed::Place;
use crate::tensor::bridge::native::{MOST_PARTS, MixedPart, mixed_sum};
use crate::tensor::bridge::{self, composed};
use crate::tensor::fused::{done, is_fused};
use crate::tensor::layers::{ActivatedNorm, Activation, BatchNorm};
use crate::tensor::native::{self, Family};
use tch::{Kind, Tensor};

/// What a primitive gives: features, and the activation and the batch norm that are still to be applied to them. Left to
/// the sum, their outputs need not be stored.
pub struct Part<'a> {
    features: Tensor,
    activation: Activation,
    norm: Option<(&'a BatchNorm, bool)>,
}

impl<'a> Part<'a> {
    /// What needs no norm.
    pub fn plain(features: Tensor) -> Self {
        Self { features, activation: Activation::None, norm: None }
    }

    /// What `norm`, in training or not, is still to be applied to.
    pub fn normed(features: Tensor, norm: &'a BatchNorm, training: bool) -> Self {
        if norm.is_synchronised(training) {
            return Self::plain(norm.forward(&features, training));
        }
        Self { features, activation: Activation::None, norm: Some((norm, training)) }
    }

    /// What `tail`, in training or not, is still to be applied to.
    pub fn unfinished(features: Tensor, tail: &'a ActivatedNorm, training: bool) -> Self {
        if tail.norm.is_synchronised(training) {
            return Self::plain(tail.forward(features, training));
        }
        Self { features, activation: tail.activation(), norm: Some((&tail.norm, training)) }
    }

    /// Whether sums of nodes take activations and norms of parts like `x`.
    pub fn may_be_unfinished(x: &Tensor) -> bool {
        native::serves(Family::Mixture, x)
    }

    /// The features with activation and norm applied.
    pub fn finish(self) -> Tensor {
        let features = self.activation.forward(self.features);
        match self.norm {
            Some((norm, training)) => norm.forward(&features, training),
            None => features,
        }
    }

    /// The norm that is still to be applied, where all such norms can be one; all else is applied.
    fn with_plain_norm(self) -> (Tensor, Option<bridge::norm::BatchNorm<'a>>) {
        match self.norm {
            Some((norm, training)) if norm.is_plain() && self.activation == Activation::None => {
                (self.features, Some(norm.in_bridge(training)))
            }
            _ => (self.finish(), None),
        }
    }

    fn in_native(self, place: Place) -> MixedPart<'a> {
        let norm = self.norm.map(|(norm, training)| norm.in_bridge(training));
        MixedPart { features: self.features, slope: self.activation.slope().unwrap_or(1.0), norm, place }
    }

    fn in_bridge(&self) -> (&Tensor, Option<bridge::norm::BatchNorm<'_>>) {
        assert_eq!(self.activation, Activation::None, "kernels of a CPU take no activation");
        (&self.features, self.norm.map(|(norm, training)| norm.in_bridge(training)))
    }
}

/// The weights softmax(alpha) of all edges of a kind of cell.
#[derive(Debug)]
pub struct Mixture {
    /// Edge by edge, fp32 (primitives).
    edges: Vec<Tensor>,
    /// Node by node, fp32 (edges of the node, primitives).
    nodes: Vec<Tensor>,
    /// What whole edges are multiplied by, 0-dimensional each; empty where that is 1.
    whole: Vec<Tensor>,
}

impl Mixture {
    /// From a table fp32 (edges, primitives) of nodes with so many edges.
    pub fn new(table: &Tensor, edges_of_nodes: &[i64]) -> Self {
        Self { edges: table.unbind(0), nodes: table.split_with_sizes(edges_of_nodes, 0), whole: Vec::new() }
    }

    /// The same with what whole edges are multiplied by, fp32 (edges), which is a factor of the weights already.
    #[must_use]
    pub fn with_edge_weights(self, weights: &Tensor) -> Self {
        Self { whole: weights.unbind(0), ..self }
    }

    /// What an edge is multiplied by, 0-dimensional; none for 1. The weights of its primitives have it in them.
    pub fn edge_weight(&self, edge: usize) -> Option<&Tensor> {
        self.whole.get(edge)
    }

    /// The weights of every edge, (primitives) each.
    pub fn edges(&self) -> &[Tensor] {
        &self.edges
    }
}

/// Σ_k w_k·y_k for the weights of an edge and parts of one shape and type; a primitive without part adds nothing. The
/// sum has the parts' type. Panics when no primitive has a part.
pub fn mix<'a>(mixture: &Mixture, edge: usize, parts: impl Iterator<Item = Option<Part<'a>>>) -> Tensor {
    let (places, present): (Vec<i64>, Vec<Part>) = (0..).zip(parts).filter_map(|(k, part)| Some((k, part?))).unzip();
    let weights = mixture.edges[edge].index_select(0, &Tensor::from_slice(&places));
    let parts: Vec<_> = present.iter().map(Part::in_bridge).collect();
    if parts.iter().any(|(_, norm)| norm.is_some()) {
        return done(bridge::norm_mix::norm_mix(Some(&weights), &parts));
    }
    let features: Vec<&Tensor> = parts.iter().map(|(features, _)| *features).collect();
    done(bridge::mix::mix(&weights, &features))
}

/// Whether the edges of a node are best summed one by one, with features like these: by kernels of a CPU. Elsewhere all of a
/// node's at once take fewer operators.
pub fn goes_edge_by_edge(x: &Tensor) -> bool {
    is_fused(x)
}

/// What the edges of a node bring, to be summed at once.
#[derive(Default)]
pub struct NodeSum<'a> {
    parts: Vec<(Part<'a>, Place)>,
    /// What is left out unit by unit.
    masked: Vec<Tensor>,
}

impl<'a> NodeSum<'a> {
    /// Adds the primitives of the node's edge `edge`, each with its place among `primitives`.
    pub fn add_mixed(&mut self, edge: usize, primitives: usize, parts: impl Iterator<Item = Option<Part<'a>>>) {
        let first = (edge * primitives) as i64;
        self.parts.extend((first..).zip(parts).filter_map(|(place, part)| Some((part?, Some(place)))));
    }

    /// Adds what has no weight.
    pub fn add(&mut self, part: Part<'a>) {
        self.parts.push((part, None));
    }

    /// Adds what a mask is put on, which no mixture does.
    pub fn add_masked(&mut self, features: Tensor) {
        self.masked.push(features);
    }

    /// Whether no edge brings anything.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.masked.is_empty()
    }

    /// The sum, with the weights of node `node`, where there are any; `masks` gives as many as it is asked for, (n, units)
    /// in a type. The type is the parts'. Panics without parts.
    pub fn finish(self, mixture: Option<&Mixture>, node: usize, masks: impl FnOnce(usize, Kind) -> Tensor) -> Tensor {
        let Some(mixture) = mixture.filter(|_| self.parts.iter().any(|(_, place)| place.is_some())) else {
            let plain: Vec<Tensor> = self.parts.into_iter().map(|(part, _)| part.finish()).collect();
            let Some(first) = self.masked.first() else {
                return plain.into_iter().reduce(|sum, part| sum + part).expect("a node has a part");
            };
            let masks = masks(self.masked.len(), first.kind());
            let [plain, masked] = [&plain, &self.masked].map(|parts| parts.iter().collect::<Vec<_>>());
            return done(composed::masked_sum(&plain, &masked, &masks));
        };
        assert!(self.masked.is_empty(), "an edge is open or masked");
        let has_norms = self.parts.iter().any(|(part, _)| part.norm.is_some());
        if has_norms && self.parts.len() <= MOST_PARTS && Part::may_be_unfinished(&self.parts[0].0.features) {
            let parts: Vec<MixedPart> = self.parts.into_iter().map(|(part, place)| part.in_native(place)).collect();
            return done(mixed_sum(&mixture.nodes[node], &parts));
        }
        let (mut normed, mut normed_places, mut plain, mut plain_places) = (vec![], vec![], vec![], vec![]);
        for (part, place) in self.parts {
            match part.with_plain_norm() {
                (features, Some(norm)) => {
                    normed.push((features, norm));
                    normed_places.push(place);
                }
                (features, None) => {
                    plain.push(features);
                    plain_places.push(place);
                }
            }
        }
        let table = &mixture.nodes[node];
        let normed: Vec<_> = normed.iter().map(|(features, norm)| (features, norm.clone())).collect();
        let of_norms = (!normed.is_empty()).then(|| done(composed::normed_sum(table, &normed, &normed_places)));
        match of_norms {
            Some(sum) if plain.is_empty() => sum,
            base => {
                let plain: Vec<&Tensor> = plain.iter().collect();
                done(composed::weighted_sum(table, &plain, &plain_places, base.as_ref()))
            }
        }
    }
}
