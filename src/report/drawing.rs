//! Drawings of cells: one after every decision, and any cell into a file.

use super::svg::{CellDrawing, dot, draw_cell};
use super::{AlphaReport, Event, Observer, rendered};
use crate::decision::best_primitive;
use crate::error::Result;
use crate::files::write_atomically;
use crate::genotype::{CellGenotype, SpaceName};
use crate::topology::CellKind;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Draws the cell as `cell-<kind>-epoch-<epoch>.svg` at the end of every epoch that decided an edge of it,
/// whichever of decision and alphas is told first.
#[derive(Debug)]
pub struct CellDrawings {
    folder: PathBuf,
    space: SpaceName,
    alphas: BTreeMap<CellKind, AlphaReport>,
    decided: BTreeMap<CellKind, usize>,
}

impl CellDrawings {
    /// Drawings in `folder`, of cells of this space.
    pub fn new(folder: &Path, space: SpaceName) -> Self {
        Self { folder: folder.to_owned(), space, alphas: BTreeMap::new(), decided: BTreeMap::new() }
    }

    /// Draws the kind of cell once both its alphas and its decision of the same epoch are known.
    fn draw_if_complete(&mut self, kind: CellKind) -> Result<()> {
        let (Some(report), Some(epoch)) = (self.alphas.get(&kind), self.decided.get(&kind)) else { return Ok(()) };
        if report.epoch != *epoch {
            return Ok(());
        }
        let title = format!("{kind} cell after epoch {epoch}");
        let topology = self.space.topology();
        let leading: Vec<usize> = report.alphas.iter().map(|alphas| best_primitive(topology, alphas)).collect();
        let drawing = CellDrawing::from_states(&title, topology, &report.states, &leading, self.space.primitives());
        let path = self.folder.join(format!("cell-{kind}-epoch-{epoch}.svg"));
        self.decided.remove(&kind);
        write_atomically(&path, draw_cell(&drawing).as_bytes())
    }
}

impl Observer for CellDrawings {
    fn observe(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Alphas(report) => {
                self.alphas.insert(report.kind, report.clone());
                self.draw_if_complete(report.kind)
            }
            Event::Decision(report) => {
                self.decided.insert(report.kind, report.epoch);
                self.draw_if_complete(report.kind)
            }
            _ => Ok(()),
        }
    }
}

/// What a drawing can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawingFormat {
    /// Vector graphics for the web.
    Svg,
    /// Pixels.
    Png,
    /// A page.
    Pdf,
    /// Graphviz's language.
    Dot,
}

impl DrawingFormat {
    /// By the extension of a file's name, in any case.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "svg" => Some(Self::Svg),
            "png" => Some(Self::Png),
            "pdf" => Some(Self::Pdf),
            "dot" | "gv" => Some(Self::Dot),
            _ => None,
        }
    }
}

/// A derived cell as the content of a file.
///
/// # Errors
/// Those of [`rendered`].
pub fn bytes(format: DrawingFormat, title: &str, cell: &CellGenotype) -> Result<Vec<u8>> {
    match format {
        DrawingFormat::Svg => Ok(text(title, cell).into_bytes()),
        DrawingFormat::Png => rendered::png(&text(title, cell)),
        DrawingFormat::Pdf => rendered::pdf(&text(title, cell)),
        DrawingFormat::Dot => Ok(dot::text(&CellDrawing::from_cell(title, cell)).into_bytes()),
    }
}

/// True of a drawing that was written in any of these formats.
pub fn is_ours(bytes: &[u8]) -> bool {
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    // Pages hold drawings too.
    let is_svg = bytes.starts_with(b"<svg") && has(b"id=\"arrow-output\"");
    bytes.starts_with(dot::MARK.as_bytes()) || rendered::is_ours(bytes) || is_svg
}

/// A derived cell as the text of an SVG file.
pub fn text(title: &str, cell: &CellGenotype) -> String {
    draw_cell(&CellDrawing::from_cell(title, cell))
}

/// Draws a derived cell into a file.
///
/// # Errors
/// A file that can't be written.
pub fn write_cell(path: &Path, title: &str, cell: &CellGenotype) -> Result<()> {
    write_atomically(path, text(title, cell).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::EdgeState;
    use crate::report::tests::decision;

    #[test]
    fn a_cell_is_drawn_once_per_decision_in_either_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut drawings = CellDrawings::new(folder.path(), SpaceName::POINT);
        let alphas = |epoch| {
            Event::Alphas(AlphaReport {
                epoch,
                kind: CellKind::Normal,
                alphas: vec![vec![0.0; 10]; 9],
                scores: Vec::new(),
                states: vec![EdgeState::Open; 9],
            })
        };
        drawings.observe(&alphas(0)).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        drawings.observe(&alphas(1)).unwrap();
        drawings.observe(&Event::Decision(decision(1))).unwrap();
        drawings.observe(&Event::Decision(decision(2))).unwrap();
        drawings.observe(&alphas(2)).unwrap();
        drawings.observe(&alphas(3)).unwrap();
        let mut names: Vec<String> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["cell-normal-epoch-1.svg", "cell-normal-epoch-2.svg"]);
    }
}
