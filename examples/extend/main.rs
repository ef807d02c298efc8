//! `sgas` with a space, a strategy, an objective and a family of data of one's own, a file each: all commands work with
//! them.
//!
//! ```sh
//! cargo run --example extend -- search --space toy --strategy drop-worst --objective focal \
//!     --config smoke/search-points --data synthetic --out runs/toy
//! cargo run --example extend -- train --genotype runs/toy --config smoke/train-points --data synthetic
//! cargo run --example extend -- eval
//! cargo run --example extend -- train --task signals --genotype runs/toy --data FOLDER
//! ```

mod family;
mod objective;
mod space;
mod strategy;

use sgas::error::Result;
use std::process::ExitCode;

fn main() -> ExitCode {
    register().expect("nobody else has these names");
    sgas::program::main()
}

/// A line for each.
fn register() -> Result<()> {
    sgas::model::register(&space::DESCRIPTION, space::Toy::new)?;
    sgas::search::strategy::register(&strategy::DESCRIPTION)?;
    sgas::task::objective::register(&objective::DESCRIPTION)?;
    sgas::data::register(&family::DESCRIPTION)?;
    Ok(())
}
