//! Loss scaling for half precision, by the rules of PyTorch's `GradScaler` (REFERENCE section 6; Micikevicius et al.
//! 2018).
//!
//! The loss is multiplied by the scale before the backward pass, the gradient divided by it before clipping;
//! a step whose gradient has an inf or NaN is skipped and halves the scale, 2000 clean ones in a row double it, but
//! not beyond what fp32 holds.

use crate::tensor::precision::Precision;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

const INITIAL_SCALE: f64 = 65536.0;
const GROWTH: f64 = 2.0;
const BACKOFF: f64 = 0.5;
const GROWTH_INTERVAL: u32 = 2000;

/// The scale and how long it has been clean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    scale: f64,
    clean_steps: u32,
    enabled: bool,
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

/// What to do with a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every number of it is finite: step.
    Finite,
    /// Leave out the step, and why.
    Skip(NonFinite),
}

impl Verdict {
    /// Why the step is left out, where it is.
    pub fn skipped(self) -> Option<NonFinite> {
        match self {
            Self::Finite => None,
            Self::Skip(cause) => Some(cause),
        }
    }
}

impl Scaler {
    /// fp16 needs scaling; fp32 and bf16, whose exponents are as wide, do not.
    pub fn new(precision: Precision) -> Self {
        Self { scale: INITIAL_SCALE, clean_steps: 0, enabled: precision == Precision::Fp16 }
    }

    /// Whether it scales at all.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The factor of the loss: 1 where there is no scaling.
    pub fn scale(&self) -> f64 {
        if self.enabled { self.scale } else { 1.0 }
    }

    /// Clean steps since the scale last moved.
    pub fn clean_steps(&self) -> u32 {
        self.clean_steps
    }

    /// The loss to go backward from.
    pub fn scaled(&self, loss: &Tensor) -> Tensor {
        if self.enabled { loss * self.scale } else { loss.shallow_clone() }
    }

    /// Divides a flat gradient by the scale, looks for inf and NaN, and moves the scale.
    pub fn unscale(&mut self, gradient: &mut Tensor) -> Verdict {
        self.unscale_growing(gradient, GROWTH_INTERVAL)
    }

    fn unscale_growing(&mut self, gradient: &mut Tensor, growth_interval: u32) -> Verdict {
        if !self.enabled {
            return Verdict::Finite;
        }
        let options = (Kind::Float, gradient.device());
        let mut found = Tensor::zeros([1], options);
        let inverse = Tensor::full([1], 1.0 / self.scale, options);
        gradient.internal_amp_non_finite_check_and_unscale(&mut found, &inverse);
        let verdict = if found.double_value(&[0]) == 0.0 { Verdict::Finite } else { Verdict::Skip(cause(gradient)) };
        self.update(verdict, growth_interval);
        verdict
    }

    fn update(&mut self, verdict: Verdict, growth_interval: u32) {
        match verdict {
            Verdict::Skip(_) => {
                self.scale *= BACKOFF;
                self.clean_steps = 0;
            }
            Verdict::Finite => {
                self.clean_steps += 1;
                if self.clean_steps == growth_interval {
                    let grown = self.scale * GROWTH;
                    if grown <= f64::from(f32::MAX) {
                        self.scale = grown;
                    }
                    self.clean_steps = 0;
                }
            }
        }
    }
}

/// A sum would not tell: infinities of both signs make a NaN.
fn cause(gradient: &Tensor) -> NonFinite {
    if gradient.isnan().any().int64_value(&[]) != 0 { NonFinite::NotANumber } else { NonFinite::Infinite }
}

#[cfg(test)]
mod tests;
