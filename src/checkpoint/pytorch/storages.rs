//! How PyTorch's files keep numbers: storages, each a row of elements of one type, and tensors as views of them.
//!
//! In a ZIP archive every storage is a file. The format before is a row of pickles (a magic number, the protocol, what
//! machine wrote it, the object, the keys of the storages), behind which the storages follow, each with its length.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::ops::Range;

use tch::{Kind, Tensor};
use zip::ZipArchive;

use crate::error::{Error, Result};
use crate::pickle::{self, Value};
use crate::reading::most_unpacked;

/// The long integer that the format before ZIP begins with, as every protocol writes it.
const MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Within so many bytes it stands, behind the protocol and a frame's length.
const HEAD: usize = 32;

/// The version of the format before ZIP.
const VERSION: i64 = 1001;

/// Dimensions of a tensor; PyTorch has no more.
const MOST_DIMENSIONS: usize = 64;

/// What tensors that are views may take besides the size of the file.
const LEAST_BYTES: u64 = 16 << 20;

/// Types of elements by the class of the storage: as libtorch has them, and their bytes.
const KINDS: [(&str, Kind, usize); 10] = [
    ("torch.FloatStorage", Kind::Float, 4),
    ("torch.DoubleStorage", Kind::Double, 8),
    ("torch.HalfStorage", Kind::Half, 2),
    ("torch.BFloat16Storage", Kind::BFloat16, 2),
    ("torch.LongStorage", Kind::Int64, 8),
    ("torch.IntStorage", Kind::Int, 4),
    ("torch.ShortStorage", Kind::Int16, 2),
    ("torch.CharStorage", Kind::Int8, 1),
    ("torch.ByteStorage", Kind::Uint8, 1),
    ("torch.BoolStorage", Kind::Bool, 1),
];

pub fn is_zip(content: &[u8]) -> bool {
    content.starts_with(b"PK\x03\x04") || content.starts_with(b"PK\x05\x06")
}

pub fn is_row(content: &[u8]) -> bool {
    after_magic(content).is_some()
}

/// PyTorch 0.1 wrote TAR archives.
pub fn is_tar(content: &[u8]) -> bool {
    content.get(257..262) == Some(b"ustar")
}

/// The bytes up to the end of the magic number.
fn after_magic(content: &[u8]) -> Option<usize> {
    let head = &content[..content.len().min(HEAD)];
    let at = head.windows(MAGIC.len()).position(|window| window == MAGIC)?;
    (content.first() == Some(&0x80)).then_some(at + MAGIC.len())
}

/// The storages of a file.
pub struct Storages<'a> {
    place: &'a str,
    content: &'a [u8],
    kept: Kept<'a>,
    /// Bytes that tensors may still take.
    left: u64,
}

/// Where they are kept.
enum Kept<'a> {
    /// As files of an archive, in this folder of it.
    Zip {
        archive: Box<ZipArchive<Cursor<&'a [u8]>>>,
        folder: String,
        /// Bytes that they may still unpack to.
        left: u64,
        read: HashMap<String, Vec<u8>>,
    },
    /// In the content.
    Row(HashMap<String, Range<usize>>),
}

/// What a pickle says of a storage.
struct Storage<'a> {
    kind: Kind,
    /// Bytes of an element.
    size: usize,
    key: &'a str,
    /// Elements.
    length: u64,
    /// Where it is a part of another one: its first element there, and how many it has.
    part: Option<(u64, u64)>,
}

impl<'a> Storages<'a> {
    /// The object of a file and its storages; `calls` are the classes and functions that it may name.
    ///
    /// # Errors
    /// A cut or damaged file, one of another machine or version, or one that names other classes and functions.
    pub fn open(content: &'a [u8], place: &'a str, calls: &[&str]) -> Result<(Value, Self)> {
        let (value, kept) = match after_magic(content) {
            _ if is_zip(content) => zipped(content, place, calls)?,
            Some(begin) => row(content, begin, place, calls)?,
            None => {
                let found = if is_tar(content) { "a TAR archive, as PyTorch 0.1 wrote them" } else { "something else" };
                return Err(Error::invalid(place, "a file of torch.save", found));
            }
        };
        let left = 4 * content.len() as u64 + LEAST_BYTES;
        Ok((value, Self { place, content, kept, left }))
    }

    /// The format in words.
    pub fn format(&self) -> &'static str {
        match self.kept {
            Kept::Zip { .. } => "PyTorch (ZIP)",
            Kept::Row(_) => "PyTorch (before 1.6)",
        }
    }

    /// The tensor of (storage, first element, sizes, strides, ...).
    ///
    /// # Errors
    /// One that reaches beyond its storage, or that takes far more bytes than the file.
    pub fn tensor(&mut self, arguments: &[Value], place: &str) -> Result<Tensor> {
        let wrong = |found: &str| Error::invalid(place, "a tensor within its storage", found);
        let [storage, first, sizes, strides, ..] = arguments else { return Err(wrong("other arguments")) };
        let storage = Storage::of(storage).ok_or_else(|| {
            let expected = "numbers in a storage of fp16, bf16, fp32, fp64, integers or booleans";
            Error::invalid(place, expected, storage.name())
        })?;
        let numbers = |value: &Value| -> Option<Vec<u64>> {
            value.items()?.iter().map(|item| u64::try_from(item.integer()?).ok()).collect()
        };
        let first = first.integer().and_then(|first| u64::try_from(first).ok());
        let (Some(first), Some(sizes), Some(strides)) = (first, numbers(sizes), numbers(strides)) else {
            return Err(wrong("sizes, strides or a first element that are none"));
        };
        if sizes.len() != strides.len() || sizes.len() > MOST_DIMENSIONS {
            return Err(wrong(&format!("{} sizes and {} strides", sizes.len(), strides.len())));
        }
        let count = sizes.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
        let bytes = count.and_then(|count| count.checked_mul(storage.size as u64));
        let (Some(count), Some(bytes)) = (count, bytes.filter(|bytes| *bytes <= self.left)) else {
            return Err(wrong(&format!("sizes {sizes:?}, more than the file can hold")));
        };
        self.left -= bytes;
        let shape: Vec<i64> = sizes.iter().map(|size| *size as i64).collect();
        if count == 0 {
            return Ok(Tensor::f_zeros(&shape, (storage.kind, tch::Device::Cpu))?);
        }
        let reach = sizes.iter().zip(&strides).try_fold(first, |last, (size, stride)| {
            (size - 1).checked_mul(*stride).and_then(|reach| last.checked_add(reach))
        });
        let (begin, length) = storage.part.unwrap_or((0, storage.length));
        if reach.is_none_or(|last| last >= length) {
            return Err(wrong(&format!("sizes {sizes:?} from element {first} on, in a storage of {length}")));
        }
        let element = storage.size;
        let data = self.data(&storage)?;
        let end = begin.checked_add(length).filter(|end| *end <= storage.length);
        let Some(end) = end else { return Err(wrong("a part beyond its storage")) };
        let data = &data[begin as usize * element..end as usize * element];
        let dense = dense(data, element, first as usize, &sizes, &strides);
        Ok(Tensor::f_from_data_size(&dense, &shape, storage.kind)?)
    }

    /// The bytes of a storage, as many as it says.
    fn data(&mut self, storage: &Storage<'_>) -> Result<Cow<'_, [u8]>> {
        let Self { place, content, kept, .. } = self;
        let expected = storage.length.saturating_mul(storage.size as u64);
        let data: Cow<'_, [u8]> = match kept {
            Kept::Row(ranges) => {
                let range = ranges.get(storage.key).cloned();
                let missing = || Error::invalid(*place, format!("storage {}", storage.key), "nothing: the file is cut");
                content[range.ok_or_else(missing)?].into()
            }
            Kept::Zip { archive, folder, left, read } => {
                if !read.contains_key(storage.key) {
                    let name = format!("{folder}data/{}", storage.key);
                    let bytes = unpacked(archive, &name, left, place)?;
                    read.insert(storage.key.to_owned(), bytes);
                }
                read[storage.key].as_slice().into()
            }
        };
        if (data.len() as u64) < expected {
            let expected = format!("storage {} of {expected} bytes", storage.key);
            return Err(Error::invalid(*place, expected, format!("{} bytes: the file is cut", data.len())));
        }
        Ok(data)
    }
}

/// The elements of a view, one after the other.
fn dense<'a>(data: &'a [u8], element: usize, first: usize, sizes: &[u64], strides: &[u64]) -> Cow<'a, [u8]> {
    let count: usize = sizes.iter().map(|size| *size as usize).product();
    let mut next = 1;
    let is_dense = sizes.iter().zip(strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == next;
        next *= size;
        fits
    });
    if is_dense {
        return data[first * element..(first + count) * element].into();
    }
    // The stride of a single element is never gone, and may be any number.
    let steps: Vec<(usize, usize)> = sizes
        .iter()
        .zip(strides)
        .filter(|(size, _)| **size > 1)
        .map(|(size, stride)| (*size as usize, *stride as usize))
        .collect();
    let mut copied = Vec::with_capacity(count * element);
    let mut index = vec![0; steps.len()];
    let mut at = first;
    loop {
        copied.extend_from_slice(&data[at * element..(at + 1) * element]);
        let mut dimension = steps.len();
        loop {
            let Some(inner) = dimension.checked_sub(1) else { return copied.into() };
            let (size, stride) = steps[inner];
            dimension = inner;
            index[inner] += 1;
            at += stride;
            if index[inner] < size {
                break;
            }
            at -= stride * size;
            index[inner] = 0;
        }
    }
}

impl<'a> Storage<'a> {
    /// Of ('storage', class, key, device, length) and, in the format before ZIP, the part of another one that it is.
    fn of(value: &'a Value) -> Option<Self> {
        let Value::Persistent(key) = value else { return None };
        let [word, Value::Global(class), key, _, length, rest @ ..] = key.items()? else { return None };
        let (_, kind, size) =
            KINDS.iter().find(|(name, ..)| *name == &**class).filter(|_| word.text() == Some("storage"))?;
        let natural = |value: &Value| u64::try_from(value.integer()?).ok();
        let part = match rest {
            [] | [Value::None] => None,
            [part] => match part.items()? {
                [_, first, length] => Some((natural(first)?, natural(length)?)),
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { kind: *kind, size: *size, key: key.text()?, length: natural(length)?, part })
    }
}

/// The object and the storages of an archive.
fn zipped<'a>(content: &'a [u8], place: &str, calls: &[&str]) -> Result<(Value, Kept<'a>)> {
    let damaged = |error: String| Error::invalid(place, "a whole archive of torch.save", error);
    let mut archive = ZipArchive::new(Cursor::new(content)).map_err(|error| damaged(error.to_string()))?;
    let mut left = most_unpacked(content.len() as u64);
    // One folder holds all.
    let object =
        archive.file_names().find(|name| *name == "data.pkl" || name.ends_with("/data.pkl")).map(str::to_owned);
    let object = object.ok_or_else(|| damaged("no data.pkl in it".to_owned()))?;
    let folder = object.strip_suffix("data.pkl").unwrap_or_default().to_owned();
    let order = format!("{folder}byteorder");
    if archive.file_names().any(|name| name == order) {
        let order = unpacked(&mut archive, &order, &mut left, place)?;
        if order.trim_ascii() != b"little" {
            return Err(big_endian(place));
        }
    }
    let pickled = unpacked(&mut archive, &object, &mut left, place)?;
    let value = pickle::read(&pickled, &format!("{place}: {object}"), calls)?;
    Ok((value, Kept::Zip { archive: Box::new(archive), folder, left, read: HashMap::new() }))
}

/// A file of an archive, within what is `left` for all.
fn unpacked(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, left: &mut u64, place: &str) -> Result<Vec<u8>> {
    let refuse = |error: String| Error::invalid(format!("{place}: {name}"), "a whole archive of torch.save", error);
    let file = archive.by_name(name).map_err(|error| refuse(error.to_string()))?;
    let mut bytes = Vec::new();
    // What the archive says of the size may be a lie in both directions.
    if file.size() <= *left {
        file.take(*left + 1).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
        if let Some(rest) = left.checked_sub(bytes.len() as u64) {
            *left = rest;
            return Ok(bytes);
        }
    }
    let expected = format!("storages that unpack to at most {} MiB, as the file's size allows", *left >> 20);
    Err(Error::invalid(format!("{place}: {name}"), expected, "a larger one"))
}

fn big_endian(place: &str) -> Error {
    Error::invalid(place, "numbers in the byte order of x86 and ARM", "the order of a big-endian machine")
}

/// The object and the storages of a row of pickles.
fn row<'a>(content: &'a [u8], begin: usize, place: &str, calls: &[&str]) -> Result<(Value, Kept<'a>)> {
    let mut at = begin;
    let mut next = |calls: &[&str]| {
        let (value, length) = pickle::read_first(&content[at..], place, calls)?;
        at += length;
        Ok::<_, Error>(value)
    };
    let version = next(&[])?;
    if version.integer() != Some(VERSION) {
        return Err(Error::invalid(place, format!("version {VERSION} of the format"), version.name()));
    }
    if next(&[])?.get("little_endian") != Some(&Value::Bool(true)) {
        return Err(big_endian(place));
    }
    let value = next(calls)?;
    let keys = next(&[])?;
    let mut sizes = HashMap::new();
    sizes_of_storages(&value, &mut sizes);
    let cut = || Error::invalid(place, "all storages", "an end before: the file is cut");
    let mut ranges = HashMap::new();
    for key in keys.items().unwrap_or_default() {
        let key = key.text().ok_or_else(cut)?;
        let size = *sizes
            .get(key)
            .ok_or_else(|| Error::invalid(place, "storages that tensors of the file view", format!("storage {key}")))?;
        let length = content.get(at..at + 8).ok_or_else(cut)?;
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
        let bytes = length.checked_mul(size as u64).and_then(|bytes| usize::try_from(bytes).ok());
        let end = bytes.and_then(|bytes| (at + 8).checked_add(bytes)).filter(|end| *end <= content.len());
        let end = end.ok_or_else(cut)?;
        ranges.insert(key.to_owned(), at + 8..end);
        at = end;
    }
    Ok((value, Kept::Row(ranges)))
}

/// Bytes of an element of every storage that the value refers to, by key.
fn sizes_of_storages(value: &Value, sizes: &mut HashMap<String, usize>) {
    match value {
        Value::List(items) | Value::Tuple(items) => items.iter().for_each(|item| sizes_of_storages(item, sizes)),
        Value::Dict(entries) => entries.iter().for_each(|(key, value)| {
            sizes_of_storages(key, sizes);
            sizes_of_storages(value, sizes);
        }),
        Value::Object(object) => {
            sizes_of_storages(&object.arguments, sizes);
            sizes_of_storages(&object.state, sizes);
        }
        Value::Persistent(_) => {
            if let Some(Storage { key, size, .. }) = Storage::of(value) {
                sizes.insert(key.to_owned(), size);
            }
        }
        _ => {}
    }
}
