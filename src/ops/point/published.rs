//! An accident of the published code on CPUs, for comparisons with its numbers; nothing but tests asks for it.
//!
//! libtorch's batch norm on a CPU (seen in 2.11) takes a gradient that lies channels-last for one that lies as
//! its input does, when a dimension is 1. The published `semi_gcn` meets that case at every backward pass: the
//! gradient of its norm is then a permutation of the right one, and the golden files, made on a CPU, hold the
//! permuted numbers. (Only a gradient straight from one gather lies so; where several paths meet, as behind every
//! other norm, their sum does not.) The kernel at fault is the CPU's; CUDA, where the published results were made,
//! has another (not tried here). Our own layout never meets the case: our gradients are the mathematical ones.

use std::cell::Cell;
use tch::Tensor;

thread_local! {
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
}

/// While this lives, this thread's gradients have the published code's accident.
#[must_use = "the accident ends where the guard is dropped"]
pub struct CpuAccident(());

impl CpuAccident {
    /// Begins it.
    pub fn enter() -> Self {
        ACTIVE.set(true);
        Self(())
    }
}

impl Drop for CpuAccident {
    fn drop(&mut self) {
        ACTIVE.set(false);
    }
}

/// `rows` (B·N, C), whose gradient, where the accident is asked for, is read as if it lay (B, C, N).
pub(super) fn norm_output(rows: Tensor, clouds: i64) -> Tensor {
    if !ACTIVE.get() {
        return rows;
    }
    let channels = rows.size()[1];
    let permuted = rows.view([clouds, -1, channels]).transpose(1, 2).reshape([-1, channels]);
    (rows - &permuted).detach() + permuted
}
