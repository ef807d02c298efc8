//! What is measured of a workload in one process: seconds, samples per second, peak memory.

use super::recipe::Recipe;
use super::workload::Times;
use crate::error::Result;
use crate::report::peak_process_memory;
use crate::tensor::bridge::device::{peak_memory, reset_peak_memory};
use crate::tensor::precision::Precision;
use serde::{Deserialize, Serialize};
use tch::Device;

/// A spread of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The middle, or the mean of the two in the middle, as Python's `statistics.median`.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Summary {
    /// Of at least one number.
    pub fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len() - 1;
        Self { median: (sorted[last / 2] + sorted[last.div_ceil(2)]) / 2.0, min: sorted[0], max: sorted[last] }
    }

    /// Of `amount` per number: the greatest comes from the least.
    pub fn rate(self, amount: f64) -> Self {
        Self { median: amount / self.median, min: amount / self.max, max: amount / self.min }
    }
}

/// One precision of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Of a whole step, both halves of a search's.
    pub step_seconds: Summary,
    /// Training samples of a step by its seconds.
    pub samples_per_second: Summary,
    /// The most main memory that the process held, libraries included.
    pub peak_memory_bytes: u64,
    /// The most bytes of tensors on the device; absent on a processor.
    pub peak_device_bytes: Option<u64>,
    /// Trained weights of the network.
    pub parameters: usize,
    /// Threads of tensor operations.
    pub threads: i32,
}

/// Measures a recipe in this process, which should do nothing else: memory that was held before counts.
///
/// # Errors
/// A step that fails.
pub fn measure(
    recipe: &Recipe,
    precision: Precision,
    (warmup, repeats): (usize, usize),
    device: Device,
) -> Result<Measurement> {
    let mut workload = recipe.workload(precision, device)?;
    reset_peak_memory(device)?;
    let times = workload.measure(warmup, repeats, device)?;
    let step_seconds = Summary::of(&whole_steps(&times));
    Ok(Measurement {
        step_seconds,
        samples_per_second: step_seconds.rate(recipe.batch() as f64),
        peak_memory_bytes: peak_process_memory()?,
        peak_device_bytes: peak_memory(device)?,
        parameters: workload.parameters(),
        threads: tch::get_num_threads(),
    })
}

/// Seconds of every step, its parts together.
fn whole_steps(times: &Times) -> Vec<f64> {
    let steps = times.first().map_or(0, |(_, times)| times.len());
    (0..steps).map(|step| times.iter().map(|(_, times)| times[step]).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::workload::Part;
    use super::*;

    #[test]
    fn medians_and_rates() {
        let summary = Summary::of(&[4.0, 1.0, 2.0, 8.0]);
        assert_eq!(summary, Summary { median: 3.0, min: 1.0, max: 8.0 });
        assert_eq!(summary.rate(24.0), Summary { median: 8.0, min: 3.0, max: 24.0 });
        assert_eq!(Summary::of(&[5.0]), Summary { median: 5.0, min: 5.0, max: 5.0 });
    }

    #[test]
    fn both_halves_of_a_search_step_count() {
        let times = vec![(Part::Alphas, vec![1.0, 2.0]), (Part::Weights, vec![0.5, 0.25])];
        assert_eq!(whole_steps(&times), [1.5, 2.25]);
    }
}
