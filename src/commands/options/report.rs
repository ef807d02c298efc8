//! What `sgas report` and `sgas watch` take.

use super::count;
use clap::Args;
use std::path::PathBuf;

/// What `sgas report` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Examples:
  sgas report runs/search-points-...
  sgas report runs/* --output all.html
  sgas report runs/search-points-... --watch     # while the search goes on

The page is one file that needs no network: the cell growing decision by
decision, the reasons, alphas, curves, where the time went, and how to repeat the
run. For a confusion and the scores of every class run `sgas eval` before; with
--examples it leaves clouds and pictures to look at. docs/reports.md tells more.")]
pub struct ReportOptions {
    /// Run folders of searches and trainings, finished or not; or the folder of a study
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// The page [default: report.html in the run's folder, results.html in a study's; of several runs, report.html here]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Let --output replace a file of other content too
    #[arg(long)]
    pub force: bool,
    /// Write the page again and again while the runs go on, until all are finished
    #[arg(long)]
    pub watch: bool,
    /// Seconds from one look to the next, with --watch
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = count(1..=86_400))]
    pub every: usize,
}

/// What `sgas watch` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Example:
  sgas watch runs/search-points-...

Keys: q or Esc leaves, Tab and arrows choose a curve, Space holds the picture,
Home and End and Page Up and Page Down move through the decisions, ? shows the keys.
Where standard output is no terminal, what there is by now is printed once.
The run's files are read, and nothing is written: the run may be on another machine.")]
pub struct WatchOptions {
    /// The folder of a search or training, finished or not
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Seconds from one look to the next
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = count(1..=3600))]
    pub every: usize,
    /// Print what there is by now as plain lines, and end
    #[arg(long)]
    pub once: bool,
}
