//! `sgas data ...` as typed.

use super::{size, whole_number};
use crate::commands::{Command, DataInfoOptions, DataSynthOptions, SynthFormat, SynthLayout};
use crate::data::{GraphLayout, PictureFormat, SampleKind, SyntheticConfig, SyntheticFormat, SyntheticLayout};
use clap::{ArgAction, Args, Subcommand, ValueEnum, value_parser};
use std::path::PathBuf;

/// Look at a folder of shapes, pictures, graphs or labelled clouds, or make one
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

/// Tell what a folder of shapes, pictures, graphs or labelled clouds holds: classes, counts, formats, sizes, and what can't be used
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sgas data info shapes
  sgas data info shapes --set data.test_list=val.txt --json
  sgas data info pictures
  sgas data info graphs
  sgas data info rooms

Exit code 0 where the set can be used as it is, 2 where something can't.")]
struct InfoArguments {
    /// The folder, or `synthetic`
    #[arg(value_name = "DIR")]
    folder: String,
    /// shapes, pictures, graphs or scenes (labelled clouds), where the folder may hold any [default: what its layout says]
    #[arg(long, hide_possible_values = true)]
    kind: Option<Kind>,
    /// Set one key of the configuration, such as data.test_share=0.3; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
    /// Print JSON instead of text, with all problems
    #[arg(long)]
    json: bool,
}

/// Write the built-in synthetic shapes, pictures, graphs or rooms as files, to try real formats and layouts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sgas data synth shapes
  sgas data synth shapes --format off,obj,ply-mesh --train 100 --test 50 --layout flat
  sgas data synth pictures --kind pictures --format png,jpg
  sgas data synth graphs --kind graphs --train 20 --test 10
  sgas data synth graph --kind graphs --layout one --train 400 --test 200
  sgas data synth rooms --kind scenes --train 20 --test 10
  sgas data synth blocks --kind scenes --layout s3dis --train 40 --test 20")]
struct SynthArguments {
    /// The folder to make; it must not hold anything
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// shapes, pictures, graphs or scenes; pictures are written as {train,val}/<class>/FILE, graphs as tables of edges,
    /// features and labels and lists of nodes, scenes (rooms with a label per point) as {train,test}/FILE
    #[arg(long, default_value = "shapes", hide_possible_values = true)]
    kind: Kind,
    /// Formats, taken in turn: clouds as ply, pcd, npy, xyz, csv; meshes as off, obj, ply-mesh; pictures as png, jpg,
    /// webp; of graphs one, csv or npy; rooms as ply, pcd, csv [default: ply, png or csv]
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',', hide_possible_values = true)]
    format: Vec<Format>,
    /// Training samples, all classes together; of one graph the training nodes, of s3dis blocks of rooms
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = value_parser!(u64).range(10..=1_000_000))]
    train: u64,
    /// Test samples, all classes together; of one graph the test nodes
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = value_parser!(u64).range(10..=1_000_000))]
    test: u64,
    /// Points per cloud [default: 2048; per block of s3dis 4096]
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=10_000_000))]
    points: Option<u64>,
    /// Seed of the samples
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number())]
    seed: u64,
    /// Of shapes, split: <class>/{train,test}/FILE; flat: <class>/FILE and a list test.txt; of graphs, many or one; of scenes,
    /// split: {train,test}/FILE and classes.txt; s3dis: its HDF5 files of blocks
    /// [default: split, or many]
    #[arg(long, hide_possible_values = true)]
    layout: Option<Layout>,
    /// Of graphs, several labels per node instead of one class
    #[arg(long)]
    multi_label: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Shapes,
    Pictures,
    Graphs,
    Scenes,
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
    Png,
    Jpg,
    Webp,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Layout {
    Split,
    Flat,
    Many,
    One,
    S3dis,
}

impl From<DataArguments> for Command {
    fn from(typed: DataArguments) -> Self {
        match typed.command {
            DataCommand::Info(InfoArguments { folder, kind, set, json }) => {
                Self::DataInfo(DataInfoOptions { folder, kind: kind.map(SampleKind::from), set, json })
            }
            DataCommand::Synth(arguments) => Self::DataSynth(arguments.into()),
        }
    }
}

impl From<SynthArguments> for DataSynthOptions {
    fn from(typed: SynthArguments) -> Self {
        let size = SyntheticConfig { train: size(typed.train), test: size(typed.test), seed: typed.seed };
        Self {
            folder: typed.folder,
            kind: typed.kind.into(),
            size,
            formats: typed.format.into_iter().map(SynthFormat::from).collect(),
            points: typed.points.map(self::size),
            layout: typed.layout.map(SynthLayout::from),
            multi_label: typed.multi_label,
        }
    }
}

impl From<Kind> for SampleKind {
    fn from(typed: Kind) -> Self {
        match typed {
            Kind::Shapes => Self::Shapes,
            Kind::Pictures => Self::Pictures,
            Kind::Graphs => Self::Graphs,
            Kind::Scenes => Self::Scenes,
        }
    }
}

impl From<Format> for SynthFormat {
    fn from(typed: Format) -> Self {
        match typed {
            Format::Ply => Self::Shape(SyntheticFormat::Ply),
            Format::Pcd => Self::Shape(SyntheticFormat::Pcd),
            Format::Npy => Self::Shape(SyntheticFormat::Npy),
            Format::Xyz => Self::Shape(SyntheticFormat::Xyz),
            Format::Csv => Self::Shape(SyntheticFormat::Csv),
            Format::Off => Self::Shape(SyntheticFormat::Off),
            Format::Obj => Self::Shape(SyntheticFormat::Obj),
            Format::PlyMesh => Self::Shape(SyntheticFormat::PlyMesh),
            Format::Png => Self::Picture(PictureFormat::Png),
            Format::Jpg => Self::Picture(PictureFormat::Jpeg),
            Format::Webp => Self::Picture(PictureFormat::Webp),
        }
    }
}

impl From<Layout> for SynthLayout {
    fn from(typed: Layout) -> Self {
        match typed {
            Layout::Split => Self::Shapes(SyntheticLayout::Split),
            Layout::Flat => Self::Shapes(SyntheticLayout::Flat),
            Layout::Many => Self::Graphs(GraphLayout::Many),
            Layout::One => Self::Graphs(GraphLayout::One),
            Layout::S3dis => Self::S3dis,
        }
    }
}
