//! Which layout a folder of shapes has, judged by names alone.

use std::path::Path;

use super::{class_folder, hdf5_set};

/// What a folder of shapes may look like, for messages.
pub(super) const LAYOUTS: &str = "ply_data_train*.h5, ply_data_test*.h5 and shape_names.txt, or the like in HDF5, or folders of classes: \
     <class>/{train,test}/FILE, {train,test}/<class>/FILE, <class>/FILE or, one file each, <class>/<shape>/FILE";

/// How a folder stores its shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// HDF5 files, each of a part, and perhaps `shape_names.txt`.
    Hdf5,
    /// Folders of classes with a file per shape.
    ClassFolders,
}

impl Layout {
    /// The layout that `folder` has.
    pub(super) fn detect(folder: &Path) -> Option<Self> {
        let (has_hdf5, has_parts) = hdf5_set::is_one(folder);
        match has_parts {
            false if class_folder::is_one(folder) => Some(Self::ClassFolders),
            _ => has_hdf5.then_some(Self::Hdf5),
        }
    }
}
