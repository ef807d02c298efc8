//! Files of one shape each: which formats are read and written, and what every reader gives.
//!
//! One file per format. A reader turns bytes into named columns and, for a mesh, triangles; what a shape must
//! satisfy (finite numbers, enough points, some area) stands in `shape`, the same for all.

pub(in crate::data) mod columns;
mod las;
mod laz;
mod numpy;
mod obj;
mod off;
mod pcd;
mod ply;
mod stl;
#[cfg(test)]
mod tests;
mod text;
mod write;

use std::path::Path;

use crate::data::scan::show_names;
use crate::error::{Error, Result};
use crate::files;
use crate::reading;

pub(crate) use laz::unpack_where_asked;

/// What a file holds: columns of one value per point (or vertex), and triangles where it is a mesh.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::data) struct Raw {
    /// Name and values, in the file's order. Names are lower case: `x`, `y`, `z`; `nx`, `ny`, `nz` for normals;
    /// `red`, `green`, `blue`, from 0 to 1 where the file stores bytes; columns without names are called by their
    /// number, counted from 0, but for the first three, which are x, y and z. No name stands twice, and all columns
    /// are of one length.
    pub columns: Vec<(String, Vec<f64>)>,
    /// Corners as positions of vertices, checked against nothing yet; a file without any is a cloud. Polygons are
    /// fanned, and faces of fewer than three corners left out.
    pub triangles: Vec<[u64; 3]>,
    /// The names that a column of labels holds; its values are positions among them, NaN where there is none.
    pub words: Vec<(String, Vec<String>)>,
    /// What the type of a column says of its colours; of columns of other types, the range of the set says it.
    pub scales: Vec<(String, Scale)>,
    /// Bytes after the end of what the header speaks of.
    pub trailing: usize,
    /// Whether its first line numbers the columns, and is no point.
    pub is_numbered: bool,
    /// Whether its first column, which has no name, counts the points, and is no axis.
    pub counts_points: bool,
}

/// The range of colours in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum Scale {
    /// 0 to 1.
    Unit,
    /// 0 to 255: of 8 bits each, not divided yet.
    Byte,
    /// As the set says, but not 0 to 1: of other integers, and of texts that write all values as such.
    Whole,
    /// 0 to 65535, or to 255 where larger types than needed were chosen: of 16 bits each.
    Word,
}

impl Raw {
    /// What the type of this column says of its colours.
    pub(in crate::data) fn scale(&self, name: &str) -> Option<Scale> {
        self.scales.iter().find(|(column, _)| column == name).map(|(_, scale)| *scale)
    }

    /// The names that this column holds, if it holds names.
    pub(in crate::data) fn words(&self, name: &str) -> Option<&[String]> {
        self.words.iter().find(|(column, _)| column == name).map(|(_, words)| words.as_slice())
    }

    /// The same where a layout says what its columns are: they go by their numbers, even if the first counts the points.
    pub(in crate::data) fn by_number(mut self) -> Self {
        if !self.counts_points {
            return self;
        }
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let numbered = |name: &String| {
            let position = names.iter().position(|known| known == name);
            position.map_or_else(|| name.clone(), |position| columns::Column::numbered(position).name)
        };
        self.columns.iter_mut().for_each(|(name, _)| *name = numbered(name));
        self.scales.iter_mut().for_each(|(name, _)| *name = numbered(name));
        self.words.iter_mut().for_each(|(name, _)| *name = numbered(name));
        Self { counts_points: false, ..self }
    }

    /// Where the column of this name stands.
    pub(in crate::data) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, _)| column == name)
    }

    /// The values of this column.
    pub(in crate::data) fn column(&self, name: &str) -> Option<&[f64]> {
        self.position(name).map(|at| self.columns[at].1.as_slice())
    }

    /// How many points, or vertices, there are.
    pub(in crate::data) fn points(&self) -> usize {
        self.columns.first().map_or(0, |(_, values)| values.len())
    }

    /// The names of its columns, for messages.
    pub(in crate::data) fn names(&self) -> String {
        match show_names(self.columns.iter().map(|(name, _)| name.as_str())) {
            none if none.is_empty() => "no columns".to_owned(),
            names => names,
        }
    }
}

/// A file format of shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::data) enum Format {
    /// Object File Format: meshes of Geomview and of Princeton's ModelNet.
    Off,
    /// Wavefront OBJ: meshes.
    Obj,
    /// Stanford's polygon format: clouds and meshes.
    Ply,
    /// Stereolithography: meshes.
    Stl,
    /// Point Cloud Data of the Point Cloud Library.
    Pcd,
    /// Laser scans of the ASPRS, also compressed.
    Las,
    /// Arrays of NumPy, alone or in an archive.
    Numpy,
    /// Tables of numbers.
    Text,
}

impl Format {
    /// Every format, for messages.
    pub(in crate::data) const ALL: [Self; 8] =
        [Self::Off, Self::Obj, Self::Ply, Self::Stl, Self::Pcd, Self::Las, Self::Numpy, Self::Text];

    /// The extensions of its files, lower case.
    pub(in crate::data) fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Off => &["off"],
            Self::Obj => &["obj"],
            Self::Ply => &["ply"],
            Self::Stl => &["stl"],
            Self::Pcd => &["pcd"],
            Self::Las => &["las", "laz"],
            Self::Numpy => &["npy", "npz"],
            Self::Text => &["xyz", "txt", "csv", "pts", "asc"],
        }
    }

    /// The format of a file, by its extension in any case; a `README.txt` explains shapes and is none.
    pub(in crate::data) fn of(path: &Path) -> Option<Self> {
        if path.file_stem()?.eq_ignore_ascii_case("readme") {
            return None;
        }
        let extension = path.extension()?.to_str()?.to_lowercase();
        Self::ALL.into_iter().find(|format| format.extensions().contains(&extension.as_str()))
    }

    /// Reads the content of a file, which messages call `place`.
    pub(in crate::data) fn parse(self, bytes: &[u8], place: &str) -> Result<Raw> {
        match self {
            Self::Off => off::parse(bytes, place),
            Self::Obj => obj::parse(bytes, place),
            Self::Ply => ply::parse(bytes, place),
            Self::Stl => stl::parse(bytes, place),
            Self::Pcd => pcd::parse(bytes, place),
            Self::Las => las::parse(bytes, place),
            Self::Numpy => numpy::parse(bytes, place),
            Self::Text => text::parse(bytes, place),
        }
    }
}

/// The extensions of all formats, for messages.
pub(in crate::data) fn known_extensions() -> String {
    let extensions = Format::ALL.iter().flat_map(|format| format.extensions());
    extensions.map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(" ")
}

/// True for a name with the extension of a shape.
pub(in crate::data) fn is_shape(path: &Path) -> bool {
    Format::of(path).is_some()
}

/// Reads a folder of NumPy arrays as an archive of them.
///
/// # Errors
/// As [`read`].
pub(in crate::data) fn read_folder(folder: &Path) -> Result<Raw> {
    numpy::read_folder(folder)
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
    let bytes = reading::bytes(path)?;
    format.parse(&bytes, &place)
}

/// Writes a shape as OFF, OBJ, PLY (binary), PCD (compressed), NPY, XYZ or CSV, by the extension of `path`; all
/// columns must have one length. NPY and XYZ keep no names.
///
/// # Errors
/// Another extension, a shape that the format can't hold, and [`Error::Write`].
pub(in crate::data) fn write(path: &Path, raw: &Raw) -> Result<()> {
    files::write_atomically(path, &write::bytes(path, raw)?)
}
