//! What `[data]` says of clouds and meshes, with labels or without: read once, for all files of a set.

use super::augmentation::{Augmentation, Normalization, PointOrder};
use super::colours::ColorRange;
use super::features::Features;
use super::intake::Intake;

/// Keys of `[data]` that are of points, read and checked.
#[derive(Debug, Clone)]
pub(in crate::data) struct Clouds {
    /// Points per cloud.
    pub points: usize,
    /// What a point has besides its position.
    pub features: Features,
    /// What becomes of the columns of files, and of invalid points.
    pub intake: Intake,
    /// The range of colours whose type does not say it.
    pub color_range: ColorRange,
    /// Position and size.
    pub normalize: Normalization,
    /// Random changes in training.
    pub augmentation: Augmentation,
    /// Which points of a larger cloud are taken.
    pub order: PointOrder,
}

impl Clouds {
    /// The same with what `auto` means for a set.
    pub fn normalized(self, usual: Normalization) -> Self {
        Self { normalize: self.normalize.or(usual), ..self }
    }

    /// How its clouds are looked at.
    pub fn preparation(&self) -> Preparation {
        Preparation {
            points: self.points,
            channels: self.features.channels(),
            normals: self.features.normals(),
            order: self.order,
            augmentation: self.augmentation,
        }
    }
}

/// How clouds are looked at.
#[derive(Debug, Clone, Copy)]
pub(in crate::data) struct Preparation {
    pub points: usize,
    pub channels: usize,
    /// The first channel of the normals.
    pub normals: Option<usize>,
    pub order: PointOrder,
    pub augmentation: Augmentation,
}
