//! Shapes as one of the families.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::format::{is_shape, known_extensions};
use super::inputs::read_inputs;
use super::layout::{LAYOUTS, Layout};
use super::survey::survey;
use super::{check_points, load, synthetic_files};
use crate::batch::BatchKind;
use crate::data::config::DataConfig;
use crate::data::dataset::Targets;
use crate::data::family::{Family, FamilyDescription, KnownSet, LoadNeeds, Loaded, SampleKind, SetName};
use crate::data::inputs::{InputNeeds, Inputs};
use crate::data::named::find_files;
use crate::data::source::Source;
use crate::data::survey::Survey;
use crate::data::synthesis::Synthesis;
use crate::error::Result;

/// Clouds and meshes with a class each.
pub static FAMILY: FamilyDescription = FamilyDescription {
    name: "shapes",
    plural: "shapes",
    singular: "a shape",
    targets: "shapes",
    batch: BatchKind::Points,
    labels_points: false,
    draws: true,
    smallest_training_batch: 2,
    smaller: "fewer points (--set data.points=...), ",
    numbers: [
        "coordinates",
        "its coordinates are too large as stored: --set data.normalize=cube; or the weights are not finite",
    ],
    mend: "mend or remove them; search, train and eval go on without them by --skip-bad",
    making: synthetic_files::MAKING,
    own: &POINTS,
    published: &[&MODELNET40, &MODELNET10],
    family: &Shapes,
};

/// ModelNet40, in HDF5 files or as a folder of classes.
pub static MODELNET40: KnownSet = KnownSet {
    name: "ModelNet40",
    kind: SampleKind::of(&FAMILY),
    folders: &["modelnet40_ply_hdf5_2048", "ModelNet40"],
    published: "\nModelNet40 is published as https://shapenet.cs.stanford.edu/media/modelnet40_ply_hdf5_2048.zip (clouds) \
                and https://modelnet.cs.princeton.edu/ModelNet40.zip (meshes)",
    sizes: (40, 3),
    targets: Targets::Classes,
};

/// ModelNet10, as a folder of classes.
pub static MODELNET10: KnownSet = KnownSet {
    name: "ModelNet10",
    kind: SampleKind::of(&FAMILY),
    folders: &["ModelNet10"],
    published: "\nModelNet10 is published as https://vision.princeton.edu/projects/2014/3DShapeNets/ModelNet10.zip",
    sizes: (10, 3),
    targets: Targets::Classes,
};

/// The user's own shapes, in any layout of shapes.
pub static POINTS: KnownSet = KnownSet::own("points", SampleKind::of(&FAMILY), Targets::Classes);

struct Shapes;

impl Family for Shapes {
    fn layouts(&self) -> String {
        LAYOUTS.to_owned()
    }

    fn known_extensions(&self) -> String {
        known_extensions()
    }

    fn knows(&self, path: &Path) -> bool {
        is_shape(path)
    }

    fn may_hold(&self, folder: &Path, _: SetName) -> bool {
        Layout::detect(folder).is_some()
    }

    fn load(&self, source: &Source, _: SetName, config: &DataConfig, needs: &LoadNeeds) -> Result<Loaded> {
        let (dataset, clouds) = load(source, config.section(config.clouds()?), &config.hdf5, needs)?;
        Ok(Loaded { dataset, config: config.resolved(&clouds) })
    }

    fn survey(&self, source: &Source, config: &DataConfig, minimum_points: usize) -> Result<Survey> {
        survey(source, config.section(config.clouds()?), &config.hdf5, minimum_points)
    }

    fn find_inputs(&self, named: &[PathBuf]) -> Result<Vec<PathBuf>> {
        find_files(SampleKind::of(&FAMILY), named)
    }

    fn read_inputs(&self, files: &[PathBuf], config: &DataConfig, needs: InputNeeds) -> Result<Inputs> {
        let (read, clouds) = read_inputs(SampleKind::of(&FAMILY), files, config.clouds()?, needs)?;
        Ok(read.with(config.resolved(&clouds)))
    }

    fn synthesise(&self, wanted: &Synthesis, folder: &Path) -> Result<()> {
        synthetic_files::write(wanted, folder)
    }

    fn preparation(&self, config: &DataConfig) -> Vec<(&'static str, Value)> {
        let DataConfig { points, features, normalize, .. } = config;
        vec![("points", json!(points)), ("features", json!(features)), ("normalize", json!(normalize))]
    }

    fn rows(&self, config: &DataConfig) -> Option<u64> {
        Some(config.points as u64)
    }

    fn check_size(&self, config: &DataConfig, minimum_points: usize) -> Result<()> {
        check_points(config.points, minimum_points)
    }
}
