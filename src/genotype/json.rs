//! Genotypes as text: `{"space": "point", "normal": [["edge_conv", 0], ...], "normal_concat": [1, 2, 3, 4], ...}`.
//!
//! Whatever is wrong is an error that names the key and, within a cell, the node. A valid cell has as many
//! edges into every node as its space keeps, from earlier states, primitives that its space knows, and a concatenation of states that exist;
//! nothing more is asked, because published cells of other methods are free in the rest.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{CellGenotype, Genotype, SpaceName, arch_string, exported, indices, published};
use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::reading;
use crate::topology::{CellKind, Topology};

/// The most edges of a cell that are read: published cells have 6 to 10. The check of a cell grows with the square of
/// their number, and so does its supernet.
const MOST_EDGES: usize = 1024;

/// How an edge is written, for messages.
const EDGES_EXPECTED: &str = "a list of edges such as [[\"skip_connect\", 0], [\"conv_1x1\", 1]]";

impl Genotype {
    /// Reads and checks what [`Self::load_as`] reads; `origin` begins the message of every error.
    ///
    /// # Errors
    /// Text that holds no valid cell.
    pub fn from_text(text: &str, origin: &str, asked: Option<SpaceName>) -> Result<Self> {
        reading::check_length(origin, text, reading::GENOTYPE)?;
        if let Some(arch) = arch_string::within(text) {
            return Self::from_object(arch_string::of_arch_string(arch, origin)?, origin);
        }
        if let Some(indices) = indices::within(text) {
            return Self::from_object(indices::of_indices(indices, asked, origin)?, origin);
        }
        let mut object = match (published::is_python(text), exported::of_python(text)) {
            (true, _) => published::of_python(text, origin)?,
            (false, Some(object)) => object,
            (false, None) => serde_json::from_str(text).map_err(|error| syntax_error(&error, origin))?,
        };
        exported::rewrite(&mut object, origin)?;
        // `sgas show --json` tells more than the cell.
        if let (false, Some(Value::Object(cell))) = (object.contains_key("normal"), object.get_mut("genotype")) {
            object = std::mem::take(cell);
        }
        published::list_ranges(&mut object);
        published::name_space(&mut object, asked, origin)?;
        Self::from_object(object, origin)
    }

    /// Reads and checks a genotype as [`Self::to_json`] writes it; `origin` (a path, a name) begins the message of every error.
    pub fn from_json(text: &str, origin: &str) -> Result<Self> {
        reading::check_length(origin, text, reading::GENOTYPE)?;
        let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| syntax_error(&error, origin))?;
        Self::from_object(object, origin)
    }

    /// The text of a file: one line per node, the keys in the order of the fields, unknown keys last.
    pub fn to_json(&self) -> String {
        let object = Map::from(self.clone());
        let line = |(key, value): (&String, &Value)| {
            let is_cell = [CellKind::Normal, CellKind::Reduce].iter().any(|kind| kind.name() == key);
            let text = if is_cell { node_lines(self.space, value) } else { value_text(value) };
            format!("  {}: {text}", Value::from(key.as_str()))
        };
        format!("{{\n{}\n}}\n", object.iter().map(line).collect::<Vec<_>>().join(",\n"))
    }

    /// Takes the known keys out of `object`; the rest is kept.
    pub(super) fn from_object(mut object: Map<String, Value>, origin: &str) -> Result<Self> {
        let space: SpaceName = take(&mut object, "space", &SpaceName::names_in_words(), origin)?;
        let normal = take_cell(&mut object, space, CellKind::Normal, origin)?;
        let has_reduce = object.contains_key("reduce") || object.contains_key("reduce_concat");
        let reduce = match (space.kinds().contains(&CellKind::Reduce), has_reduce) {
            (true, _) => Some(take_cell(&mut object, space, CellKind::Reduce, origin)?),
            (false, false) => None,
            (false, true) => return Err(surplus_reduce(space, origin)),
        };
        let task = match object.contains_key("task") {
            true => take::<Option<String>>(&mut object, "task", "the name of a task", origin)?,
            false => None,
        };
        Ok(Self { space, normal, reduce, task, extra: object })
    }
}

impl TryFrom<Map<String, Value>> for Genotype {
    type Error = Error;

    fn try_from(object: Map<String, Value>) -> Result<Self> {
        Self::from_object(object, "genotype")
    }
}

impl From<Genotype> for Map<String, Value> {
    fn from(genotype: Genotype) -> Self {
        let mut object = Self::new();
        object.insert("space".into(), genotype.space.name().into());
        let cells = [(CellKind::Normal, Some(genotype.normal)), (CellKind::Reduce, genotype.reduce)];
        for (kind, cell) in cells {
            let Some(cell) = cell else { continue };
            let edges = cell
                .edges
                .into_iter()
                .map(|(primitive, source)| Value::from(vec![primitive.into(), Value::from(source)]));
            object.insert(kind.name().into(), edges.collect());
            object.insert(concat_key(kind), cell.concat.into());
        }
        if let Some(task) = genotype.task {
            object.insert("task".into(), task.into());
        }
        object.extend(genotype.extra);
        object
    }
}

fn concat_key(kind: CellKind) -> String {
    format!("{kind}_concat")
}

/// The edges of a cell, a line per node.
fn node_lines(space: SpaceName, edges: &Value) -> String {
    let edges: Vec<String> = edges.as_array().into_iter().flatten().map(value_text).collect();
    let shape = space.topology().of_edges(edges.len()).unwrap_or_else(|| space.topology());
    let nodes: Vec<(usize, String)> = shape.nodes_of_kept().zip(edges).collect();
    let line = |node: &[(usize, String)]| node.iter().map(|(_, edge)| edge.as_str()).collect::<Vec<_>>().join(", ");
    let lines: Vec<String> = nodes.chunk_by(|a, b| a.0 == b.0).map(|node| format!("    {}", line(node))).collect();
    format!("[\n{}\n  ]", lines.join(",\n"))
}

/// A value on one line with a blank after each comma and colon where it is short and flat, else indented.
fn value_text(value: &Value) -> String {
    let flat = |values: &[Value]| values.iter().all(|value| !value.is_array() && !value.is_object());
    match value {
        Value::Array(values) if flat(values) => {
            format!("[{}]", values.iter().map(Value::to_string).collect::<Vec<_>>().join(", "))
        }
        // Line breaks inside strings are escaped, so those in the text are all layout.
        _ => format!("{value:#}").replace('\n', "\n  "),
    }
}

fn syntax_error(error: &serde_json::Error, origin: &str) -> Error {
    let place = format!("{origin}: line {}, column {}", error.line(), error.column());
    if error.is_eof() {
        return Error::invalid(place, "a whole JSON object", "the end of the text")
            .with_hint("the file was cut off; save the genotype again");
    }
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    Error::invalid(place, "a JSON object", reason)
}

/// Takes `key` out of the object as a `T`.
fn take<T: DeserializeOwned>(object: &mut Map<String, Value>, key: &str, expected: &str, origin: &str) -> Result<T> {
    let place = format!("{origin}: {key}");
    // `shift_remove` keeps the order of the keys that stay.
    let value = object.shift_remove(key).ok_or_else(|| Error::invalid(&place, expected, "no such key"))?;
    let found = shortened(&value.to_string());
    serde_json::from_value(value).map_err(|_| Error::invalid(place, expected, found))
}

/// The first characters of a value, enough to recognise it.
fn shortened(text: &str) -> String {
    const ENOUGH: usize = 60;
    match text.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn take_cell(object: &mut Map<String, Value>, space: SpaceName, kind: CellKind, origin: &str) -> Result<CellGenotype> {
    let place = format!("{origin}: {kind}");
    let values: Vec<Value> = take(object, kind.name(), EDGES_EXPECTED, origin)?;
    if values.len() > MOST_EDGES {
        return Err(Error::invalid(place, format!("at most {MOST_EDGES} edges"), format!("{} edges", values.len()))
            .with_hint("is this the genotype that is meant?"));
    }
    let shape = space.topology();
    let topology = shape
        .of_edges(values.len())
        .ok_or_else(|| Error::invalid(&place, shape.kept_in_words(), format!("{} edges", values.len())))?;
    let edges: Vec<(String, usize)> = topology
        .nodes_of_kept()
        .zip(values)
        .enumerate()
        .map(|(index, (node, value))| {
            check_edge(space, topology, &format!("{place}[{index}] (node {node})"), node, value)
        })
        .collect::<Result<_>>()?;
    check_sources(topology, &edges, &place)?;
    let concat = take_concat(object, kind, topology, &edges, origin)?;
    Ok(CellGenotype { topology, edges, concat })
}

fn take_concat(
    object: &mut Map<String, Value>,
    kind: CellKind,
    topology: Topology,
    edges: &[(String, usize)],
    origin: &str,
) -> Result<Vec<usize>> {
    let key = concat_key(kind);
    let (states, nodes) = (topology.states(), topology.steps());
    let expected = format!("a list of states from 0 to {}", states - 1);
    let read = edges.iter().filter(|(primitive, _)| primitive != "none").map(|(_, source)| *source);
    let searched = topology.derived_output(read);
    let hint = || format!("a searched cell of {nodes} nodes has \"{key}\": {searched:?}");
    let concat: Vec<usize> = take(object, &key, &expected, origin).map_err(|error| error.with_hint(hint()))?;
    let place = format!("{origin}: {key}");
    match concat.iter().find(|&&state| state >= states) {
        Some(state) => Err(Error::invalid(place, expected, format!("state {state}")).with_hint(hint())),
        None if concat.is_empty() => Err(Error::invalid(place, expected, "an empty list").with_hint(hint())),
        // Each is a part of the output's channels.
        None if concat.len() > states => {
            let expected = format!("at most {states} states, as many as the cell has");
            Err(Error::invalid(place, expected, format!("{} states", concat.len())).with_hint(hint()))
        }
        None => Ok(concat),
    }
}

/// Checks one edge of a cell: its form, its primitive, its source.
fn check_edge(space: SpaceName, topology: Topology, place: &str, node: usize, value: Value) -> Result<(String, usize)> {
    let found = shortened(&value.to_string());
    let (primitive, source): (String, usize) = serde_json::from_value(value)
        .map_err(|_| Error::invalid(place, "a primitive and a source state such as [\"skip_connect\", 0]", found))?;
    if !space.derived_primitives().any(|known| known == primitive) {
        return Err(unknown_primitive(space, place, &primitive));
    }
    let sources = topology.sources(node);
    if !sources.contains(&source) {
        let is_range = sources.iter().copied().eq(0..sources.len());
        let expected = if is_range {
            format!("a source from 0 to {}", sources.len() - 1)
        } else {
            format!("a source out of {sources:?}")
        };
        let hint = match topology.inputs() {
            1 => "a node reads the cell's input (0) and the nodes before it (1, 2, ...)".to_owned(),
            2 => "a node reads the cell's inputs (0 and 1) and the nodes before it (2, 3, ...)".to_owned(),
            n => format!("a node reads the cell's inputs (0 to {}) and the nodes before it ({n}, ...)", n - 1),
        };
        return Err(Error::invalid(place, expected, format!("state {source}")).with_hint(hint));
    }
    Ok((primitive, source))
}

/// Where a node keeps all its edges, no state is read twice by it.
fn check_sources(topology: Topology, edges: &[(String, usize)], place: &str) -> Result<()> {
    let nodes: Vec<(usize, usize)> = topology.nodes_of_kept().zip(edges.iter().map(|(_, source)| *source)).collect();
    for of_node in nodes.chunk_by(|one, next| one.0 == next.0) {
        let node = of_node[0].0;
        let all = topology.sources(node);
        let mut sources: Vec<usize> = of_node.iter().map(|(_, source)| *source).collect();
        sources.sort_unstable();
        if topology.keeps_all() && sources != all {
            let place = format!("{place} (node {node})");
            return Err(Error::invalid(place, format!("one edge from each of {all:?}"), format!("from {sources:?}")));
        }
    }
    Ok(())
}

fn unknown_primitive(space: SpaceName, place: &str, primitive: &str) -> Error {
    let error = Error::invalid(place, format!("a primitive of the {space} space"), format!("{primitive:?}"));
    if space.primitives().contains(&primitive) {
        return error.with_hint("a derived cell leaves an edge out instead of fixing it to none");
    }
    if let Some(other) =
        SpaceName::all().into_iter().find(|other| other.derived_primitives().any(|name| name == primitive))
    {
        return error.with_hint(format!("{primitive} belongs to the {other} space; is \"space\" right?"));
    }
    match nearest(primitive, space.derived_primitives()) {
        Some(known) => error.with_hint(format!("did you mean {known}?")),
        None => error.with_hint(format!("known: {}", space.derived_primitives().collect::<Vec<_>>().join(", "))),
    }
}

fn surplus_reduce(space: SpaceName, origin: &str) -> Error {
    Error::invalid(format!("{origin}: reduce"), format!("no reduction cell in the {space} space"), "one")
        .with_hint("only image networks have a second kind of cell; is \"space\" right?")
}
