//! Operation-level early stopping (OLES; Jiang, Ji, Zhu, Yuan and Huang, "Operation-Level Early Stopping for
//! Robustifying Differentiable NAS", NeurIPS 2023): an operation whose gradients on the weights' and on the alphas'
//! batches have little in common has begun to learn its training samples by heart, and trains no more
//! (docs/method.md, "Parts of strategies").

use crate::bounds;
use crate::error::{Error, Result};
use crate::model::SearchModel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tch::{Device, Kind, Tensor, no_grad};

/// What ends the training of single operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FreezingName {
    /// Gradients that differ between the weights' and the alphas' data (OLES).
    Similarity,
}

impl FreezingName {
    /// As configurations name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Similarity => "similarity",
        }
    }
}

/// `[search.similarity]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimilarityConfig {
    /// Steps over which the similarity is averaged.
    pub window: usize,
    /// Operations whose mean similarity is below this freeze.
    pub threshold: f64,
}

impl Default for SimilarityConfig {
    /// The values of the published code.
    fn default() -> Self {
        Self { window: 20, threshold: 0.4 }
    }
}

impl SimilarityConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        bounds::check("search.similarity.window", &self.window, &bounds::STEPS, "steps")?;
        bounds::check("search.similarity.threshold", &self.threshold, &(-1.0..=1.0), "")
    }
}

/// A primitive on an edge of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperationPlace {
    /// The cell's place in the stack, as weights are named by it.
    pub cell: usize,
    /// The edge.
    pub edge: usize,
    /// The primitive.
    pub primitive: usize,
}

/// The similarities of a window so far, and what is frozen.
pub struct Freezing {
    config: SimilarityConfig,
    /// Steps of the window so far.
    seen: usize,
    frozen: BTreeSet<OperationPlace>,
    layout: Layout,
    /// Sums of cosines, and how many were summed, one each per operation, fp64.
    sums: Tensor,
    counts: Tensor,
    /// True at the weights of frozen operations; absent while none is.
    mask: Option<Tensor>,
}

/// Where the weights of operations lie in the flat tensor.
#[derive(Default)]
struct Layout {
    /// The length of the flat tensor.
    length: i64,
    operations: Vec<OperationPlace>,
    /// Of every operation the first element and the number of elements.
    ranges: Vec<(i64, i64)>,
    /// Lengths that cover the flat tensor, gaps between operations too, and which of them are operations.
    lengths: Tensor,
    places: Tensor,
}

/// What a checkpoint holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    seen: usize,
    frozen: Vec<OperationPlace>,
    /// Sum and count.
    similarities: Vec<(OperationPlace, f64, f64)>,
}

impl Layout {
    fn of(model: &dyn SearchModel) -> Self {
        let parameters = &model.weights().parameters;
        let device = parameters.flat().device();
        let mut layout = Self { length: parameters.flat().size()[0], ..Self::default() };
        for (name, offset, length) in parameters.ranges() {
            let Some(place) = place_of(model, name) else { continue };
            match (layout.operations.last(), layout.ranges.last_mut()) {
                (Some(last), Some(range)) if *last == place => range.1 = offset + length - range.0,
                _ => {
                    layout.operations.push(place);
                    layout.ranges.push((offset, length));
                }
            }
        }
        let (mut lengths, mut places, mut end) = (Vec::new(), Vec::new(), 0);
        for (start, length) in &layout.ranges {
            lengths.push(start - end);
            places.push(lengths.len() as i64);
            lengths.push(*length);
            end = start + length;
        }
        lengths.push(layout.length - end);
        layout.lengths = Tensor::from_slice(&lengths).to_device(device);
        layout.places = Tensor::from_slice(&places).to_device(device);
        layout
    }

    /// The sum of a flat tensor over every operation's weights, fp64 (operations).
    fn sums(&self, flat: &Tensor) -> Tensor {
        let none: Option<&Tensor> = None;
        let flat = flat.to_kind(Kind::Double);
        let sums = Tensor::segment_reduce(&flat, "sum", Some(&self.lengths), none, none, 0, true, 0.0);
        sums.index_select(0, &self.places)
    }
}

/// The operation that a weight belongs to, where it is one's.
fn place_of(model: &dyn SearchModel, name: &str) -> Option<OperationPlace> {
    let cell = name.strip_prefix("cells.")?.split('.').next()?.parse().ok()?;
    let edges = model.topology().edge_count();
    model.alphas().kinds().into_iter().find_map(|kind| {
        (0..edges)
            .find_map(|edge| Some(OperationPlace { cell, edge, primitive: model.primitive_of(name, kind, edge)? }))
    })
}

impl Freezing {
    /// Nothing seen and nothing frozen yet.
    pub fn new(config: SimilarityConfig) -> Self {
        let none = || Tensor::zeros([0], (Kind::Double, Device::Cpu));
        let (frozen, layout) = (BTreeSet::new(), Layout::default());
        Self { config, seen: 0, frozen, layout, sums: none(), counts: none(), mask: None }
    }

    /// What is frozen.
    pub fn frozen(&self) -> &BTreeSet<OperationPlace> {
        &self.frozen
    }

    /// Sum and number of the similarities of the window so far, by operation.
    pub fn similarities(&self) -> BTreeMap<OperationPlace, (f64, f64)> {
        let read = |tensor: &Tensor| Vec::<f64>::try_from(tensor.to_device(Device::Cpu)).expect("sums are fp64");
        let values = read(&self.sums).into_iter().zip(read(&self.counts));
        self.layout.operations.iter().copied().zip(values).collect()
    }

    /// The weights that do not train, true there, in the layout of the flat tensor; none where all do.
    pub fn mask(&mut self, model: &dyn SearchModel) -> Option<Tensor> {
        self.follow(model);
        self.mask.as_ref().map(Tensor::shallow_clone)
    }

    /// Takes the layout of a supernet that a decision made smaller, and of one that a checkpoint was made of.
    fn follow(&mut self, model: &dyn SearchModel) {
        let flat = model.weights().parameters.flat();
        if self.layout.length == flat.size()[0] {
            return;
        }
        let known = self.similarities();
        self.layout = Layout::of(model);
        let values: Vec<(f64, f64)> =
            self.layout.operations.iter().map(|place| known.get(place).copied().unwrap_or_default()).collect();
        let (sums, counts): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
        let on_device = |values: &[f64]| Tensor::from_slice(values).to_device(flat.device());
        (self.sums, self.counts) = (on_device(&sums), on_device(&counts));
        let there: BTreeSet<OperationPlace> = self.layout.operations.iter().copied().collect();
        self.frozen.retain(|place| there.contains(place));
        self.set_mask(flat);
    }

    fn set_mask(&mut self, flat: &Tensor) {
        if self.frozen.is_empty() {
            self.mask = None;
            return;
        }
        let mask = flat.zeros_like().to_kind(Kind::Bool);
        for (place, (start, length)) in self.layout.operations.iter().zip(&self.layout.ranges) {
            if self.frozen.contains(place) {
                let _ = mask.narrow(0, *start, *length).fill_(1.0);
            }
        }
        self.mask = Some(mask);
    }

    /// Takes the flat gradients of a step, of the loss of the weights' batch and of the alphas'; at the end of a window
    /// it freezes. A gradient that is zero or not finite has no direction and does not count.
    pub fn observe(&mut self, model: &dyn SearchModel, training: &Tensor, validation: &Tensor) {
        self.follow(model);
        no_grad(|| {
            let [both, one, other] = [(training, validation), (training, training), (validation, validation)]
                .map(|(one, other)| self.layout.sums(&(one.to_kind(Kind::Double) * other.to_kind(Kind::Double))));
            let cosines = both / (one.sqrt() * other.sqrt());
            let counted = cosines.isfinite();
            self.sums += cosines.nan_to_num(0.0, 0.0, 0.0);
            self.counts += counted.to_kind(Kind::Double);
        });
        self.seen += 1;
        if self.seen == self.config.window {
            self.freeze(model.weights().parameters.flat());
        }
    }

    fn freeze(&mut self, flat: &Tensor) {
        let threshold = self.config.threshold;
        let below = |(sum, count): &(f64, f64)| *count > 0.0 && sum / count < threshold;
        let fresh: Vec<OperationPlace> = self
            .similarities()
            .into_iter()
            .filter(|(_, similarity)| below(similarity))
            .map(|(place, _)| place)
            .collect();
        let before = self.frozen.len();
        self.frozen.extend(fresh);
        if self.frozen.len() > before {
            let (frozen, all) = (self.frozen.len(), self.layout.operations.len());
            tracing::info!(
                "{frozen} of {all} operations with weights are frozen: their similarity is below {threshold}"
            );
            self.set_mask(flat);
        }
        (self.seen, self.sums, self.counts) = (0, self.sums.zeros_like(), self.counts.zeros_like());
    }

    /// What a checkpoint must hold.
    pub fn state(&self) -> Value {
        let similarities = self.similarities().into_iter().map(|(place, (sum, count))| (place, sum, count)).collect();
        let kept = Kept { seen: self.seen, frozen: self.frozen.iter().copied().collect(), similarities };
        serde_json::to_value(kept).expect("similarities are plain data")
    }

    /// Takes back what [`Self::state`] gave.
    ///
    /// # Errors
    /// A state of something else, with `origin` (the file) as its place.
    pub fn restore(&mut self, state: &Value, origin: &str) -> Result<()> {
        let kept: Kept = serde_json::from_value(state.clone())
            .map_err(|error| Error::invalid(origin, "the similarities of operations", error.to_string()))?;
        let values = |of: fn(&(OperationPlace, f64, f64)) -> f64| {
            Tensor::from_slice(&kept.similarities.iter().map(of).collect::<Vec<_>>())
        };
        (self.sums, self.counts) = (values(|kept| kept.1), values(|kept| kept.2));
        // The layout is taken anew at the next step.
        self.layout = Layout { operations: kept.similarities.iter().map(|kept| kept.0).collect(), ..Layout::default() };
        self.seen = kept.seen;
        self.frozen = kept.frozen.into_iter().collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_their_range_are_refused() {
        for (window, threshold, words) in [
            (0, 0.4, "search.similarity.window: expected 1 to"),
            (20, 1.5, "search.similarity.threshold: expected -1 to 1"),
            (20, f64::NAN, "search.similarity.threshold: expected -1 to 1"),
        ] {
            let error = SimilarityConfig { window, threshold }.validate().unwrap_err();
            assert!(error.to_string().starts_with(words), "{error}");
        }
    }

    #[test]
    fn a_state_of_something_else_is_refused() {
        let mut freezing = Freezing::new(SimilarityConfig::default());
        let error = freezing.restore(&serde_json::json!({"seen": -1}), "state.safetensors").unwrap_err();
        assert!(error.to_string().starts_with("state.safetensors: expected the similarities of operations"), "{error}");
        let state = freezing.state();
        freezing.restore(&state, "state.safetensors").unwrap();
        assert!(freezing.frozen().is_empty() && freezing.similarities().is_empty());
    }
}
