//! A drawing in SVG, rendered as PNG and PDF. Its letters are those of DejaVu Sans Mono, which is part of the program, so that a
//! machine without fonts draws the same.

use crate::error::{Error, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, WriteOptions};

/// Pixels of a PNG per pixel of the drawing.
const SCALE: f32 = 2.0;
/// The bytes of a PNG's signature and first chunk, behind which others may stand.
const PNG_HEAD: usize = 33;
/// A chunk of text that says who wrote the file.
const SOFTWARE: &[u8] = b"tEXtSoftware\0sgas";
/// A comment behind the end of a PDF, where readers look for nothing.
const PDF_MARK: &[u8] = b"% drawn by sgas\n";

/// The drawing as the bytes of a PNG file, twice as many pixels either way.
///
/// # Errors
/// A text that is no SVG, or one of no size.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let tree = parse(svg)?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or_else(|| wrong("its size is nothing"))?;
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or_else(|| wrong("it is too large"))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    let plain = pixels.encode_png().map_err(wrong)?;
    let (head, rest) = plain.split_at(PNG_HEAD);
    Ok([head, &chunk(SOFTWARE)[..], rest].concat())
}

/// The drawing as the bytes of a PDF file of one page. Its letters are outlines: embedding a font takes crates that build
/// for minutes.
///
/// # Errors
/// A text that is no SVG.
pub fn pdf(svg: &str) -> Result<Vec<u8>> {
    let outlines = parse(svg)?.to_string(&WriteOptions::default());
    let tree = parse(&outlines)?;
    let plain = svg2pdf::to_pdf(&tree, svg2pdf::ConversionOptions::default(), svg2pdf::PageOptions::default());
    Ok([&plain.map_err(wrong)?[..], b"\n", PDF_MARK].concat())
}

/// True of what [`png`] and [`pdf`] write.
pub fn is_ours(bytes: &[u8]) -> bool {
    let is_png =
        bytes.starts_with(b"\x89PNG") && bytes.get(PNG_HEAD + 4..).is_some_and(|rest| rest.starts_with(SOFTWARE));
    is_png || (bytes.starts_with(b"%PDF") && bytes.ends_with(PDF_MARK))
}

fn parse(svg: &str) -> Result<Tree> {
    Tree::from_str(svg, &options()).map_err(wrong)
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(dejavu::sans_mono::regular().to_vec());
    fonts.load_font_data(dejavu::sans_mono::bold().to_vec());
    options
}

/// Length, content and checksum, as PNG has them.
fn chunk(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() - 4).expect("it is short").to_be_bytes();
    let mut sum = flate2::Crc::new();
    sum.update(content);
    [&length[..], content, &sum.sum().to_be_bytes()].concat()
}

fn wrong(reason: impl std::fmt::Display) -> Error {
    Error::run(format!("the drawing can't be rendered: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::zoo;
    use crate::report::svg::{CellDrawing, draw_cell};

    fn drawn() -> String {
        draw_cell(&CellDrawing::from_cell("a cell", &zoo::find("Cri2_ModelNet_Best").unwrap().genotype.normal))
    }

    #[test]
    fn a_png_has_twice_the_pixels_letters_and_colours() {
        let bytes = png(&drawn()).unwrap();
        assert!(is_ours(&bytes));
        let image = image::load_from_memory(&bytes).unwrap().to_rgb8();
        let size = parse(&drawn()).unwrap().size();
        assert_eq!((image.width() as f32, image.height() as f32), (2.0 * size.width(), 2.0 * size.height()));
        let without_letters = drawn().replace("edge_conv", "").replace("a cell", "");
        assert_ne!(png(&without_letters).unwrap(), bytes, "letters are drawn");
        let blue = image.pixels().filter(|pixel| pixel.0 == [0xdb, 0xea, 0xfe]).count();
        assert!(blue > 1000, "boxes of nodes are filled: {blue}");
    }

    #[test]
    fn a_pdf_is_one_page_with_letters_as_outlines() {
        let bytes = pdf(&drawn()).unwrap();
        assert!(pdf(&drawn().replace("edge_conv", "")).unwrap().len() + 100 < bytes.len(), "letters are drawn");
        assert!(is_ours(&bytes) && bytes.windows(5).any(|window| window == b"%%EOF"));
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(has(b"/Type /Page") && !is_ours(&bytes[..bytes.len() - 1]));
    }

    #[test]
    fn no_svg_is_an_error() {
        assert!(png("a diary").is_err() && pdf("").is_err());
    }
}
