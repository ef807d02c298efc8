//! What a sample is, a shape or a picture: what it is called, and the names that its files have.

use std::path::Path;

use serde::Serialize;

use super::config::DataConfig;
use super::{images, points};
use crate::error::{Error, Result};

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// A cloud or a mesh.
    Shapes,
    /// A picture.
    Pictures,
}

impl SampleKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Shapes, Self::Pictures];

    /// What samples are called.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Shapes => "shapes",
            Self::Pictures => "pictures",
        }
    }

    /// What one is called, with its article.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Shapes => "a shape",
            Self::Pictures => "a picture",
        }
    }

    /// The extensions of its files, for messages.
    pub fn known_extensions(self) -> String {
        match self {
            Self::Shapes => points::known_extensions(),
            Self::Pictures => images::known_extensions(),
        }
    }

    /// True for a file that has one of these extensions.
    pub fn knows(self, path: &Path) -> bool {
        match self {
            Self::Shapes => points::is_shape(path),
            Self::Pictures => images::is_picture(path),
        }
    }

    /// Refuses a file whose name says that it is of the other kind.
    ///
    /// # Errors
    /// Such a file.
    pub(super) fn require(self, path: &Path) -> Result<()> {
        match Self::ALL.into_iter().find(|other| *other != self && other.knows(path)) {
            Some(other) if !self.knows(path) => {
                let expected = format!("{} ({})", self.singular(), self.known_extensions());
                Err(Error::invalid(path.display().to_string(), expected, other.singular())
                    .with_hint(format!("the network was trained on {}", self.plural())))
            }
            _ => Ok(()),
        }
    }

    /// What a folder of a set may look like, for messages.
    pub(super) fn layouts(self) -> &'static str {
        match self {
            Self::Shapes => points::LAYOUTS,
            Self::Pictures => images::layout::LAYOUTS,
        }
    }

    /// Numbers per point or pixel that the network takes.
    ///
    /// # Errors
    /// Features that come twice, or are the position's.
    pub fn channels(self, config: &DataConfig) -> Result<i64> {
        match self {
            Self::Shapes => config.channels(),
            Self::Pictures => Ok(images::CHANNELS),
        }
    }
}
