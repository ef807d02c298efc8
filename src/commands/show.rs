//! `sgas show`: a cell's edges, parameters and multiply-adds of its published networks, what was published about it, a drawing.

use super::cell::{self, NamedCell};
use super::outputs::{DRAWING, print_then_write};
use super::zoo::published_scores;
use super::{ShowOptions, grouped, show_resgcn};
use crate::config::{self, RunConfig, TrainRun, tasks};
use crate::error::{Error, Result};
use crate::files::Output;
use crate::genotype::{CellGenotype, Genotype, SpaceName};
use crate::model::{self, Architecture, MultiplyAdds};
use crate::report::drawing::{self, DrawingFormat};
use crate::topology::CellKind;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Shows a cell.
///
/// # Errors
/// A cell that is not there or wrong, a task of another space, a drawing that can't be written.
pub fn run(options: &ShowOptions, out: &mut dyn Write) -> Result<()> {
    if show_resgcn::is_meant(&options.genotype) {
        return show_resgcn::run(options, out);
    }
    let cell = cell::load(&options.genotype, options.task.as_deref())?;
    let format = options.drawing_format()?;
    let drawings = places(options, &cell)?;
    let sizes = sizes(&cell, options.task.as_deref())?;
    let (text, drawn) = match options.json {
        true => (format!("{:#}\n", as_json(&cell, &sizes, &drawings)), String::new()),
        false => (as_text(&cell, &sizes), drawings.iter().map(told).collect()),
    };
    print_then_write(out, &text, || draw(&drawings, format, &cell), &drawn)
}

impl ShowOptions {
    /// Where to draw, with the flag that says so.
    pub(super) fn drawing(&self) -> Option<(&'static str, &Path)> {
        let draw = self.draw.as_deref().map(|path| ("--draw", path));
        draw.or_else(|| self.svg.as_deref().map(|path| ("--svg", path)))
    }

    fn drawing_format(&self) -> Result<DrawingFormat> {
        let Some(path) = &self.draw else { return Ok(DrawingFormat::Svg) };
        DrawingFormat::of(path).ok_or_else(|| {
            let expected = "a name that ends in .svg, .png, .pdf, .dot or .gv";
            Error::invalid("--draw", expected, format!("'{}'", path.display()))
        })
    }
}

/// What was counted in one network.
struct Counted {
    name: &'static str,
    parameters: u64,
    multiply_adds: Option<MultiplyAdds>,
}

fn sizes(cell: &NamedCell, task: Option<&str>) -> Result<Vec<Counted>> {
    if let Some(task) = task {
        tasks::find(task)?.require_space(cell.genotype.space, &format!("--task {task}"))?;
    }
    let task = match task {
        Some(task) => tasks::find(task)?,
        None => tasks::of_space(cell.genotype.space),
    };
    task.sizes(cell.genotype.space).iter().map(|size| count(&cell.genotype, size)).collect()
}

fn count(genotype: &Genotype, size: &tasks::PublishedSize) -> Result<Counted> {
    let run: TrainRun = config::embedded_run(size.config)?;
    let spec = run.network(size.classes, size.channels);
    let parameters = u64::try_from(model::parameter_count(&Architecture::Cell(Box::new(genotype.clone())), &spec))
        .expect("counts fit");
    // Nobody published those of points and graphs, and our networks need fewer: they map rows before gathering them.
    let is_counted = [SpaceName::IMAGE, SpaceName::NAS_BENCH_201].contains(&genotype.space);
    let multiply_adds =
        is_counted.then(|| model::multiply_adds(genotype, &spec, run.data.images.size as i64)).transpose()?;
    Ok(Counted { name: size.name, parameters, multiply_adds })
}

/// The file of each kind of cell: FILE, or FILE-normal and FILE-reduce.
fn places(options: &ShowOptions, cell: &NamedCell) -> Result<Vec<Output>> {
    let Some((flag, path)) = options.drawing() else { return Ok(Vec::new()) };
    let kinds: Vec<CellKind> = cells(&cell.genotype).map(|(kind, _)| kind).collect();
    let path = |kind: &CellKind| if kinds.len() == 1 { path.to_owned() } else { with_kind(path, *kind) };
    kinds.iter().map(|kind| Output::new(flag, &path(kind), DRAWING, options.force)).collect()
}

fn draw(places: &[Output], format: DrawingFormat, cell: &NamedCell) -> Result<()> {
    let mut drawings = places.iter().zip(cells(&cell.genotype));
    drawings.try_for_each(|(place, (kind, shape))| {
        place.write(&drawing::bytes(format, &format!("{} {kind} cell", cell.name), shape)?)
    })
}

fn told(drawing: &Output) -> String {
    format!("drawing: {}\n", drawing.path().display())
}

fn with_kind(path: &Path, kind: CellKind) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or("svg".as_ref()).to_string_lossy();
    path.with_file_name(format!("{stem}-{kind}.{extension}"))
}

fn cells(genotype: &Genotype) -> impl Iterator<Item = (CellKind, &CellGenotype)> {
    genotype.space.kinds().iter().filter_map(|kind| Some((*kind, genotype.cell(*kind)?)))
}

fn as_json(cell: &NamedCell, sizes: &[Counted], drawings: &[Output]) -> Value {
    let parameters: Map<String, Value> = sizes.iter().map(|one| (one.name.to_owned(), json!(one.parameters))).collect();
    let multiply_adds = |of: fn(MultiplyAdds) -> u64| -> Map<String, Value> {
        sizes.iter().filter_map(|one| Some((one.name.to_owned(), json!(of(one.multiply_adds?))))).collect()
    };
    json!({
        "name": cell.name,
        "space": cell.genotype.space,
        "task": cell.task,
        "genotype": cell.genotype,
        "arch_string": cell.genotype.arch_string(),
        "parameters": parameters,
        "multiply_adds": multiply_adds(|count| count.all),
        "multiply_adds_as_published": multiply_adds(|count| count.as_published),
        "published": cell.published.map(published_scores),
        "drawings": drawings.iter().map(Output::path).collect::<Vec<_>>(),
    })
}

fn as_text(cell: &NamedCell, sizes: &[Counted]) -> String {
    let mut text = format!("{} ({} space)\n", cell.name, cell.genotype.space);
    text += &cells_text(&cell.genotype);
    if let Some(cell) = cell.genotype.arch_string() {
        text += &format!("as NAS-Bench-201 writes it: {cell}\n\n");
    }
    text += &sizes_text(sizes);
    for (name, value) in cell.published.map(published_scores).unwrap_or_default() {
        text += &format!("published {name}: {value}\n");
    }
    text
}

/// The edges of every kind of cell, one a line.
pub fn cells_text(genotype: &Genotype) -> String {
    cells(genotype).map(|(kind, shape)| cell_text(kind, shape)).collect()
}

fn cell_text(kind: CellKind, cell: &CellGenotype) -> String {
    let mut text = format!("\n{kind} cell\n");
    let name = |state| cell.topology.state_name(state);
    for (node, primitive, source) in cell.edges_with_nodes() {
        text += &format!("  {:<8} <- {:<8} {primitive}\n", name(cell.topology.state_of(node)), name(source));
    }
    let joined: Vec<String> = cell.concat.iter().map(|state| name(*state)).collect();
    text + &format!("  output   <- {}\n\n", joined.join(", "))
}

fn sizes_text(sizes: &[Counted]) -> String {
    let lines = sizes.iter().map(|count| line(count.name, count.parameters, count.multiply_adds));
    format!("parameters\n{}", lines.collect::<String>())
}

fn line(name: &str, parameters: u64, multiply_adds: Option<MultiplyAdds>) -> String {
    let line = format!("  {name:<24} {:>12}\n", grouped(parameters));
    multiply_adds.map_or(line.clone(), |MultiplyAdds { all, as_published }| {
        let counts = format!("{} for an image, {} as published counts go", grouped(all), grouped(as_published));
        format!("{line}    multiply-adds: {counts} (without first convolution and classifier)\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_kinds_of_cell_are_two_drawings() {
        assert_eq!(with_kind(Path::new("a/cell.svg"), CellKind::Reduce), Path::new("a/cell-reduce.svg"));
    }
}
