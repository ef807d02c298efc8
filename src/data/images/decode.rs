//! One picture file: what its header says, and its pixels as 8-bit red, green and blue.
//!
//! JPEG, PNG, WebP, BMP, TIFF and GIF, told by content and not by name. Grey pictures and CMYK (as Adobe's programs write it) become
//! colours, 16-bit ones are rounded to 8, transparency is dropped (the colours beneath it stay), of an animation the
//! first picture is taken, and a picture that its EXIF data says is turned is turned upright. Colour profiles are not
//! applied.

use std::io::Cursor;
use std::path::Path;

use image::error::{LimitError, LimitErrorKind};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageReader, Limits, RgbImage};

use crate::data::folders::extension;
use crate::error::{Error, Result, first_line};
use crate::reading;

/// The extensions of picture files, in any case.
const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif"];

/// The most pixels of a picture, a third more than the largest cameras take; what is beyond is told by the header, of
/// whatever size the file is.
const MOST_PIXELS: u64 = 128 << 20;

/// The most pixels of a picture whose file is next to empty: a page at 600 dots per inch, blank, has a fifth less.
const MOST_SPARSE_PIXELS: u64 = 40 << 20;

/// The most pixels per byte of a file with more of them. One colour alone packs tighter, photographs never do.
const MOST_PER_BYTE: u64 = 4096;

/// The most bytes that the pixels of a picture may take as they are stored: red, green and blue of so many.
const MOST_BYTES: u64 = 3 * MOST_PIXELS;

/// Bytes of a file in which its header is looked for, the whole file last.
const HEADS: [u64; 3] = [4 << 10, 64 << 10, u64::MAX];

/// True for a name with the extension of a picture.
pub(in crate::data) fn is_picture(path: &Path) -> bool {
    EXTENSIONS.contains(&&*extension(path))
}

/// The extensions, for messages.
pub(in crate::data) fn known_extensions() -> String {
    EXTENSIONS.map(|extension| format!(".{extension}")).join(" ")
}

/// Checks that the file begins as a picture of a known format, without reading its pixels.
///
/// # Errors
/// A file that can't be read or whose header is none of a picture, one that is too large.
pub(super) fn check(path: &Path) -> Result<()> {
    let size = std::fs::metadata(path).map_err(|error| Error::read(path, error))?.len();
    let mut outcome = Ok(());
    for most in HEADS {
        let head = reading::start(path, most)?;
        let whole = (head.len() as u64) < most;
        outcome = decoder(&head, size).map(|_| ());
        if outcome.is_ok() || whole {
            break;
        }
    }
    outcome.map_err(|error| no_picture(path, &error))
}

/// Reads a picture.
///
/// # Errors
/// As [`check`], and pixels that can't be decoded.
pub(super) fn read(path: &Path) -> Result<RgbImage> {
    parse(&reading::bytes(path)?, path)
}

/// The same of a file with this content.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(content: &[u8], path: &Path) -> Result<RgbImage> {
    Ok(upright(content, path)?.0.into_rgb8())
}

/// Reads a picture to tell its width, its height and how its colours are stored.
///
/// # Errors
/// As [`read`].
pub(super) fn describe(path: &Path) -> Result<([u32; 2], &'static str)> {
    let (picture, inks) = upright(&reading::bytes(path)?, path)?;
    let colours = match picture.color() {
        _ if inks => "CMYK",
        ColorType::L8 => "grey",
        ColorType::La8 => "grey with alpha",
        ColorType::Rgb8 => "RGB",
        ColorType::Rgba8 => "RGB with alpha",
        ColorType::L16 => "16-bit grey",
        ColorType::La16 => "16-bit grey with alpha",
        ColorType::Rgb16 => "16-bit RGB",
        ColorType::Rgba16 => "16-bit RGB with alpha",
        _ => "others",
    };
    Ok(([picture.width(), picture.height()], colours))
}

/// The picture as it is to be looked at, with the colours that it is stored in; and whether these were four inks.
fn upright(content: &[u8], path: &Path) -> Result<(DynamicImage, bool)> {
    let inks = jpeg_inks(content).map_err(|fault| bad(path, fault))?;
    let decode = || {
        let mut decoder = decoder(content, content.len() as u64)?;
        let orientation = decoder.orientation()?;
        let mut picture = DynamicImage::from_decoder(decoder)?;
        picture.apply_orientation(orientation);
        Ok(picture)
    };
    Ok((decode().map_err(|error| no_picture(path, &error))?, inks))
}

/// A decoder that has read the header, at the start of a file of so many bytes.
fn decoder(content: &[u8], size: u64) -> std::result::Result<impl ImageDecoder, ImageError> {
    let mut reader = ImageReader::new(Cursor::new(content)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits.clone());
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let most = MOST_PIXELS.min(size.saturating_mul(MOST_PER_BYTE).max(MOST_SPARSE_PIXELS));
    if u64::from(width) * u64::from(height) > most {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::DimensionError)));
    }
    limits.reserve(decoder.total_bytes())?;
    Ok(decoder)
}

/// True for a JPEG of four inks. The fault is what the decoder would pass over: pixels that end early, of which it
/// makes up the rest, and four inks without Adobe's mark, which are stored the other way round.
fn jpeg_inks(content: &[u8]) -> std::result::Result<bool, &'static str> {
    const CUT: std::result::Result<bool, &str> = Err("a JPEG without its end");
    let Some(mut rest) = content.strip_prefix(&[0xFF, 0xD8]) else { return Ok(false) };
    let (mut inks, mut adobe) = (false, false);
    // Segments with their lengths, up to the first pixels. Among these a mark of the end is nothing else.
    loop {
        match rest {
            [0xFF, 0xDA, pixels @ ..] if pixels.windows(2).rev().any(|pair| pair == [0xFF, 0xD9]) => {
                return if inks && !adobe { Err("a CMYK JPEG without Adobe's mark") } else { Ok(inks) };
            }
            [0xFF, 0xDA, ..] => return CUT,
            [0xFF, 0xFF, ..] => rest = &rest[1..],
            [0xFF, mark, high, low, segment @ ..] => {
                adobe |= *mark == 0xEE && segment.starts_with(b"Adobe");
                // A frame: bits, height (2), width (2), colours.
                inks |= matches!(mark, 0xC0..=0xC3) && segment.get(5) == Some(&4);
                let Some(next) = rest.get(2 + usize::from(u16::from_be_bytes([*high, *low]))..) else { return CUT };
                rest = next;
            }
            // What this is the decoder may say.
            _ => return Ok(inks),
        }
    }
}

fn no_picture(path: &Path, error: &ImageError) -> Error {
    let found = match error {
        ImageError::Limits(_) => {
            let [most, sparse] = [MOST_PIXELS, MOST_SPARSE_PIXELS].map(|pixels| pixels / 1_000_000);
            format!(
                "more than {most} million pixels, or {} MiB of them, or more than {sparse} million in a file of less than a \
                 byte for {MOST_PER_BYTE}",
                MOST_BYTES >> 20
            )
        }
        other => first_line(&other.to_string()),
    };
    bad(path, &found)
}

fn bad(path: &Path, found: &str) -> Error {
    Error::invalid(path, "a JPEG, PNG, WebP, BMP, TIFF or GIF picture", found)
        .with_hint("remove or convert the file, or go on without bad ones: --skip-bad")
}
