//! Files of one shape each: which formats are read, and what every reader gives.
//!
//! One file per format. A reader turns bytes into named columns and, for a mesh, triangles; what a shape must
//! satisfy (finite numbers, enough points, some area) stands in `shape`, the same for all.

pub(super) mod pcd;

use std::path::Path;

use crate::error::{Error, Result};

/// What a file holds: columns of one value per point (or vertex), and triangles where it is a mesh.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::data) struct Raw {
    /// Name and values, in the file's order. Names are lower case: `x`, `y`, `z`; `nx`, `ny`, `nz` for normals;
    /// `red`, `green`, `blue` from 0 to 1 where the file stores bytes; columns without names are called by their
    /// number, counted from 0, but for the first three, which are x, y and z.
    pub columns: Vec<(String, Vec<f64>)>,
    /// Corners as positions of vertices, checked against nothing yet; a file without any is a cloud.
    pub triangles: Vec<[u64; 3]>,
}

/// A file format of shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::data) enum Format {
    /// Point Cloud Data of the Point Cloud Library.
    Pcd,
}

impl Format {
    /// Every format, for messages.
    pub(in crate::data) const ALL: [Self; 1] = [Self::Pcd];

    /// The extensions of its files, lower case.
    pub(in crate::data) fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Pcd => &["pcd"],
        }
    }

    /// The format of a file, by its extension in any case.
    pub(in crate::data) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_lowercase();
        Self::ALL.into_iter().find(|format| format.extensions().contains(&extension.as_str()))
    }
}

/// Reads a file of a known format.
///
/// # Errors
/// A file that can't be read, is cut, or is not of its format: with its name and where in it.
pub(in crate::data) fn read(path: &Path) -> Result<Raw> {
    let place = path.display().to_string();
    let Some(format) = Format::of(path) else {
        let known: Vec<&str> = Format::ALL.iter().flat_map(|format| format.extensions()).copied().collect();
        return Err(Error::invalid(place, format!("a file named *.{}", known.join(", *.")), "another extension"));
    };
    let bytes = std::fs::read(path).map_err(|error| Error::read(path, error))?;
    match format {
        Format::Pcd => pcd::parse(&bytes, &place),
    }
}
