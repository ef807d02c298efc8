//! `sgas train`

use super::{GlobalOptions, TrainOptions, dataset, device};
use crate::error::{Error, Result};
use std::io::Write;

/// Placeholder until the engine is there: reads and checks what was asked for.
///
/// # Errors
/// Always.
pub fn run(options: &TrainOptions, global: &GlobalOptions, _out: &mut dyn Write) -> Result<()> {
    let mut run = options.resolve("modelnet40")?;
    let device = device::prepare(global)?;
    device::precision(options.run.amp, device)?;
    dataset::locate(&run.task, &mut run.data)?;
    Err(Error::usage("not built yet"))
}
