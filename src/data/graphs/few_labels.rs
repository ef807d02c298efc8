//! Whether a set has few labels whose classes its links tell: the case for networks that pass scores on along the links
//! (docs/method.md, "Graphs with few labels").

use super::division::Marks;
use super::labels::Labels;
use super::nodes::Graph;
use crate::data::dataset::{FEW_LABELS, Variant};
use crate::data::split::Split;

/// The largest share of nodes for training that is called few.
const FEW: f64 = 0.2;
/// The smallest share of links between nodes of one class by which links tell classes.
const TELLING: f64 = 0.5;

/// The recipe for such sets, where this is one: nodes of one class each; at most a fifth of them for training; and of the
/// links whose ends both train or choose, at least half join nodes of one class. Labels of test nodes are not looked at.
pub(super) fn variant(graphs: &[Graph], marks: &Marks) -> Option<Variant> {
    let count = |split| marks.iter().flatten().filter(|mark| **mark == Some(split)).count();
    let (nodes, train) = (marks.iter().map(Vec::len).sum::<usize>(), count(Split::Train));
    if train as f64 > FEW * nodes as f64 {
        return None;
    }
    let (mut known, mut equal) = (0_usize, 0_usize);
    for (graph, marks) in graphs.iter().zip(marks) {
        let Some(Labels::Classes(classes)) = &graph.labels else { return None };
        let is_known = |node: usize| matches!(marks[node], Some(Split::Train | Split::Validation));
        for target in (0..marks.len()).filter(|node| is_known(*node)) {
            let sources = graph.links.sources_of(target).iter().map(|source| *source as usize);
            for source in sources.filter(|source| *source != target && is_known(*source)) {
                known += 1;
                equal += usize::from(classes[source] == classes[target]);
            }
        }
    }
    let share = equal as f64 / known.max(1) as f64;
    (share >= TELLING).then(|| Variant {
        name: FEW_LABELS,
        why: format!(
            "{train} of {nodes} nodes are for training, and {:.0} % of the links between nodes of known classes join equal ones",
            100.0 * share
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::graphs::config::GraphDataConfig;
    use crate::data::graphs::nodes::{Matrix, Nodes};
    use Split::{Test, Train, Validation};

    /// A ring of ten nodes, of which the first five are of class 0.
    fn ring(labels: Labels) -> Vec<Graph> {
        let links = (0..10).map(|node| [node, (node + 1) % 10]).collect();
        let features = Matrix { columns: 1, values: vec![1.0; 10] };
        let nodes = Nodes { features, graphs: None, links, labels: Some(labels) };
        nodes.into_graphs(&GraphDataConfig::default(), |_| String::new()).unwrap()
    }

    fn classes(of: impl Fn(i64) -> i64) -> Labels {
        Labels::Classes((0..10).map(of).collect())
    }

    fn marks(train: &[usize], validation: &[usize]) -> Marks {
        let of = |node| {
            if train.contains(&node) {
                Train
            } else if validation.contains(&node) {
                Validation
            } else {
                Test
            }
        };
        vec![(0..10).map(|node| Some(of(node))).collect()]
    }

    #[test]
    fn few_labels_whose_links_join_equal_classes_have_their_recipe() {
        let halves = || classes(|node| node / 5);
        let few = marks(&[0, 6], &[1, 2, 5]);
        let found = variant(&ring(halves()), &few).unwrap();
        // The links 0-1, 1-2 and 5-6.
        assert!(found.why.starts_with("2 of 10 nodes") && found.why.contains("100 %"), "{}", found.why);
        let refused = [
            (ring(halves()), marks(&[0, 6, 7], &[1, 2, 5])),
            (ring(classes(|node| node % 2)), few.clone()),
            // No link between nodes whose class may be looked at.
            (ring(halves()), marks(&[0, 6], &[2, 4])),
            (ring(Labels::Several(vec![1.0; 10])), few),
        ];
        for (graphs, marks) in refused {
            assert_eq!(variant(&graphs, &marks), None, "{marks:?}");
        }
    }
}
