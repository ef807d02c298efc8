//! The built-in pictures as files, as people have them: for trying the way from a folder to a score.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, RgbImage};
use rayon::prelude::*;

use super::augmentation::side;
use super::synthetic::{self, SIDE};
use crate::data::points::synthetic::SyntheticConfig;
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::files::{write_atomically, write_folder_atomically};

/// What a synthetic picture is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    /// PNG, to the byte as drawn.
    Png,
    /// JPEG, with losses.
    Jpeg,
    /// WebP, to the byte as drawn.
    Webp,
}

impl PictureFormat {
    /// The format's name on the command line, and the extension of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }

    fn encode(self, picture: &RgbImage) -> Vec<u8> {
        let format = match self {
            Self::Png => ImageFormat::Png,
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Webp => ImageFormat::WebP,
        };
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("all three take 8-bit colours, and memory takes every byte");
        bytes.into_inner()
    }
}

/// The synthetic pictures as a folder of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticPictures {
    /// How many pictures, and which.
    pub size: SyntheticConfig,
    /// Taken in turn within every class; at least one.
    pub formats: Vec<PictureFormat>,
}

impl SyntheticPictures {
    /// Writes the set into a new folder, as `{train,val}/<class>/FILE`; it also gets a `README.txt` that says what it
    /// is.
    ///
    /// # Errors
    /// Fewer pictures than classes; a folder that holds something already; files that can't be written. Nothing is
    /// left half-written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.size.validate()?;
        let classes = synthetic::classes();
        let of = |split: Split, count: usize| (0..count).map(move |index| (split, index));
        let places: Vec<(Split, usize)> =
            of(Split::Train, self.size.train).chain(of(Split::Test, self.size.test)).collect();
        write_folder_atomically(folder, |folder| {
            places.par_iter().try_for_each(|(split, index)| self.write_picture(*split, *index, &classes, folder))?;
            write_atomically(&folder.join("README.txt"), self.about().as_bytes())
        })
    }

    fn write_picture(&self, split: Split, index: usize, classes: &[String], folder: &Path) -> Result<()> {
        let path = folder.join(self.path(split, index, classes));
        let parent = path.parent().expect("every file has a class");
        std::fs::create_dir_all(parent).map_err(|error| Error::write(parent, error))?;
        let pixels = synthetic::picture(self.size.seed, split, index);
        let picture = RgbImage::from_raw(side(SIDE), side(SIDE), pixels).expect("the bytes are those of the size");
        let bytes = self.format(index, classes.len()).encode(&picture);
        std::fs::write(&path, bytes).map_err(|error| Error::write(&path, error))
    }

    /// Classes begin at different formats, so that no format tells the class.
    fn format(&self, index: usize, classes: usize) -> PictureFormat {
        self.formats[(synthetic::label(index) + index / classes) % self.formats.len()]
    }

    /// Within the folder; test pictures are numbered on from the training ones of their class.
    fn path(&self, split: Split, index: usize, classes: &[String]) -> String {
        let label = synthetic::label(index);
        let (part, before) = match split {
            Split::Test => ("val", (self.size.train + classes.len() - 1 - label) / classes.len()),
            _ => ("train", 0),
        };
        let (number, extension) = (before + index / classes.len() + 1, self.format(index, classes.len()).name());
        format!("{part}/{}/{number:04}.{extension}", classes[label])
    }

    fn about(&self) -> String {
        let SyntheticConfig { train, test, seed } = self.size;
        let version = env!("CARGO_PKG_VERSION");
        let formats: Vec<&str> = self.formats.iter().map(|format| format.name()).collect();
        let formats = formats.join(",");
        format!(
            "Synthetic pictures, made by sgas {version}. They are not real data: scores on them tell nothing about\n\
             published ones.\n\n\
             Ten kinds of shapes and textures in random places and sizes, {SIDE} by {SIDE} pixels, each kind near a hue\n\
             of its own before a random background; {train} for training (train) and {test} for testing (val).\n\n\
             Made by: sgas data synth DIR --kind pictures --format {formats} --train {train} --test {test} --seed {seed}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn pictures_are_numbered_on_from_train_to_val_and_no_format_tells_the_class() {
        let size = SyntheticConfig { train: 43, test: 25, seed: 0 };
        let files = SyntheticPictures { size, formats: vec![PictureFormat::Png, PictureFormat::Jpeg] };
        let classes = synthetic::classes();
        let train = (0..43).map(|index| files.path(Split::Train, index, &classes));
        let test = (0..25).map(|index| files.path(Split::Test, index, &classes));
        let names: Vec<String> = train.chain(test).collect();
        assert_eq!((&*names[0], &*names[1]), ("train/synthetic_disc/0001.png", "train/synthetic_ring/0001.jpg"));
        // 43 training pictures: five of the first three kinds, four of the others.
        assert_eq!((&*names[43], &*names[46]), ("val/synthetic_disc/0006.png", "val/synthetic_triangle/0005.jpg"));
        let of_disc: HashSet<&str> =
            names.iter().filter(|name| name.contains("disc")).map(|name| &name[name.len() - 3..]).collect();
        assert_eq!(of_disc.len(), 2);
    }
}
