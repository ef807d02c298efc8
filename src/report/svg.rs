//! A cell as a picture: inputs, nodes and output from left to right, every edge with its primitive.
//!
//! The layers and the room that each label needs are laid out by `dagre`; this file says what is drawn and how it
//! looks. Fixed edges are solid; open edges are dashed and grey, with the primitive that leads; pruned edges
//! are absent.

use dagre::graph::{Graph, GraphOptions};
use dagre::layout::types::LabelPos;
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, Point, RankDir};
use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Definitions, Group, Marker, Path, Rectangle, Text, Title};

use crate::decision::EdgeState;
use crate::genotype::CellGenotype;
use crate::topology::{CELL_INPUTS, EDGES_PER_NODE, Topology};

/// Sizes in pixels.
const MARGIN: f64 = 16.0;
const TITLE_HEIGHT: f64 = 32.0;
const FONT_SIZE: f64 = 13.0;
/// Advance of a character in a monospaced font, with some reserve for wider ones.
const CHARACTER_WIDTH: f64 = 0.62 * FONT_SIZE;
const LABEL_HEIGHT: f64 = 20.0;
const NODE_HEIGHT: f64 = 34.0;

const FIXED_COLOUR: &str = "#1f2937";
const OPEN_COLOUR: &str = "#9ca3af";
const OUTPUT_COLOUR: &str = "#3b82f6";

/// What is to be drawn of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellDrawing {
    title: String,
    nodes: usize,
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
        let edges = cell.edges.iter().enumerate().map(|(index, (primitive, source))| DrawnEdge {
            source: *source,
            target: CELL_INPUTS + index / EDGES_PER_NODE,
            label: primitive.clone(),
            line: Line::Fixed,
        });
        Self { title: title.to_owned(), nodes: cell.nodes(), edges: edges.collect(), concat: cell.concat.clone() }
    }

    /// A cell in search: `leading` is the best primitive of every edge, `primitives` the space's names, `concat`
    /// the states of the output.
    pub fn from_states(
        title: &str,
        topology: Topology,
        states: &[EdgeState],
        leading: &[usize],
        primitives: &[&str],
        concat: &[usize],
    ) -> Self {
        let edges = topology.edges().filter_map(|edge| {
            let (primitive, line) = match states[edge.index] {
                EdgeState::Fixed(primitive) => (primitive, Line::Fixed),
                EdgeState::Open => (leading[edge.index], Line::Open),
                EdgeState::Pruned => return None,
            };
            let label = primitives[primitive].to_owned();
            Some(DrawnEdge { source: edge.source, target: CELL_INPUTS + edge.node, label, line })
        });
        Self { title: title.to_owned(), nodes: topology.steps(), edges: edges.collect(), concat: concat.to_vec() }
    }

    /// All edges to draw: the cell's own and those into the output, which is the state after the last node.
    fn all_edges(&self) -> impl Iterator<Item = DrawnEdge> {
        let target = self.output();
        let into_output = move |&source: &usize| DrawnEdge { source, target, label: String::new(), line: Line::Output };
        self.edges.iter().cloned().chain(self.concat.iter().map(into_output))
    }

    fn output(&self) -> usize {
        CELL_INPUTS + self.nodes
    }

    /// What stands in the box of a state.
    fn state_name(&self, state: usize) -> String {
        match state {
            0 => "input 0".to_owned(),
            1 => "input 1".to_owned(),
            _ if state == self.output() => "output".to_owned(),
            _ => format!("node {}", state - CELL_INPUTS),
        }
    }
}

/// The picture as the text of an SVG file.
pub fn draw_cell(drawing: &CellDrawing) -> String {
    let graph = lay_out(drawing);
    let mut edges = Group::new().set("fill", "none").set("stroke-width", 1.6);
    let mut labels = Group::new();
    for (index, edge) in drawing.all_edges().enumerate() {
        let placed = graph.edge(&key(edge.source), &key(edge.target), Some(&key(index)));
        let placed = placed.expect("every edge was laid out");
        edges = edges.add(draw_line(edge.line, &placed.points));
        if let (Some(x), Some(y), false) = (placed.x, placed.y, edge.label.is_empty()) {
            labels = draw_label(labels, &edge, x, y);
        }
    }
    let states = (0..=drawing.output()).fold(Group::new(), |group, state| draw_state(group, drawing, &graph, state));
    let body = Group::new().set("transform", format!("translate(0 {TITLE_HEIGHT})")).add(edges).add(labels).add(states);
    let (width, height) = extent(drawing, &graph);
    format!("{}\n", frame(drawing, width, height).add(body))
}

type CellGraph = Graph<NodeLabel, EdgeLabel>;

fn key(number: usize) -> String {
    number.to_string()
}

fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER_WIDTH
}

fn lay_out(drawing: &CellDrawing) -> CellGraph {
    let mut graph = Graph::with_options(GraphOptions { directed: true, multigraph: true, compound: false });
    for state in 0..=drawing.output() {
        let width = text_width(&drawing.state_name(state)) + 18.0;
        graph.set_node(key(state), Some(NodeLabel { width, height: NODE_HEIGHT, ..NodeLabel::default() }));
    }
    for (index, edge) in drawing.all_edges().enumerate() {
        let (width, height) = if edge.label.is_empty() { (0.0, 0.0) } else { (text_width(&edge.label), LABEL_HEIGHT) };
        let label = EdgeLabel { width, height, labelpos: LabelPos::Center, ..EdgeLabel::default() };
        graph.set_edge(key(edge.source), key(edge.target), Some(label), Some(&key(index)));
    }
    let options = LayoutOptions {
        rankdir: RankDir::LR,
        nodesep: 28.0,
        edgesep: 12.0,
        ranksep: 44.0,
        marginx: MARGIN,
        marginy: MARGIN,
        ..LayoutOptions::default()
    };
    dagre::layout(&mut graph, Some(options));
    graph
}

/// The right and lower end of everything that was laid out, with the margin.
fn extent(drawing: &CellDrawing, graph: &CellGraph) -> (f64, f64) {
    let states =
        (0..=drawing.output()).map(|state| place(graph, state)).map(|(x, y, w)| (x + w / 2.0, y + NODE_HEIGHT / 2.0));
    let lines = graph.edges().into_iter().filter_map(|edge| graph.edge_by_obj(&edge).cloned()).flat_map(|edge| {
        let label = edge.x.zip(edge.y).map(|(x, y)| (x + edge.width / 2.0, y + edge.height / 2.0));
        edge.points.into_iter().map(|point| (point.x, point.y)).chain(label)
    });
    let (width, height) =
        states.chain(lines).fold((0.0_f64, 0.0_f64), |most, next| (most.0.max(next.0), most.1.max(next.1)));
    ((width + MARGIN).max(text_width(&drawing.title) * 1.2 + 2.0 * MARGIN), height + MARGIN + TITLE_HEIGHT)
}

/// Centre and width of a state's box.
fn place(graph: &CellGraph, state: usize) -> (f64, f64, f64) {
    let node = graph.node(&key(state)).expect("every state was laid out");
    (node.x.unwrap_or_default(), node.y.unwrap_or_default(), node.width)
}

/// The page: background, title, arrow heads.
fn frame(drawing: &CellDrawing, width: f64, height: f64) -> Document {
    let arrows = [Line::Fixed, Line::Open, Line::Output].into_iter().fold(Definitions::new(), |all, line| {
        let head = Path::new().set("d", "M 0 0 L 8 4 L 0 8 z").set("fill", line.colour());
        let marker = Marker::new().set("id", line.arrow()).set("viewBox", (0, 0, 8, 8)).set("refX", 7).set("refY", 4);
        all.add(marker.set("markerWidth", 6).set("markerHeight", 6).set("orient", "auto").add(head))
    });
    let heading = Text::new(&drawing.title).set("x", MARGIN).set("y", 26).set("font-size", 1.2 * FONT_SIZE);
    Document::new()
        .set("viewBox", (0.0, 0.0, width.ceil(), height.ceil()))
        .set("width", width.ceil())
        .set("height", height.ceil())
        .set("font-family", "DejaVu Sans Mono, Menlo, Consolas, monospace")
        .set("font-size", FONT_SIZE)
        .add(Title::new(&drawing.title))
        .add(arrows)
        .add(Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "white"))
        .add(heading.set("font-weight", "bold").set("fill", FIXED_COLOUR))
}

/// A smooth line through the middles between the points of the layout.
fn draw_line(line: Line, points: &[Point]) -> Path {
    let position = |point: &Point| (round(point.x), round(point.y));
    let middle = |a: &Point, b: &Point| (round((a.x + b.x) / 2.0), round((a.y + b.y) / 2.0));
    let mut data = Data::new().move_to(position(&points[0]));
    for pair in points[1..].windows(2) {
        let (x, y) = position(&pair[0]);
        let (to_x, to_y) = middle(&pair[0], &pair[1]);
        data = data.quadratic_curve_to((x, y, to_x, to_y));
    }
    let end = points.last().expect("a laid out edge has points");
    let path = Path::new()
        .set("d", data.line_to(position(end)))
        .set("stroke", line.colour())
        .set("marker-end", format!("url(#{})", line.arrow()));
    if line == Line::Open { path.set("stroke-dasharray", "5 4") } else { path }
}

/// The name of a primitive on a patch of background, so that no line runs through the letters.
fn draw_label(group: Group, edge: &DrawnEdge, x: f64, y: f64) -> Group {
    let width = text_width(&edge.label);
    let patch = rectangle(x, y, width, LABEL_HEIGHT - 2.0).set("fill", "white").set("fill-opacity", 0.9);
    group
        .add(patch)
        .add(centred(&edge.label, x, y).set("fill", if edge.line == Line::Open { "#6b7280" } else { FIXED_COLOUR }))
}

fn draw_state(group: Group, drawing: &CellDrawing, graph: &CellGraph, state: usize) -> Group {
    let (x, y, width) = place(graph, state);
    let fill = match state {
        _ if state < CELL_INPUTS => "#dcfce7",
        _ if state == drawing.output() => "#fef3c7",
        _ => "#dbeafe",
    };
    let shape = rectangle(x, y, width, NODE_HEIGHT).set("rx", 6).set("fill", fill).set("stroke", FIXED_COLOUR);
    group.add(shape).add(centred(&drawing.state_name(state), x, y))
}

fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Rectangle {
    let corner = (round(x - width / 2.0), round(y - height / 2.0));
    Rectangle::new().set("x", corner.0).set("y", corner.1).set("width", round(width)).set("height", round(height))
}

fn centred(text: &str, x: f64, y: f64) -> Text {
    // A third of the font size below the middle is where the letters' base line goes.
    Text::new(text).set("x", round(x)).set("y", round(y + FONT_SIZE / 3.0)).set("text-anchor", "middle")
}

/// Tenths of a pixel are enough, and make the file short.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genotype::zoo;
    use crate::topology::CellKind;

    /// Boxes of labels and states: centre, width, height.
    fn boxes(drawing: &CellDrawing) -> Vec<(f64, f64, f64, f64)> {
        let graph = lay_out(drawing);
        let states = (0..=drawing.output()).map(|state| {
            let (x, y, width) = place(&graph, state);
            (x, y, width, NODE_HEIGHT)
        });
        let labels = drawing.all_edges().enumerate().filter(|(_, edge)| !edge.label.is_empty()).map(|(index, edge)| {
            let placed = graph.edge(&key(edge.source), &key(edge.target), Some(&key(index))).unwrap();
            (placed.x.unwrap(), placed.y.unwrap(), text_width(&edge.label), LABEL_HEIGHT)
        });
        states.chain(labels).collect()
    }

    fn assert_nothing_overlaps(drawing: &CellDrawing) {
        let boxes = boxes(drawing);
        for (index, a) in boxes.iter().enumerate() {
            for b in &boxes[index + 1..] {
                let apart = (a.0 - b.0).abs() >= (a.2 + b.2) / 2.0 || (a.1 - b.1).abs() >= (a.3 + b.3) / 2.0;
                assert!(apart, "{}: {a:?} and {b:?}", drawing.title);
            }
        }
    }

    fn whole_supernet(steps: usize) -> CellDrawing {
        let topology = Topology::new(steps);
        let (edges, concat) = (topology.edge_count(), crate::genotype::searched_concat(steps).collect::<Vec<_>>());
        CellDrawing::from_states(
            "all open",
            topology,
            &vec![EdgeState::Open; edges],
            &vec![1; edges],
            &["none", "sep_conv_3x3"],
            &concat,
        )
    }

    #[test]
    fn no_box_overlaps_another_in_any_published_cell_or_open_supernet() {
        for cell in zoo::cells() {
            for kind in cell.genotype.space.kinds() {
                let drawing = CellDrawing::from_cell(&cell.name, cell.genotype.cell(*kind).unwrap());
                assert_nothing_overlaps(&drawing);
            }
        }
        for steps in [1, 2, 3, 4, 5] {
            assert_nothing_overlaps(&whole_supernet(steps));
        }
    }

    #[test]
    fn states_decide_what_is_drawn() {
        let states =
            [EdgeState::Fixed(1), EdgeState::Open, EdgeState::Pruned, EdgeState::Fixed(2), EdgeState::Fixed(1)];
        let names = ["none", "gat", "sage"];
        let drawing = CellDrawing::from_states("epoch 9", Topology::new(2), &states, &[1, 2, 1, 1, 1], &names, &[2, 3]);
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
    fn the_text_is_one_escaped_document_and_the_same_every_time() {
        let cell = zoo::find("NASNet").unwrap().genotype.cell(CellKind::Reduce).unwrap();
        let drawing = CellDrawing::from_cell("a <b> & \"c\"", cell);
        let text = draw_cell(&drawing);
        assert!(text.starts_with("<svg") && text.ends_with("</svg>\n"));
        assert!(text.contains("a &lt;b&gt; &amp; ") && !text.contains("<b>"));
        assert!(text.contains("sep_conv_7x7") && !text.contains("NaN"));
        assert_eq!(draw_cell(&drawing), text);
    }

    #[test]
    #[ignore = "writes pictures to look at into the folder that SGAS_DRAWINGS names"]
    fn write_pictures() {
        let folder = std::env::var("SGAS_DRAWINGS").unwrap();
        for name in ["Cri2_ModelNet_4", "NASNet", "Cri1_CIFAR_3", "random_ModelNet_3"] {
            let cell = zoo::find(name).unwrap().genotype.cell(CellKind::Normal).unwrap();
            std::fs::write(format!("{folder}/{name}.svg"), draw_cell(&CellDrawing::from_cell(name, cell))).unwrap();
        }
        for steps in [3, 4] {
            std::fs::write(format!("{folder}/open{steps}.svg"), draw_cell(&whole_supernet(steps))).unwrap();
        }
    }
}
