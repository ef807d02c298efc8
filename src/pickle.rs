//! Python's pickles, protocols 0 to 5, as plain values: numbers, texts, bytes, lists, tuples, dictionaries, NumPy arrays.
//!
//! Nothing in a file is executed. A pickle names classes and functions to call; the few of [`names`] stand for
//! values that this module makes itself, the names that a caller adds stay plain [`Object`]s, and every other name is an
//! error. Memory is bounded by the size of the file: a value that is referred to many times is kept once, and what all
//! references would unfold to is bounded too, so that a reader may walk the tree. (The crate `serde-pickle` copies
//! at every reference and knows no NumPy.)

mod machine;
mod names;
mod objects;

use std::sync::Arc;

use crate::error::Result;

/// Values in values; of a value that holds itself this is exceeded.
const DEEPEST: usize = 64;

/// What references may unfold to, in bytes of the file.
const MOST_UNFOLDED: u64 = 32;

/// What the references of any file may unfold to, in bytes.
const LEAST_UNFOLDED: u64 = 16 << 20;

/// A value. Copies share what they hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of 64 bits; longer ones are errors.
    Int(i64),
    /// A float.
    Float(f64),
    /// Bytes, and strings of Python 2.
    Bytes(Arc<[u8]>),
    /// Text.
    Text(Arc<str>),
    /// A list.
    List(Arc<[Value]>),
    /// A tuple.
    Tuple(Arc<[Value]>),
    /// Keys and values of a dictionary, also of an `OrderedDict` or `defaultdict`, in the order stored.
    Dict(Arc<[(Value, Value)]>),
    /// A NumPy array.
    Array(Arc<Array>),
    /// The type of an array's elements, as NumPy writes it, such as `<f4`.
    Type(Arc<str>),
    /// A class or function by its name.
    Global(Arc<str>),
    /// What was made by calling a class or function, unmade.
    Object(Arc<Object>),
    /// What the program that wrote the file keeps elsewhere, by its key: PyTorch's storages.
    Persistent(Arc<Value>),
}

/// A NumPy array of booleans, integers or floats. The bytes are as many as shape and type say.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Type of the elements: byte order, `b`, `i`, `u` or `f`, and bytes, such as `<f4` or `|u1`.
    pub kind: Arc<str>,
    /// Sizes, the outermost first.
    pub shape: Vec<u64>,
    /// The first axis is the one whose elements lie side by side.
    pub is_fortran: bool,
    /// The elements.
    pub data: Arc<[u8]>,
}

/// A class or function that is not executed, and what it was to be called with.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its name with that of its module, such as `scipy.sparse._csr.csr_matrix`.
    pub name: Arc<str>,
    /// The arguments of the call, a tuple.
    pub arguments: Value,
    /// What its attributes were to be.
    pub state: Value,
}

/// The value that `content` begins with. Classes and functions in `objects` (module and name, such as
/// `torch._utils._rebuild_tensor_v2`) may occur as well, and stay [`Object`]s.
///
/// # Errors
/// A cut or damaged pickle, with the byte; a name that is not allowed; integers beyond 64 bits; arrays of other
/// elements than numbers; values nested too deep, or that unfold to much more than the file's size.
pub fn read(content: &[u8], place: &str, objects: &[&str]) -> Result<Value> {
    read_first(content, place, objects).map(|(value, _)| value)
}

/// The same, and how many bytes of `content` the value takes: PyTorch's old files hold several values in a row.
///
/// # Errors
/// As of [`read`].
pub fn read_first(content: &[u8], place: &str, objects: &[&str]) -> Result<(Value, usize)> {
    let machine::Ran { nodes, root, length } = machine::run(content, place, objects)?;
    let most = (length as u64).saturating_mul(MOST_UNFOLDED).max(LEAST_UNFOLDED);
    Ok((objects::build(&nodes, root, most, place)?, length))
}

impl Value {
    /// The value of this key in a dictionary, or among the attributes of an object; the key may be text or bytes.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(entries) => entries.iter().rev().find(|(name, _)| name.is(key)).map(|(_, value)| value),
            Self::Object(object) => object.state.get(key),
            _ => None,
        }
    }

    fn is(&self, name: &str) -> bool {
        match self {
            Self::Text(text) => **text == *name,
            Self::Bytes(bytes) => **bytes == *name.as_bytes(),
            _ => false,
        }
    }

    /// The elements of a list or a tuple.
    pub fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) | Self::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// A text, also one that Python 2 stored as bytes.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The integers of a list, a tuple, or an array of any shape, in the order stored.
    pub fn integers(&self) -> Option<Vec<i64>> {
        self.each(Self::integer)
    }

    /// The numbers of a list, a tuple, or an array of any shape, in the order stored.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        self.each(Self::number)
    }

    fn each<T>(&self, of: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        match self {
            Self::List(items) | Self::Tuple(items) => items.iter().map(of).collect(),
            Self::Array(array) => {
                let size = array.element_size().max(1);
                array.data.chunks_exact(size).map(|bytes| of(&objects::number(&array.kind, bytes)?)).collect()
            }
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Bool(holds) => Some(f64::from(u8::from(*holds))),
            _ => None,
        }
    }

    /// An integer.
    pub fn integer(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// What it is, for messages.
    pub fn name(&self) -> String {
        match self {
            Self::None => "None".to_owned(),
            Self::Bool(_) => "a boolean".to_owned(),
            Self::Int(_) => "an integer".to_owned(),
            Self::Float(_) => "a float".to_owned(),
            Self::Bytes(_) => "bytes".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Tuple(items) => format!("a tuple of {}", items.len()),
            Self::Dict(_) => "a dictionary".to_owned(),
            Self::Array(array) => format!("an array of type {} and shape {}", array.kind, array.shape_text()),
            Self::Type(kind) => format!("the type {kind}"),
            Self::Global(name) => name.to_string(),
            Self::Object(object) => format!("an object of {}", object.name),
            Self::Persistent(_) => "something kept elsewhere".to_owned(),
        }
    }
}

impl Array {
    /// Bytes of an element.
    pub fn element_size(&self) -> usize {
        objects::element_size(&self.kind).unwrap_or_default()
    }

    /// The shape in Python's notation.
    pub fn shape_text(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        format!("({}{})", sizes.join(", "), if sizes.len() == 1 { "," } else { "" })
    }
}

#[cfg(test)]
mod tests;
