//! The table of NAS-Bench-Graph (Qin et al. 2022, arXiv 2206.09166): 26,206 cells, each trained on up to nine graphs.
//!
//! A row has the state that every node reads (`inputs`: 0 is the input, 1 to 3 an earlier node), their `operations`, and
//! for each set `SET_valid` and `SET_test` (accuracies), `SET_latency_s` and `SET_params_M`. Other cells are the same
//! as a row's, by the table's own rules: nodes may be numbered in any order; a `skip` that another node reads, that
//! reads a state alone, or that hands on the cell's input is the identity and counts as one before all other nodes.
//! Only the cell of four `skip`s has no row.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Benchmark, Quantity, Score};
use crate::decision::Choice;
use crate::error::{Error, Result};
use crate::genotype::{Genotype, SpaceName};
use crate::reading;

/// Nodes of a cell.
const NODES: usize = 4;
const SKIP: &str = "skip";

/// What a set has in a row, by the ending of its columns.
const COLUMNS: [(&str, Quantity); 4] = [
    ("_valid", Quantity::ValidationAccuracy),
    ("_test", Quantity::TestAccuracy),
    ("_params_M", Quantity::Parameters),
    ("_latency_s", Quantity::Latency),
];

/// The published table.
pub struct NasBenchGraph {
    /// Set, quantity and column of every number, set by set.
    columns: Vec<(String, Quantity, usize)>,
    rows: Vec<Row>,
    /// The row of every form.
    places: BTreeMap<Form, usize>,
}

struct Row {
    choices: [Choice; NODES],
    /// In the order of the columns.
    values: Vec<f64>,
}

/// What cells have in common that are the same to the table: how many `skip`s are the identity, and the tree of the
/// other nodes in depth-first order, each with its depth, siblings in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    identities: usize,
    tree: Vec<(usize, usize)>,
}

impl Form {
    fn of(space: SpaceName, choices: &[Choice]) -> Self {
        let skip = space.primitives().iter().position(|name| *name == SKIP);
        let mut reads: Vec<usize> = choices.iter().map(|choice| choice.source).collect();
        let mut stays = vec![true; choices.len()];
        for node in 0..choices.len() {
            if Some(choices[node].primitive) == skip && is_identity(node, &reads, &stays) {
                stays[node] = false;
                let below = reads[node];
                reads.iter_mut().filter(|source| **source == node + 1).for_each(|source| *source = below);
            }
        }
        let nodes: Vec<(usize, usize, usize)> = (0..choices.len())
            .filter(|node| stays[*node])
            .map(|node| (node + 1, reads[node], choices[node].primitive))
            .collect();
        Self { identities: choices.len() - nodes.len(), tree: below(0, 0, &nodes) }
    }
}

/// Whether a `skip` changes nothing: another node reads it, nothing else reads what it reads, or that is the input.
fn is_identity(node: usize, reads: &[usize], stays: &[bool]) -> bool {
    let others = || (0..reads.len()).filter(|other| stays[*other] && *other != node);
    let is_read = others().any(|other| reads[other] == node + 1);
    let reads_alone = others().all(|other| reads[other] != reads[node]);
    is_read || reads_alone || reads[node] == 0
}

/// The trees of the nodes that read `state`, one after the other.
fn below(state: usize, depth: usize, nodes: &[(usize, usize, usize)]) -> Vec<(usize, usize)> {
    let readers = nodes.iter().filter(|(_, source, _)| *source == state);
    let mut trees: Vec<Vec<(usize, usize)>> =
        readers.map(|&(own, _, primitive)| [vec![(depth, primitive)], below(own, depth + 1, nodes)].concat()).collect();
    trees.sort_unstable();
    trees.concat()
}

impl NasBenchGraph {
    /// Reads the table.
    ///
    /// # Errors
    /// A file that can't be read or is no such table, with the line; a cell that comes twice.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&reading::text(path, reading::LIST)?, &path.display().to_string())
    }

    /// The same of a text that errors call `origin`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let space = SpaceName::NAS_BENCH_GRAPH;
        let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let broken = |error: csv::Error| Error::invalid(origin, "the table of NAS-Bench-Graph", error.to_string());
        let header = reader.headers().map_err(broken)?.clone();
        let column = |name: &str| {
            let found = header.iter().position(|cell| cell.trim() == name);
            let expected = || format!("a column {name}, as the table of NAS-Bench-Graph has");
            found.ok_or_else(|| Error::invalid(format!("{origin}: header"), expected(), header.as_slice()))
        };
        let (inputs, operations) = (column("inputs")?, column("operations")?);
        let mut table = Self { columns: Vec::new(), rows: Vec::new(), places: BTreeMap::new() };
        for set in header.iter().filter_map(|cell| cell.trim().strip_suffix(COLUMNS[0].0)) {
            for (ending, quantity) in COLUMNS {
                table.columns.push((set.to_owned(), quantity, column(&format!("{set}{ending}"))?));
            }
        }
        if table.columns.is_empty() {
            column("cora_valid")?;
        }
        for record in reader.records() {
            let record = record.map_err(broken)?;
            let line = record.position().map_or(0, csv::Position::line);
            let place = || format!("{origin}, line {line}");
            let choices = choices(space, &record[inputs], &record[operations], &place)?;
            let values = table.columns.iter().map(|(.., column)| number(&record[*column], &header[*column], &place));
            let row = Row { values: values.collect::<Result<_>>()?, choices };
            let form = Form::of(space, &row.choices);
            if form.identities == NODES {
                return Err(Error::invalid(place(), "a cell with an operation", "four skips"));
            }
            if let Some(earlier) = table.places.insert(form, table.rows.len()) {
                let found = format!("the cell of row {}", earlier + 1);
                return Err(Error::invalid(place(), "a cell that comes once", found));
            }
            table.rows.push(row);
        }
        if table.rows.is_empty() {
            return Err(Error::invalid(origin, "a row for every cell", "none"));
        }
        Ok(table)
    }

    /// The row of a cell, from 0.
    ///
    /// # Errors
    /// A cell of another space; one of four `skip`s; one that this table lacks.
    pub fn row(&self, genotype: &Genotype) -> Result<usize> {
        genotype.require_space(self.space(), "a cell for NAS-Bench-Graph")?;
        let names = self.space().primitives();
        let index = |name: &str| names.iter().position(|known| *known == name);
        let edges = genotype.normal.edges.iter();
        let choices: Vec<Choice> =
            edges.filter_map(|(name, source)| Some(Choice { primitive: index(name)?, source: *source })).collect();
        let place = "a cell for NAS-Bench-Graph";
        if choices.len() != NODES {
            return Err(Error::invalid(place, format!("{NODES} nodes"), choices.len().to_string()));
        }
        let form = Form::of(self.space(), &choices);
        if form.identities == NODES {
            return Err(Error::invalid(place, "an operation", "four skips, which the table leaves out"));
        }
        let row = self.places.get(&form).copied();
        row.ok_or_else(|| {
            Error::invalid(place, "a cell of the table", "another")
                .with_hint(format!("the whole table has 26206 rows; this one has {}", self.rows.len()))
        })
    }
}

/// Reads what a row says of its cell.
fn choices(space: SpaceName, inputs: &str, operations: &str, place: &impl Fn() -> String) -> Result<[Choice; NODES]> {
    let wrong = |expected: String, found: &str| Error::invalid(place(), expected, found);
    let counted = |text: &str, what: &str| {
        let parts: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        <[String; NODES]>::try_from(parts).map_err(|_| wrong(format!("{NODES} {what}"), text))
    };
    let (reads, names) = (counted(inputs, "inputs")?, counted(operations, "operations")?);
    let mut choices = [Choice { primitive: 0, source: 0 }; NODES];
    for (node, choice) in choices.iter_mut().enumerate() {
        let primitive = space.primitives().iter().position(|name| *name == names[node]);
        let source = reads[node].parse().ok().filter(|source: &usize| *source <= node);
        let earlier = || wrong(format!("a state before node {}: 0 to {node}", node + 1), &reads[node]);
        let known = || wrong(format!("an operation: {}", space.primitives().join(", ")), &names[node]);
        *choice = Choice { primitive: primitive.ok_or_else(known)?, source: source.ok_or_else(earlier)? };
    }
    Ok(choices)
}

fn number(cell: &str, column: &str, place: &impl Fn() -> String) -> Result<f64> {
    let value = cell.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
    value.ok_or_else(|| Error::invalid(format!("{}: {column}", place()), "a number of at least 0", cell))
}

impl Benchmark for NasBenchGraph {
    fn space(&self) -> SpaceName {
        SpaceName::NAS_BENCH_GRAPH
    }

    fn scores(&self, genotype: &Genotype) -> Result<Vec<Score>> {
        let values = &self.rows[self.row(genotype)?].values;
        let scores = self.columns.iter().zip(values);
        Ok(scores.map(|((set, quantity, _), &value)| Score { set: set.clone(), quantity: *quantity, value }).collect())
    }

    fn cells(&self) -> usize {
        self.rows.len()
    }

    fn cell(&self, row: usize) -> Option<Genotype> {
        Some(Genotype::from_choices(self.space(), &self.rows.get(row)?.choices, None))
    }
}

#[cfg(test)]
mod tests;
