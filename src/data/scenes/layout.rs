//! Which layout a folder of labelled clouds has, judged by names alone.

use std::path::Path;

use super::gathered::{self, Gathered};
use super::own::is_one;
use super::s3dis::{FILES, ROOMS};
use super::shapenet::CATEGORIES;
use crate::data::folders::{entries, file_name};
use crate::reading;

/// What a folder of labelled clouds may look like, for messages.
pub(super) fn layouts() -> String {
    let others: Vec<&str> = gathered::LAYOUTS.iter().map(|layout| layout.files).collect();
    format!(
        "ply_data_all_*.h5, all_files.txt and room_filelist.txt (S3DIS), synsetoffset2category.txt and folders of its numbers \
         (ShapeNet's parts), {}, or clouds with a column of labels: {{train,val,test}}/FILE or FILE",
        others.join(", ")
    )
}

/// How a folder stores its clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum Layout {
    /// `ply_data_all_*.h5`, `all_files.txt` and `room_filelist.txt`.
    S3dis,
    /// `<number>/FILE.txt`, or `<number>/points/FILE.pts` and `<number>/points_label/FILE.seg`.
    ShapeNetPart,
    /// One of the layouts of a table.
    Gathered(&'static Gathered),
    /// Clouds with labels in files of their own.
    Clouds,
}

impl Layout {
    /// The layout that `folder` has, also where some of its files are missing: that is told when they are read.
    pub(in crate::data) fn detect(folder: &Path) -> Option<Self> {
        let has = |names: &[&str]| names.iter().any(|name| reading::is_there(&folder.join(name)));
        let has_blocks = || entries(folder).is_ok_and(|found| found.iter().any(|path| is_blocks(path)));
        if has(&[ROOMS, FILES]) || has_blocks() {
            return Some(Self::S3dis);
        }
        if has(&[CATEGORIES]) {
            return Some(Self::ShapeNetPart);
        }
        let gathered = Gathered::detect(folder).map(Self::Gathered);
        gathered.or_else(|| is_one(folder).then_some(Self::Clouds))
    }

    /// In words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::S3dis => "S3DIS (HDF5)",
            Self::ShapeNetPart => "ShapeNet-part",
            Self::Gathered(layout) => layout.name,
            Self::Clouds => "labelled clouds",
        }
    }
}

/// True for the name of a file of blocks.
fn is_blocks(path: &Path) -> bool {
    file_name(path).starts_with("ply_data_all_") && path.extension().is_some_and(|extension| extension == "h5")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::folders::tests::folder;

    #[test]
    fn a_layout_is_known_by_its_files() {
        let of = |names: &[&str]| Layout::detect(folder(names).path());
        assert_eq!(of(&["room_filelist.txt", "ply_data_all_0.h5"]), Some(Layout::S3dis));
        assert_eq!(of(&["ply_data_all_0.h5"]), Some(Layout::S3dis));
        assert_eq!(of(&["synsetoffset2category.txt", "02954340/a.txt"]), Some(Layout::ShapeNetPart));
        assert_eq!(of(&["train/a.ply", "test/b.ply", "classes.txt"]), Some(Layout::Clouds));
        assert_eq!(of(&["a.ply", "classes.txt"]), Some(Layout::Clouds));
        assert_eq!(of(&["train/office/a.ply", "test/office/b.ply"]), Some(Layout::Clouds));
        let others: [&[&str]; 4] = [
            &["classes.txt", "test.txt", "train.txt"],
            &["cup/a.ply", "test.txt"],
            &["shape_names.txt", "ply_data_train0.h5"],
            &["README.txt"],
        ];
        others.iter().for_each(|names| assert_eq!(of(names), None, "{names:?}"));
        assert_eq!(Layout::detect(Path::new("nowhere")), None);
    }
}
