//! Steps of the optimizers on flat fp32 tensors on a GPU, each in a launch or two, in place.

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use crate::error::Result;
use crate::tensor::bridge::{check, tensors};

unsafe extern "C" {
    fn sgas_native_clip(out: *mut *mut C_tensor, gradient: *const C_tensor, greatest: f64) -> *mut c_char;
    fn sgas_native_sgd(
        weights: *const C_tensor,
        momentum: *const C_tensor,
        gradient: *const C_tensor,
        skip: *const C_tensor,
        rate: f64,
        kept: f64,
        decay: f64,
    ) -> *mut c_char;
    fn sgas_native_adam(
        weights: *const C_tensor,
        mean: *const C_tensor,
        square: *const C_tensor,
        gradient: *const C_tensor,
        skip: *const C_tensor,
        skipped: *const C_tensor,
        numbers: *const f64,
    ) -> *mut c_char;
}

fn pointer(tensor: Option<&Tensor>) -> *const C_tensor {
    tensor.map_or(std::ptr::null(), |tensor| tensor.as_ptr())
}

/// The norm of a flat gradient, 0-dimensional, which is clipped to `greatest` at most, where that is not 0.
pub fn clip(gradient: &Tensor, greatest: f64) -> Result<Tensor> {
    // SAFETY: the tensor outlives the call.
    let [norm] = tensors(|out| unsafe { sgas_native_clip(out, gradient.as_ptr(), greatest) })?;
    Ok(norm)
}

/// The numbers of SGD.
#[derive(Debug, Clone, Copy)]
pub struct Sgd {
    /// Learning rate.
    pub rate: f64,
    /// The share of the momentum that is kept.
    pub momentum: f64,
    /// What is added to the gradient times the weights.
    pub weight_decay: f64,
}

impl Sgd {
    /// Moves `weights` and `momentum` by a gradient; nothing where the flag `skip`, fp32, is not 0.
    pub fn step(self, weights: &Tensor, momentum: &Tensor, gradient: &Tensor, skip: Option<&Tensor>) -> Result<()> {
        let [weights, momentum, gradient] = [weights, momentum, gradient].map(|tensor| tensor.as_ptr());
        let Self { rate, momentum: kept, weight_decay } = self;
        // SAFETY: the tensors outlive the call.
        check(unsafe { sgas_native_sgd(weights, momentum, gradient, pointer(skip), rate, kept, weight_decay) })
    }
}

/// The numbers of Adam.
#[derive(Debug, Clone, Copy)]
pub struct Adam<'a> {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the means of gradient and square.
    pub betas: (f64, f64),
    /// What is added to the root of the squares' mean.
    pub epsilon: f64,
    /// What is added to the gradient times the weights.
    pub weight_decay: f64,
    /// Steps, this one included.
    pub steps: i64,
    /// Of these, the skipped ones, which do not count: fp64, 0-dimensional.
    pub skipped: Option<&'a Tensor>,
}

impl Adam<'_> {
    /// Moves `weights` and the two means by a gradient; nothing where the flag `skip`, fp32, is not 0.
    pub fn step(self, weights: &Tensor, means: [&Tensor; 2], gradient: &Tensor, skip: Option<&Tensor>) -> Result<()> {
        let [mean, square] = means.map(|tensor| tensor.as_ptr());
        let (beta1, beta2) = self.betas;
        let numbers = [self.rate, beta1, beta2, self.epsilon, self.weight_decay, self.steps as f64];
        let (weights, gradient, skip, skipped) =
            (weights.as_ptr(), gradient.as_ptr(), pointer(skip), pointer(self.skipped));
        // SAFETY: the tensors outlive the call, and `numbers` holds the six that the function reads.
        check(unsafe { sgas_native_adam(weights, mean, square, gradient, skip, skipped, numbers.as_ptr()) })
    }
}
