//! `sgas data synth`: the built-in synthetic shapes or pictures as a folder of files.

use super::{DataSynthOptions, SynthFormat, print};
use crate::data::{
    PictureFormat, SampleKind, SyntheticConfig, SyntheticFiles, SyntheticFormat, SyntheticLayout, SyntheticPictures,
};
use crate::error::{Error, Result};
use std::io::Write;

/// Points per cloud where nobody says.
const POINTS: usize = 2048;

/// Writes the folder and prints the next command.
///
/// # Errors
/// Options that are those of the other kind; a folder that holds something, or can't be written.
pub fn run(options: &DataSynthOptions, out: &mut dyn Write) -> Result<()> {
    match options.kind {
        SampleKind::Shapes => shapes(options)?.write(&options.folder),
        SampleKind::Pictures => pictures(options)?.write(&options.folder),
    }?;
    let (SyntheticConfig { train, test, .. }, kind) = (&options.size, options.kind.plural());
    let folder = options.folder.display();
    let text = format!(
        "wrote {train} training and {test} test {kind}, synthetic ones, into {folder}\nnext: sgas data info {folder}\n"
    );
    print(out, &text)
}

fn shapes(options: &DataSynthOptions) -> Result<SyntheticFiles> {
    let of_shapes = |format| if let SynthFormat::Shape(format) = format { Some(format) } else { None };
    Ok(SyntheticFiles {
        size: options.size.clone(),
        points: options.points.unwrap_or(POINTS),
        formats: formats(options, SyntheticFormat::Ply, of_shapes, "--kind pictures writes pictures")?,
        layout: options.layout.unwrap_or(SyntheticLayout::Split),
    })
}

fn pictures(options: &DataSynthOptions) -> Result<SyntheticPictures> {
    let of_shapes = [("--points", options.points.is_some()), ("--layout", options.layout.is_some())];
    if let Some((flag, _)) = of_shapes.iter().find(|(_, given)| *given) {
        return Err(Error::usage(format!("{flag} is for shapes, not for --kind pictures"))
            .with_hint("pictures are written as {train,val}/<class>/FILE, 32 by 32 pixels each"));
    }
    let of_pictures = |format| if let SynthFormat::Picture(format) = format { Some(format) } else { None };
    let formats = formats(options, PictureFormat::Png, of_pictures, "pictures are written as png, jpg or webp")?;
    Ok(SyntheticPictures { size: options.size.clone(), formats })
}

/// The formats that were asked for, each of the kind that `own` takes; `usual` where none was.
fn formats<F>(
    options: &DataSynthOptions,
    usual: F,
    own: impl Fn(SynthFormat) -> Option<F>,
    hint: &str,
) -> Result<Vec<F>> {
    if options.formats.is_empty() {
        return Ok(vec![usual]);
    }
    let checked = |format: &SynthFormat| {
        let other =
            || Error::usage(format!("--format {}: {} have other formats", format.name(), options.kind.plural()));
        own(*format).ok_or_else(|| other().with_hint(hint))
    };
    options.formats.iter().map(checked).collect()
}
