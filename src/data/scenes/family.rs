//! Labelled clouds as one of the families.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::inputs::read_inputs;
use super::layout::{Layout, layouts};
use super::own::is_cloud;
use super::set::Resolved;
use super::survey::survey;
use super::{load, synthetic_files};
use crate::batch::BatchKind;
use crate::data::config::DataConfig;
use crate::data::dataset::Targets;
use crate::data::family::{Family, FamilyDescription, KnownSet, LoadNeeds, Loaded, SampleKind, SetName};
use crate::data::inputs::{InputNeeds, Inputs};
use crate::data::named::find_files;
use crate::data::points::{check_points, known_extensions};
use crate::data::source::Source;
use crate::data::survey::Survey;
use crate::data::synthesis::Synthesis;
use crate::error::Result;

/// Clouds with a class for every point.
pub static FAMILY: FamilyDescription = FamilyDescription {
    name: "scenes",
    plural: "labelled clouds",
    singular: "a labelled cloud",
    targets: "points",
    batch: BatchKind::Points,
    labels_points: true,
    draws: false,
    smallest_training_batch: 1,
    smaller: "fewer points (--set data.points=...), ",
    numbers: [
        "coordinates",
        "its coordinates are too large as stored: --set data.normalize=cube; or the weights are not finite",
    ],
    mend: "mend or remove them; search, train and eval go on without them by --skip-bad",
    making: synthetic_files::MAKING,
    own: &SEGMENTATION,
    published: &[&S3DIS, &SHAPENET_PART],
    family: &Scenes,
};

/// S3DIS: rooms of six areas, in blocks of 4096 points.
pub static S3DIS: KnownSet = KnownSet {
    name: "S3DIS",
    kind: SampleKind::of(&FAMILY),
    folders: &["indoor3d_sem_seg_hdf5_data"],
    published: "\nS3DIS in this layout is published as https://shapenet.cs.stanford.edu/media/indoor3d_sem_seg_hdf5_data.zip",
    sizes: (13, 9),
    targets: Targets::PointClasses,
};

/// The parts of ShapeNet's shapes.
pub static SHAPENET_PART: KnownSet = KnownSet {
    name: "ShapeNet-part",
    kind: SampleKind::of(&FAMILY),
    folders: &[
        "shapenetcore_partanno_segmentation_benchmark_v0_normal",
        "shapenetcore_partanno_segmentation_benchmark_v0",
    ],
    published: "\nShapeNet-part is published as \
                https://shapenet.cs.stanford.edu/media/shapenetcore_partanno_segmentation_benchmark_v0_normal.zip",
    sizes: (50, 3),
    targets: Targets::PointClasses,
};

/// The user's own labelled clouds.
pub static SEGMENTATION: KnownSet = KnownSet::own("segmentation", SampleKind::of(&FAMILY), Targets::PointClasses);

struct Scenes;

impl Family for Scenes {
    fn layouts(&self) -> String {
        layouts()
    }

    fn known_extensions(&self) -> String {
        known_extensions()
    }

    fn knows(&self, path: &Path) -> bool {
        is_cloud(path)
    }

    fn may_hold(&self, folder: &Path, set: SetName) -> bool {
        match Layout::detect(folder) {
            None => false,
            Some(Layout::S3dis) => set != &SHAPENET_PART,
            Some(Layout::ShapeNetPart) => set != &S3DIS,
            Some(Layout::Gathered(layout)) => set == &SEGMENTATION || layout.is_s3dis && set == &S3DIS,
            Some(Layout::Clouds) => set == &SEGMENTATION,
        }
    }

    /// Published layouts are nothing else, though their files are those of shapes.
    fn is_sure_of(&self, folder: &Path) -> bool {
        Layout::detect(folder).is_some_and(|layout| layout != Layout::Clouds)
    }

    fn load(&self, source: &Source, set: SetName, config: &DataConfig, needs: &LoadNeeds) -> Result<Loaded> {
        let (dataset, resolved) = load(source, config.section(Resolved::of(config)?), set == &S3DIS, needs)?;
        Ok(Loaded { dataset, config: resolved.written(config) })
    }

    fn survey(&self, source: &Source, config: &DataConfig, _: usize) -> Result<Survey> {
        survey(source, config.section(Resolved::of(config)?))
    }

    fn find_inputs(&self, named: &[PathBuf]) -> Result<Vec<PathBuf>> {
        find_files(SampleKind::of(&FAMILY), named)
    }

    fn read_inputs(&self, files: &[PathBuf], config: &DataConfig, needs: InputNeeds) -> Result<Inputs> {
        let (kind, resolved) = (SampleKind::of(&FAMILY), Resolved::of(config)?);
        let (read, resolved) = read_inputs(kind, files, resolved, config.split_seed, needs)?;
        Ok(read.with(resolved.written(config)))
    }

    fn synthesise(&self, wanted: &Synthesis, folder: &Path) -> Result<()> {
        synthetic_files::write(wanted, folder)
    }

    fn preparation(&self, config: &DataConfig) -> Vec<(&'static str, Value)> {
        let DataConfig { points, features, normalize, scenes, .. } = config;
        vec![
            ("points", json!(points)),
            ("features", json!(features)),
            ("normalize", json!(normalize)),
            ("block", json!(scenes.block)),
        ]
    }

    fn rows(&self, config: &DataConfig) -> Option<u64> {
        Some(config.points as u64)
    }

    fn check_size(&self, config: &DataConfig, minimum_points: usize) -> Result<()> {
        check_points(config.points, minimum_points)
    }
}
