//! `sgas search`

use super::{GlobalOptions, SearchOptions};
use crate::error::{Error, Result};
use std::io::Write;

/// Placeholder until the engine is there.
///
/// # Errors
/// Always.
pub fn run(options: &SearchOptions, _global: &GlobalOptions, _out: &mut dyn Write) -> Result<()> {
    options.resolve()?;
    Err(Error::usage("not built yet"))
}
