//! The built-in pictures as files.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, RgbImage};
use rayon::prelude::*;

use super::augmentation::side;
use super::synthetic::{self, SIDE};
use crate::data::split::Split;
use crate::data::synthesis::{MadeLayout, Making, Synthesis, make_parent};
use crate::error::{Error, Result};

/// What pictures are written as.
pub(super) const MAKING: Making = Making {
    layouts: &[MadeLayout { name: "", written: "pictures", formats: &["png", "jpg", "webp"], points: 0 }],
    one_format: false,
    several_labels: false,
    remark: "pictures are written as {train,val}/<class>/FILE, 32 by 32 pixels each",
};

/// Writes the set into a new folder, as `{train,val}/<class>/FILE`; it also gets a `README.txt` that says what it is.
///
/// # Errors
/// Fewer pictures than classes; a folder that holds something already; files that can't be written. Nothing is left
/// half-written.
pub(super) fn write(set: &Synthesis, folder: &Path) -> Result<()> {
    let classes = synthetic::classes();
    let of = |split: Split, count: usize| (0..count).map(move |index| (split, index));
    let places: Vec<(Split, usize)> = of(Split::Train, set.size.train).chain(of(Split::Test, set.size.test)).collect();
    set.write(folder, &about(set), |folder| {
        places.par_iter().try_for_each(|(split, index)| write_picture(set, *split, *index, &classes, folder))
    })
}

fn write_picture(set: &Synthesis, split: Split, index: usize, classes: &[String], folder: &Path) -> Result<()> {
    let path = folder.join(path(set, split, index, classes));
    make_parent(&path)?;
    let pixels = synthetic::picture(set.size.seed, split, index);
    let picture = RgbImage::from_raw(side(SIDE), side(SIDE), pixels).expect("the bytes are those of the size");
    let format = ImageFormat::from_path(&path).expect("formats are named as extensions are");
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("all three take 8-bit colours, and memory takes every byte");
    std::fs::write(&path, bytes.into_inner()).map_err(|error| Error::write(&path, error))
}

/// Within the folder; test pictures are numbered on from the training ones of their class.
fn path(set: &Synthesis, split: Split, index: usize, classes: &[String]) -> String {
    let label = synthetic::label(index);
    let part = if split == Split::Test { "val" } else { "train" };
    let (number, extension) = (set.number(split, index, classes.len()), set.format(label, index / classes.len()));
    format!("{part}/{}/{number:04}.{extension}", classes[label])
}

fn about(set: &Synthesis) -> Vec<u8> {
    let what = format!(
        "Ten kinds of shapes and textures in random places and sizes, {SIDE} by {SIDE} pixels, each kind near a hue\n\
         of its own before a random background."
    );
    set.readme("pictures", &what, &format!("--kind pictures --format {}", set.format_names()), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::SyntheticConfig;
    use std::collections::HashSet;

    #[test]
    fn pictures_are_numbered_on_from_train_to_val_and_no_format_tells_the_class() {
        let size = SyntheticConfig { train: 43, test: 25, seed: 0 };
        let formats = vec!["png", "jpg"];
        let files = Synthesis { size, points: 0, formats, layout: "", multi_label: false };
        let classes = synthetic::classes();
        let train = (0..43).map(|index| path(&files, Split::Train, index, &classes));
        let test = (0..25).map(|index| path(&files, Split::Test, index, &classes));
        let names: Vec<String> = train.chain(test).collect();
        assert_eq!((&*names[0], &*names[1]), ("train/synthetic_disc/0001.png", "train/synthetic_ring/0001.jpg"));
        // 43 training pictures: five of the first three kinds, four of the others.
        assert_eq!((&*names[43], &*names[46]), ("val/synthetic_disc/0006.png", "val/synthetic_triangle/0005.jpg"));
        let of_disc: HashSet<&str> =
            names.iter().filter(|name| name.contains("disc")).map(|name| &name[name.len() - 3..]).collect();
        assert_eq!(of_disc.len(), 2);
    }
}
