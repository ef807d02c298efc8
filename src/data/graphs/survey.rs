//! What a set of graphs holds: nodes, links, labels, and everything that a run would refuse.

use serde::Serialize;

use super::config::GraphDataConfig;
use super::few_labels;
use super::labels::Labels;
use super::links::StoredLinks;
use super::nodes::Graph;
use super::open;
use super::set::GraphSet;
use super::tables::Checked;
use crate::data::config::Section;
use crate::data::graphs::division::Marks;
use crate::data::graphs::layout::Layout;
use crate::data::source::Source;
use crate::data::split::Split;
use crate::data::survey::{ClassCount, Content, Looked, Problem, Spread, Survey};

/// What only sets of graphs hold. Links are those that a network gets, but for `stored`.
#[derive(Serialize)]
struct GraphContent {
    /// The graphs.
    pub graphs: usize,
    /// Nodes of all graphs.
    pub nodes: usize,
    /// Nodes of each graph.
    pub nodes_per_graph: Option<Spread>,
    /// Links of all graphs.
    pub links: usize,
    /// Links into each node.
    pub degrees: Option<Spread>,
    /// Nodes without any link.
    pub isolated: usize,
    /// The links as stored.
    pub stored: StoredLinks,
    /// Numbers per node.
    pub features: usize,
    /// Nodes have several labels, each of which holds or not; else one of several classes.
    pub multi_label: bool,
    /// Nodes that are scored in each split.
    pub splits: SplitCounts,
}

impl GraphContent {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let Self { nodes, links, stored, splits, .. } = self;
        let mut lines = Vec::new();
        if let (Some(each), Some(degrees)) = (self.nodes_per_graph, self.degrees) {
            lines.push(("graphs", format!("{}; nodes each: {each}", self.graphs)));
            lines.push(("nodes", format!("{nodes}; links into each: {degrees}; {} isolated", self.isolated)));
        }
        let odd = format!(
            "{} from a node to itself, {} repeated, {} in one direction alone",
            stored.self_loops, stored.duplicates, stored.one_way
        );
        let labels = match self.multi_label {
            true => "several per node, each of which holds or not",
            false => "one of several classes per node",
        };
        let SplitCounts { train, validation, test, none } = splits;
        lines.push(("links", format!("{links}, made of {} stored: {odd}", stored.links)));
        lines.push(("features", format!("{} per node", self.features)));
        lines.push(("labels", labels.to_owned()));
        lines.push(("scored", format!("{train} training, {validation} validation, {test} test nodes; {none} never")));
        lines
    }
}

/// Nodes by what they are for.
#[derive(Clone, Copy, Default, Serialize)]
struct SplitCounts {
    /// For training.
    pub train: usize,
    /// For validation.
    pub validation: usize,
    /// For testing.
    pub test: usize,
    /// Never scored.
    pub none: usize,
}

impl SplitCounts {
    fn add(&mut self, mark: Option<Split>) {
        match mark {
            Some(Split::Train) => self.train += 1,
            Some(Split::Validation) => self.validation += 1,
            Some(Split::Test) => self.test += 1,
            None => self.none += 1,
        }
    }
}

/// Looks at the whole set.
pub(super) fn survey(source: &Source, section: Section<'_, &GraphDataConfig>) -> Survey {
    let read = open::open(source, section, false);
    let looked = looked(source, &read);
    match read {
        Ok(set) => {
            let classes = classes(&set);
            let (content, notes) = (content(&set), notes(&set, &classes));
            let samples = classes.iter().map(|class| class.train + class.test).sum();
            let class = if set.multi_label { "label" } else { "class" };
            let told = Content { class, ..Content::new(&content, samples, content.lines()) };
            let recipe = few_labels::variant(&set.graphs, &set.marks);
            Survey { classes, ..Survey::plain(looked, told, notes) }.with_recipe(recipe)
        }
        Err(problems) => {
            let nothing = Content::new(&serde_json::Map::new(), 0, Vec::new());
            let problems = problems.0.iter().map(|error| Problem::of(&looked.origin, error)).collect();
            Survey { problems, ..Survey::plain(looked, nothing, Vec::new()) }
        }
    }
}

fn looked(source: &Source, read: &Checked<GraphSet>) -> Looked {
    if let Ok(set) = read {
        let (origin, layout, division) = (set.origin.clone(), set.layout, set.division.clone());
        return Looked { origin, layout, division, files: set.files.clone(), classes: set.names.clone() };
    }
    let layout = match source {
        Source::Folder(folder) => Layout::detect(folder).unwrap_or(Layout::Tables).words(),
        Source::Synthetic => Layout::Tables.words(),
    };
    let division = "not known".to_owned();
    Looked { origin: source.to_string(), layout, division, files: [].into(), classes: Vec::new() }
}

fn content(set: &GraphSet) -> GraphContent {
    let graphs = &set.graphs;
    let mut stored = StoredLinks::default();
    graphs.iter().for_each(|graph| stored += graph.stored);
    let mut splits = SplitCounts::default();
    set.marks.iter().flatten().for_each(|mark| splits.add(*mark));
    let degrees = |graph: &Graph| graph.links.incoming().windows(2).map(|ends| (ends[1] - ends[0]) as usize).collect();
    let degrees: Vec<Vec<usize>> = graphs.iter().map(degrees).collect();
    GraphContent {
        graphs: graphs.len(),
        nodes: graphs.iter().map(Graph::size).sum(),
        nodes_per_graph: Spread::of(graphs.iter().map(Graph::size)),
        links: graphs.iter().map(|graph| graph.links.links()).sum(),
        degrees: Spread::of(degrees.iter().flatten().copied()),
        isolated: graphs.iter().map(isolated).sum(),
        stored,
        features: set.channels(),
        multi_label: set.multi_label,
        splits,
    }
}

/// Nodes that no link leads to or from.
fn isolated(graph: &Graph) -> usize {
    let has_none = |ends: &[i32], node: usize| ends[node] == ends[node + 1];
    let [incoming, outgoing] = [graph.links.incoming(), graph.links.outgoing()];
    (0..graph.size()).filter(|node| has_none(incoming, *node) && has_none(outgoing, *node)).count()
}

/// How many nodes of each split have each class, or for how many each label holds.
fn classes(set: &GraphSet) -> Vec<ClassCount> {
    let mut counts = ClassCount::none(&set.names, Some(0));
    for (graph, marks) in set.graphs.iter().zip(&set.marks) {
        match &graph.labels {
            Some(Labels::Classes(classes)) => {
                let known = classes.iter().zip(marks).filter(|(class, _)| **class >= 0);
                known.for_each(|(class, mark)| mark.iter().for_each(|split| counts[*class as usize].add(*split)));
            }
            Some(Labels::Several(values)) => {
                for (row, mark) in values.chunks(set.names.len()).zip(marks) {
                    let held = row.iter().zip(&mut counts).filter(|(value, _)| **value > 0.0);
                    held.for_each(|(_, count)| mark.iter().for_each(|split| count.add(*split)));
                }
            }
            None => {}
        }
    }
    counts
}

fn notes(set: &GraphSet, classes: &[ClassCount]) -> Vec<String> {
    let mut notes = set.told.clone();
    let what = if set.multi_label { "labels" } else { "classes" };
    notes.extend(ClassCount::lacking(classes, what, "node"));
    if set.multi_label && has_one_each(&set.graphs) {
        notes.push("every node has exactly one label: one column of classes would say so".to_owned());
    }
    if unscored(&set.marks) > 0 {
        let count = unscored(&set.marks);
        notes.push(format!("{count} nodes are for nothing: they are not scored, but messages flow through them"));
    }
    notes
}

fn has_one_each(graphs: &[Graph]) -> bool {
    graphs.iter().all(|graph| match &graph.labels {
        Some(Labels::Several(values)) => {
            values.chunks(values.len() / graph.size()).all(|row| row.iter().sum::<f32>() == 1.0)
        }
        _ => false,
    })
}

fn unscored(marks: &Marks) -> usize {
    marks.iter().flatten().filter(|mark| mark.is_none()).count()
}
