//! What the calls of a pickle stand for, and the tree of its values.

use std::sync::Arc;

use half::f16;

use super::machine::{Call, Id, Node};
use super::names::{Meaning, meaning};
use super::{Array, DEEPEST, Object, Value};
use crate::error::{Error, Result};

/// A value that was made of its node.
#[derive(Clone)]
struct Built {
    value: Value,
    /// Bytes of what it unfolds to.
    size: u64,
    /// Values in values.
    height: usize,
}

struct Builder<'a> {
    nodes: &'a [Node],
    built: Vec<Option<Built>>,
    /// The most bytes that the tree may unfold to.
    most: u64,
    place: &'a str,
}

/// The tree of `root`. Each node becomes one value, which all references share; `most` bounds the bytes that the tree
/// has with every reference unfolded.
pub(super) fn build(nodes: &[Node], root: Id, most: u64, place: &str) -> Result<Value> {
    let built = nodes.iter().map(|_| None).collect();
    Ok(Builder { nodes, built, most, place }.value(root, 0)?.value)
}

/// What the parts of a value come to.
#[derive(Default)]
struct Sum {
    size: u64,
    height: usize,
}

impl Builder<'_> {
    fn value(&mut self, id: Id, depth: usize) -> Result<Built> {
        let known = self.built[id as usize].clone();
        if depth + known.as_ref().map_or(0, |built| built.height) > DEEPEST {
            return Err(self.fault(format!("values nested at most {DEEPEST} deep"), "deeper ones, or one in itself"));
        }
        if let Some(built) = known {
            return Ok(built);
        }
        let mut sum = Sum::default();
        let nodes = self.nodes;
        let value = match &nodes[id as usize] {
            Node::Leaf(value) => value.clone(),
            Node::List(items) => Value::List(self.values(items, depth, &mut sum)?.into()),
            Node::Tuple(items) => Value::Tuple(self.values(items, depth, &mut sum)?.into()),
            Node::Dict(items) => self.dictionary(items, depth, &mut sum)?,
            Node::Call(call) => self.call(call, depth, &mut sum)?,
            Node::Persistent(key) => Value::Persistent(Arc::new(self.part(*key, depth, &mut sum)?)),
        };
        let own = match &value {
            Value::Bytes(bytes) => bytes.len(),
            Value::Text(text) => text.len(),
            Value::Array(array) => array.data.len(),
            _ => 0,
        };
        let size = sum.size.saturating_add(own.max(1) as u64);
        if size > self.most {
            let expected = format!("values that unfold to at most {} MiB, as the file's size allows", self.most >> 20);
            return Err(self.fault(expected, "more, by references to the same values"));
        }
        let built = Built { value, size, height: sum.height };
        self.built[id as usize] = Some(built.clone());
        Ok(built)
    }

    fn part(&mut self, id: Id, depth: usize, sum: &mut Sum) -> Result<Value> {
        let Built { value, size, height } = self.value(id, depth + 1)?;
        sum.size = sum.size.saturating_add(size);
        sum.height = sum.height.max(height + 1);
        Ok(value)
    }

    fn values(&mut self, ids: &[Id], depth: usize, sum: &mut Sum) -> Result<Vec<Value>> {
        ids.iter().map(|id| self.part(*id, depth, sum)).collect()
    }

    fn dictionary(&mut self, ids: &[Id], depth: usize, sum: &mut Sum) -> Result<Value> {
        let mut entries = Vec::with_capacity(ids.len() / 2);
        for pair in ids.chunks_exact(2) {
            entries.push((self.part(pair[0], depth, sum)?, self.part(pair[1], depth, sum)?));
        }
        Ok(Value::Dict(entries.into()))
    }

    fn call(&mut self, call: &Call, depth: usize, sum: &mut Sum) -> Result<Value> {
        let arguments = self.part(call.arguments, depth, sum)?;
        let state = call.state.map(|state| self.part(state, depth, sum)).transpose()?.unwrap_or(Value::None);
        let items = arguments.items().unwrap_or_default();
        let meaning = meaning(&call.name);
        if meaning == Meaning::Dictionary {
            let Value::Dict(set) = self.dictionary(&call.items, depth, sum)? else { unreachable!("just made") };
            let given = items.iter().find_map(given_entries).unwrap_or_default();
            return Ok(Value::Dict(given.into_iter().chain(set.iter().cloned()).collect()));
        }
        let made = match (meaning, items) {
            (Meaning::Array, _) => array_of_state(&state),
            (Meaning::Buffer, [Value::Bytes(data), Value::Type(kind), shape, Value::Text(order)]) => {
                array(kind, shape, &**order == "F", Arc::clone(data))
            }
            (Meaning::Scalar, [Value::Type(kind), Value::Bytes(bytes)]) => number(kind, bytes),
            (Meaning::Type, [kind, ..]) => kind.text().and_then(|kind| element_type(kind, &state)),
            (Meaning::Encoded, [Value::Text(text), Value::Text(coding)]) => encoded(text, coding),
            (Meaning::Bytes, []) => Some(Value::Bytes([].into())),
            (Meaning::Bytes, [Value::Bytes(bytes)]) => Some(Value::Bytes(Arc::clone(bytes))),
            (Meaning::Bytes, [Value::Text(text), Value::Text(coding)]) => encoded(text, coding),
            (Meaning::List, []) => Some(Value::List([].into())),
            (Meaning::List, [Value::List(items)]) => Some(Value::List(Arc::clone(items))),
            (Meaning::Reconstructed, [Value::Global(name), ..]) => Some(object(name, &arguments, state.clone())),
            (Meaning::Plain, _) => Some(object(&call.name, &arguments, state.clone())),
            _ => None,
        };
        let expected = "arrays of booleans, integers or floats, and other plain values";
        made.ok_or_else(|| self.fault(expected, &format!("a call of {} with {}", call.name, described(items, &state))))
    }

    fn fault(&self, expected: impl Into<String>, found: &str) -> Error {
        Error::invalid(self.place, expected, found)
    }
}

fn object(name: &Arc<str>, arguments: &Value, state: Value) -> Value {
    Value::Object(Arc::new(Object { name: Arc::clone(name), arguments: arguments.clone(), state }))
}

/// Arguments and attributes in words, for messages.
fn described(arguments: &[Value], state: &Value) -> String {
    const SHOWN: usize = 5;
    let state = state.items().unwrap_or_default();
    arguments.iter().chain(state).take(SHOWN).map(Value::name).collect::<Vec<_>>().join(", ")
}

/// What a dictionary is given as an argument: another one, or a list of pairs. The class of a `defaultdict`'s
/// values is none.
fn given_entries(argument: &Value) -> Option<Vec<(Value, Value)>> {
    match argument {
        Value::Dict(entries) => Some(entries.to_vec()),
        Value::List(pairs) => pairs
            .iter()
            .map(|pair| match pair.items()? {
                [key, value] => Some((key.clone(), value.clone())),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// (version, shape, type, order, content); the oldest files have no version.
fn array_of_state(state: &Value) -> Option<Value> {
    match state.items()? {
        [Value::Int(_), shape, Value::Type(kind), Value::Bool(order), Value::Bytes(data)]
        | [shape, Value::Type(kind), Value::Bool(order), Value::Bytes(data)] => {
            array(kind, shape, *order, Arc::clone(data))
        }
        // Where Python 2 wrote and Python 3 read, orders are integers.
        [Value::Int(_), shape, Value::Type(kind), Value::Int(order), Value::Bytes(data)] => {
            array(kind, shape, *order != 0, Arc::clone(data))
        }
        _ => None,
    }
}

fn array(kind: &Arc<str>, shape: &Value, is_fortran: bool, data: Arc<[u8]>) -> Option<Value> {
    let shape = match shape {
        Value::Int(size) => vec![u64::try_from(*size).ok()?],
        sizes => sizes.integers()?.into_iter().map(|size| u64::try_from(size).ok()).collect::<Option<Vec<u64>>>()?,
    };
    let bytes = shape.iter().try_fold(element_size(kind)? as u64, |product, size| product.checked_mul(*size))?;
    (bytes == data.len() as u64)
        .then(|| Value::Array(Arc::new(Array { kind: Arc::clone(kind), shape, is_fortran, data })))
}

/// `u1` with the byte order that the attributes say, (version, order, ...).
fn element_type(kind: &str, state: &Value) -> Option<Value> {
    const ORDERS: [&str; 4] = ["<", ">", "|", "="];
    let given = ORDERS.into_iter().find(|order| kind.starts_with(order));
    let bare = given.map_or(kind, |order| &kind[order.len()..]);
    let stored = match state {
        Value::None => None,
        state => Some(state.items()?.get(1)?.text()?),
    };
    let order = match stored.or(given) {
        _ if bare.ends_with('1') && bare.len() == 2 => "|",
        Some(">") => ">",
        _ => "<",
    };
    Some(Value::Type(format!("{order}{bare}").into()))
}

/// Bytes of an element of this type; nothing where it is no number.
pub(super) fn element_size(kind: &str) -> Option<usize> {
    match kind.get(1..)? {
        "b1" | "i1" | "u1" => Some(1),
        "i2" | "u2" | "f2" => Some(2),
        "i4" | "u4" | "f4" => Some(4),
        "i8" | "u8" | "f8" => Some(8),
        _ => None,
    }
}

/// The number of this type in these bytes.
pub(super) fn number(kind: &str, bytes: &[u8]) -> Option<Value> {
    if element_size(kind)? != bytes.len() {
        return None;
    }
    let mut wide = [0_u8; 8];
    for (index, byte) in bytes.iter().enumerate() {
        wide[if kind.starts_with('>') { bytes.len() - 1 - index } else { index }] = *byte;
    }
    let whole = u64::from_le_bytes(wide);
    let unused = 64 - 8 * bytes.len() as u32;
    match (kind.as_bytes()[1], bytes.len()) {
        (b'b', _) => Some(Value::Bool(whole != 0)),
        (b'i', _) => Some(Value::Int((whole << unused) as i64 >> unused)),
        (b'u', _) => i64::try_from(whole).ok().map(Value::Int),
        (_, 2) => Some(Value::Float(f16::from_bits(whole as u16).into())),
        (_, 4) => Some(Value::Float(f32::from_bits(whole as u32).into())),
        _ => Some(Value::Float(f64::from_bits(whole))),
    }
}

/// Bytes that Python 3 wrote as a text of Latin-1 in protocols of Python 2.
fn encoded(text: &str, coding: &str) -> Option<Value> {
    if !matches!(coding, "latin1" | "latin-1" | "iso-8859-1") {
        return None;
    }
    let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
    Some(Value::Bytes(bytes?.into()))
}
