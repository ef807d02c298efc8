//! Beta decay (Ye, Li, Li, Chen, Fan and Ouyang, "β-DARTS: Beta-Decay Regularization for Differentiable Architecture
//! Search", CVPR 2022, arXiv:2203.01665): a term of the alphas' loss that keeps alphas small and their shares even
//! (docs/method.md, "Parts of strategies").

use super::{Penalty, Strategy};
use crate::bounds;
use crate::error::Result;
use crate::model::Alphas;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use tch::{Kind, Tensor};

/// `[search.beta]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BetaConfig {
    /// The weight of the term at the end of the search; it grows in proportion to the epoch, from 0.
    pub scale: f64,
}

impl Default for BetaConfig {
    /// The published value.
    fn default() -> Self {
        Self { scale: 50.0 }
    }
}

impl BetaConfig {
    /// # Errors
    /// A value outside its range, with its key.
    pub fn validate(&self) -> Result<()> {
        bounds::check("search.beta.scale", &self.scale, &(0.0..=1e6), "")
    }
}

/// Adds the term, and decides nothing.
pub(super) struct Beta {
    scale: f64,
    /// Of the whole search.
    epochs: usize,
}

impl Beta {
    pub(super) fn new(config: &BetaConfig, epochs: usize) -> Self {
        Self { scale: config.scale, epochs }
    }

    /// λ of an epoch.
    fn weight(&self, epoch: usize) -> f64 {
        self.scale * epoch as f64 / self.epochs as f64
    }
}

impl Strategy for Beta {
    fn epochs(&self) -> usize {
        self.epochs
    }

    fn penalty(&self, epoch: usize) -> Option<Penalty> {
        let weight = self.weight(epoch);
        (weight > 0.0).then(|| Rc::new(move |alphas: &Alphas| beta_decay(alphas) * weight) as Penalty)
    }
}

/// Σ over kinds of cell of the mean over their edges of ln Σ_k exp(α_k), 0-dimensional. Decided edges count in the mean,
/// so that the pull on an open one stays the same; dropped primitives have no part.
pub fn beta_decay(alphas: &Alphas) -> Tensor {
    let of_kind = |kind| alphas.table(kind).logsumexp([-1_i64].as_slice(), false).mean(None::<Kind>);
    alphas.kinds().into_iter().map(of_kind).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_grows_with_the_epoch_up_to_the_scale() {
        // The published code: 50·epoch/100 at every epoch.
        let beta = Beta::new(&BetaConfig::default(), 100);
        for epoch in [0, 1, 37, 99] {
            assert_eq!(beta.weight(epoch), 0.5 * epoch as f64);
        }
        assert!(beta.penalty(0).is_none() && beta.penalty(1).is_some());
    }

    #[test]
    fn a_scale_that_is_no_weight_is_refused() {
        for scale in [-1.0, f64::NAN, f64::INFINITY] {
            let error = BetaConfig { scale }.validate().unwrap_err();
            assert!(error.to_string().starts_with("search.beta.scale: expected 0 to 1000000, found"), "{error}");
        }
    }
}
