//! Cells as others have them: `Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), ...)` as the
//! published code prints it, alone, in the line of a log or in a Python file; and objects that do not name their space.

use serde_json::{Map, Value};

use super::SpaceName;
use crate::error::{Error, Result};
use crate::python::{self, first_value};
use crate::topology::CellKind;

/// The fields of the published code's tuple, as it may be called without their names.
const FIELDS: [&str; 4] = ["normal", "normal_concat", "reduce", "reduce_concat"];
/// How such a cell begins.
const CALL: &str = "Genotype(";
/// Of `range`: far more than any cell has states.
const LONGEST_RANGE: u64 = 1024;

/// Whether the text is one of Python's rather than an object.
pub(super) fn is_python(text: &str) -> bool {
    !text.trim_start().starts_with('{') && text.contains(CALL)
}

/// The cell that the text holds. A log prints it after every epoch by the same name: the last is meant.
///
/// # Errors
/// What begins as a cell and is none, with its line; cells of several names.
pub(super) fn of_python(text: &str, origin: &str) -> Result<Map<String, Value>> {
    let mut names: Vec<&str> = Vec::new();
    for (at, _) in text.match_indices(CALL) {
        let line = text[..at].rsplit('\n').next().unwrap_or_default();
        let name = line.trim_end().strip_suffix('=').map_or("", |named| named.split_whitespace().last().unwrap_or(""));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > 1 {
        return Err(Error::invalid(origin, "one cell", format!("{}: {}", names.len(), names.join(", ")))
            .with_hint("leave the one that is meant in a file of its own"));
    }
    let at = text.rfind(CALL).expect("asked by is_python");
    let broken = || {
        let place = format!("{origin}: line {}", text[..at].matches('\n').count() + 1);
        Error::invalid(
            place,
            "Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), ...)",
            "other text",
        )
        .with_hint("was it cut off? copy the whole line as the search printed it")
    };
    let Some(python::Value::Call(_, arguments)) = first_value(&text[at..]) else { return Err(broken()) };
    let mut object = Map::new();
    let unnamed = arguments.iter().take_while(|(name, _)| name.is_none()).count();
    for (at, (name, value)) in arguments.into_iter().enumerate() {
        let by_position = || FIELDS.get(at).filter(|_| at < unnamed).map(|field| (*field).to_owned());
        match (name.or_else(by_position), json(value)) {
            (Some(_), Some(Value::Null)) => {}
            (Some(name), Some(value)) if !object.contains_key(&name) => drop(object.insert(name, value)),
            _ => return Err(broken()),
        }
    }
    Ok(object)
}

/// Makes lists of the ranges in an object that Python's `json` wrote as text: `"range(2, 6)"`.
pub(super) fn list_ranges(object: &mut Map<String, Value>) {
    for field in FIELDS {
        let Some(value) = object.get_mut(field) else { continue };
        let text = value.as_str().filter(|text| text.starts_with("range("));
        if let Some(list) = text.and_then(first_value).and_then(json).filter(Value::is_array) {
            *value = list;
        }
    }
}

fn json(value: python::Value) -> Option<Value> {
    match value {
        python::Value::Text(text) => Some(text.into()),
        python::Value::Whole(number) => Some(number.into()),
        python::Value::Word(word) => (word == "None").then_some(Value::Null),
        python::Value::List(values) => values.into_iter().map(json).collect(),
        python::Value::Call(name, arguments) => {
            let arguments: Vec<python::Value> = arguments.into_iter().map(|(_, value)| value).collect();
            match (name.as_str(), &arguments[..]) {
                ("range", [python::Value::Whole(end)]) => range(0, *end),
                ("range", [python::Value::Whole(begin), python::Value::Whole(end)]) => range(*begin, *end),
                ("list" | "tuple", [value]) => json(value.clone()).filter(Value::is_array),
                _ => None,
            }
        }
    }
}

fn range(begin: u64, end: u64) -> Option<Value> {
    (end.saturating_sub(begin) <= LONGEST_RANGE).then(|| (begin..end).collect())
}

/// Names the space of an object that does not: the only one that has all its primitives and kinds of cell, or of several
/// the one that is asked for. Other objects stay as they are.
///
/// # Errors
/// Several such spaces.
pub(super) fn name_space(object: &mut Map<String, Value>, asked: Option<SpaceName>, origin: &str) -> Result<()> {
    let cells: Vec<CellKind> =
        [CellKind::Normal, CellKind::Reduce].into_iter().filter(|kind| object.contains_key(kind.name())).collect();
    if object.contains_key("space") || cells.is_empty() {
        return Ok(());
    }
    let edges = cells.iter().filter_map(|kind| object[kind.name()].as_array()).flatten();
    let used: Vec<&str> = edges.filter_map(|edge| edge.get(0)?.as_str()).collect();
    let knows = |space: &SpaceName| {
        let known = |name: &&str| space.primitives().contains(name) || space.retrained.contains(name);
        space.kinds() == cells && used.iter().all(known)
    };
    let all: Vec<SpaceName> = SpaceName::all().into_iter().filter(knows).collect();
    let chosen = match (&all[..], asked) {
        ([only], _) => *only,
        ([], Some(asked)) => asked,
        (several, Some(asked)) if several.contains(&asked) => asked,
        ([], _) => return Ok(()),
        (several, _) => {
            let names: Vec<&str> = several.iter().map(|space| space.name()).collect();
            let names = names.join(" or ");
            return Err(Error::invalid(format!("{origin}: space"), &names, "no such key, and primitives of each")
                .with_hint(format!(
                    "say which by --task, or write \"space\": \"{}\" into the file",
                    several[0].name()
                )));
        }
    };
    object.insert("space".to_owned(), chosen.name().into());
    Ok(())
}
