//! `sgas eval`

use super::{EvalOptions, GlobalOptions};
use crate::error::{Error, Result};
use std::io::Write;

/// Placeholder until the engine is there.
///
/// # Errors
/// Always.
pub fn run(_options: &EvalOptions, _global: &GlobalOptions, _out: &mut dyn Write) -> Result<()> {
    Err(Error::usage("not built yet"))
}
