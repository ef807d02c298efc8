//! Pictures as one of the families.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::decode::{is_picture, known_extensions};
use super::inputs::read_inputs;
use super::layout::{self, INNER, LAYOUTS, Stored};
use super::survey::survey;
use super::{load, synthetic_files};
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

/// Pictures with a class each.
pub static FAMILY: FamilyDescription = FamilyDescription {
    name: "pictures",
    plural: "pictures",
    singular: "a picture",
    targets: "pictures",
    batch: BatchKind::Images,
    labels_points: false,
    draws: false,
    smallest_training_batch: 2,
    smaller: "smaller images (--set data.images.size=...), ",
    numbers: ["pixels", "the weights are not finite, or overflow: take those of another epoch"],
    mend: "mend or remove them; search, train and eval go on without them by --skip-bad",
    making: synthetic_files::MAKING,
    own: &IMAGES,
    published: &[&CIFAR10, &CIFAR100, &IMAGENET],
    family: &Pictures,
};

/// CIFAR-10, as published or as a folder of classes.
pub static CIFAR10: KnownSet = KnownSet {
    name: "CIFAR-10",
    kind: SampleKind::of(&FAMILY),
    folders: INNER[0],
    published: "\nCIFAR-10 is published as https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sizes: (10, 3),
    targets: Targets::Classes,
};

/// CIFAR-100, as published or as a folder of classes.
pub static CIFAR100: KnownSet = KnownSet {
    name: "CIFAR-100",
    kind: SampleKind::of(&FAMILY),
    folders: INNER[1],
    published: "\nCIFAR-100 is published as https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    sizes: (100, 3),
    targets: Targets::Classes,
};

/// ImageNet (ILSVRC2012), as a folder of classes.
pub static IMAGENET: KnownSet = KnownSet {
    name: "ImageNet",
    kind: SampleKind::of(&FAMILY),
    folders: &["imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC"],
    published: "\nImageNet is published at https://image-net.org/challenges/LSVRC/2012/ (after registration)",
    sizes: (1000, 3),
    targets: Targets::Classes,
};

/// The user's own pictures, in any layout of pictures.
pub static IMAGES: KnownSet = KnownSet::own("images", SampleKind::of(&FAMILY), Targets::Classes);

struct Pictures;

impl Family for Pictures {
    fn layouts(&self) -> String {
        LAYOUTS.to_owned()
    }

    fn known_extensions(&self) -> String {
        known_extensions()
    }

    fn knows(&self, path: &Path) -> bool {
        is_picture(path)
    }

    /// The two CIFARs are told apart.
    fn may_hold(&self, folder: &Path, set: SetName) -> bool {
        match layout::find(folder) {
            None => false,
            Some((Stored::Cifar(format), _)) if format.has_hundred_classes() => set != &CIFAR10,
            Some((Stored::Cifar(_), _)) => set != &CIFAR100,
            Some((Stored::Idx, _)) => set == &IMAGES,
            Some((Stored::ClassFolders, _)) => true,
        }
    }

    /// Records are nothing else, whatever lies beside them.
    fn is_sure_of(&self, folder: &Path) -> bool {
        matches!(layout::find(folder), Some((Stored::Cifar(_) | Stored::Idx, _)))
    }

    fn load(&self, source: &Source, _: SetName, config: &DataConfig, needs: &LoadNeeds) -> Result<Loaded> {
        let dataset = load(source, config.section(&config.images), needs)?;
        Ok(Loaded { dataset, config: config.clone() })
    }

    fn survey(&self, source: &Source, config: &DataConfig, _: usize) -> Result<Survey> {
        survey(source, config.section(&config.images))
    }

    fn find_inputs(&self, named: &[PathBuf]) -> Result<Vec<PathBuf>> {
        find_files(SampleKind::of(&FAMILY), named)
    }

    fn read_inputs(&self, files: &[PathBuf], config: &DataConfig, needs: InputNeeds) -> Result<Inputs> {
        Ok(read_inputs(SampleKind::of(&FAMILY), files, &config.images, needs)?.with(config.clone()))
    }

    fn synthesise(&self, wanted: &Synthesis, folder: &Path) -> Result<()> {
        synthetic_files::write(wanted, folder)
    }

    fn preparation(&self, config: &DataConfig) -> Vec<(&'static str, Value)> {
        let images = &config.images;
        vec![
            ("size", json!(images.size)),
            ("augmentation", json!(images.augmentation)),
            ("mean", json!(images.mean)),
            ("deviation", json!(images.deviation)),
        ]
    }

    fn rows(&self, config: &DataConfig) -> Option<u64> {
        Some((config.images.size as u64).pow(2))
    }
}
