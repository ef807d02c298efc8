//! Loss scaling for half precision (REFERENCE section 6; Micikevicius et al. 2018).
//!
//! The loss is multiplied by the scale before the backward pass, the gradient divided by it before clipping;
//! a step whose gradient has an inf or NaN is skipped and halves the scale, 2000 clean ones in a row double it.

use crate::tensor::precision::Precision;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

const INITIAL_SCALE: f64 = 65536.0;
const GROWTH_INTERVAL: u32 = 2000;

/// The scale and how long it has been clean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    scale: f64,
    clean_steps: u32,
    enabled: bool,
}

/// What to do with a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every number of it is finite: step.
    Finite,
    /// It has an inf or NaN: leave out the step.
    Skip,
}

impl Scaler {
    /// fp16 needs scaling; fp32 and bf16, whose exponents are as wide, do not.
    pub fn new(precision: Precision) -> Self {
        Self { scale: INITIAL_SCALE, clean_steps: 0, enabled: precision == Precision::Fp16 }
    }

    /// The factor of the loss: 1 where there is no scaling.
    pub fn scale(&self) -> f64 {
        if self.enabled { self.scale } else { 1.0 }
    }

    /// The loss to go backward from.
    pub fn scaled(&self, loss: &Tensor) -> Tensor {
        if self.enabled { loss * self.scale } else { loss.shallow_clone() }
    }

    /// Divides a flat gradient by the scale, looks for inf and NaN, and moves the scale.
    pub fn unscale(&mut self, gradient: &mut Tensor) -> Verdict {
        if !self.enabled {
            return Verdict::Finite;
        }
        let options = (Kind::Float, gradient.device());
        let mut found = Tensor::zeros([1], options);
        let inverse = Tensor::full([1], 1.0 / self.scale, options);
        gradient.internal_amp_non_finite_check_and_unscale(&mut found, &inverse);
        let verdict = if found.double_value(&[0]) == 0.0 { Verdict::Finite } else { Verdict::Skip };
        self.update(verdict);
        verdict
    }

    fn update(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Skip => {
                self.scale /= 2.0;
                self.clean_steps = 0;
            }
            Verdict::Finite => {
                self.clean_steps += 1;
                if self.clean_steps == GROWTH_INTERVAL {
                    self.scale *= 2.0;
                    self.clean_steps = 0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(values: &[f32]) -> Tensor {
        Tensor::from_slice(values)
    }

    #[test]
    fn a_scripted_inf_skips_the_step_and_halves_the_scale() {
        let mut scaler = Scaler::new(Precision::Fp16);
        assert_eq!(scaler.unscale(&mut gradient(&[1.0, f32::INFINITY])), Verdict::Skip);
        assert_eq!(scaler.scale(), 32768.0);
        assert_eq!(scaler.unscale(&mut gradient(&[f32::NAN])), Verdict::Skip);
        assert_eq!(scaler.scale(), 16384.0);
    }

    #[test]
    fn clean_steps_unscale_exactly_and_double_the_scale_after_two_thousand_in_a_row() {
        let mut scaler = Scaler::new(Precision::Fp16);
        for _ in 0..1999 {
            scaler.update(Verdict::Finite);
        }
        scaler.update(Verdict::Skip);
        for _ in 0..1999 {
            scaler.update(Verdict::Finite);
        }
        let mut flat = gradient(&[32768.0, -65536.0]);
        assert_eq!(scaler.unscale(&mut flat), Verdict::Finite);
        assert_eq!(Vec::<f32>::try_from(flat).unwrap(), [1.0, -2.0]);
        assert_eq!(scaler.scale(), 65536.0);
    }

    #[test]
    fn precisions_with_wide_exponents_are_left_alone() {
        for precision in [Precision::Fp32, Precision::Bf16] {
            let mut scaler = Scaler::new(precision);
            assert_eq!(scaler.scale(), 1.0);
            assert_eq!(scaler.unscale(&mut gradient(&[f32::INFINITY])), Verdict::Finite);
        }
    }
}
