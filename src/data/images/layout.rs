//! Which layout a folder of pictures has, or an archive, judged by names alone.

use std::path::{Path, PathBuf};

use super::cifar::{self, FORMATS};
use super::decode::is_picture;
use super::packed::{first_known, is_archive};
use super::{folder, idx};
use crate::data::folders::{entries, extension, file_name, folders};

/// What a folder of pictures may look like, for messages.
pub(in crate::data) const LAYOUTS: &str = "CIFAR-10 or CIFAR-100 as published, in binary or for Python, unpacked or \
     .tar.gz; MNIST's train-images-idx3-ubyte and the files beside it; or {train,val}/<class>/FILE or <class>/FILE with \
     files .jpg .jpeg .png .webp .bmp .tif .tiff .gif";

/// Where sets of pictures lie in what is downloaded, or in the folder that programs download to. Those of a line are
/// the same set.
pub(in crate::data) const INNER: [&[&str]; 6] = [
    &["cifar-10-batches-bin", "cifar-10-batches-py", "cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"],
    &["cifar-100-binary", "cifar-100-python", "cifar-100-binary.tar.gz", "cifar-100-python.tar.gz"],
    &["raw", "MNIST/raw"],
    &["FashionMNIST/raw"],
    &["KMNIST/raw"],
    &["ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "CLS-LOC"],
];

/// What the files of shapes are called whose folders may hold pictures too, as textures.
const MESHES: [&str; 7] = ["obj", "off", "ply", "stl", "pcd", "dae", "glb"];

/// How pictures are stored.
#[derive(Clone, Copy)]
pub(super) enum Stored {
    /// CIFAR-10 or CIFAR-100.
    Cifar(&'static cifar::Format),
    /// MNIST, or what is stored as it is.
    Idx,
    /// A file per picture in folders of classes.
    ClassFolders,
}

/// How a folder or an archive stores pictures, and the place itself: the folder, or the only set in it.
pub(super) fn find(path: &Path) -> Option<(Stored, PathBuf)> {
    let here = |path: &Path| stored_in(path).map(|stored| (stored, path.to_owned()));
    here(path).or_else(|| {
        let of_set = |places: &&[&str]| places.iter().find_map(|place| here(&path.join(place)));
        let mut sets = INNER.iter().filter_map(of_set);
        sets.next().filter(|_| sets.next().is_none())
    })
}

fn stored_in(path: &Path) -> Option<Stored> {
    if is_archive(path) {
        return in_archive(path).map(Stored::Cifar);
    }
    let names: Vec<String> =
        entries(path).ok()?.iter().filter(|path| !path.is_dir()).map(|path| file_name(path)).collect();
    let is_there = |wanted: &str| names.iter().any(|name| name == wanted);
    if let Some(format) = FORMATS.iter().find(|format| format.is_among(is_there)) {
        return Some(Stored::Cifar(format));
    }
    if names.iter().any(|name| idx::is_train(name)) {
        return Some(Stored::Idx);
    }
    let found = match folder::train_part(path) {
        Some(train) => folders(&train).is_ok_and(|classes| classes.iter().any(|class| has_pictures(class))),
        None => are_classes(path),
    };
    found.then_some(Stored::ClassFolders)
}

/// An archive that can't be read is one of its name, so that reading it tells what is wrong.
fn in_archive(path: &Path) -> Option<&'static cifar::Format> {
    let known = |name: &str| FORMATS.iter().find(|format| format.has_records(name));
    first_known(path, known).unwrap_or_else(|_| {
        let is_hundred = file_name(path).contains("100");
        FORMATS.iter().find(|format| format.has_hundred_classes() == is_hundred)
    })
}

/// True for a folder with two classes or more that hold pictures, and these not as textures of meshes.
fn are_classes(folder: &Path) -> bool {
    let is_mesh = |path: &PathBuf| MESHES.contains(&&*extension(path));
    let is_class = |class: &&PathBuf| {
        let files = entries(class).unwrap_or_default();
        !files.iter().any(is_mesh)
            && (files.iter().any(|file| is_picture(file))
                || folder::train_folder(class).is_some_and(|part| has_pictures(&part)))
    };
    folders(folder).is_ok_and(|classes| classes.iter().filter(is_class).take(2).count() == 2)
}

/// True where a picture lies in the folder, or in the only folder in it.
fn has_pictures(folder: &Path) -> bool {
    folder::pictures_below(folder).is_ok_and(|(pictures, _)| !pictures.is_empty())
}
