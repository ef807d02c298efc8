//! `sgas data ...` as typed.

use super::{size, whole_number};
use crate::commands::{Command, DataInfoOptions, DataSynthOptions};
use crate::data::{SyntheticConfig, SyntheticFiles, SyntheticFormat, SyntheticLayout};
use clap::{ArgAction, Args, Subcommand, ValueEnum, value_parser};
use std::path::PathBuf;

/// Look at a folder of shapes, or make one
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sgas data synth shapes --format off,ply,xyz
  sgas data info shapes")]
pub(super) struct DataArguments {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    Info(InfoArguments),
    Synth(SynthArguments),
}

/// Tell what a folder of shapes holds: classes, counts, formats, points, ranges, columns, and files that can't be used
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sgas data info shapes
  sgas data info shapes --set data.test_list=val.txt --json

Exit code 0 where the set can be used as it is, 2 where files can't be used.")]
struct InfoArguments {
    /// The folder, or `synthetic`
    #[arg(value_name = "DIR")]
    folder: String,
    /// Set one key of the configuration, such as data.test_share=0.3; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
    /// Print JSON instead of text, with all problems
    #[arg(long)]
    json: bool,
}

/// Write the built-in synthetic shapes as files, to try real formats and layouts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sgas data synth shapes
  sgas data synth shapes --format off,obj,ply-mesh --train 100 --test 50 --layout flat")]
struct SynthArguments {
    /// The folder to make; it must not hold anything
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Formats, taken in turn: clouds as ply, pcd, npy, xyz, csv; meshes as off, obj, ply-mesh
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',', default_value = "ply", hide_possible_values = true)]
    format: Vec<Format>,
    /// Training shapes, all ten classes together
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = value_parser!(u64).range(10..=1_000_000))]
    train: u64,
    /// Test shapes, all ten classes together
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = value_parser!(u64).range(10..=1_000_000))]
    test: u64,
    /// Points per cloud
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = value_parser!(u64).range(1..=10_000_000))]
    points: u64,
    /// Seed of the shapes
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number())]
    seed: u64,
    /// split: <class>/{train,test}/FILE; flat: <class>/FILE and a list test.txt
    #[arg(long, default_value = "split", hide_possible_values = true)]
    layout: Layout,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Ply,
    Pcd,
    Npy,
    Xyz,
    Csv,
    Off,
    Obj,
    PlyMesh,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Layout {
    Split,
    Flat,
}

impl From<DataArguments> for Command {
    fn from(typed: DataArguments) -> Self {
        match typed.command {
            DataCommand::Info(InfoArguments { folder, set, json }) => {
                Self::DataInfo(DataInfoOptions { folder, set, json })
            }
            DataCommand::Synth(arguments) => Self::DataSynth(arguments.into()),
        }
    }
}

impl From<SynthArguments> for DataSynthOptions {
    fn from(typed: SynthArguments) -> Self {
        let size = SyntheticConfig { train: size(typed.train), test: size(typed.test), seed: typed.seed };
        let files = SyntheticFiles {
            size,
            points: self::size(typed.points),
            formats: typed.format.into_iter().map(SyntheticFormat::from).collect(),
            layout: typed.layout.into(),
        };
        Self { folder: typed.folder, files }
    }
}

impl From<Format> for SyntheticFormat {
    fn from(typed: Format) -> Self {
        match typed {
            Format::Ply => Self::Ply,
            Format::Pcd => Self::Pcd,
            Format::Npy => Self::Npy,
            Format::Xyz => Self::Xyz,
            Format::Csv => Self::Csv,
            Format::Off => Self::Off,
            Format::Obj => Self::Obj,
            Format::PlyMesh => Self::PlyMesh,
        }
    }
}

impl From<Layout> for SyntheticLayout {
    fn from(typed: Layout) -> Self {
        match typed {
            Layout::Split => Self::Split,
            Layout::Flat => Self::Flat,
        }
    }
}
