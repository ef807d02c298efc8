//! What a step came to, as numbers on the device that are read together with those of other steps.

use super::finite;
use crate::error::{Error, Result};
use crate::optim::{NonFinite, Scaler, Skip};
use tch::{Device, Kind, Tensor};

/// Below this the loss scale is taken for lost: the gradients overflow whatever it is.
const SMALLEST_SCALE: f64 = 1e-4;

/// A gradient that was unscaled and measured.
pub struct Checked {
    /// Its norm before clipping, fp32, 0-dimensional.
    norm: Tensor,
    /// Where it is not finite, the step must move nothing.
    pub skip: Skip,
    /// The loss scale of the next step, fp32, 0-dimensional.
    scale: Option<Tensor>,
}

impl Checked {
    /// Unscales a flat gradient and measures it by `norm`, which may clip it.
    pub fn new(scaler: &mut Scaler, gradient: &mut Tensor, norm: impl FnOnce(&mut Tensor) -> Tensor) -> Self {
        let Some(skip) = scaler.unscale(gradient) else { return Self::unscaled(gradient, norm) };
        Self { norm: norm(gradient), skip, scale: scaler.scale_on_device() }
    }

    /// Skips the step where its loss or gradient is not finite; the run then goes on.
    pub fn skip_where_broken(&mut self, loss: &Tensor) {
        let broken = Skip::broken(&(&self.norm + loss.to_kind(Kind::Float)));
        self.skip = Skip { flag: self.skip.flag.max_other(&broken.flag), goes_on: true };
    }

    /// The same of a gradient that never was scaled.
    pub fn unscaled(gradient: &mut Tensor, norm: impl FnOnce(&mut Tensor) -> Tensor) -> Self {
        let norm = norm(gradient);
        Self { skip: Skip::broken(&norm), norm, scale: None }
    }
}

/// The numbers of a step on the device: loss and norm of the gradient, and with loss scaling the flag of a skipped step
/// and the scale; fp32 (2) or (4).
pub struct Outcome(Tensor);

impl Outcome {
    /// Of a loss, 0-dimensional, and its gradient.
    pub fn new(loss: &Tensor, checked: Checked) -> Self {
        let mut numbers = vec![loss.detach().to_kind(Kind::Float), checked.norm];
        if let Some(scale) = checked.scale {
            numbers.extend([checked.skip.flag, scale]);
        }
        Self(Tensor::stack(&numbers, 0))
    }

    /// The numbers; waits for the device.
    pub fn read(&self) -> Numbers {
        Self::read_all(&[self])[0]
    }

    /// The numbers of several steps in one go; waits for the device once.
    pub fn read_all(outcomes: &[&Self]) -> Vec<Numbers> {
        if outcomes.is_empty() {
            return Vec::new();
        }
        let rows: Vec<&Tensor> = outcomes.iter().map(|outcome| &outcome.0).collect();
        let all = Tensor::cat(&rows, 0).to_device(Device::Cpu).to_kind(Kind::Double);
        let all = Vec::<f64>::try_from(all).expect("fp64 numbers in host memory");
        let mut rest = all.as_slice();
        let mut take = |outcome: &&Self| {
            let (row, behind) = rest.split_at(outcome.0.numel());
            rest = behind;
            Numbers::of(row)
        };
        outcomes.iter().map(&mut take).collect()
    }
}

/// What a step came to, in host memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Numbers {
    /// Loss of the batch.
    pub loss: f64,
    /// Norm of the gradient before clipping; of a step that loss scaling skipped, why.
    pub gradient_norm: std::result::Result<f64, NonFinite>,
    /// The loss scale from then on; 1 without loss scaling.
    pub scale: f64,
}

impl Numbers {
    fn of(row: &[f64]) -> Self {
        let (loss, norm) = (row[0], row[1]);
        let (skipped, scale) = if let [_, _, skip, scale] = row { (*skip != 0.0, *scale) } else { (false, 1.0) };
        Self { loss, gradient_norm: if skipped { Err(NonFinite::of_norm(norm)) } else { Ok(norm) }, scale }
    }

    /// Itself, where a run can go on after it; `learned` names what has the gradient.
    ///
    /// # Errors
    /// A norm or loss that is not a number; of a skipped step, a scale that skipped steps have brought to nothing.
    pub fn check(self, learned: &str) -> Result<Self> {
        match self.gradient_norm {
            Err(_) if self.scale >= SMALLEST_SCALE => {}
            Err(_) => {
                let lost = "the loss scale fell to nothing: every gradient overflows in half precision";
                return Err(Error::run(lost).with_hint("lower weights.learning_rate, or use --amp bf16 or no --amp"));
            }
            Ok(norm) => {
                finite(&format!("{learned}gradient's norm"), norm)?;
                finite(&format!("{learned}loss"), self.loss)?;
            }
        }
        Ok(self)
    }
}
