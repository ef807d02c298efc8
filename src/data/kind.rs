//! What a sample is, a shape, a picture, a graph or a labelled cloud: what it is called, and the names that its files have.

use std::path::Path;

use serde::Serialize;

use super::{graphs, images, points, scenes};
use crate::batch::BatchKind;
use crate::error::{Error, Result};

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// A cloud or a mesh.
    Shapes,
    /// A picture.
    Pictures,
    /// A graph whose nodes have labels.
    Graphs,
    /// A cloud with a class for every point.
    Scenes,
}

impl SampleKind {
    /// All.
    pub const ALL: [Self; 4] = [Self::Shapes, Self::Pictures, Self::Graphs, Self::Scenes];

    /// What samples are called.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Shapes => "shapes",
            Self::Pictures => "pictures",
            Self::Graphs => "graphs",
            Self::Scenes => "labelled clouds",
        }
    }

    /// What batches of them hold.
    pub fn batch(self) -> BatchKind {
        match self {
            Self::Shapes | Self::Scenes => BatchKind::Points,
            Self::Pictures => BatchKind::Images,
            Self::Graphs => BatchKind::Graphs,
        }
    }

    /// As `--kind` takes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Scenes => "scenes",
            _ => self.plural(),
        }
    }

    /// What has a class or labels: the samples themselves, or the nodes of graphs.
    pub fn targets(self) -> &'static str {
        match self {
            Self::Graphs => "nodes",
            Self::Scenes => "points",
            Self::Shapes | Self::Pictures => self.plural(),
        }
    }

    /// What one is called, with its article.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Shapes => "a shape",
            Self::Pictures => "a picture",
            Self::Graphs => "a graph",
            Self::Scenes => "a labelled cloud",
        }
    }

    /// The extensions of its files, for messages; graphs are folders.
    pub fn known_extensions(self) -> String {
        match self {
            Self::Shapes | Self::Scenes => points::known_extensions(),
            Self::Pictures => images::known_extensions(),
            Self::Graphs => graphs::layout::LAYOUTS.to_owned(),
        }
    }

    /// True for a file that has one of these extensions, and alone is a sample.
    pub fn knows(self, path: &Path) -> bool {
        match self {
            Self::Shapes => points::is_shape(path),
            Self::Scenes => scenes::is_cloud(path),
            Self::Pictures => images::is_picture(path),
            Self::Graphs => false,
        }
    }

    /// Refuses a file whose name says that it is of another kind.
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
            Self::Graphs => graphs::layout::LAYOUTS,
            Self::Scenes => scenes::layout::LAYOUTS,
        }
    }

    /// The fewest samples of a training batch: batch norm needs two rows, and a graph has one per node,
    /// a labelled cloud one per point.
    pub fn smallest_training_batch(self) -> usize {
        match self {
            Self::Shapes | Self::Pictures => 2,
            Self::Graphs | Self::Scenes => 1,
        }
    }
}
