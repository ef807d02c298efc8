//! What `sgas runs` takes.

use super::RunKind;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What `sgas runs` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Examples:
  sgas runs
  sgas runs --of train --state finished --sort score
  sgas runs --compare runs/search-a runs/search-b
  sgas runs studies/criteria --prune checkpoints          # says what would go
  sgas runs studies/criteria --prune checkpoints --yes")]
pub struct RunsOptions {
    /// Folders with runs in them, at any depth, or runs [default: $SGAS_RUNS or runs/]
    #[arg(value_name = "DIR|RUN")]
    pub places: Vec<PathBuf>,
    /// Searches or trainings alone
    #[arg(long, value_name = "search|train")]
    pub of: Option<RunKind>,
    /// Runs of this task alone
    #[arg(long)]
    pub task: Option<String>,
    /// Runs in this state alone
    #[arg(long, value_name = "finished|running|unfinished")]
    pub state: Option<RunState>,
    /// In which order
    #[arg(long, value_name = "newest|name|score", default_value = "newest")]
    pub sort: RunOrder,
    /// Put two or more runs beside each other: the keys in which they differ, and what they came to
    #[arg(long)]
    pub compare: bool,
    /// Remove what is no longer needed: `checkpoints` of finished runs, without which they are evaluated and used as
    /// before, or `unfinished` runs as a whole, but those at work
    #[arg(long, value_name = "checkpoints|unfinished", conflicts_with = "compare")]
    pub prune: Option<Prune>,
    /// Really remove it, instead of saying what would go
    #[arg(long, requires = "prune")]
    pub yes: bool,
    /// Print JSON instead of text
    #[arg(long, conflicts_with = "prune")]
    pub json: bool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum RunState {
    Finished,
    Running,
    Unfinished,
}

/// An order of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RunOrder {
    #[default]
    Newest,
    Name,
    Score,
}

/// What may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Prune {
    Checkpoints,
    Unfinished,
}
