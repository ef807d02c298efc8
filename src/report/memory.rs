//! How much memory a run took.

use crate::error::{Error, Result};
use crate::tensor::bridge::device::{peak_memory, peak_reserved_memory};
use serde::{Deserialize, Serialize};
use std::fs;
use tch::Device;

/// The most memory that was held at a time since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeakMemory {
    /// Host memory of the process, libraries included; absent where the system does not say (Linux does).
    pub resident_bytes: Option<u64>,
    /// Tensors on a GPU; absent on a CPU.
    pub device_bytes: Option<u64>,
    /// What libtorch had of the GPU for them, with pools of recorded passes and what it keeps for later; absent on a CPU.
    #[serde(default)]
    pub device_reserved_bytes: Option<u64>,
}

impl PeakMemory {
    /// Until now, of a process that computes on `device`.
    pub fn until_now(device: Device) -> Self {
        Self {
            resident_bytes: peak_process_memory().ok(),
            device_bytes: peak_memory(device).ok().flatten(),
            device_reserved_bytes: peak_reserved_memory(device).ok().flatten(),
        }
    }
}

/// The most host memory that this process held so far, libraries included.
///
/// # Errors
/// A system that does not say (Linux does).
pub fn peak_process_memory() -> Result<u64> {
    process_status("VmHWM:")
}

/// The host memory that this process holds, libraries included.
///
/// # Errors
/// A system that does not say (Linux does).
pub fn process_memory() -> Result<u64> {
    process_status("VmRSS:")
}

/// Bytes of a line of the process's status.
fn process_status(name: &str) -> Result<u64> {
    let place = "/proc/self/status";
    let status = fs::read_to_string(place).map_err(|error| Error::read(place, error))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| Error::invalid(place, format!("a line {name} in kB"), "none"))
}
