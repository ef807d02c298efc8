//! Datasets of HDF5 files, read whole, with errors that say what there is instead.

use std::path::Path;
use std::sync::Arc;

use hdf5_reader::messages::datatype::Datatype;
use hdf5_reader::storage::{BytesStorage, DynStorage, FileStorage};
use hdf5_reader::{Dataset, H5Type, Hdf5File, OpenOptions};

use crate::error::{Error, Result};
use crate::reading::{self, most_unpacked};

/// The most bytes of a chunk, of which every thread unpacks one: usual ones have a few MiB.
const MOST_CHUNK: usize = 256 << 20;

/// The most bytes that describe one dataset or group: usual ones are a few KiB.
const MOST_HEADER: usize = 4 << 20;

/// # Errors
/// A file that can't be read or is not HDF5.
pub(super) fn open(path: &Path) -> Result<Hdf5File> {
    let file = reading::open(path)?;
    let size = file.metadata().map_err(|error| Error::read(path, error))?.len();
    let storage = FileStorage::from_file(file).map_err(|error| unreadable(path, "an HDF5 file", error))?;
    open_storage(Arc::new(storage), size, path)
}

/// The file with this content, which messages call `path`.
///
/// # Errors
/// What is no HDF5 file.
pub(super) fn from_bytes(content: Vec<u8>, path: &Path) -> Result<Hdf5File> {
    let size = content.len() as u64;
    open_storage(Arc::new(BytesStorage::new(content)), size, path)
}

/// What a dataset holds is at most what a file of this size can: its sizes are a claim, and chunks may be compressed or
/// never written.
fn open_storage(storage: DynStorage, size: u64, path: &Path) -> Result<Hdf5File> {
    let most = usize::try_from(most_unpacked(size)).unwrap_or(usize::MAX);
    let options = OpenOptions::default().with_max_read_bytes(most).with_max_chunk_bytes(most.min(MOST_CHUNK));
    let options = options.with_max_object_header_bytes(MOST_HEADER);
    Hdf5File::from_storage_with_options(storage, options).map_err(|error| unreadable(path, "an HDF5 file", error))
}

/// The names of the datasets.
///
/// # Errors
/// A file that is cut.
pub(super) fn names(file: &Hdf5File, path: &Path) -> Result<Vec<String>> {
    let members = file.root_group().and_then(|root| root.member_names());
    Ok(members.map_err(|error| unreadable(path, "named datasets", error))?.1)
}

/// One dataset; `expected` says which the file should have.
///
/// # Errors
/// A file without it.
pub(super) fn dataset(file: &Hdf5File, path: &Path, name: &str, expected: &str) -> Result<Dataset> {
    let names = names(file, path)?;
    if !names.iter().any(|found| found == name) {
        let found = if names.is_empty() { "no datasets".to_owned() } else { names.join(", ") };
        return Err(Error::invalid(path.display().to_string(), expected, found));
    }
    file.dataset(name).map_err(|error| unreadable(path, &format!("a dataset {name}"), error))
}

/// Integers of any type, widened.
///
/// # Errors
/// Other numbers, or wider ones; a file that is cut.
pub(super) fn read_labels(label: &Dataset, path: &Path) -> Result<Vec<i64>> {
    fn widen<T: H5Type + Into<i64>>(label: &Dataset, path: &Path) -> Result<Vec<i64>> {
        Ok(values::<T>(label, path, "integers")?.into_iter().map(Into::into).collect())
    }
    match label.dtype() {
        Datatype::FixedPoint { size: 1, signed: false, .. } => widen::<u8>(label, path),
        Datatype::FixedPoint { size: 1, signed: true, .. } => widen::<i8>(label, path),
        Datatype::FixedPoint { size: 2, signed: false, .. } => widen::<u16>(label, path),
        Datatype::FixedPoint { size: 2, signed: true, .. } => widen::<i16>(label, path),
        Datatype::FixedPoint { size: 4, signed: false, .. } => widen::<u32>(label, path),
        Datatype::FixedPoint { size: 4, signed: true, .. } => widen::<i32>(label, path),
        _ => values::<i64>(label, path, "integers of at most 8 bytes"),
    }
}

/// All values of a dataset, in the order of its rows.
///
/// # Errors
/// Values of another type; a file that is cut.
pub(super) fn values<T: H5Type>(dataset: &Dataset, path: &Path, expected: &str) -> Result<Vec<T>> {
    let array = dataset
        .read_array::<T>()
        .map_err(|error| unreadable(path, &format!("{expected} in dataset {}", dataset.name()), error))?;
    Ok(array.into_raw_vec_and_offset().0)
}

/// The error of a dataset whose sizes are not as expected.
pub(super) fn wrong_shape(place: &str, dataset: &Dataset, expected: &str) -> Error {
    let sizes: Vec<String> = dataset.shape().iter().map(u64::to_string).collect();
    let place = format!("{place}: dataset {}", dataset.name());
    Error::invalid(place, format!("shape {expected}"), format!("({})", sizes.join(", ")))
}

/// Whether a limit refused what the file claims.
fn is_limit(error: &hdf5_reader::error::Error) -> bool {
    match error {
        hdf5_reader::error::Error::Context { source, .. } => is_limit(source),
        hdf5_reader::error::Error::ResourceLimit(_) => true,
        _ => false,
    }
}

fn unreadable(path: &Path, expected: &str, error: hdf5_reader::error::Error) -> Error {
    match error {
        hdf5_reader::error::Error::Io(error) => Error::read(path, error),
        error if is_limit(&error) => {
            let expected = format!("{expected}, not larger than a file of this size can hold");
            Error::invalid(path.display().to_string(), expected, error.to_string())
                .with_hint("if it is meant so, save the datasets uncompressed (h5repack -f NONE)")
        }
        error => Error::invalid(path.display().to_string(), expected, error.to_string())
            .with_hint("the file may be cut: download it again"),
    }
}
