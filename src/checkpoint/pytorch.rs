//! Weights in the files of PyTorch's `torch.save` (`.pt`, `.pth`, `.pth.tar`), read without PyTorch and without executing
//! anything: of the pickle in them every call but those of [`CALLS`] is refused ([`crate::pickle`]).
//!
//! Two formats are read: the ZIP archive of PyTorch 1.6 and later, and the row of pickles and storages before it.
//! Here is which tensors of a file are its weights; `storages` knows how either format keeps numbers.

mod storages;

use std::collections::BTreeMap;

use tch::Tensor;

use crate::error::{Error, Result, few};
use crate::pickle::Value;
use storages::Storages;

/// Classes and functions that a file may name besides plain values. Those that build tensors are understood; the others
/// are data of a training (its options, the state of its schedule) that is read over.
const CALLS: [&str; 33] = [
    REBUILD[0],
    REBUILD[1],
    REBUILD_PARAMETER[0],
    REBUILD_PARAMETER[1],
    "torch.FloatStorage",
    "torch.DoubleStorage",
    "torch.HalfStorage",
    "torch.BFloat16Storage",
    "torch.LongStorage",
    "torch.IntStorage",
    "torch.ShortStorage",
    "torch.CharStorage",
    "torch.ByteStorage",
    "torch.BoolStorage",
    "torch.Size",
    "torch.device",
    "torch.float32",
    "torch.float64",
    "torch.float16",
    "torch.bfloat16",
    "torch.int64",
    "torch.int32",
    "torch.int16",
    "torch.int8",
    "torch.uint8",
    "torch.bool",
    "argparse.Namespace",
    "collections.Counter",
    "builtins.set",
    "__builtin__.set",
    "pathlib.PosixPath",
    "pathlib.Path",
    "pathlib._local.PosixPath",
];

/// (storage, first element, sizes, strides, ...)
const REBUILD: [&str; 2] = ["torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"];

/// (tensor, ...)
const REBUILD_PARAMETER: [&str; 2] = ["torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"];

/// Under which keys programs keep a network's weights beside other things, the usual ones first.
const KEYS: [&str; 7] = ["state_dict", "model_state_dict", "model", "net", "network", "weights", "params"];

/// The key beside the weights under which the Python package says which version of this program trained them.
const MARK: &str = "sgas";

/// For messages.
const SAVE_AGAIN: &str =
    "nothing in a file is executed: save the weights alone, by torch.save(model.state_dict(), FILE), or as safetensors";

/// The weights of a file.
pub(super) struct Saved {
    /// In words.
    pub format: &'static str,
    /// The key that they stand under, where they are not the whole file.
    pub key: Option<String>,
    /// By name.
    pub tensors: BTreeMap<String, Tensor>,
    /// What else stands in the file, by its keys.
    pub left_out: Vec<String>,
    /// The same as plain data where the Python package of this program wrote the file; else null.
    pub metadata: serde_json::Value,
}

/// True for what begins as either format does, or as the archive of PyTorch 0.1.
pub(super) fn is_pytorch(content: &[u8]) -> bool {
    storages::is_zip(content) || storages::is_row(content) || storages::is_tar(content)
}

/// The weights in this content.
///
/// # Errors
/// A cut or damaged file; one that names other classes or functions, such as a whole model; one without weights, or with
/// several; tensors beyond their storage.
pub(super) fn read(content: &[u8], place: &str) -> Result<Saved> {
    let (value, mut storages) = Storages::open(content, place, &CALLS).map_err(|error| error.with_hint(SAVE_AGAIN))?;
    let Found { key, entries, mut left_out } = find(&value, place)?;
    let mut tensors = BTreeMap::new();
    for (name, value) in entries {
        let Some(name) = name.text() else {
            return Err(Error::invalid(place, "names of tensors", name.name()));
        };
        match tensor_of(value) {
            Some(arguments) => {
                let tensor = storages.tensor(arguments, &format!("{place}: {name}"))?;
                tensors.insert(name.to_owned(), tensor);
            }
            None => left_out.push(name.to_owned()),
        }
    }
    let is_ours = key.is_some() && value.get(MARK).and_then(Value::text).is_some();
    let metadata = if is_ours { metadata(&value, key.as_deref()) } else { serde_json::Value::Null };
    if is_ours {
        left_out.clear();
    }
    Ok(Saved { format: storages.format(), key, tensors, left_out, metadata })
}

/// What stands beside the weights, as plain data.
fn metadata(value: &Value, key: Option<&str>) -> serde_json::Value {
    let Value::Dict(entries) = value else { return serde_json::Value::Null };
    let beside = entries.iter().filter_map(|(name, value)| Some((name.text()?, value)));
    beside.filter(|(name, _)| Some(*name) != key).map(|(name, value)| (name.to_owned(), plain(value))).collect()
}

/// A value as JSON has it; null where JSON has none such.
fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::List(items) | Value::Tuple(items) => items.iter().map(plain).collect(),
        Value::Dict(entries) => {
            let named = entries.iter().filter_map(|(name, value)| Some((name.text()?.to_owned(), plain(value))));
            named.collect()
        }
        other => other.text().map_or(serde_json::Value::Null, Into::into),
    }
}

struct Found<'a> {
    key: Option<String>,
    entries: &'a [(Value, Value)],
    left_out: Vec<String>,
}

/// The dictionary of weights: under one of the usual keys, the file itself, or else the only one in it.
fn find<'a>(value: &'a Value, place: &str) -> Result<Found<'a>> {
    const EXPECTED: &str = "a state dict: tensors by name";
    let Value::Dict(entries) = value else {
        return Err(Error::invalid(place, EXPECTED, value.name()).with_hint(SAVE_AGAIN));
    };
    let others = |key: Option<&str>| {
        entries
            .iter()
            .filter_map(|(name, _)| name.text())
            .filter(|name| Some(*name) != key)
            .map(str::to_owned)
            .collect()
    };
    let within = |key: &str| {
        let inner = value.get(key).filter(|inner| holds_tensors(inner));
        inner.and_then(|inner| if let Value::Dict(entries) = inner { Some(&entries[..]) } else { None })
    };
    if let Some((key, entries)) = KEYS.into_iter().find_map(|key| Some((key, within(key)?))) {
        return Ok(Found { key: Some(key.to_owned()), entries, left_out: others(Some(key)) });
    }
    if holds_tensors(value) {
        return Ok(Found { key: None, entries, left_out: Vec::new() });
    }
    let nested: Vec<&str> =
        entries.iter().filter_map(|(name, _)| name.text().filter(|name| within(name).is_some())).collect();
    match nested[..] {
        [key] => {
            let entries = within(key).expect("just found");
            Ok(Found { key: Some(key.to_owned()), entries, left_out: others(Some(key)) })
        }
        [] => {
            let keys = few(entries.iter().filter_map(|(name, _)| name.text()));
            Err(Error::invalid(place, EXPECTED, format!("a dictionary without tensors ({keys})")).with_hint(SAVE_AGAIN))
        }
        _ => {
            let expected = format!("one state dict, or the one that is meant under {}", KEYS.join(", "));
            let found = nested.join(", ");
            Err(Error::invalid(place, expected, found).with_hint("save the one that is meant alone"))
        }
    }
}

fn holds_tensors(value: &Value) -> bool {
    let Value::Dict(entries) = value else { return false };
    entries.iter().any(|(name, value)| name.text().is_some() && tensor_of(value).is_some())
}

/// What a tensor is rebuilt of, where the value is one.
fn tensor_of(value: &Value) -> Option<&[Value]> {
    let Value::Object(object) = value else { return None };
    let arguments = object.arguments.items()?;
    if REBUILD.contains(&&*object.name) {
        return Some(arguments);
    }
    // A parameter holds a tensor, not a parameter.
    let inner = arguments.first().filter(|_| REBUILD_PARAMETER.contains(&&*object.name))?;
    let Value::Object(inner) = inner else { return None };
    inner.arguments.items().filter(|_| REBUILD.contains(&&*inner.name))
}

#[cfg(test)]
mod tests;
