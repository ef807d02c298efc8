//! What bounds a step: its multiply-adds, the bytes that must move, and how fast this machine does either.

use std::time::Instant;

use serde_json::{Value, json};
use sgas::commands::bench::workload::Workload;
use sgas::error::Result;
use sgas::tensor::bridge::memory::metered;
use sgas::tensor::bridge::work::multiply_adds;
use sgas::tensor::fused::TensorPath;
use tch::{Device, Kind, Tensor};

/// Rows and columns of the product that shows the peak of multiply-adds.
const SIDE: i64 = 2048;
/// Numbers that are copied to show the peak of bytes: far more than caches hold.
const COPIED: i64 = 1 << 26;
/// Tries, of which the fastest counts.
const TRIES: usize = 5;

/// Multiply-adds of a step, by plain operators, of which all are seen; the most bytes of tensors that a step holds besides
/// weights and optimizer, which forward passes write and backward passes read; and the machine's peaks with the threads
/// that are set.
pub fn bounds(workload: &mut Workload) -> Result<Value> {
    let work = {
        let _plain = TensorPath::enter();
        let (outcome, work) = multiply_adds(|| step(workload))?;
        outcome?;
        work
    };
    let (outcome, bytes) = metered(|_| step(workload))?;
    outcome?;
    let (multiply_adds_per_second, bytes_per_second) = (peak_of_products(), peak_of_copies());
    Ok(json!({
        "multiply_adds": work,
        "bytes_held": bytes.peak,
        "multiply_adds_per_second": multiply_adds_per_second,
        "bytes_per_second": bytes_per_second,
    }))
}

fn step(workload: &mut Workload) -> Result<()> {
    workload.parts().iter().try_for_each(|&part| workload.run(part))
}

/// Of a product of fp32 matrices by libtorch.
fn peak_of_products() -> f64 {
    let matrix = || Tensor::rand([SIDE, SIDE], (Kind::Float, Device::Cpu));
    let (left, right) = (matrix(), matrix());
    SIDE.pow(3) as f64 / fastest(|| drop(left.mm(&right)))
}

/// Of a copy, which reads and writes; the memory is there before.
fn peak_of_copies() -> f64 {
    let from = Tensor::zeros([COPIED], (Kind::Float, Device::Cpu));
    let mut to = from.copy();
    (2 * 4 * COPIED) as f64 / fastest(|| to.copy_(&from))
}

/// Seconds of the fastest try.
fn fastest(mut run: impl FnMut()) -> f64 {
    let mut time = || {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..=TRIES).map(|_| time()).fold(f64::INFINITY, f64::min)
}
