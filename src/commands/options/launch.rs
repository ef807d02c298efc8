//! What `sgas launch` takes.

use super::count;
use clap::Args;

/// What `sgas launch` takes.
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  sgas launch --nproc 2 -- search --task modelnet40 --out runs/shared
  sgas launch --nproc 8 --restarts 3 -- train --genotype cell.json --amp --sync-batch-norm

Each process takes a batch of the configuration's size in every step, and a GPU of its own where there are several.
On several machines: torchrun --no-python, srun or mpirun in place of sgas launch.")]
pub struct LaunchOptions {
    /// Processes on this machine
    #[arg(long, value_name = "N", value_parser = count(1..=1024))]
    pub nproc: usize,
    /// How often the run goes on from its last checkpoint after a process failed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count(0..=1000))]
    pub restarts: usize,
    /// Restart without the processes that failed, as long as so many are left [default: as many as before]
    #[arg(long, value_name = "N", value_parser = count(1..=1024))]
    pub least: Option<usize>,
    /// `search` or `train` with its options
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}
