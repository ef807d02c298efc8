//! Which way a computation takes: the bridge's fused kernels on a CPU, libtorch's operators elsewhere, single or
//! composed.
//!
//! Both are the same function. Tests hold the second way, which CUDA takes, against the golden files too: they switch
//! the kernels off with [`TensorPath`].

use crate::error::Result;
use std::cell::Cell;
use tch::{Device, Tensor};

thread_local! {
    static PLAIN: Cell<bool> = const { Cell::new(false) };
}

/// While this lives, this thread computes with plain tensor operations also where there are kernels; after it as before.
#[must_use = "it ends where the guard is dropped"]
pub struct TensorPath(bool);

impl TensorPath {
    /// Switches the kernels off.
    pub fn enter() -> Self {
        Self(PLAIN.replace(true))
    }
}

impl Drop for TensorPath {
    fn drop(&mut self) {
        PLAIN.set(self.0);
    }
}

/// True where kernels are switched off.
pub fn is_plain() -> bool {
    PLAIN.get()
}

/// True where a kernel of the bridge takes a tensor; those of a GPU: [`crate::tensor::native`].
pub fn is_fused(x: &Tensor) -> bool {
    x.device() == Device::Cpu && !is_plain()
}

/// What the bridge gave. It fails only as libtorch's own operators do: its error unwinds, and the program's outermost
/// frame gives it back.
#[track_caller]
pub fn done<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| error.raise())
}
