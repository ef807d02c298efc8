//! Where the states, labels and lines of a cell go.
//!
//! `dagre` puts everything into layers from left to right and keeps room for each label within its layer. Lines
//! run level through the whole width of a layer and bend only between layers, so that none crosses a label or a
//! box; where they meet a box each has a place of its own.

use dagre::graph::{Graph, GraphOptions};
use dagre::layout::types::LabelPos;
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, RankDir};

use super::{CellDrawing, DrawnEdge, text_width};

/// Sizes in pixels.
pub(super) const MARGIN: f64 = 16.0;
const LABEL_HEIGHT: f64 = 20.0;
const STATE_HEIGHT: f64 = 34.0;
/// Between two lines on the side of a box.
const LINE_DISTANCE: f64 = 10.0;

/// A rectangle by its centre.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Area {
    pub(super) fn left(&self) -> f64 {
        self.x - self.width / 2.0
    }

    pub(super) fn right(&self) -> f64 {
        self.x + self.width / 2.0
    }
}

/// An edge with its label's place and the points that its line runs through, level at each.
pub(super) struct PlacedEdge {
    pub edge: DrawnEdge,
    pub label: Option<Area>,
    pub points: Vec<(f64, f64)>,
}

/// A cell laid out; states in order, the output last.
pub(super) struct Layout {
    pub states: Vec<Area>,
    pub edges: Vec<PlacedEdge>,
}

impl Layout {
    pub(super) fn of(drawing: &CellDrawing) -> Self {
        let edges: Vec<DrawnEdge> = drawing.all_edges().collect();
        let graph = lay_out(drawing, &edges);
        let states: Vec<Area> = (0..=drawing.output()).map(|state| state_area(&graph, state)).collect();
        let edges = edges.into_iter().enumerate().map(|(index, edge)| place_edge(&graph, index, edge)).collect();
        let mut layout = Self { states, edges };
        layout.widen_points();
        layout.add_ends();
        layout
    }

    /// The right and lower end of everything.
    pub(super) fn extent(&self) -> (f64, f64) {
        let corners = self.areas().map(|area| (area.right(), area.y + area.height / 2.0));
        let points = self.edges.iter().flat_map(|placed| placed.points.iter().copied());
        corners.chain(points).fold((0.0, 0.0), |most, next| (most.0.max(next.0), most.1.max(next.1)))
    }

    /// The boxes of all states and labels.
    pub(super) fn areas(&self) -> impl Iterator<Item = Area> {
        self.states.iter().copied().chain(self.edges.iter().filter_map(|placed| placed.label))
    }

    /// Half the width of the layer around `x`, where the layout centres all that is in it.
    fn half_layer(&self, x: f64) -> f64 {
        let layer = self.areas().filter(|area| (area.x - x).abs() < 0.5);
        layer.map(|area| area.width / 2.0).fold(0.0, f64::max)
    }

    /// Makes every line level over the width of the layers that it passes.
    fn widen_points(&mut self) {
        for index in 0..self.edges.len() {
            let points = self.edges[index].points.iter();
            let ends = |&(x, y): &(f64, f64)| [(x - self.half_layer(x), y), (x + self.half_layer(x), y)];
            self.edges[index].points = points.flat_map(ends).collect();
        }
    }

    /// Leads every line from the right side of its source to the left side of its target, level within the layers
    /// of both.
    fn add_ends(&mut self) {
        for state in 0..self.states.len() {
            let area = self.states[state];
            let half = self.half_layer(area.x);
            for (slot, (index, count)) in self.ordered(|edge| edge.source == state, |points| points.first()) {
                let y = slot_height(&area, slot, count);
                self.edges[index].points.splice(0..0, [(area.right(), y), (area.x + half, y)]);
            }
            for (slot, (index, count)) in self.ordered(|edge| edge.target == state, |points| points.last()) {
                let y = slot_height(&area, slot, count);
                self.edges[index].points.extend([(area.x - half, y), (area.left(), y)]);
            }
        }
    }

    /// The edges at one side of a state from top to bottom: slot, index, number of slots.
    fn ordered(
        &self,
        belongs: impl Fn(&DrawnEdge) -> bool,
        next: impl Fn(&[(f64, f64)]) -> Option<&(f64, f64)>,
    ) -> Vec<(usize, (usize, usize))> {
        let at_side = self.edges.iter().enumerate().filter(|(_, placed)| belongs(&placed.edge));
        let mut heights: Vec<(usize, f64)> =
            at_side.map(|(index, placed)| (index, next(&placed.points).map_or(0.0, |point| point.1))).collect();
        heights.sort_by(|a, b| a.1.total_cmp(&b.1));
        let count = heights.len();
        heights.into_iter().map(|(index, _)| (index, count)).enumerate().collect()
    }
}

/// The height of one of `count` slots on the side of a box.
fn slot_height(area: &Area, slot: usize, count: usize) -> f64 {
    area.y + area.height * ((slot + 1) as f64 / (count + 1) as f64 - 0.5)
}

type CellGraph = Graph<NodeLabel, EdgeLabel>;

fn key(number: usize) -> String {
    number.to_string()
}

fn lay_out(drawing: &CellDrawing, edges: &[DrawnEdge]) -> CellGraph {
    let mut graph = Graph::with_options(GraphOptions { directed: true, multigraph: true, compound: false });
    for state in 0..=drawing.output() {
        let lines = |belongs: &dyn Fn(&DrawnEdge) -> bool| edges.iter().filter(|edge| belongs(edge)).count();
        let most = lines(&|edge| edge.source == state).max(lines(&|edge| edge.target == state));
        let height = STATE_HEIGHT.max(LINE_DISTANCE * (most + 1) as f64);
        let width = text_width(&drawing.state_name(state)) + 18.0;
        graph.set_node(key(state), Some(NodeLabel { width, height, ..NodeLabel::default() }));
    }
    for (index, edge) in edges.iter().enumerate() {
        let (width, height) = if edge.label.is_empty() { (0.0, 0.0) } else { (text_width(&edge.label), LABEL_HEIGHT) };
        let label = EdgeLabel { width, height, labelpos: LabelPos::Center, ..EdgeLabel::default() };
        graph.set_edge(key(edge.source), key(edge.target), Some(label), Some(&key(index)));
    }
    let options = LayoutOptions {
        rankdir: RankDir::LR,
        nodesep: 24.0,
        edgesep: 14.0,
        ranksep: 84.0,
        marginx: MARGIN,
        marginy: MARGIN,
        ..LayoutOptions::default()
    };
    dagre::layout(&mut graph, Some(options));
    graph
}

fn state_area(graph: &CellGraph, state: usize) -> Area {
    let node = graph.node(&key(state)).expect("every state was laid out");
    Area { x: node.x.unwrap_or_default(), y: node.y.unwrap_or_default(), width: node.width, height: node.height }
}

/// The label's place and the points between the two boxes, without those on the boxes' borders.
fn place_edge(graph: &CellGraph, index: usize, edge: DrawnEdge) -> PlacedEdge {
    let placed = graph.edge(&key(edge.source), &key(edge.target), Some(&key(index))).expect("every edge was laid out");
    let place = placed.x.zip(placed.y).filter(|_| !edge.label.is_empty());
    let label = place.map(|(x, y)| Area { x, y, width: placed.width, height: placed.height });
    let between = placed.points.len().saturating_sub(1).max(1);
    let points = placed.points[1..between].iter().map(|point| (point.x, point.y)).collect();
    PlacedEdge { edge, label, points }
}
