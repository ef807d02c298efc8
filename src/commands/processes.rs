//! This process among those of its run, as its launcher says.

use crate::dist::place::{self, Place};
use crate::dist::{Processes, Share};
use crate::error::Result;
use crate::step::never_record;
use tch::Device;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the launcher says; nothing where there is none.
///
/// # Errors
/// Variables that say half of it.
pub fn place() -> Result<Option<Place>> {
    place::read(variable)
}

/// Whether another process speaks for this one.
pub fn is_spoken_for() -> bool {
    matches!(place(), Ok(Some(Place { share: Share { rank: 1.., .. }, .. })))
}

/// Meets the other processes of the run, where a launcher started several, and tries sums over them.
///
/// # Errors
/// Variables that say half of it; processes that do not come; sums over them that are wrong.
pub fn meet(device: Device) -> Result<Processes> {
    let Some(place) = place()? else { return Ok(Processes::alone()) };
    let (patience, collectives) = (place::patience(variable)?, place::collectives(variable)?);
    let processes = Processes::meet(&place, patience, device, collectives)?;
    // Sums over processes are no part of a recorded pass.
    never_record();
    tracing::info!("{} processes share this run; a step takes a batch of each", place.share.world);
    Ok(processes)
}
