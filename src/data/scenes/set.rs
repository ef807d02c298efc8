//! A set of labelled clouds as it lies somewhere, read: its classes, its clouds, and which of them can't be used.

use super::cloud::{Cloud, Reading, divide_colours};
use super::config::SceneDataConfig;
use super::item::Opened;
use super::layout::{Layout, layouts};
use super::{own, s3dis, shapenet, synthetic};
use crate::data::config::{DataConfig, Section};
use crate::data::points::augmentation::Normalization;
use crate::data::points::clouds::Clouds;
use crate::data::points::colours::Noticed;
use crate::data::points::features::Features;
use crate::data::source::Source;
use crate::error::{Error, Result};

/// A set that was found and read.
#[derive(Debug)]
pub(super) struct SceneSet {
    pub opened: Opened,
    /// What was noticed in its files.
    pub noticed: Noticed,
    /// Where it comes from, in words.
    pub origin: String,
    /// How it is stored, in words.
    pub layout: &'static str,
    /// The section with what the set itself decides.
    pub resolved: Resolved,
}

/// What `[data]` says of labelled clouds.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub clouds: Clouds,
    pub scenes: SceneDataConfig,
    /// The names of the features.
    features: Vec<String>,
}

impl Resolved {
    /// As it stands there.
    ///
    /// # Errors
    /// Features, columns or a share that won't do.
    pub fn of(config: &DataConfig) -> Result<Self> {
        Ok(Self { clouds: config.clouds()?, scenes: config.scenes.clone(), features: config.features.clone() })
    }

    /// The configuration with these values.
    pub fn written(self, config: &DataConfig) -> DataConfig {
        DataConfig { features: self.features, scenes: self.scenes, ..config.resolved(&self.clouds) }
    }

    /// How files become clouds.
    pub fn reading(&self) -> Reading {
        let Clouds { features, intake, normalize, .. } = self.clouds.clone();
        Reading { features, normalization: normalize, block: self.scenes.block, intake }
    }
}

impl SceneSet {
    /// Reads the set; the built-in one in blocks of rooms where `in_blocks` says so. What is left open in the
    /// section becomes `resolved` of the set, so that clouds to predict are made likewise: `normalize` and `color_range`
    /// where they are `auto`, and of S3DIS its features and the side of its blocks.
    ///
    /// # Errors
    /// A set that can't be opened at all.
    pub fn open(source: &Source, section: Section<'_, Resolved>, in_blocks: bool) -> Result<Self> {
        let layout = match source {
            Source::Synthetic => None,
            Source::Folder(folder) => {
                Some(Layout::detect(folder).ok_or_else(|| Error::invalid(folder, layouts(), "none of these"))?)
            }
        };
        let is_blocks = match layout {
            Some(Layout::S3dis) => true,
            Some(Layout::Gathered(layout)) => layout.is_s3dis,
            Some(_) => false,
            None => in_blocks,
        };
        let (mut resolved, lists) = (section.own, section.lists);
        resolved.clouds = resolved.clouds.normalized(Normalization::Cube);
        if is_blocks && resolved.features.is_empty() {
            resolved.features = s3dis::FEATURES.map(str::to_owned).to_vec();
            resolved.clouds.features = Features::parse(&resolved.features)?;
        }
        if is_blocks && resolved.scenes.block == 0.0 {
            resolved.scenes.block = s3dis::BLOCK;
        }
        let (reading, scenes) = (resolved.reading(), &resolved.scenes);
        let mut opened = match (source, layout) {
            (Source::Folder(folder), Some(Layout::S3dis)) => s3dis::open(folder, scenes.area, &reading)?,
            (Source::Folder(folder), Some(Layout::ShapeNetPart)) => shapenet::open(folder, scenes, &lists, &reading)?,
            (Source::Folder(folder), Some(Layout::Gathered(layout))) => {
                own::open_gathered(layout, folder, scenes, &reading)?
            }
            (Source::Folder(folder), _) => own::open(folder, scenes, &lists, &reading)?,
            (Source::Synthetic, _) => {
                let area = is_blocks.then_some(scenes.area);
                synthetic::open(section.synthetic, resolved.clouds.points, area, &reading)?
            }
        };
        let origin = match source {
            Source::Synthetic => "synthetic rooms (built in, not real data)".to_owned(),
            Source::Folder(folder) => format!("{} ({})", folder.display(), opened.division),
        };
        let items = opened.items.iter_mut().filter_map(|item| item.clouds.as_mut().ok());
        let mut files: Vec<&mut [Cloud]> = items.map(Vec::as_mut_slice).collect();
        let (range, noticed) = divide_colours(&mut files, resolved.clouds.color_range, &reading.features, &origin)?;
        resolved.clouds.color_range = range;
        Ok(Self { opened, origin, noticed, layout: layout.map_or("none", Layout::name), resolved })
    }
}
