//! The built-in shapes as files.

use std::path::Path;

use rayon::prelude::*;

use super::format;
use super::synthetic::{self, Place};
use crate::data::split::Split;
use crate::data::synthesis::{MadeLayout, Making, Synthesis, make_parent};
use crate::error::Result;
use crate::files::write_atomically;

const FORMATS: [&str; 8] = ["ply", "pcd", "npy", "xyz", "csv", "off", "obj", "ply-mesh"];

/// Meshes among the formats.
const MESHES: [&str; 3] = ["off", "obj", "ply-mesh"];

/// What shapes are written as.
pub(super) const MAKING: Making = Making {
    layouts: &[
        MadeLayout { name: SPLIT, written: "shapes", formats: &FORMATS, points: 2048 },
        MadeLayout { name: FLAT, written: "shapes", formats: &FORMATS, points: 2048 },
    ],
    one_format: false,
    several_labels: false,
    remark: "shapes have one class each",
};

/// `<class>/{train,test}/FILE`.
const SPLIT: &str = "split";

/// `<class>/FILE`, and a list `test.txt`.
const FLAT: &str = "flat";

/// Writes the set into a new folder, which also gets a `README.txt` that says what it is.
///
/// # Errors
/// Fewer shapes than classes; a folder that holds something already; files that can't be written. Nothing is left
/// half-written.
pub(super) fn write(set: &Synthesis, folder: &Path) -> Result<()> {
    let classes = synthetic::classes();
    let places = synthetic::places(&set.size);
    set.write(folder, &about(set), |folder| {
        places.par_iter().try_for_each(|place| write_shape(set, *place, &classes, folder))?;
        if set.layout == FLAT {
            let test = places.iter().filter(|place| place.split == Split::Test);
            let lines: String = test.map(|place| path(set, *place, &classes) + "\n").collect();
            write_atomically(&folder.join("test.txt"), lines.as_bytes())?;
        }
        Ok(())
    })
}

fn write_shape(set: &Synthesis, place: Place, classes: &[String], folder: &Path) -> Result<()> {
    let path = folder.join(path(set, place, classes));
    make_parent(&path)?;
    let mut raw = if MESHES.contains(&format_of(set, place)) { place.mesh() } else { place.cloud(set.points) };
    // 32 bits, as real files have.
    raw.columns.iter_mut().flat_map(|(_, values)| values).for_each(|value| *value = f64::from(*value as f32));
    format::write(&path, &raw)
}

fn format_of(set: &Synthesis, place: Place) -> &'static str {
    set.format(place.label(), place.number())
}

/// Within the folder; test shapes are numbered on from the training ones of their class.
fn path(set: &Synthesis, place: Place, classes: &[String]) -> String {
    let class = &classes[place.label()];
    let extension = format_of(set, place).trim_end_matches("-mesh");
    let file = format!("{class}_{:04}.{extension}", set.number(place.split, place.index, classes.len()));
    match set.layout {
        FLAT => format!("{class}/{file}"),
        _ => format!("{class}/{}/{file}", place.split.name()),
    }
}

fn about(set: &Synthesis) -> Vec<u8> {
    let (points, layout) = (set.points, set.layout);
    let note = if layout == FLAT { "\n\ntest.txt lists the shapes for testing." } else { "" };
    let what = format!(
        "Ten kinds of solids with random proportions, stretched and turned. Clouds (ply, pcd, npy, xyz, csv) are cut by a\n\
         random plane and noisy, with {points} points each; meshes (off, obj, ply-mesh) are whole and without noise.{note}"
    );
    let formats = format!("--format {}", set.format_names());
    set.readme("shapes", &what, &formats, &format!(" --layout {layout}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::SyntheticConfig;
    use std::collections::HashSet;

    fn files(formats: &[&'static str], layout: &'static str) -> Synthesis {
        let size = SyntheticConfig { train: 43, test: 25, seed: 0 };
        Synthesis { size, points: 8, formats: formats.to_vec(), layout, multi_label: false }
    }

    #[test]
    fn files_are_numbered_on_from_train_to_test_and_each_has_a_name_of_its_own() {
        let flat = files(&["ply", "ply-mesh"], FLAT);
        let classes = synthetic::classes();
        let names: Vec<String> = synthetic::places(&flat.size).into_iter().map(|p| path(&flat, p, &classes)).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 68);
        // 43 training shapes: five of the first three kinds, four of the others.
        assert_eq!(names[43], "synthetic_ellipsoid/synthetic_ellipsoid_0006.ply");
        assert_eq!(names[46], "synthetic_cone/synthetic_cone_0005.ply");
    }

    #[test]
    fn every_class_has_every_format_in_turn() {
        let formats = ["off", "xyz", "npy", "obj"];
        let split = files(&formats, SPLIT);
        for label in 0..10 {
            let places = synthetic::places(&split.size).into_iter();
            let of_class = places.filter(|place| place.label() == label && place.split == Split::Train).take(4);
            let names: HashSet<&str> = of_class.map(|place| format_of(&split, place)).collect();
            assert_eq!(names.len(), 4, "class {label}");
        }
    }
}
