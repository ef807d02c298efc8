//! The built-in synthetic set as files, in the formats and layouts that people have: for trying the way from a
//! folder to a score.

use std::path::Path;

use rayon::prelude::*;

use super::format;
use super::synthetic::{self, Place, SyntheticConfig};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::files::{write_atomically, write_folder_atomically};

/// What a synthetic shape is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntheticFormat {
    /// A PLY cloud.
    Ply,
    /// A PCD cloud.
    Pcd,
    /// A NumPy array of points.
    Npy,
    /// A table without header.
    Xyz,
    /// A table with header.
    Csv,
    /// An OFF mesh.
    Off,
    /// An OBJ mesh.
    Obj,
    /// A PLY mesh.
    PlyMesh,
}

impl SyntheticFormat {
    /// The format's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ply => "ply",
            Self::Pcd => "pcd",
            Self::Npy => "npy",
            Self::Xyz => "xyz",
            Self::Csv => "csv",
            Self::Off => "off",
            Self::Obj => "obj",
            Self::PlyMesh => "ply-mesh",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::PlyMesh => "ply",
            other => other.name(),
        }
    }

    fn is_mesh(self) -> bool {
        matches!(self, Self::Off | Self::Obj | Self::PlyMesh)
    }
}

/// Where the files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntheticLayout {
    /// `<class>/{train,test}/FILE`.
    Split,
    /// `<class>/FILE`, and a list `test.txt`.
    Flat,
}

/// The synthetic set as a folder of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticFiles {
    /// How many shapes, and which.
    pub size: SyntheticConfig,
    /// Points per cloud; meshes have the vertices of their solids.
    pub points: usize,
    /// Taken in turn within every class; at least one.
    pub formats: Vec<SyntheticFormat>,
    /// Where the files lie.
    pub layout: SyntheticLayout,
}

impl SyntheticFiles {
    /// Writes the set into a new folder, which also gets a `README.txt` that says what it is.
    ///
    /// # Errors
    /// Fewer shapes than classes; a folder that holds something already; files that can't be written. Nothing is
    /// left half-written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.size.validate()?;
        let classes = synthetic::classes();
        let places = synthetic::places(&self.size);
        write_folder_atomically(folder, |folder| {
            places.par_iter().try_for_each(|place| self.write_shape(*place, &classes, folder))?;
            if self.layout == SyntheticLayout::Flat {
                let test = places.iter().filter(|place| place.split == Split::Test);
                let lines: String = test.map(|place| self.path(*place, &classes) + "\n").collect();
                write_atomically(&folder.join("test.txt"), lines.as_bytes())?;
            }
            write_atomically(&folder.join("README.txt"), self.about().as_bytes())
        })
    }

    fn write_shape(&self, place: Place, classes: &[String], folder: &Path) -> Result<()> {
        let path = folder.join(self.path(place, classes));
        let parent = path.parent().expect("every file has a class");
        std::fs::create_dir_all(parent).map_err(|error| Error::write(parent, error))?;
        let mut raw = if self.format(place).is_mesh() { place.mesh() } else { place.cloud(self.points) };
        // 32 bits, as real files have.
        raw.columns.iter_mut().flat_map(|(_, values)| values).for_each(|value| *value = f64::from(*value as f32));
        format::write(&path, &raw)
    }

    /// Classes begin at different formats, so that a small set has them all and no format tells the class.
    fn format(&self, place: Place) -> SyntheticFormat {
        self.formats[(place.label() + place.number()) % self.formats.len()]
    }

    /// Within the folder; test shapes are numbered on from the training ones of their class.
    fn path(&self, place: Place, classes: &[String]) -> String {
        let class = &classes[place.label()];
        let before = match place.split {
            Split::Test => (self.size.train + classes.len() - 1 - place.label()) / classes.len(),
            _ => 0,
        };
        let file = format!("{class}_{:04}.{}", before + place.number() + 1, self.format(place).extension());
        match self.layout {
            SyntheticLayout::Split => format!("{class}/{}/{file}", place.split.name()),
            SyntheticLayout::Flat => format!("{class}/{file}"),
        }
    }

    fn about(&self) -> String {
        let SyntheticConfig { train, test, seed } = self.size;
        let (points, version) = (self.points, env!("CARGO_PKG_VERSION"));
        let formats: Vec<&str> = self.formats.iter().map(|format| format.name()).collect();
        let formats = formats.join(",");
        let (layout, note) = match self.layout {
            SyntheticLayout::Split => ("split", ""),
            SyntheticLayout::Flat => ("flat", "\ntest.txt lists the shapes for testing.\n"),
        };
        format!(
            "Synthetic shapes, made by sgas {version}. They are not real data: scores on them tell nothing about\n\
             published ones.\n\n\
             Ten kinds of solids with random proportions, stretched and turned, {train} for training and {test} for\n\
             testing. Clouds (ply, pcd, npy, xyz, csv) are cut by a random plane and noisy, with {points} points\n\
             each; meshes (off, obj, ply-mesh) are whole and without noise.\n{note}\n\
             Made by: sgas data synth DIR --format {formats} --train {train} --test {test} --points {points} \
             --seed {seed} --layout {layout}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn files(formats: &[SyntheticFormat], layout: SyntheticLayout) -> SyntheticFiles {
        let size = SyntheticConfig { train: 43, test: 25, seed: 0 };
        SyntheticFiles { size, points: 8, formats: formats.to_vec(), layout }
    }

    #[test]
    fn files_are_numbered_on_from_train_to_test_and_each_has_a_name_of_its_own() {
        let flat = files(&[SyntheticFormat::Ply, SyntheticFormat::PlyMesh], SyntheticLayout::Flat);
        let classes = synthetic::classes();
        let names: Vec<String> = synthetic::places(&flat.size).into_iter().map(|p| flat.path(p, &classes)).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 68);
        // 43 training shapes: five of the first three kinds, four of the others.
        assert_eq!(names[43], "synthetic_ellipsoid/synthetic_ellipsoid_0006.ply");
        assert_eq!(names[46], "synthetic_cone/synthetic_cone_0005.ply");
    }

    #[test]
    fn every_class_has_every_format_in_turn() {
        let formats = [SyntheticFormat::Off, SyntheticFormat::Xyz, SyntheticFormat::Npy, SyntheticFormat::Obj];
        let split = files(&formats, SyntheticLayout::Split);
        for label in 0..10 {
            let places = synthetic::places(&split.size).into_iter();
            let of_class = places.filter(|place| place.label() == label && place.split == Split::Train).take(4);
            let names: HashSet<&str> = of_class.map(|place| split.format(place).name()).collect();
            assert_eq!(names.len(), 4, "class {label}");
        }
    }
}
