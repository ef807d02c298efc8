//! How a folder of labelled clouds may look.

use std::path::Path;

/// In words, for messages.
pub const LAYOUTS: &str = "S3DIS's HDF5 files with all_files.txt and room_filelist.txt";

/// How a folder stores its clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `ply_data_all_*.h5` with `all_files.txt` and `room_filelist.txt`.
    S3disHdf5,
}

impl Layout {
    /// The layout that `folder` has, judged by names alone.
    pub fn detect(folder: &Path) -> Option<Self> {
        folder.join("room_filelist.txt").is_file().then_some(Self::S3disHdf5)
    }
}
