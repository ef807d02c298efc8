//! `sgas data synth`: the built-in synthetic shapes as a folder of files.

use super::{DataSynthOptions, print};
use crate::data::{SyntheticConfig, SyntheticFiles};
use crate::error::Result;
use std::io::Write;

/// Writes the folder and prints the next command.
///
/// # Errors
/// A folder that holds something, or can't be written.
pub fn run(options: &DataSynthOptions, out: &mut dyn Write) -> Result<()> {
    let SyntheticFiles { size: SyntheticConfig { train, test, .. }, .. } = options.files;
    options.files.write(&options.folder)?;
    let folder = options.folder.display();
    let text = format!(
        "wrote {train} training and {test} test shapes, synthetic ones, into {folder}\nnext: sgas data info {folder}\n"
    );
    print(out, &text)
}
