//! A cell as text in Graphviz's language: the same states, edges and colours, which Graphviz lays out itself.

use super::{CellDrawing, FIXED_COLOUR, Line};

/// The first line, by which a drawing of ours is known again.
pub const MARK: &str = "// drawn by sgas\n";

/// The drawing as the text of a .dot file.
pub fn text(drawing: &CellDrawing) -> String {
    let states = (0..=drawing.output()).map(|state| state_line(drawing, state));
    let edges = drawing.all_edges().map(|edge| {
        let style = if edge.line == Line::Open { ", style=dashed" } else { "" };
        let look = format!("label={}, color=\"{}\"{style}", quoted(&edge.label), edge.line.colour());
        format!("  {} -> {} [{look}];\n", edge.source, edge.target)
    });
    let lines: String = states.chain(edges).collect();
    let title = quoted(&drawing.title);
    format!(
        "{MARK}digraph cell {{\n  rankdir=LR; label={title}; labelloc=t;\n  node [shape=box, style=\"rounded,filled\", \
         color=\"{FIXED_COLOUR}\", fontname=monospace];\n  edge [fontname=monospace];\n{lines}}}\n"
    )
}

fn state_line(drawing: &CellDrawing, state: usize) -> String {
    format!("  {state} [label={}, fillcolor=\"{}\"];\n", quoted(&drawing.state_name(state)), drawing.fill(state))
}

/// A string as Graphviz reads it; its escapes begin with a backslash.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::zoo;
    use crate::topology::CellKind;

    #[test]
    fn every_state_and_edge_is_there_once() {
        let cell = zoo::find("Cri2_ModelNet_Best").unwrap().genotype.cell(CellKind::Normal).unwrap();
        let text = text(&CellDrawing::from_cell("a \"cell\" \\", cell));
        assert!(text.starts_with(MARK) && text.contains("label=\"a \\\"cell\\\" \\\\\""), "{text}");
        assert_eq!(text.matches(" -> ").count(), cell.edges.len() + cell.concat.len());
        assert_eq!(text.matches("fillcolor").count(), cell.topology.states() + 1);
        for (primitive, source) in &cell.edges {
            assert!(text.lines().any(|line| {
                line.starts_with(&format!("  {source} -> ")) && line.contains(&format!("label=\"{primitive}\""))
            }));
        }
    }
}
