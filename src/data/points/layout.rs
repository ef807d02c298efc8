//! Which layout a folder of shapes has, judged by names alone.

use std::path::Path;

use super::{class_folder, hdf5_set};

/// What a folder of shapes may look like, for messages.
pub(super) const LAYOUTS: &str = "HDF5 files that name their part (ply_data_train*.h5, ply_data_test*.h5) and perhaps \
     shape_names.txt, or folders of classes: <class>/{train,test}/FILE, {train,test}/<class>/FILE, \
     <class>/FILE or, one file each, <class>/<shape>/FILE";

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
        if !has_parts && class_folder::is_one(folder) {
            return Some(Self::ClassFolders);
        }
        has_hdf5.then_some(Self::Hdf5)
    }
}
