//! What `sgas data ...` takes.

use super::{count, whole_number};
use crate::data::SampleKind;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Subcommand};
use std::collections::BTreeSet;
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
        value_parser = words(formats)
    )]
    pub formats: Vec<String>,
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
    #[arg(long, hide_possible_values = true, value_parser = words(layouts))]
    pub layout: Option<String>,
    /// Of graphs, several labels per node instead of one class
    #[arg(long)]
    pub multi_label: bool,
}

fn formats(kind: SampleKind) -> Vec<&'static str> {
    kind.making.layouts.iter().flat_map(|layout| layout.formats).copied().collect()
}

fn layouts(kind: SampleKind) -> Vec<&'static str> {
    kind.making.layouts.iter().map(|layout| layout.name).filter(|name| !name.is_empty()).collect()
}

/// What any kind of data takes.
fn words(of: fn(SampleKind) -> Vec<&'static str>) -> PossibleValuesParser {
    let mut words: Vec<&str> = SampleKind::all().into_iter().flat_map(of).collect();
    let mut seen = BTreeSet::new();
    words.retain(|word| seen.insert(*word));
    PossibleValuesParser::new(words)
}

fn kind() -> impl TypedValueParser<Value = SampleKind> {
    PossibleValuesParser::new(SampleKind::all().into_iter().map(SampleKind::name))
        .map(|typed| typed.parse::<SampleKind>().expect("one of these names was typed"))
}
