//! Which layout a folder of pictures has, judged by names alone.

use std::path::Path;

use super::decode::is_picture;
use crate::data::folders::{entries, folders};

/// What a folder of pictures may look like, for messages.
pub(in crate::data) const LAYOUTS: &str = "data_batch_1.bin to data_batch_5.bin, test_batch.bin and batches.meta.txt \
     (CIFAR-10), train.bin, test.bin and fine_label_names.txt (CIFAR-100), or {train,val}/<class>/FILE with files \
     .jpg .jpeg .png .webp";

/// What to do about the CIFAR files that Python programs read.
pub(in crate::data) const PICKLES: &str = "the Python version of CIFAR; what is read is the binary version";

/// How a folder stores its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum Layout {
    /// `data_batch_{1..5}.bin` and `test_batch.bin`.
    Cifar10,
    /// `train.bin` and `test.bin`.
    Cifar100,
    /// `{train,val}/<class>/FILE`.
    ClassFolders,
}

impl Layout {
    /// The layout that `folder` has.
    pub(in crate::data) fn detect(folder: &Path) -> Option<Self> {
        let names = entries(folder).ok()?;
        let has = |wanted: &dyn Fn(&str) -> bool| {
            names.iter().any(|path| path.file_name().is_some_and(|name| wanted(&name.to_string_lossy())))
        };
        if has(&|name| name.starts_with("data_batch_") && name.ends_with(".bin") || name == "test_batch.bin") {
            return Some(Self::Cifar10);
        }
        if has(&|name| name == "train.bin" || name == "test.bin") {
            return Some(Self::Cifar100);
        }
        has_pictures(&folder.join("train")).then_some(Self::ClassFolders)
    }
}

/// True where a class in `train` has a picture; reads no more folders than that needs.
fn has_pictures(train: &Path) -> bool {
    let in_class = |class: &Path| entries(class).is_ok_and(|files| files.iter().any(|file| is_picture(file)));
    folders(train).is_ok_and(|classes| classes.iter().any(|class| in_class(class)))
}

/// True for a folder of CIFAR files that Python programs read.
pub(in crate::data) fn is_pickled(folder: &Path) -> bool {
    let has = |names: [&str; 2]| names.iter().all(|name| folder.join(name).is_file());
    has(["data_batch_1", "batches.meta"]) || has(["train", "meta"])
}
