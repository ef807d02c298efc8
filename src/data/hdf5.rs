//! Datasets of HDF5 files, read whole, with errors that say what there is instead.

use std::path::Path;
use std::sync::Arc;

use hdf5_reader::messages::datatype::Datatype;
use hdf5_reader::storage::{BytesStorage, DynStorage, FileStorage};
use hdf5_reader::{Dataset, Hdf5File, OpenOptions};

use super::numpy::header::Element;
use super::numpy::value;
use super::scan::{show, show_names};
use crate::error::{Error, Result};
use crate::reading::{self, most_unpacked};
use crate::visible::visible_word;

/// Letters of a type in a message.
const LONGEST_TYPE: usize = 80;

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
        let found =
            if names.is_empty() { "no datasets".to_owned() } else { show_names(names.iter().map(String::as_str)) };
        return Err(Error::invalid(path, expected, found));
    }
    file.dataset(name).map_err(|error| unreadable(path, &format!("a dataset {name}"), error))
}

/// Integers of any type, also where they are stored as floats.
///
/// # Errors
/// Other numbers; values that are none; a file that is cut.
pub(super) fn read_labels(label: &Dataset, path: &Path) -> Result<Vec<i64>> {
    let whole = |value: f64| {
        let is_whole = value.fract() == 0.0 && value.abs() < i64::MAX as f64;
        is_whole.then_some(value as i64).ok_or_else(|| {
            let place = format!("{}: dataset {}", path.display(), shown(label));
            Error::invalid(place, "labels, which are integers", value.to_string())
        })
    };
    numbers(label, path)?.map(whole).collect()
}

/// All values of a dataset of any integer or float type, in the order of its rows, as 32 bits.
///
/// # Errors
/// Values of another type; a file that is cut.
pub(super) fn values(dataset: &Dataset, path: &Path) -> Result<Vec<f32>> {
    if !matches!(dataset.dtype(), Datatype::FloatingPoint { size: 4, .. }) {
        return Ok(numbers(dataset, path)?.map(|value| value as f32).collect());
    }
    let array = dataset.read_array::<f32>().map_err(|error| unreadable(path, &content(dataset), error))?;
    Ok(array.into_raw_vec_and_offset().0)
}

/// The same, without a loss.
fn numbers(dataset: &Dataset, path: &Path) -> Result<impl Iterator<Item = f64>> {
    let (kind, size) = match dataset.dtype() {
        Datatype::FloatingPoint { size, .. } if [2, 4, 8].contains(size) => (b'f', usize::from(*size)),
        Datatype::FixedPoint { size, signed, .. } if [1, 2, 4, 8].contains(size) => {
            (if *signed { b'i' } else { b'u' }, usize::from(*size))
        }
        other => {
            let found = visible_word(&format!("{other:?}").chars().take(LONGEST_TYPE).collect::<String>());
            let place = format!("{}: dataset {}", path.display(), shown(dataset));
            return Err(Error::invalid(place, "integers or floats of at most 64 bits", found)
                .with_hint("save it as numbers, for example with array.astype('float32')"));
        }
    };
    let bytes = dataset.read_native_bytes().map_err(|error| unreadable(path, &content(dataset), error))?;
    let element = Element { kind, size, is_big_endian: cfg!(target_endian = "big") };
    Ok((0..bytes.len() / size).map(move |row| value(&bytes[row * size..], element)))
}

fn content(dataset: &Dataset) -> String {
    format!("the values of dataset {}", shown(dataset))
}

fn shown(dataset: &Dataset) -> String {
    show(dataset.name().as_bytes())
}

/// The error of a dataset whose sizes are not as expected.
pub(super) fn wrong_shape(place: &str, dataset: &Dataset, expected: &str) -> Error {
    let sizes: Vec<String> = dataset.shape().iter().map(u64::to_string).collect();
    let place = format!("{place}: dataset {}", shown(dataset));
    let found = format!("({})", sizes.join(", "));
    // A few axes of many points.
    match *dataset.shape() {
        [_, axes @ 3..=9, points] if points > 9 && axes < points => {
            Error::invalid(place, format!("shape {expected}"), format!("{found}, which looks transposed"))
                .with_hint("save it with a point a row, for example array.transpose(0, 2, 1)")
        }
        _ => Error::invalid(place, format!("shape {expected}"), found),
    }
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
            Error::invalid(path, expected, error.to_string())
                .with_hint("if it is meant so, save the datasets uncompressed (h5repack -f NONE)")
        }
        error => Error::invalid(path, expected, error.to_string()).with_hint("the file may be cut: download it again"),
    }
}
