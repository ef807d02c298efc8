//! A set of labelled clouds as it lies somewhere, read: its classes, its clouds, and which of them can't be used.

use std::collections::BTreeMap;

use super::cloud::{Cloud, Reading, divide_colours};
use super::layout::Layout;
use super::{own, s3dis, shapenet, synthetic};
use crate::data::config::DataConfig;
use crate::data::points::augmentation::Normalization;
use crate::data::points::colours::Noticed;
use crate::data::points::features::Features;
use crate::data::source::{SetName, Source};
use crate::data::split::Split;
use crate::error::{Error, Result};

/// A file, or a block of S3DIS.
#[derive(Debug)]
pub(super) struct Item {
    /// The file, and the place in the file.
    pub name: String,
    pub split: Split,
    /// What is held out together: the room of a block, else the file.
    pub group: String,
    /// Its clouds, or why it can't be used.
    pub clouds: Result<Vec<Cloud>>,
}

/// What a layout gives.
#[derive(Debug)]
pub(super) struct Opened {
    pub items: Vec<Item>,
    pub classes: Vec<String>,
    /// What says which clouds are for testing, in words.
    pub division: String,
    /// Columns that all good clouds have, the labels' left out.
    pub columns: Vec<String>,
    /// Files by extension.
    pub files: BTreeMap<String, usize>,
}

/// A set that was found and read.
#[derive(Debug)]
pub(super) struct SceneSet {
    pub opened: Opened,
    pub reading: Reading,
    /// What was noticed in its files.
    pub noticed: Noticed,
    /// Where it comes from, in words.
    pub origin: String,
    /// How it is stored, in words.
    pub layout: &'static str,
}

impl SceneSet {
    /// Reads the set. Writes into `config` what its `normalize` and `color_range = "auto"` came to, and of S3DIS its features and the
    /// side of its blocks, so that clouds to predict are made likewise.
    ///
    /// # Errors
    /// A set that can't be opened at all.
    pub fn open(source: &Source, config: &mut DataConfig, set: SetName) -> Result<Self> {
        let layout = match source {
            Source::Synthetic => None,
            Source::Folder(folder) => Some(Layout::detect(folder).ok_or_else(|| {
                Error::invalid(folder.display().to_string(), super::layout::LAYOUTS, "none of these")
            })?),
        };
        let is_blocks = layout == Some(Layout::S3dis) || (layout.is_none() && set == SetName::S3dis);
        if config.normalize == Normalization::Auto {
            config.normalize = Normalization::Cube;
        }
        if is_blocks && config.features.is_empty() {
            config.features = s3dis::FEATURES.map(str::to_owned).to_vec();
        }
        if is_blocks && config.scenes.block == 0.0 {
            config.scenes.block = s3dis::BLOCK;
        }
        let reading = reading(config)?;
        let mut opened = match source {
            Source::Synthetic => synthetic::open(config, is_blocks, &reading)?,
            Source::Folder(folder) => match layout {
                Some(Layout::S3dis) => {
                    let (items, files) = s3dis::read(folder, config.scenes.area, &reading)?;
                    let classes = s3dis::CLASSES.map(str::to_owned).to_vec();
                    let division = format!("rooms of Area_{}", config.scenes.area);
                    let columns = s3dis::columns();
                    Opened { items, classes, division, columns, files: [("h5".to_owned(), files)].into() }
                }
                Some(Layout::ShapeNetPart) => shapenet::open(folder, config, &reading)?,
                _ => own::open(folder, config, &reading)?,
            },
        };
        let origin = match source {
            Source::Synthetic => "synthetic rooms (built in, not real data)".to_owned(),
            Source::Folder(folder) => format!("{} ({})", folder.display(), opened.division),
        };
        let items = opened.items.iter_mut().filter_map(|item| item.clouds.as_mut().ok());
        let mut files: Vec<&mut [Cloud]> = items.map(Vec::as_mut_slice).collect();
        let (range, noticed) = divide_colours(&mut files, config.color_range, &reading.features, &origin)?;
        config.color_range = range;
        Ok(Self { opened, reading, origin, noticed, layout: layout.map_or("none", Layout::name) })
    }
}

/// How files become clouds by this configuration.
pub(super) fn reading(config: &DataConfig) -> Result<Reading> {
    let features = Features::parse(&config.features)?;
    let (normalization, block, intake) = (config.normalize, config.scenes.block, config.intake()?);
    Ok(Reading { features, normalization, block, intake })
}
