//! The header of a `.npy` file: a dictionary in Python's notation with `descr`, `fortran_order` and `shape`.

use std::borrow::Cow;
use std::fmt;

use crate::data::scan::show;
use crate::error::{Error, Result};
use crate::python::{Value, first_value};

const MAGIC: &[u8] = b"\x93NUMPY";
/// More than NumPy itself reads of a header (10,000 bytes, unless told otherwise).
const LONGEST_HEADER: usize = 1 << 20;
/// Bytes of a letter of texts `U`.
const LETTER: usize = 4;

/// What the header says.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::data) struct Header {
    /// The type of a plain array's elements; of no meaning where there are fields.
    pub element: Element,
    pub is_fortran: bool,
    pub shape: Vec<u64>,
    fields: Vec<Field>,
}

/// The type of a value: `b`, `i`, `u` or `f` of so many bytes, texts `U` or `S`, or `V`, which is padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) struct Element {
    pub kind: u8,
    pub size: usize,
    pub is_big_endian: bool,
}

/// A field of a structured array.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::data) struct Field {
    pub name: String,
    pub element: Element,
    /// How many numbers it has.
    pub count: usize,
    /// Bytes before it in a row.
    pub offset: usize,
}

impl Header {
    pub(in crate::data) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Bytes of an element or a row.
    pub(in crate::data) fn size(&self) -> usize {
        self.fields.last().map_or(self.element.size, Field::end)
    }
}

impl Element {
    pub(in crate::data) fn is_text(self) -> bool {
        matches!(self.kind, b'U' | b'S')
    }
}

/// As NumPy writes it.
impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match (self.kind, self.is_big_endian) {
            (b'S' | b'V' | b'b', _) => '|',
            (_, true) => '>',
            _ => '<',
        };
        let size = if self.kind == b'U' { self.size / LETTER } else { self.size };
        write!(formatter, "{order}{}{size}", char::from(self.kind))
    }
}

impl Field {
    /// The columns that it is: none of padding.
    pub(in crate::data) fn columns(&self) -> usize {
        if self.element.kind == b'V' { 0 } else { self.count }
    }

    fn end(&self) -> usize {
        self.offset + self.count * self.element.size
    }
}

/// The header, and the data after it.
pub(in crate::data) fn read<'a>(bytes: &'a [u8], place: &str) -> Result<(Header, &'a [u8])> {
    let (text, data) = split(bytes, place)?;
    let found = |reason: String| Error::invalid(place, "a header with descr, fortran_order and shape", reason);
    let header = parse(&text).ok_or_else(|| found(show(text.trim().as_bytes())))?;
    header.map(|header| (header, data)).map_err(|kind| no_numbers(&kind, place))
}

/// The error of values of this type, which are no numbers.
pub(in crate::data) fn no_numbers(kind: &str, place: &str) -> Error {
    Error::invalid(place, "numbers: booleans, integers or floats of at most 64 bits", kind)
        .with_hint("save the array as float32, for example with array.astype('float32')")
}

/// The header's text, and the data after it.
fn split<'a>(bytes: &'a [u8], place: &str) -> Result<(Cow<'a, str>, &'a [u8])> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let found = if bytes.is_empty() { "an empty file".to_owned() } else { show(&bytes[..bytes.len().min(8)]) };
        return Err(Error::invalid(place, "a NumPy array, which begins with \\x93NUMPY", found));
    };
    let (length, rest) = match *rest {
        [1, _, low, high, ref rest @ ..] => (usize::from(u16::from_le_bytes([low, high])), rest),
        [2 | 3, _, a, b, c, d, ref rest @ ..] => (u32::from_le_bytes([a, b, c, d]) as usize, rest),
        [version @ (0 | 4..), ..] => {
            return Err(Error::invalid(place, "version 1 to 3 of NumPy's format", format!("version {version}")));
        }
        _ => return Err(Error::invalid(place, "a header", "the end: the file is cut")),
    };
    if length > rest.len().min(LONGEST_HEADER) {
        let found = format!("{}: the file is cut", rest.len());
        return Err(Error::invalid(place, format!("a header of {length} bytes"), found));
    }
    let (text, data) = rest.split_at(length);
    Ok((String::from_utf8_lossy(text), data))
}

/// The beginning of a file with a table (rows, columns) in C order, up to its numbers; `kind` is their type as NumPy
/// writes it, such as `<f4`.
pub(in crate::data) fn write(kind: &str, [rows, columns]: [usize; 2]) -> Vec<u8> {
    const VERSION: &[u8] = b"\x01\x00";
    const MULTIPLE: usize = 64;
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let before = MAGIC.len() + VERSION.len() + size_of::<u16>();
    let length = (before + header.len() + 1).next_multiple_of(MULTIPLE) - before;
    header.extend(std::iter::repeat_n(' ', length - 1 - header.len()));
    header.push('\n');
    [MAGIC, VERSION, &(length as u16).to_le_bytes(), header.as_bytes()].concat()
}

/// Nothing if this is no header; an error with the type that is not a number.
fn parse(text: &str) -> Option<std::result::Result<Header, String>> {
    let Value::List(entries) = first_value(text)? else { return None };
    let is_fortran = match entry(&entries, "fortran_order")? {
        Value::Word(word) => word == "True",
        _ => return None,
    };
    let shape = wholes(entry(&entries, "shape")?)?;
    Some(types(entry(&entries, "descr")?)?.map(|(element, fields)| Header { element, is_fortran, shape, fields }))
}

/// The value of a dictionary's key.
fn entry<'a>(entries: &'a [Value], key: &str) -> Option<&'a Value> {
    entries.chunks_exact(2).find(|pair| pair[0] == Value::Text(key.to_owned())).map(|pair| &pair[1])
}

fn wholes(value: &Value) -> Option<Vec<u64>> {
    let Value::List(values) = value else { return None };
    values.iter().map(|value| if let Value::Whole(number) = value { Some(*number) } else { None }).collect()
}

/// The element of a plain array, or the fields of a structured one.
fn types(descr: &Value) -> Option<std::result::Result<(Element, Vec<Field>), String>> {
    match descr {
        Value::Text(text) => Some(element(text).filter(|element| element.kind != b'V').ok_or_else(|| text.clone()))
            .map(|element| element.map(|element| (element, Vec::new()))),
        Value::List(list) => {
            let mut fields: Vec<Field> = Vec::new();
            for entry in list {
                match field(entry, fields.last().map_or(0, Field::end))? {
                    Ok(field) => fields.push(field),
                    Err(kind) => return Some(Err(kind)),
                }
            }
            fields.first().cloned().map(|first| Ok((first.element, fields)))
        }
        Value::Whole(_) | Value::Word(_) | Value::Call(..) => None,
    }
}

/// `(name, type)` or `(name, type, shape)`.
fn field(entry: &Value, offset: usize) -> Option<std::result::Result<Field, String>> {
    let Value::List(parts) = entry else { return None };
    let (name, kind, shape) = match &parts[..] {
        [name, kind] => (name, kind, Vec::new()),
        [name, kind, shape] => (name, kind, wholes(shape)?),
        _ => return None,
    };
    // A title may stand beside the name: (title, name).
    let name = match name {
        Value::Text(name) => name.clone(),
        Value::List(names) => match names.last()? {
            Value::Text(name) => name.clone(),
            _ => return None,
        },
        _ => return None,
    };
    let Value::Text(kind) = kind else { return Some(Err(format!("fields in field {name}"))) };
    let Some(element) = element(kind) else { return Some(Err(format!("{kind} in field {name}"))) };
    let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(usize::try_from(*size).ok()?))?;
    let end = count.checked_mul(element.size).and_then(|size| size.checked_add(offset));
    end.filter(|end| *end <= isize::MAX as usize)?;
    Some(Ok(Field { name, element, count, offset }))
}

/// A type as NumPy writes it: byte order, kind, size.
fn element(text: &str) -> Option<Element> {
    let (order, rest) = text.split_at_checked(1)?;
    let (kind, size) = rest.split_at_checked(1)?;
    let element = Element {
        kind: *kind.as_bytes().first()?,
        size: size.parse().ok().filter(|size| *size < LONGEST_HEADER)?,
        is_big_endian: order == ">",
    };
    let orders = ["<", ">", "|", "="].contains(&order);
    let sizes: &[usize] = match element.kind {
        b'U' | b'S' if element.size > 0 && orders => {
            let letter = if element.kind == b'U' { LETTER } else { 1 };
            return Some(Element { size: letter * element.size, ..element });
        }
        b'b' => &[1],
        b'i' | b'u' => &[1, 2, 4, 8],
        b'f' => &[2, 4, 8],
        b'V' => return Some(element),
        _ => return None,
    };
    (sizes.contains(&element.size) && orders).then_some(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(header: &str) -> Vec<u8> {
        [b"\x93NUMPY\x02\x00", (header.len() as u32).to_le_bytes().as_slice(), header.as_bytes(), b"data"].concat()
    }

    #[test]
    fn a_header_is_read_in_any_order_and_spelling() {
        let expected = Element { kind: b'f', size: 4, is_big_endian: false };
        for header in [
            "{'descr': '<f4', 'fortran_order': True, 'shape': (3L, 4), }    \n",
            "{ \"shape\":[3,4] , \"fortran_order\" : True,\"descr\":\"<f4\", 'more': {'a': 1}}",
        ] {
            let bytes = with(header);
            let (header, data) = read(&bytes, "a").unwrap();
            assert_eq!((header.element, header.is_fortran, header.shape.as_slice()), (expected, true, &[3, 4][..]));
            assert_eq!((header.size(), data), (4, &b"data"[..]));
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let deep = "[".repeat(100_000);
        for text in [
            "",
            "{",
            "()",
            "{'descr': '<f4', 'fortran_order': True}",
            "{'descr': '<f4', 'fortran_order': 1, 'shape': (1, 2)}",
            "{'descr': '<f4', 'fortran_order': True, 'shape': (-1, 2)}",
            "{'descr': '<f4', 'fortran_order': True, 'shape': (1 2)}",
            "{'descr': '<f4', 'fortran_order': True, 'shape': (99999999999999999999, 2)}",
            "{'descr': [], 'fortran_order': True, 'shape': (1,)}",
            "{'descr': [('x',)], 'fortran_order': True, 'shape': (1,)}",
            "{'descr': '<f4",
            &deep,
        ] {
            let error = read(&with(text), "a.npy").unwrap_err().to_string();
            assert!(error.starts_with("a.npy: expected a header with descr, fortran_order and shape"), "{error}");
        }
        assert!(read(b"\x93NUMPY\x04\x00\x00\x00", "a").unwrap_err().to_string().ends_with("found version 4"));
        assert!(read(b"PNG", "a").unwrap_err().to_string().ends_with("found PNG"));
        let long = [b"\x93NUMPY\x02\x00".as_slice(), &u32::MAX.to_le_bytes(), b"{}"].concat();
        assert!(read(&long, "a").unwrap_err().to_string().contains("expected a header of 4294967295 bytes, found 2"));
    }
}
