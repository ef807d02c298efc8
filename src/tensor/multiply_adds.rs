//! Counts the multiply-adds of convolutions and linear maps while a network runs. As in published tables, norms,
//! activations, pools and sums do not count.

use std::cell::Cell;
use tch::Tensor;

thread_local! {
    static MULTIPLY_ADDS: Cell<u64> = const { Cell::new(0) };
}

/// Counts a map that took `per_output` multiply-adds for every number of `output`, and hands the output on.
pub(super) fn counted(output: Tensor, per_output: i64) -> Tensor {
    let count = output.numel() as u64 * per_output.unsigned_abs();
    MULTIPLY_ADDS.set(MULTIPLY_ADDS.get() + count);
    output
}

/// Those of the convolutions and linear maps that `run` makes on this thread.
pub fn during(run: impl FnOnce()) -> u64 {
    let before = MULTIPLY_ADDS.get();
    run();
    MULTIPLY_ADDS.get() - before
}
