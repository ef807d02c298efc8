//! What `sgas config` and `sgas init` take.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What `sgas config` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
#[command(after_help = "\
Examples:
  sgas config --keys
  sgas config --keys search.candidates
  sgas config modelnet40-cpu --of train")]
pub struct ConfigOptions {
    /// A configuration to print: a file, the name of a built-in one, or a task; with --keys the keys that begin so
    #[arg(value_name = "NAME", required_unless_present = "keys")]
    pub name: Option<String>,
    /// List every key with its type, range, default and meaning
    #[arg(long)]
    pub keys: bool,
    /// Of searches or of trainings [default: both keys; a search]
    #[arg(long, value_name = "search|train")]
    pub of: Option<RunKind>,
    /// Print JSON instead of text; with --keys
    #[arg(long, requires = "keys", conflicts_with = "markdown")]
    pub json: bool,
    /// Print a page of Markdown instead of text; with --keys
    #[arg(long, requires = "keys")]
    pub markdown: bool,
}

/// A kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RunKind {
    Search,
    Train,
}

/// What `sgas init` takes.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  sgas init --task points --output search.toml
  sgas init --task points --of train --output train.toml
  sgas search --config search.toml --data DIR")]
pub struct InitOptions {
    /// The task: modelnet10, modelnet40, cifar10, cifar100, imagenet, ppi, s3dis, shapenetpart, or your own
    /// points, images, graphs or segmentation
    #[arg(long)]
    pub task: String,
    /// Of a search or of a training
    #[arg(long, value_name = "search|train", default_value = "search")]
    pub of: RunKind,
    /// Write it here, where no file is yet [default: print it]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
