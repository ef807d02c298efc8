//! What `sgas study` takes.

use clap::{ArgAction, Args};
use std::path::PathBuf;

/// What `sgas study` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Examples:
  sgas study plan.toml --out studies/criteria       # also on other machines that see the folder
  sgas study plan.toml --out studies/criteria --list > jobs.txt
  sgas study studies/criteria --results

Runs what the plan asks for and is not done, one run after the other, and goes
on with what was cut: the same command does all of it. Any number of processes
may work on one folder; each takes runs that no other has.
Writes results.md, results.csv, results.tex and runs.csv into the folder.
docs/studies.md says how a plan is written.

Exit codes: 0 every run is done or at work elsewhere, 1 a run failed, 2 a plan
or folder that won't do.")]
pub struct StudyOptions {
    /// The plan: a file, the name of a built-in one such as table3-cpu, or the folder of a study that was begun
    #[arg(value_name = "PLAN|STUDY")]
    pub plan: String,
    /// The study's folder [default: study-PLAN under $SGAS_RUNS or runs/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Work on this run alone, as --list names it; may be repeated
    #[arg(long, value_name = "METHOD/SEED", action = ArgAction::Append)]
    pub only: Vec<String>,
    /// Print a command for each run that is not done, one a line, and run nothing
    #[arg(long, conflicts_with = "results")]
    pub list: bool,
    /// Print the results of what is done, and run nothing
    #[arg(long)]
    pub results: bool,
    /// Try runs again that failed
    #[arg(long)]
    pub retry: bool,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// What `sgas correlate` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Examples:
  sgas correlate studies/criteria --plot tau.svg
  sgas correlate ranks.csv --columns search_rank,evaluation_rank

Kendall's tau_b is 1 where both columns order alike, 0 where they have nothing
to do with each other, -1 where they order the opposite way. The sign is turned
where less is better in one column alone: names that end in rank or error.
A column named method tells whose lines they are.")]
pub struct CorrelateOptions {
    /// A table (CSV with a head, such as a study's runs.csv), or the folder of a study
    #[arg(value_name = "FILE|STUDY")]
    pub source: PathBuf,
    /// The two columns [default: search_score,score or search_rank,evaluation_rank]
    #[arg(long, value_name = "ONE,OTHER", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Draw every line as a point into this file: *.svg, *.png or *.pdf
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Let --plot replace a file of other content too
    #[arg(long)]
    pub force: bool,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}
