//! What `sgas data ...` takes.

use super::{count, whole_number};
use crate::data::{GraphLayout, PictureFormat, SampleKind, SyntheticConfig, SyntheticFormat, SyntheticLayout};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Subcommand};
use std::path::PathBuf;

/// What `sgas data` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
#[command(after_help = "\
Examples:
  sgas data synth shapes --format off,ply,xyz
  sgas data info shapes")]
pub enum DataCommand {
    /// Tell what a folder of shapes, pictures, graphs or labelled clouds holds: classes, counts, formats, sizes, and what can't be used
    Info(DataInfoOptions),
    /// Write the built-in synthetic shapes, pictures, graphs or rooms as files, to try real formats and layouts
    Synth(DataSynthOptions),
}

/// What `sgas data info` takes.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  sgas data info shapes
  sgas data info shapes --set data.test_list=val.txt --json
  sgas data info pictures
  sgas data info graphs
  sgas data info rooms

Exit code 0 where the set can be used as it is, 2 where something can't.")]
pub struct DataInfoOptions {
    /// The folder, or `synthetic`
    #[arg(value_name = "DIR")]
    pub folder: String,
    /// shapes, pictures, graphs or scenes (labelled clouds), where the folder may hold any [default: what its layout says]
    #[arg(long, hide_possible_values = true, value_parser = kind())]
    pub kind: Option<SampleKind>,
    /// Set one key of the configuration, such as data.test_share=0.3; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", action = ArgAction::Append)]
    pub set: Vec<String>,
    /// Print JSON instead of text, with all problems
    #[arg(long)]
    pub json: bool,
}

/// What `sgas data synth` takes.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  sgas data synth shapes
  sgas data synth shapes --format off,obj,ply-mesh --train 100 --test 50 --layout flat
  sgas data synth pictures --kind pictures --format png,jpg
  sgas data synth graphs --kind graphs --train 20 --test 10
  sgas data synth graph --kind graphs --layout one --train 400 --test 200
  sgas data synth rooms --kind scenes --train 20 --test 10
  sgas data synth blocks --kind scenes --layout s3dis --train 40 --test 20")]
pub struct DataSynthOptions {
    /// The folder to make; it must not hold anything
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// shapes, pictures, graphs or scenes; pictures are written as {train,val}/<class>/FILE, graphs as tables of edges,
    /// features and labels and lists of nodes, scenes (rooms with a label per point) as {train,test}/FILE
    #[arg(long, default_value = "shapes", hide_possible_values = true, value_parser = kind())]
    pub kind: SampleKind,
    /// Formats, taken in turn: clouds as ply, pcd, npy, xyz, csv; meshes as off, obj, ply-mesh; pictures as png, jpg,
    /// webp; of graphs one, csv or npy; rooms as ply, pcd, csv [default: ply, png or csv]
    #[arg(
        long = "format",
        value_name = "FORMAT,...",
        value_delimiter = ',',
        hide_possible_values = true,
        value_parser = one_of(&FORMATS)
    )]
    pub formats: Vec<SynthFormat>,
    /// Training samples, all classes together; of one graph the training nodes, of s3dis blocks of rooms
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = count(10..=1_000_000))]
    pub train: usize,
    /// Test samples, all classes together; of one graph the test nodes
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = count(10..=1_000_000))]
    pub test: usize,
    /// Points per cloud [default: 2048; per block of s3dis 4096]
    #[arg(long, value_name = "N", value_parser = count(1..=10_000_000))]
    pub points: Option<usize>,
    /// Seed of the samples
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole_number())]
    pub seed: u64,
    /// Of shapes, split: <class>/{train,test}/FILE; flat: <class>/FILE and a list test.txt; of graphs, many or one; of scenes,
    /// split: {train,test}/FILE and classes.txt; s3dis: its HDF5 files of blocks
    /// [default: split, or many]
    #[arg(long, hide_possible_values = true, value_parser = one_of(&LAYOUTS))]
    pub layout: Option<SynthLayout>,
    /// Of graphs, several labels per node instead of one class
    #[arg(long)]
    pub multi_label: bool,
}

impl DataSynthOptions {
    /// How many samples, and which.
    pub fn size(&self) -> SyntheticConfig {
        SyntheticConfig { train: self.train, test: self.test, seed: self.seed }
    }
}

/// What a synthetic sample is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynthFormat {
    /// A shape, or as tables are.
    Shape(SyntheticFormat),
    /// A picture.
    Picture(PictureFormat),
}

impl SynthFormat {
    /// As `--format` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shape(format) => format.name(),
            Self::Picture(format) => format.name(),
        }
    }
}

/// How a synthetic set is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynthLayout {
    /// Where shapes lie.
    Shapes(SyntheticLayout),
    /// How many graphs there are.
    Graphs(GraphLayout),
    /// Labelled clouds as blocks, as S3DIS has them.
    S3dis,
}

const FORMATS: [(&str, SynthFormat); 11] = [
    ("ply", SynthFormat::Shape(SyntheticFormat::Ply)),
    ("pcd", SynthFormat::Shape(SyntheticFormat::Pcd)),
    ("npy", SynthFormat::Shape(SyntheticFormat::Npy)),
    ("xyz", SynthFormat::Shape(SyntheticFormat::Xyz)),
    ("csv", SynthFormat::Shape(SyntheticFormat::Csv)),
    ("off", SynthFormat::Shape(SyntheticFormat::Off)),
    ("obj", SynthFormat::Shape(SyntheticFormat::Obj)),
    ("ply-mesh", SynthFormat::Shape(SyntheticFormat::PlyMesh)),
    ("png", SynthFormat::Picture(PictureFormat::Png)),
    ("jpg", SynthFormat::Picture(PictureFormat::Jpeg)),
    ("webp", SynthFormat::Picture(PictureFormat::Webp)),
];

const LAYOUTS: [(&str, SynthLayout); 5] = [
    ("split", SynthLayout::Shapes(SyntheticLayout::Split)),
    ("flat", SynthLayout::Shapes(SyntheticLayout::Flat)),
    ("many", SynthLayout::Graphs(GraphLayout::Many)),
    ("one", SynthLayout::Graphs(GraphLayout::One)),
    ("s3dis", SynthLayout::S3dis),
];

/// The value of a name in a table.
fn one_of<T: Copy + Send + Sync + 'static>(table: &'static [(&str, T)]) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(table.iter().map(|(name, _)| *name))
        .map(|typed| table.iter().find(|(name, _)| *name == typed).expect("one of these names was typed").1)
}

fn kind() -> impl TypedValueParser<Value = SampleKind> {
    PossibleValuesParser::new(SampleKind::ALL.map(SampleKind::word)).map(|typed| {
        SampleKind::ALL.into_iter().find(|kind| kind.word() == typed).expect("one of these names was typed")
    })
}
