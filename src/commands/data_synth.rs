//! `sgas data synth`: the built-in synthetic shapes, pictures, graphs or labelled clouds as a folder of files.

use super::{DataSynthOptions, SynthFormat, SynthLayout, print};
use crate::data::{
    GraphLayout, PictureFormat, SampleKind, SceneFormat, SceneLayout, SyntheticConfig, SyntheticFiles, SyntheticFormat,
    SyntheticGraphs, SyntheticLayout, SyntheticPictures, SyntheticScenes, TableFormat,
};
use crate::error::{Error, Result};
use std::io::Write;

/// Points per cloud where nobody says.
const POINTS: usize = 2048;

/// Points per block of S3DIS.
const BLOCK_POINTS: usize = 4096;

/// Writes the folder and prints the next command.
///
/// # Errors
/// Options that are those of another kind; a folder that holds something, or can't be written.
pub fn run(options: &DataSynthOptions, out: &mut dyn Write) -> Result<()> {
    match options.kind {
        SampleKind::Shapes => shapes(options)?.write(&options.folder),
        SampleKind::Pictures => pictures(options)?.write(&options.folder),
        SampleKind::Graphs => graphs(options)?.write(&options.folder),
        SampleKind::Scenes => scenes(options)?.write(&options.folder),
    }?;
    let kind = match options.layout {
        Some(SynthLayout::Graphs(GraphLayout::One)) => "nodes of one graph",
        Some(SynthLayout::S3dis) => "blocks of rooms",
        _ if options.kind == SampleKind::Scenes => "rooms",
        _ => options.kind.plural(),
    };
    let SyntheticConfig { train, test, .. } = &options.size();
    let folder = options.folder.display();
    let text = format!(
        "wrote {train} training and {test} test {kind}, synthetic ones, into {folder}\nnext: sgas data info {folder}\n"
    );
    print(out, &text)
}

fn shapes(options: &DataSynthOptions) -> Result<SyntheticFiles> {
    refuse(options, &[("--multi-label", options.multi_label)])?;
    let of_shapes = |format: &SynthFormat| match format {
        SynthFormat::Shape(format) => Some(*format),
        SynthFormat::Picture(_) => None,
    };
    let formats = formats(options, of_shapes, "--kind pictures writes pictures")?;
    Ok(SyntheticFiles {
        size: options.size(),
        points: options.points.unwrap_or(POINTS),
        formats: if formats.is_empty() { vec![SyntheticFormat::Ply] } else { formats },
        layout: match options.layout {
            None => SyntheticLayout::Split,
            Some(SynthLayout::Shapes(layout)) => layout,
            Some(_) => return Err(other_layout(options, "split or flat")),
        },
    })
}

fn pictures(options: &DataSynthOptions) -> Result<SyntheticPictures> {
    let others = [
        ("--points", options.points.is_some()),
        ("--layout", options.layout.is_some()),
        ("--multi-label", options.multi_label),
    ];
    refuse(options, &others)?;
    let of_pictures = |format: &SynthFormat| match format {
        SynthFormat::Picture(format) => Some(*format),
        SynthFormat::Shape(_) => None,
    };
    let formats = formats(options, of_pictures, "pictures are written as png, jpg or webp")?;
    let formats = if formats.is_empty() { vec![PictureFormat::Png] } else { formats };
    Ok(SyntheticPictures { size: options.size(), formats })
}

fn graphs(options: &DataSynthOptions) -> Result<SyntheticGraphs> {
    refuse(options, &[("--points", options.points.is_some())])?;
    // The same words stand for clouds.
    let of_graphs = |format: &SynthFormat| match format {
        SynthFormat::Shape(SyntheticFormat::Csv) => Some(TableFormat::Csv),
        SynthFormat::Shape(SyntheticFormat::Npy) => Some(TableFormat::Npy),
        _ => None,
    };
    let hint = "the tables of graphs are all written as csv, or all as npy";
    let format = match formats(options, of_graphs, hint)?[..] {
        [] => TableFormat::Csv,
        [format] => format,
        _ => return Err(Error::usage("--format: graphs have one format for all tables").with_hint(hint)),
    };
    let layout = match options.layout {
        None => GraphLayout::Many,
        Some(SynthLayout::Graphs(layout)) => layout,
        Some(_) => return Err(other_layout(options, "many or one")),
    };
    Ok(SyntheticGraphs { size: options.size(), layout, multi_label: options.multi_label, format })
}

fn scenes(options: &DataSynthOptions) -> Result<SyntheticScenes> {
    refuse(options, &[("--multi-label", options.multi_label)])?;
    let of_scenes = |format: &SynthFormat| match format {
        SynthFormat::Shape(SyntheticFormat::Ply) => Some(SceneFormat::Ply),
        SynthFormat::Shape(SyntheticFormat::Pcd) => Some(SceneFormat::Pcd),
        SynthFormat::Shape(SyntheticFormat::Csv) => Some(SceneFormat::Csv),
        _ => None,
    };
    let formats = formats(options, of_scenes, "labelled clouds are written as ply, pcd or csv")?;
    let (layout, points) = match options.layout {
        None | Some(SynthLayout::Shapes(SyntheticLayout::Split)) => {
            let formats = if formats.is_empty() { vec![SceneFormat::Ply] } else { formats };
            (SceneLayout::Clouds(formats), POINTS)
        }
        Some(SynthLayout::S3dis) if formats.is_empty() => (SceneLayout::S3dis, BLOCK_POINTS),
        Some(SynthLayout::S3dis) => {
            return Err(Error::usage("--format: the layout s3dis is written as HDF5 files").with_hint("leave it out"));
        }
        Some(_) => return Err(other_layout(options, "split or s3dis")),
    };
    Ok(SyntheticScenes { size: options.size(), points: options.points.unwrap_or(points), layout })
}

/// Refuses flags of other kinds.
fn refuse(options: &DataSynthOptions, flags: &[(&str, bool)]) -> Result<()> {
    let Some((flag, _)) = flags.iter().find(|(_, given)| *given) else { return Ok(()) };
    let whose = if *flag == "--multi-label" { "graphs" } else { "shapes" };
    let hint = match options.kind {
        SampleKind::Shapes => "shapes have one class each",
        SampleKind::Pictures => "pictures are written as {train,val}/<class>/FILE, 32 by 32 pixels each",
        SampleKind::Graphs => "graphs are written as tables of edges, features and labels, and lists of nodes",
        SampleKind::Scenes => "labelled clouds have a class for every point",
    };
    let kind = options.kind.word();
    Err(Error::usage(format!("{flag} is for {whose}, not for --kind {kind}")).with_hint(hint))
}

/// The formats that were asked for, all of this kind.
fn formats<T>(options: &DataSynthOptions, own: impl Fn(&SynthFormat) -> Option<T>, hint: &str) -> Result<Vec<T>> {
    let one = |format: &SynthFormat| {
        own(format).ok_or_else(|| {
            let (name, kind) = (format.name(), options.kind.plural());
            Error::usage(format!("--format {name}: {kind} have other formats")).with_hint(hint)
        })
    };
    options.formats.iter().map(one).collect()
}

fn other_layout(options: &DataSynthOptions, known: &str) -> Error {
    Error::usage(format!("--layout: {} have other layouts", options.kind.plural())).with_hint(format!("known: {known}"))
}
