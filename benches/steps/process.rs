//! What the system says of this process.

use std::fs;

use sgas::error::{Error, Result};

/// The most memory that the process held so far, libraries included.
pub fn peak_memory() -> Result<u64> {
    let place = "/proc/self/status";
    let status = fs::read_to_string(place).map_err(|error| Error::read(place, error))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| Error::invalid(place, "a line VmHWM in kB", "none"))
}
