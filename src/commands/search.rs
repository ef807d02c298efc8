//! `sgas search`

use super::{GlobalOptions, SearchOptions, dataset, device};
use crate::error::{Error, Result};
use std::io::Write;

/// Placeholder until the engine is there: reads and checks what was asked for.
///
/// # Errors
/// Always.
pub fn run(options: &SearchOptions, global: &GlobalOptions, _out: &mut dyn Write) -> Result<()> {
    let mut run = options.resolve()?;
    let device = device::prepare(global)?;
    device::precision(options.run.amp, device)?;
    dataset::locate(&run.task, &mut run.data)?;
    Err(Error::usage("not built yet"))
}
