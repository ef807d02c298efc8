//! `sgas show`: a cell's edges, the parameters of its published networks, what was published about it, a drawing.

use super::cell::{self, NamedCell};
use super::zoo::published_scores;
use super::{ShowOptions, grouped, print};
use crate::config::{self, RunConfig, TrainRun, tasks};
use crate::error::Result;
use crate::genotype::{CellGenotype, Genotype, SpaceName};
use crate::model;
use crate::report::drawing;
use crate::topology::{CELL_INPUTS, CellKind, EDGES_PER_NODE};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A published size of network: its name in the zoo, the embedded training configuration, the classes.
struct PublishedSize {
    name: &'static str,
    config: &'static str,
    classes: usize,
}

/// The networks of the paper on ModelNet40.
const MODELNET40_SIZES: [PublishedSize; 2] = [
    PublishedSize { name: "modelnet40_C128_9cells", config: "modelnet40", classes: 40 },
    PublishedSize { name: "modelnet40_C128_3cells", config: "modelnet40-small", classes: 40 },
];

/// The same sizes with the classes of ModelNet10.
const MODELNET10_SIZES: [PublishedSize; 2] = [
    PublishedSize { name: "modelnet10_C128_9cells", config: "modelnet40", classes: 10 },
    PublishedSize { name: "modelnet10_C128_3cells", config: "modelnet40-small", classes: 10 },
];

/// Shows a cell.
///
/// # Errors
/// A cell that is not there or wrong, a task of another space, a drawing that can't be written.
pub fn run(options: &ShowOptions, out: &mut dyn Write) -> Result<()> {
    let cell = cell::load(&options.genotype)?;
    let parameters = parameters(&cell, options.task.as_deref())?;
    let drawings = options.svg.as_deref().map_or(Ok(Vec::new()), |path| draw(path, &cell))?;
    let text = match options.json {
        true => format!("{:#}\n", as_json(&cell, &parameters, &drawings)),
        false => as_text(&cell, &parameters, &drawings),
    };
    print(out, &text)
}

/// Parameters by network, or why there are none.
enum Parameters {
    Counted(Vec<(String, u64)>),
    /// As published: this version does not build networks of that space.
    Published(Vec<(String, u64)>),
}

fn parameters(cell: &NamedCell, task: Option<&str>) -> Result<Parameters> {
    if let Some(task) = task {
        cell.genotype.require_space(tasks::find(task)?.space, &cell.origin)?;
    }
    if cell.genotype.space != SpaceName::Point {
        let published = cell.published.map(|known| known.params.iter().map(|(name, count)| (name.clone(), *count)));
        return Ok(Parameters::Published(published.into_iter().flatten().collect()));
    }
    let sizes = match task {
        Some("modelnet10") => &MODELNET10_SIZES,
        _ => &MODELNET40_SIZES,
    };
    let counted = sizes.iter().map(|size| Ok((size.name.to_owned(), count(&cell.genotype, size)?)));
    counted.collect::<Result<_>>().map(Parameters::Counted)
}

fn count(genotype: &Genotype, size: &PublishedSize) -> Result<u64> {
    let run: TrainRun = config::embedded_run(size.config)?;
    let spec = run.network(size.classes, 3);
    let count = model::parameter_count(genotype, &spec)?;
    Ok(u64::try_from(count).expect("counts fit"))
}

/// One drawing per kind of cell: FILE, or FILE-normal and FILE-reduce.
fn draw(path: &Path, cell: &NamedCell) -> Result<Vec<PathBuf>> {
    let cells: Vec<(CellKind, &CellGenotype)> = cells(&cell.genotype).collect();
    let mut drawn = Vec::new();
    for (kind, shape) in &cells {
        let path = if cells.len() == 1 { path.to_owned() } else { with_kind(path, *kind) };
        drawing::write_cell(&path, &format!("{} {kind} cell", cell.name), shape)?;
        drawn.push(path);
    }
    Ok(drawn)
}

fn with_kind(path: &Path, kind: CellKind) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or("svg".as_ref()).to_string_lossy();
    path.with_file_name(format!("{stem}-{kind}.{extension}"))
}

fn cells(genotype: &Genotype) -> impl Iterator<Item = (CellKind, &CellGenotype)> {
    genotype.space.kinds().iter().filter_map(|kind| Some((*kind, genotype.cell(*kind)?)))
}

fn as_json(cell: &NamedCell, parameters: &Parameters, drawings: &[PathBuf]) -> Value {
    let (counts, counted) = match parameters {
        Parameters::Counted(counts) => (counts, true),
        Parameters::Published(counts) => (counts, false),
    };
    let counts: Map<String, Value> = counts.iter().map(|(name, count)| (name.clone(), (*count).into())).collect();
    json!({
        "name": cell.name,
        "space": cell.genotype.space,
        "task": cell.task,
        "genotype": cell.genotype,
        "parameters": counts,
        "parameters_counted_here": counted,
        "published": cell.published.map(published_scores),
        "drawings": drawings,
    })
}

fn as_text(cell: &NamedCell, parameters: &Parameters, drawings: &[PathBuf]) -> String {
    let mut text = format!("{} ({} space)\n", cell.name, cell.genotype.space);
    text += &cells_text(&cell.genotype);
    text += &parameters_text(parameters);
    for (name, value) in cell.published.map(published_scores).unwrap_or_default() {
        text += &format!("published {name}: {value}\n");
    }
    for path in drawings {
        text += &format!("drawing: {}\n", path.display());
    }
    text
}

/// The edges of every kind of cell, one a line.
pub fn cells_text(genotype: &Genotype) -> String {
    cells(genotype).map(|(kind, shape)| cell_text(kind, shape)).collect()
}

fn cell_text(kind: CellKind, cell: &CellGenotype) -> String {
    let mut text = format!("\n{kind} cell\n");
    for (index, (primitive, source)) in cell.edges.iter().enumerate() {
        let node = index / EDGES_PER_NODE;
        text += &format!("  {:<8} <- {:<8} {primitive}\n", state_name(CELL_INPUTS + node), state_name(*source));
    }
    let joined: Vec<String> = cell.concat.iter().map(|state| state_name(*state)).collect();
    text + &format!("  output   <- {}\n\n", joined.join(", "))
}

fn state_name(state: usize) -> String {
    match state.checked_sub(CELL_INPUTS) {
        None => format!("input {state}"),
        Some(node) => format!("node {node}"),
    }
}

fn parameters_text(parameters: &Parameters) -> String {
    let (counts, title) = match parameters {
        Parameters::Counted(counts) => (counts, "parameters"),
        Parameters::Published(counts) => (counts, "parameters (as published; only point networks are counted here)"),
    };
    let lines: String = counts.iter().map(|(name, count)| format!("  {name:<24} {:>12}\n", grouped(*count))).collect();
    format!("{title}\n{}", if lines.is_empty() { "  not known\n" } else { &lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_kinds_of_cell_are_two_drawings() {
        assert_eq!(with_kind(Path::new("a/cell.svg"), CellKind::Reduce), Path::new("a/cell-reduce.svg"));
    }
}
