//! A step that turns out not to be one: which it was is known on the device alone, so the step is made and undone there.

use tch::{Kind, Tensor, no_grad};

/// Whether a step must move nothing.
#[derive(Debug)]
pub struct Skip {
    /// 0-dimensional, on the device: not 0 where the step must move nothing.
    pub flag: Tensor,
    /// Whether a run goes on after a skipped step, as it does with loss scaling.
    pub goes_on: bool,
}

impl Skip {
    /// Of a gradient with this norm, 0-dimensional: skipped where it is not finite, and then the run ends.
    pub fn broken(norm: &Tensor) -> Self {
        // inf - inf and NaN - NaN are NaN, which equals nothing.
        Self { flag: norm.g_sub(norm).ne(0.0).to_kind(Kind::Float), goes_on: false }
    }

    /// Makes a step, and brings `tensors` back to what they were where it is to be skipped. NaN that the step made
    /// goes with it.
    pub(super) fn around(&self, tensors: &[&Tensor], step: impl FnOnce()) {
        let kept: Vec<Tensor> = no_grad(|| tensors.iter().map(|tensor| tensor.copy()).collect());
        step();
        self.undo(&kept, tensors);
    }

    /// Brings tensors back to what they were where the step is to be skipped.
    pub fn undo(&self, kept: &[Tensor], tensors: &[&Tensor]) {
        no_grad(|| {
            let skip = self.flag.ne(0.0);
            for (kept, tensor) in kept.iter().zip(tensors) {
                let _ = kept.where_self_out(tensor, &skip, tensor);
            }
        });
    }
}
