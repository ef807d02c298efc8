//! MNIST and what is stored as it is: two files per part, the pictures and their labels, in the format IDX, perhaps
//! compressed by gzip. Grey becomes red, green and blue; classes are called by their numbers.

use std::path::{Path, PathBuf};

use super::pictures::{Loaded, Part, PictureSet};
use crate::data::folders::{entries, file_name};
use crate::data::gzip::unpacked;
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::reading;

/// How the files of the parts begin.
const PARTS: [(&str, Split); 3] = [("train-", Split::Train), ("t10k-", Split::Test), ("test-", Split::Test)];

/// What follows, of pictures and of labels; some write a point for the middle hyphen.
const CONTENTS: [&str; 2] = ["images-idx3-ubyte", "labels-idx1-ubyte"];

/// The greatest height and width.
const MOST: usize = 4096;

/// The pictures and labels of a part.
struct Content {
    side: usize,
    /// A byte per pixel.
    pictures: Vec<u8>,
    labels: Vec<u8>,
}

/// True for the name of a file of pictures for training.
pub(super) fn is_train(name: &str) -> bool {
    is_named(name, "train-", CONTENTS[0])
}

fn is_named(name: &str, part: &str, content: &str) -> bool {
    let bare = name.strip_suffix(".gz").unwrap_or(name);
    bare.strip_prefix(part).is_some_and(|rest| rest.replacen(".idx", "-idx", 1) == content)
}

/// Reads the set: pictures in memory, and the names of the files with records.
///
/// # Errors
/// A file that is not there, is cut, or is not what it should be.
pub(super) fn read(folder: &Path) -> Result<PictureSet> {
    let names = entries(folder)?;
    let [train, test] = [Split::Train, Split::Test].map(|split| part(folder, &names, split));
    let (train, test) = (train?, test?);
    let classes = [&train, &test].into_iter().flat_map(|part| &part.labels).max().map_or(0, |most| most + 1);
    let classes = (0..classes).map(|class| class.to_string()).collect();
    Ok(PictureSet::loaded(classes, folder.display().to_string(), train, test))
}

fn part(folder: &Path, names: &[PathBuf], split: Split) -> Result<Part<Loaded>> {
    let find = |content: &str| {
        let is_one =
            |path: &&PathBuf| PARTS.iter().any(|(part, of)| *of == split && is_named(&file_name(path), part, content));
        // Sorted by name, an unpacked file comes before the packed one.
        names.iter().find(is_one).cloned().ok_or_else(|| {
            let expected = format!("the files {}-{} and -{}", split.name(), CONTENTS[0], CONTENTS[1]);
            Error::invalid(folder, expected, format!("no {content} for {}", split.name()))
                .with_hint("download the missing file; t10k is for testing, and .gz may stay packed")
        })
    };
    let paths = [find(CONTENTS[0])?, find(CONTENTS[1])?];
    let read = |path: &Path| unpacked(reading::bytes(path)?, &path.display().to_string());
    let places = [0, 1].map(|of| paths[of].display().to_string());
    let content = content(&read(&paths[0])?, &read(&paths[1])?, [&places[0], &places[1]])?;
    let names = (0..content.labels.len()).map(|number| format!("{}: record {number}", places[0])).collect();
    let bytes = content.pictures.iter().flat_map(|grey| [*grey; 3]).collect();
    let labels = content.labels.into_iter().map(usize::from).collect();
    Ok(Part { labels, pictures: Loaded { names, side: content.side, bytes } })
}

/// Reads the two files of a part with these contents: the number of pictures.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(pictures: &[u8], labels: &[u8]) -> Result<usize> {
    content(pictures, labels, ["pictures", "labels"]).map(|content| content.labels.len())
}

fn content(pictures: &[u8], labels: &[u8], places: [&str; 2]) -> Result<Content> {
    let ([count, height, width], pictures) = array::<3>(pictures, places[0])?;
    let ([labelled], labels) = array::<1>(labels, places[1])?;
    if height != width || height == 0 || height > MOST {
        let expected = format!("square pictures of 1 to {MOST} pixels");
        return Err(Error::invalid(places[0], expected, format!("{height} by {width}")));
    }
    if count != labelled {
        return Err(Error::invalid(places[1], format!("{count} labels, one per picture"), labelled.to_string()));
    }
    Ok(Content { side: height, pictures: pictures.to_vec(), labels: labels.to_vec() })
}

/// The sizes and the bytes of an array: two zeros, 8 for bytes, the number of its sizes, these (most significant byte
/// first), the elements.
fn array<'a, const SIZES: usize>(bytes: &'a [u8], place: &str) -> Result<([usize; SIZES], &'a [u8])> {
    let start = [0, 0, 8, SIZES as u8];
    let rest = bytes.strip_prefix(&start).ok_or_else(|| {
        let found = format!("{:?}", &bytes[..bytes.len().min(start.len())]);
        Error::invalid(place, format!("an IDX array of bytes with {SIZES} sizes, which begins with {start:?}"), found)
    })?;
    let cut = |expected: String, found: usize| {
        Error::invalid(place, expected, format!("{found}")).with_hint("the file is cut or damaged: download it again")
    };
    let (sizes, elements) =
        rest.split_at_checked(4 * SIZES).ok_or_else(|| cut(format!("{} bytes of sizes", 4 * SIZES), rest.len()))?;
    let mut found = [0; SIZES];
    for (size, bytes) in found.iter_mut().zip(sizes.chunks_exact(4)) {
        *size = u32::from_be_bytes(bytes.try_into().expect("four each")) as usize;
    }
    let count = found.iter().try_fold(1_usize, |product, size| product.checked_mul(*size)).filter(|count| *count > 0);
    match count {
        Some(count) if count == elements.len() => Ok((found, elements)),
        _ => Err(cut(format!("the elements of an array of sizes {found:?}, at least one"), elements.len())),
    }
}
