//! Which layout a folder of shapes has, judged by names alone.

use std::path::Path;

use super::class_folder::is_one;
use crate::data::folders::has_extension;

/// What a folder of shapes may look like, for messages.
pub(super) const LAYOUTS: &str = "ply_data_train*.h5, ply_data_test*.h5 and shape_names.txt, or folders of classes: \
     <class>/{train,test}/FILE, {train,test}/<class>/FILE or <class>/FILE";

/// How a folder stores its shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `ply_data_{train,test}*.h5` and `shape_names.txt`.
    ModelNetHdf5,
    /// Folders of classes with a file per shape.
    ClassFolders,
}

impl Layout {
    /// The layout that `folder` has.
    pub(super) fn detect(folder: &Path) -> Option<Self> {
        match has_extension(folder, "h5") {
            true => Some(Self::ModelNetHdf5),
            false => is_one(folder).then_some(Self::ClassFolders),
        }
    }
}
