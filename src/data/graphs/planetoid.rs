//! Planetoid's `ind.NAME.*`, in which Python pickled Cora, Citeseer and Pubmed: sparse features (`allx`, `tx`) and classes
//! of 0 and 1 (`ally`, `ty`) of the nodes for training and of those for testing, a dictionary of neighbours (`graph`), and
//! which nodes the latter are (`test.index`, a text). The first nodes, as many as `y` has, are for training, the 500 after
//! them for validation.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::nodes::Matrix;
use super::sparse::{self, Compressed};
use crate::batch::IGNORED;
use crate::data::folders::{entries, file_name};
use crate::data::scan::{Line, Lines, show, whole};
use crate::data::split::Split;
use crate::error::{Error, Result};
use crate::pickle::{self, Value};
use crate::reading;
use crate::tensor::adjacency::Link;

/// What every name begins with.
const START: &str = "ind.";

/// The files that are read; `x` holds rows of `allx` again.
const PARTS: [&str; 7] = ["allx", "tx", "ally", "ty", "y", "graph", "test.index"];

/// Nodes for validation.
const VALIDATION: usize = 500;

/// Nodes for which `test.index` may leave a gap, per node that it names: nodes without links have no features.
const MOST_GAPS: usize = 16;

/// What the files hold.
#[derive(Debug)]
pub(super) struct Planetoid {
    pub features: Matrix,
    /// [`IGNORED`] of nodes that `test.index` does not name.
    pub classes: Vec<i64>,
    /// How many classes there are.
    pub names: usize,
    pub links: Vec<Link>,
    /// The published split.
    pub marks: Vec<Option<Split>>,
    /// The files.
    pub paths: Vec<PathBuf>,
}

/// True where a folder has such files.
pub(super) fn is_one(names: &[String]) -> bool {
    names.iter().any(|name| set_of(name).is_some())
}

/// The NAME of `ind.NAME.x` and `ind.NAME.allx`.
fn set_of(name: &str) -> Option<&str> {
    let name = name.strip_prefix(START)?;
    name.strip_suffix(".allx").or_else(|| name.strip_suffix(".x"))
}

/// Reads the set of a folder.
///
/// # Errors
/// Files of several sets, files that are missing or hold something else.
pub(super) fn read(folder: &Path) -> Result<Planetoid> {
    let paths = files(folder)?;
    let contents = paths.iter().map(|path| reading::bytes(path)).collect::<Result<Vec<_>>>()?;
    let set = parse(std::array::from_fn(|part| &*contents[part]), &|part| paths[part].display().to_string())?;
    Ok(Planetoid { paths: paths.into(), ..set })
}

fn files(folder: &Path) -> Result<[PathBuf; PARTS.len()]> {
    let names: Vec<String> = entries(folder)?.iter().map(|path| file_name(path)).collect();
    let mut sets: Vec<&str> = names.iter().filter_map(|name| set_of(name)).collect();
    sets.sort_unstable();
    sets.dedup();
    let place = || folder.display().to_string();
    let &[set] = &sets[..] else {
        let found = format!("those of {}", sets.join(", "));
        return Err(Error::invalid(place(), "the files ind.NAME.* of one set", found)
            .with_hint("copy the files of one set into a folder of their own"));
    };
    let paths = PARTS.map(|part| folder.join(format!("{START}{set}.{part}")));
    match paths.iter().find(|path| !reading::is_there(path)) {
        Some(missing) => Err(Error::invalid(place(), format!("the file {}", file_name(missing)), "no such file")),
        None => Ok(paths),
    }
}

/// The same of files with these contents, in the order of the parts; `place` tells their names.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(contents: [&[u8]; PARTS.len()], place: &dyn Fn(usize) -> String) -> Result<Planetoid> {
    let value = |part: usize| pickle::read(contents[part], &place(part), &[]);
    let [known, tests] = [0, 1].map(|part| features(&value(part)?, &place(part)));
    let (known, tests) = (known?, tests?);
    let rows = known.rows();
    let agree = |part: usize, what: &str, found: usize, expected: usize, beside: usize| match found == expected {
        true => Ok(()),
        false => {
            let expected = format!("{expected} {what}, as in {}", PARTS[beside]);
            Err(Error::invalid(place(part), expected, found.to_string()))
        }
    };
    agree(1, "columns", tests.columns, known.columns, 0)?;
    let [of_known, of_tests, training] = [2, 3, 4].map(|part| one_hot(&value(part)?, &place(part)));
    let ((mut classes, names), (of_tests, names_of_tests), (training, _)) = (of_known?, of_tests?, training?);
    agree(2, "rows", classes.len(), rows, 0)?;
    agree(3, "rows", of_tests.len(), tests.rows(), 1)?;
    agree(3, "columns", names_of_tests, names, 2)?;
    let training = training.len();
    if training > rows {
        return Err(Error::invalid(place(4), format!("at most {rows} rows, as in {}", PARTS[0]), training.to_string()));
    }
    let range = rows..rows.saturating_add(MOST_GAPS * tests.rows());
    let nodes_of_tests = test_nodes(contents[6], range, &place(6))?;
    agree(6, "nodes", nodes_of_tests.len(), tests.rows(), 1)?;
    let nodes = nodes_of_tests.iter().max().map_or(rows, |last| last + 1);
    let columns = known.columns;
    let entries = known.values.iter().chain(&tests.values).filter(|value| **value != 0.0).count();
    sparse::check_size([nodes, columns], entries, &place(6))?;
    let mut values = known.values;
    values.resize(nodes * columns, 0.0);
    classes.resize(nodes, IGNORED);
    let mut marks = vec![None; nodes];
    marks[..training].fill(Some(Split::Train));
    marks[training..rows.min(training + VALIDATION)].fill(Some(Split::Validation));
    for (row, node) in nodes_of_tests.into_iter().enumerate() {
        values[node * columns..][..columns].copy_from_slice(&tests.values[row * columns..][..columns]);
        classes[node] = of_tests[row];
        if marks[node].replace(Split::Test).is_some() {
            return Err(Error::invalid(place(6), "every node once", format!("node {node} twice")));
        }
    }
    let links = links(&value(5)?, nodes, &place(5))?;
    Ok(Planetoid { features: Matrix { columns, values }, classes, names, links, marks, paths: Vec::new() })
}

/// A CSR matrix of SciPy, with its zeros.
fn features(value: &Value, place: &str) -> Result<Matrix> {
    let invalid = || Error::invalid(place, "a sparse matrix of SciPy in the format CSR", value.name());
    let part = |name: &str| value.get(name).ok_or_else(invalid);
    let numbers = |name: &str| part(name)?.numbers().ok_or_else(invalid);
    let shape = value.get("_shape").or_else(|| value.get("shape")).and_then(Value::numbers).ok_or_else(invalid)?;
    let compressed = Compressed { ends: numbers("indptr")?, places: numbers("indices")?, values: numbers("data")? };
    sparse::of_csr(&shape, &compressed, place)
}

/// The class of every row of an array that has a 1 for it, and the number of classes.
fn one_hot(value: &Value, place: &str) -> Result<(Vec<i64>, usize)> {
    let invalid = |found: String| Error::invalid(place, "an array (nodes, classes) of 0 and a single 1 per row", found);
    let Value::Array(array) = value else { return Err(invalid(value.name())) };
    let columns = match (&array.shape[..], array.is_fortran) {
        (&[_, columns], false) if columns > 1 => usize::try_from(columns).ok(),
        _ => None,
    };
    let (columns, numbers) = columns.zip(value.numbers()).ok_or_else(|| invalid(value.name()))?;
    let class = |(row, numbers): (usize, &[f64])| {
        let mut ones = numbers.iter().enumerate().filter(|(_, number)| **number != 0.0);
        match (ones.next(), ones.next()) {
            (Some((class, 1.0)), None) => Ok(class as i64),
            _ => Err(invalid(format!("something else in row {row}"))),
        }
    };
    let classes: Vec<i64> = numbers.chunks_exact(columns).enumerate().map(class).collect::<Result<_>>()?;
    Ok((classes, columns))
}

/// A node within `range` per line.
fn test_nodes(content: &[u8], range: Range<usize>, place: &str) -> Result<Vec<usize>> {
    let node = |line: Line<'_>| {
        let node = whole(line.text.trim_ascii()).and_then(|node| usize::try_from(node).ok());
        node.filter(|node| range.contains(node)).ok_or_else(|| {
            let expected = format!("the number of a node, from {} to {}", range.start, range.end.saturating_sub(1));
            line.invalid(place, expected, show(line.text))
        })
    };
    Lines::new(content).filter(|line| !line.text.trim_ascii().is_empty()).map(node).collect()
}

/// A link from every node of the dictionary to each of its neighbours.
fn links(value: &Value, nodes: usize, place: &str) -> Result<Vec<Link>> {
    let invalid = |found: String| Error::invalid(place, format!("a dictionary of neighbours of {nodes} nodes"), found);
    let Value::Dict(entries) = value else { return Err(invalid(value.name())) };
    let node = |number: i64| {
        let node = u32::try_from(number).ok().filter(|node| (*node as usize) < nodes);
        node.ok_or_else(|| invalid(format!("node {number}")))
    };
    let mut links = Vec::new();
    for (source, neighbours) in entries.iter() {
        let source = node(source.integer().ok_or_else(|| invalid(source.name()))?)?;
        for target in neighbours.integers().ok_or_else(|| invalid(neighbours.name()))? {
            links.push([source, node(target)?]);
        }
    }
    Ok(links)
}

#[cfg(test)]
mod tests;
