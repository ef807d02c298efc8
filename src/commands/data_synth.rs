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
    let of_shapes = |format: &SynthFormat| match format {
        SynthFormat::Shape(format) => Ok(*format),
        SynthFormat::Picture(format) => {
            Err(Error::usage(format!("--format {}: shapes have other formats", format.name()))
                .with_hint("--kind pictures writes pictures"))
        }
    };
    let formats = options.formats.iter().map(of_shapes).collect::<Result<Vec<_>>>()?;
    Ok(SyntheticFiles {
        size: options.size.clone(),
        points: options.points.unwrap_or(POINTS),
        formats: if formats.is_empty() { vec![SyntheticFormat::Ply] } else { formats },
        layout: options.layout.unwrap_or(SyntheticLayout::Split),
    })
}

fn pictures(options: &DataSynthOptions) -> Result<SyntheticPictures> {
    let of_shapes = [("--points", options.points.is_some()), ("--layout", options.layout.is_some())];
    if let Some((flag, _)) = of_shapes.iter().find(|(_, given)| *given) {
        return Err(Error::usage(format!("{flag} is for shapes, not for --kind pictures"))
            .with_hint("pictures are written as {train,val}/<class>/FILE, 32 by 32 pixels each"));
    }
    let of_pictures = |format: &SynthFormat| match format {
        SynthFormat::Picture(format) => Ok(*format),
        SynthFormat::Shape(format) => {
            Err(Error::usage(format!("--format {}: pictures have other formats", format.name()))
                .with_hint("pictures are written as png, jpg or webp"))
        }
    };
    let formats = options.formats.iter().map(of_pictures).collect::<Result<Vec<_>>>()?;
    let formats = if formats.is_empty() { vec![PictureFormat::Png] } else { formats };
    Ok(SyntheticPictures { size: options.size.clone(), formats })
}
