//! A cell as a picture: inputs, nodes and output from left to right, every edge with its primitive.
//!
//! This file says what is drawn and how it looks; `layout` says where, and `dot` says the same to Graphviz. Fixed edges are solid; open edges are dashed
//! and grey, with the primitive that leads; pruned edges are absent.

pub mod dot;
mod layout;

use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Definitions, Group, Marker, Path, Rectangle, Text, Title};

use crate::decision::EdgeState;
use crate::genotype::CellGenotype;
use crate::topology::Topology;
use layout::{Area, Layout, MARGIN};

/// Sizes in pixels.
const TITLE_HEIGHT: f64 = 32.0;
const FONT_SIZE: f64 = 13.0;
/// Advance of a character in a monospaced font, with some reserve for wider ones.
const CHARACTER_WIDTH: f64 = 0.62 * FONT_SIZE;

/// The primitive that is drawn as no edge.
const NO_EDGE: &str = "none";

const FIXED_COLOUR: &str = "#1f2937";
const OPEN_COLOUR: &str = "#9ca3af";
const OPEN_LABEL_COLOUR: &str = "#6b7280";
const OUTPUT_COLOUR: &str = "#3b82f6";

/// What is to be drawn of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellDrawing {
    title: String,
    topology: Topology,
    edges: Vec<DrawnEdge>,
    concat: Vec<usize>,
}

/// An edge between two states of the cell.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DrawnEdge {
    source: usize,
    target: usize,
    label: String,
    line: Line,
}

/// How an edge looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Fixed,
    Open,
    Output,
}

impl Line {
    fn colour(self) -> &'static str {
        match self {
            Self::Fixed => FIXED_COLOUR,
            Self::Open => OPEN_COLOUR,
            Self::Output => OUTPUT_COLOUR,
        }
    }

    /// The identifier of its arrow head.
    fn arrow(self) -> &'static str {
        match self {
            Self::Fixed => "arrow-fixed",
            Self::Open => "arrow-open",
            Self::Output => "arrow-output",
        }
    }
}

impl CellDrawing {
    /// A derived cell.
    pub fn from_cell(title: &str, cell: &CellGenotype) -> Self {
        let topology = cell.topology;
        let something = cell.edges_with_nodes().filter(|(_, primitive, _)| *primitive != NO_EDGE);
        let edges = something.map(|(node, primitive, source)| DrawnEdge {
            source,
            target: topology.state_of(node),
            label: primitive.to_owned(),
            line: Line::Fixed,
        });
        Self { title: title.to_owned(), topology, edges: edges.collect(), concat: cell.concat.clone() }
    }

    /// A cell in search: `leading` is the best primitive of every edge, `primitives` the space's names.
    pub fn from_states(
        title: &str,
        topology: Topology,
        states: &[EdgeState],
        leading: &[usize],
        primitives: &[&str],
    ) -> Self {
        let read = topology.edges().filter(|edge| match states[edge.index] {
            EdgeState::Fixed(primitive) => primitives[primitive] != NO_EDGE,
            EdgeState::Open | EdgeState::Pruned => false,
        });
        let concat = topology.derived_output(read.map(|edge| edge.source));
        let edges = topology.edges().filter_map(|edge| {
            let (primitive, line) = match states[edge.index] {
                EdgeState::Fixed(primitive) => (primitive, Line::Fixed),
                EdgeState::Open => (leading[edge.index], Line::Open),
                EdgeState::Pruned => return None,
            };
            if line == Line::Fixed && primitives[primitive] == NO_EDGE {
                return None;
            }
            let label = primitives[primitive].to_owned();
            Some(DrawnEdge { source: edge.source, target: topology.state_of(edge.node), label, line })
        });
        Self { title: title.to_owned(), topology, edges: edges.collect(), concat }
    }

    /// All edges to draw: the cell's own and those into the output, which is the state after the last node.
    fn all_edges(&self) -> impl Iterator<Item = DrawnEdge> {
        let target = self.output();
        let into_output = move |&source: &usize| DrawnEdge { source, target, label: String::new(), line: Line::Output };
        self.edges.iter().cloned().chain(self.concat.iter().map(into_output))
    }

    fn output(&self) -> usize {
        self.topology.states()
    }

    /// The colour of the box of a state.
    fn fill(&self, state: usize) -> &'static str {
        match state {
            _ if state < self.topology.inputs() => "#dcfce7",
            _ if state == self.output() => "#fef3c7",
            _ => "#dbeafe",
        }
    }

    /// What stands in the box of a state.
    fn state_name(&self, state: usize) -> String {
        if state == self.output() { "output".to_owned() } else { self.topology.state_name(state) }
    }
}

/// The picture as the text of an SVG file.
pub fn draw_cell(drawing: &CellDrawing) -> String {
    let layout = Layout::of(drawing);
    let body = content(drawing, &layout).set("transform", format!("translate(0 {TITLE_HEIGHT})"));
    format!("{}\n", frame(drawing, layout.extent()).add(body))
}

/// The same as a part of a page that has [`arrow_heads`] once and a style sheet for its colours: no background, and no
/// heading but the name that programs read out.
pub fn draw_in_page(drawing: &CellDrawing) -> String {
    let layout = Layout::of(drawing);
    let (width, height) = layout.extent();
    let (width, height) = ((width + MARGIN).ceil(), (height + MARGIN).ceil());
    let page = document(width, height).set("role", "img").add(Title::new(&drawing.title));
    page.add(content(drawing, &layout)).to_string()
}

/// What the drawings of a page point with, as a drawing of no size.
pub fn arrow_heads() -> String {
    Document::new().set("width", 0).set("height", 0).set("aria-hidden", "true").add(arrows()).to_string()
}

/// Lines, names of primitives, boxes of states.
fn content(drawing: &CellDrawing, layout: &Layout) -> Group {
    let lines = layout
        .edges
        .iter()
        .fold(Group::new().set("fill", "none"), |group, placed| group.add(draw_line(placed.edge.line, &placed.points)));
    let labels = layout.edges.iter().filter_map(|placed| Some((&placed.edge, placed.label.as_ref()?)));
    let labels = labels.fold(Group::new(), |group, (edge, at)| draw_label(group, edge, at));
    let states =
        layout.states.iter().enumerate().fold(Group::new(), |group, (state, at)| draw_state(group, drawing, state, at));
    Group::new().add(lines).add(labels).add(states)
}

fn arrows() -> Definitions {
    [Line::Fixed, Line::Open, Line::Output].into_iter().fold(Definitions::new(), |all, line| {
        let head = Path::new().set("d", "M 0 0 L 8 4 L 0 8 z").set("fill", line.colour());
        let marker = Marker::new().set("id", line.arrow()).set("viewBox", (0, 0, 8, 8)).set("refX", 7).set("refY", 4);
        all.add(marker.set("markerWidth", 6).set("markerHeight", 6).set("orient", "auto").add(head))
    })
}

fn document(width: f64, height: f64) -> Document {
    Document::new()
        .set("viewBox", (0.0, 0.0, width, height))
        .set("width", width)
        .set("height", height)
        .set("font-family", "DejaVu Sans Mono, Menlo, Consolas, monospace")
        .set("font-size", FONT_SIZE)
}

/// The page: background, title, arrow heads.
fn frame(drawing: &CellDrawing, (width, height): (f64, f64)) -> Document {
    let width = (width + MARGIN).max(text_width(&drawing.title) * 1.2 + 2.0 * MARGIN);
    let height = height + MARGIN + TITLE_HEIGHT;
    let heading = Text::new(&drawing.title).set("x", MARGIN).set("y", 26).set("font-size", 1.2 * FONT_SIZE);
    document(width.ceil(), height.ceil())
        .add(Title::new(&drawing.title))
        .add(arrows())
        .add(Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "white"))
        .add(heading.set("font-weight", "bold").set("fill", FIXED_COLOUR))
}

/// A line that is level at each of its points, so that it bends only between them.
fn draw_line(line: Line, points: &[(f64, f64)]) -> Path {
    let mut points: Vec<(f64, f64)> = points.iter().copied().map(rounded).collect();
    // A last step of length zero would leave the arrow head without a direction.
    points.dedup();
    let mut data = Data::new().move_to(points[0]);
    for pair in points.windows(2) {
        let ((x, y), (to_x, to_y)) = (pair[0], pair[1]);
        let middle = round((x + to_x) / 2.0);
        data = if y == to_y {
            data.horizontal_line_to(to_x)
        } else {
            data.cubic_curve_to((middle, y, middle, to_y, to_x, to_y))
        };
    }
    let path = Path::new()
        .set("d", data)
        .set("stroke", line.colour())
        .set("stroke-width", 1.6)
        .set("marker-end", format!("url(#{})", line.arrow()));
    if line == Line::Open { path.set("stroke-dasharray", "5 4") } else { path }
}

/// The name of a primitive on a patch of background, which interrupts its own line.
fn draw_label(group: Group, edge: &DrawnEdge, at: &Area) -> Group {
    let colour = if edge.line == Line::Open { OPEN_LABEL_COLOUR } else { FIXED_COLOUR };
    group.add(rectangle(at).set("fill", "white")).add(centred(&edge.label, at).set("fill", colour))
}

fn draw_state(group: Group, drawing: &CellDrawing, state: usize, at: &Area) -> Group {
    let shape = rectangle(at).set("rx", 6).set("fill", drawing.fill(state)).set("stroke", FIXED_COLOUR);
    group.add(shape).add(centred(&drawing.state_name(state), at))
}

fn rectangle(at: &Area) -> Rectangle {
    let (x, y) = rounded((at.left(), at.y - at.height / 2.0));
    Rectangle::new().set("x", x).set("y", y).set("width", round(at.width)).set("height", round(at.height))
}

fn centred(text: &str, at: &Area) -> Text {
    // A third of the font size below the middle is where the letters' base line goes.
    Text::new(text).set("x", round(at.x)).set("y", round(at.y + FONT_SIZE / 3.0)).set("text-anchor", "middle")
}

fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER_WIDTH
}

fn rounded((x, y): (f64, f64)) -> (f64, f64) {
    (round(x), round(y))
}

/// Tenths of a pixel are enough, and make the file short.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::zoo;
    use crate::topology::{CellKind, CellOutput, NoneRule};

    fn overlap(a: &Area, b: &Area) -> bool {
        (a.x - b.x).abs() < (a.width + b.width) / 2.0 && (a.y - b.y).abs() < (a.height + b.height) / 2.0
    }

    fn assert_readable(drawing: &CellDrawing) {
        let layout = Layout::of(drawing);
        let areas: Vec<Area> = layout.areas().collect();
        for (index, a) in areas.iter().enumerate() {
            let other = areas[index + 1..].iter().find(|b| overlap(a, b));
            assert!(other.is_none(), "{}: {a:?} and {other:?}", drawing.title);
        }
        for placed in &layout.edges {
            assert_eq!(placed.label.is_some(), !placed.edge.label.is_empty());
            assert!(placed.points.windows(2).all(|pair| pair[0].0 <= pair[1].0), "a line runs from left to right");
            if let Some(label) = placed.label {
                let on_line = |pair: &[(f64, f64)]| {
                    pair.iter().all(|point| (point.1 - label.y).abs() < 1e-6)
                        && pair[0].0 <= label.left() + 1e-6
                        && pair[1].0 >= label.right() - 1e-6
                };
                assert!(placed.points.windows(2).any(on_line), "{}: {label:?} is off its line", drawing.title);
            }
            for area in &areas {
                let own = placed.label.is_some_and(|label| (label.x, label.y) == (area.x, area.y));
                let strictly = Area { width: area.width - 1.0, ..*area };
                assert!(own || !crosses(&placed.points, &strictly), "{}: a line crosses {area:?}", drawing.title);
            }
        }
    }

    /// Whether a line meets an area; between two points it stays within their rectangle.
    fn crosses(points: &[(f64, f64)], area: &Area) -> bool {
        points.windows(2).any(|pair| {
            let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
            let span = Area { x: (ax + bx) / 2.0, y: (ay + by) / 2.0, width: bx - ax, height: (by - ay).abs() };
            overlap(&span, area)
        })
    }

    fn whole_supernet(steps: usize) -> CellDrawing {
        let topology = Topology::new(steps);
        let edges = topology.edge_count();
        CellDrawing::from_states(
            "all open",
            topology,
            &vec![EdgeState::Open; edges],
            &vec![1; edges],
            &["none", "sep_conv_3x3"],
        )
    }

    #[test]
    fn every_published_cell_and_open_supernet_is_readable() {
        for cell in zoo::cells() {
            for kind in cell.genotype.space.kinds() {
                let drawing = CellDrawing::from_cell(&cell.name, cell.genotype.cell(*kind).unwrap());
                assert_readable(&drawing);
            }
        }
        for steps in [1, 2, 3, 4, 5] {
            assert_readable(&whole_supernet(steps));
        }
    }

    #[test]
    fn states_decide_what_is_drawn() {
        let states =
            [EdgeState::Fixed(1), EdgeState::Open, EdgeState::Pruned, EdgeState::Fixed(2), EdgeState::Fixed(1)];
        let names = ["none", "gat", "sage"];
        let topology = Topology::new(2).putting_out(CellOutput::LastStates(2));
        let drawing = CellDrawing::from_states("epoch 9", topology, &states, &[1, 2, 1, 1, 1], &names);
        let lines: Vec<(usize, usize, &str, Line)> =
            drawing.edges.iter().map(|edge| (edge.source, edge.target, edge.label.as_str(), edge.line)).collect();
        let expected = [
            (0, 2, "gat", Line::Fixed),
            (1, 2, "sage", Line::Open),
            (1, 3, "sage", Line::Fixed),
            (2, 3, "gat", Line::Fixed),
        ];
        assert_eq!(lines, expected);
        let text = draw_cell(&drawing);
        assert_eq!(text.matches("stroke-dasharray").count(), 1);
        assert_eq!(text.matches("url(#arrow-output)").count(), 2);
    }

    #[test]
    fn what_was_decided_for_none_is_no_edge_and_read_nodes_are_no_output() {
        let free = Topology::new(2).with_inputs(1).with_none(NoneRule::Choosable).putting_out(CellOutput::Leaves);
        let states = [EdgeState::Fixed(1), EdgeState::Fixed(0), EdgeState::Fixed(1)];
        let drawing = CellDrawing::from_states("done", free, &states, &[1; 3], &["none", "gat"]);
        let lines: Vec<(usize, usize)> = drawing.edges.iter().map(|edge| (edge.source, edge.target)).collect();
        assert_eq!((lines, &drawing.concat[..]), (vec![(0, 1), (1, 2)], &[2][..]));
        assert_eq!((drawing.state_name(0), drawing.state_name(1)), ("input 0".to_owned(), "node 0".to_owned()));
    }

    #[test]
    fn the_text_is_one_escaped_document_and_the_same_every_time() {
        let cell = zoo::find("NASNet").unwrap().genotype.cell(CellKind::Reduce).unwrap();
        let drawing = CellDrawing::from_cell("a <b> & \"c\"", cell);
        let text = draw_cell(&drawing);
        assert!(text.starts_with("<svg") && text.ends_with("</svg>\n"));
        assert!(text.contains("a &lt;b&gt; &amp; ") && !text.contains("<b>"));
        assert!(text.contains("sep_conv_7x7") && !text.contains("NaN"));
        assert_eq!(draw_cell(&drawing), text);
    }
}
