//! `sgas doctor`: whether this machine can do the job, and what to do where it can't.
//!
//! `machine` and `places` look, `checks` computes a little on every device, `problems` judges, `text` prints.

mod checks;
mod machine;
mod places;
mod problems;
mod text;

use super::{DoctorOptions, GlobalOptions, device, print};
use crate::error::{Error, Result};
use checks::Check;
use machine::{Cuda, Libtorch, Memory, Processor};
use places::{DataSet, RunRoot};
use problems::Problem;
use serde::Serialize;
use std::io::Write;

/// All that was found.
#[derive(Debug, Serialize)]
struct Report {
    /// Version of this program.
    version: &'static str,
    libtorch: Libtorch,
    processor: Processor,
    memory: Memory,
    cuda: Cuda,
    checks: Vec<Check>,
    data: Vec<DataSet>,
    runs: RunRoot,
    problems: Vec<Problem>,
}

/// Looks, checks and prints.
///
/// # Errors
/// [`Error::Run`] where something is broken that the job needs: on a processor, or on the CUDA device that
/// `--device` asks for.
pub fn run(options: &DoctorOptions, global: &GlobalOptions, out: &mut dyn Write) -> Result<()> {
    let report = examine(global)?;
    let text = if options.json {
        let json = serde_json::to_string_pretty(&report).expect("plain data");
        format!("{json}\n")
    } else {
        text::of(&report)
    };
    print(out, &text)?;
    match report.problems.iter().filter(|problem| problem.essential).count() {
        0 => Ok(()),
        count => {
            Err(Error::run(format!("this machine can't do the job as it is: {count} of the problems must be solved"))
                .with_hint("what is printed above says for each what to do"))
        }
    }
}

fn examine(global: &GlobalOptions) -> Result<Report> {
    // Before all else that touches libtorch.
    let loaded = device::load_or_restart();
    device::set_threads(global)?;
    let cuda = machine::cuda(loaded.err());
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        libtorch: machine::libtorch()?,
        processor: machine::processor(),
        memory: machine::memory(),
        checks: checks::of_devices(&cuda),
        cuda,
        data: places::data(),
        runs: places::runs(),
        problems: Vec::new(),
    };
    report.problems = problems::of(&report, global.device);
    Ok(report)
}
