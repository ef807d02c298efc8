//! `sgas train`

use super::{GlobalOptions, TrainOptions};
use crate::error::{Error, Result};
use std::io::Write;

/// Placeholder until the engine is there.
///
/// # Errors
/// Always.
pub fn run(options: &TrainOptions, _global: &GlobalOptions, _out: &mut dyn Write) -> Result<()> {
    options.resolve("modelnet40")?;
    Err(Error::usage("not built yet"))
}
