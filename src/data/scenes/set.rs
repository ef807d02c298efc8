//! A set of labelled clouds as it lies somewhere, read: its classes, its clouds, and which of them can't be used.

use super::cloud::{Cloud, Reading, divide_colours};
use super::item::Opened;
use super::layout::{Layout, layouts};
use super::{own, s3dis, shapenet, synthetic};
use crate::data::config::DataConfig;
use crate::data::points::augmentation::Normalization;
use crate::data::points::colours::Noticed;
use crate::data::points::features::Features;
use crate::data::source::Source;
use crate::error::{Error, Result};

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
    /// The configuration with what the set itself decides.
    pub config: DataConfig,
}

impl SceneSet {
    /// Reads the set; the built-in one in blocks of rooms where `in_blocks` says so. What is left open in the
    /// configuration becomes `config` of the set, so that clouds to predict are made likewise: `normalize` and `color_range`
    /// where they are `auto`, and of S3DIS its features and the side of its blocks.
    ///
    /// # Errors
    /// A set that can't be opened at all.
    pub fn open(source: &Source, config: &DataConfig, in_blocks: bool) -> Result<Self> {
        let layout = match source {
            Source::Synthetic => None,
            Source::Folder(folder) => Some(
                Layout::detect(folder)
                    .ok_or_else(|| Error::invalid(folder.display().to_string(), layouts(), "none of these"))?,
            ),
        };
        let is_blocks = match layout {
            Some(Layout::S3dis) => true,
            Some(Layout::Gathered(layout)) => layout.is_s3dis,
            Some(_) => false,
            None => in_blocks,
        };
        let mut config = config.clone();
        config.normalize = config.normalize.or(Normalization::Cube);
        if is_blocks && config.features.is_empty() {
            config.features = s3dis::FEATURES.map(str::to_owned).to_vec();
        }
        if is_blocks && config.scenes.block == 0.0 {
            config.scenes.block = s3dis::BLOCK;
        }
        let (reading, scenes, lists) = (reading(&config)?, &config.scenes, config.lists());
        let mut opened = match (source, layout) {
            (Source::Folder(folder), Some(Layout::S3dis)) => s3dis::open(folder, scenes.area, &reading)?,
            (Source::Folder(folder), Some(Layout::ShapeNetPart)) => shapenet::open(folder, scenes, &lists, &reading)?,
            (Source::Folder(folder), Some(Layout::Gathered(layout))) => {
                own::open_gathered(layout, folder, scenes, &reading)?
            }
            (Source::Folder(folder), _) => own::open(folder, scenes, &lists, &reading)?,
            (Source::Synthetic, _) => {
                let area = is_blocks.then_some(scenes.area);
                synthetic::open(&config.synthetic, config.points, area, &reading)?
            }
        };
        let origin = match source {
            Source::Synthetic => "synthetic rooms (built in, not real data)".to_owned(),
            Source::Folder(folder) => format!("{} ({})", folder.display(), opened.division),
        };
        let items = opened.items.iter_mut().filter_map(|item| item.clouds.as_mut().ok());
        let mut files: Vec<&mut [Cloud]> = items.map(Vec::as_mut_slice).collect();
        let (range, noticed) = divide_colours(&mut files, config.color_range, &reading.features, &origin)?;
        config.color_range = range;
        Ok(Self { opened, reading, origin, noticed, layout: layout.map_or("none", Layout::name), config })
    }
}

/// How files become clouds by this configuration.
pub(super) fn reading(config: &DataConfig) -> Result<Reading> {
    let features = Features::parse(&config.features)?;
    let (normalization, block, intake) = (config.normalize, config.scenes.block, config.intake()?);
    Ok(Reading { features, normalization, block, intake })
}
