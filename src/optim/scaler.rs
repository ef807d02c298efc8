//! Loss scaling for half precision, by the rules of PyTorch's `GradScaler` (docs/method.md, "Mixed precision";
//! Micikevicius et al. 2018).
//!
//! The loss is multiplied by the scale before the backward pass, the gradient divided by it before clipping;
//! a step whose gradient has an inf or NaN is skipped and halves the scale, 2000 clean ones in a row double it, but
//! not beyond what fp32 holds. Scale and count stay on the device, so that no step waits for it; the optimizers leave
//! out a skipped step by a flag on the device too.

use crate::optim::Skip;
use crate::tensor::precision::Precision;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

const INITIAL_SCALE: f64 = 65536.0;
const GROWTH: f64 = 2.0;
const BACKOFF: f64 = 0.5;
const GROWTH_INTERVAL: i64 = 2000;

/// The scale and how long it has been clean, as a checkpoint keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalerState {
    /// The factor of the loss.
    pub scale: f64,
    /// Clean steps since the scale last moved.
    pub clean_steps: u32,
    /// Whether it scales at all.
    pub enabled: bool,
}

/// Multiplies losses and divides gradients.
#[derive(Debug)]
pub struct Scaler {
    enabled: bool,
    growth_interval: i64,
    /// fp32 (1).
    scale: Tensor,
    /// int32 (1).
    clean_steps: Tensor,
}

/// What a gradient has that no step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NonFinite {
    /// Infinite numbers: it overflowed.
    #[serde(rename = "inf")]
    Infinite,
    /// Numbers that are none, perhaps besides infinite ones.
    #[serde(rename = "nan")]
    NotANumber,
}

impl NonFinite {
    /// What a gradient that is not finite has, by its norm: NaN if and only if one of its numbers is.
    pub fn of_norm(norm: f64) -> Self {
        if norm.is_nan() { Self::NotANumber } else { Self::Infinite }
    }
}

impl Scaler {
    /// fp16 needs scaling; fp32 and bf16, whose exponents are as wide, do not.
    pub fn new(precision: Precision, device: Device) -> Self {
        let state = ScalerState { scale: INITIAL_SCALE, clean_steps: 0, enabled: precision == Precision::Fp16 };
        Self::from_state(&state, device)
    }

    /// Goes on from a kept state.
    pub fn from_state(state: &ScalerState, device: Device) -> Self {
        Self {
            enabled: state.enabled,
            growth_interval: GROWTH_INTERVAL,
            scale: Tensor::full([1], state.scale, (Kind::Float, device)),
            clean_steps: Tensor::full([1], i64::from(state.clean_steps), (Kind::Int, device)),
        }
    }

    /// What a checkpoint keeps; waits for the device.
    pub fn state(&self) -> ScalerState {
        let clean_steps = u32::try_from(self.clean_steps.int64_value(&[0])).expect("a count of steps");
        ScalerState { scale: self.scale.double_value(&[0]), clean_steps, enabled: self.enabled }
    }

    /// Whether it scales at all.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The factor of the loss, 1 where there is no scaling; waits for the device.
    pub fn scale(&self) -> f64 {
        if self.enabled { self.scale.double_value(&[0]) } else { 1.0 }
    }

    /// The factor of the loss where there is scaling, fp32, 0-dimensional, on the device; it changes with every call
    /// of [`Self::unscale`].
    pub fn scale_on_device(&self) -> Option<Tensor> {
        self.enabled.then(|| self.scale.squeeze())
    }

    /// The loss to go backward from.
    pub fn scaled(&self, loss: &Tensor) -> Tensor {
        if self.enabled { loss * self.scale.squeeze() } else { loss.shallow_clone() }
    }

    /// Divides a flat gradient by the scale, looks for inf and NaN, which skip the step, and moves the scale; nothing
    /// where there is no scaling.
    pub fn unscale(&mut self, gradient: &mut Tensor) -> Option<Skip> {
        if !self.enabled {
            return None;
        }
        let mut found = Tensor::zeros([1], (Kind::Float, gradient.device()));
        gradient.internal_amp_non_finite_check_and_unscale(&mut found, &self.scale.reciprocal());
        let _ = self.scale.internal_amp_update_scale_(&self.clean_steps, &found, GROWTH, BACKOFF, self.growth_interval);
        Some(Skip { flag: found.squeeze(), goes_on: true })
    }
}

#[cfg(test)]
mod tests;
