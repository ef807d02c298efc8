//! Which nodes are scored in which split: as lists say, the rest by seeded shares.
//!
//! Shares take whole graphs where several have nodes to choose from, else nodes, of every class alike.

use super::labels::Labels;
use super::lists::Lists;
use super::nodes::Graph;
use crate::data::split::{Shares, Split};
use crate::error::{Error, Result};

/// The split of every node, graph by graph; none of nodes that are never scored.
pub(super) type Marks = Vec<Vec<Option<Split>>>;

/// The same with words for how it came about.
#[derive(Debug)]
pub(super) struct Division {
    pub marks: Marks,
    pub description: String,
}

/// Divides a set of the user's own; the nodes of `lacking`, which have no label, are in no split.
///
/// # Errors
/// A split without nodes.
pub(super) fn divide(
    graphs: &[Graph],
    lists: &Lists,
    lacking: &[bool],
    shares: Shares,
    place: &str,
) -> Result<Division> {
    let mark = |graph: &Graph| graph.nodes.iter().map(|node| lists.marks[*node as usize]).collect();
    let mut marks: Marks = graphs.iter().map(mark).collect();
    let others = match (lists.has(Split::Train), lists.has(Split::Test)) {
        (true, true) => None,
        (true, false) => Some(Split::Test),
        (false, _) => Some(Split::Train),
    };
    if let Some(split) = others {
        marks.iter_mut().flatten().filter(|mark| mark.is_none()).for_each(|mark| *mark = Some(split));
    }
    if !lacking.is_empty() {
        for (graph, marks) in graphs.iter().zip(&mut marks) {
            let of_none = graph.nodes.iter().zip(marks).filter(|(node, _)| lacking[**node as usize]);
            of_none.for_each(|(_, mark)| *mark = None);
        }
    }
    let (test, train) = (lists.has(Split::Test), lists.has(Split::Train));
    let mut units = "";
    if !test && !train {
        let held = choose(graphs, &mut marks, Split::Test, |labels| shares.tested(labels));
        units = if held == Chosen::Graphs { "graphs" } else { "nodes" };
    }
    shorten(graphs, &mut marks, shares);
    if !lists.has(Split::Validation) {
        choose(graphs, &mut marks, Split::Validation, |labels| shares.held_out(labels, shares.seed));
    }
    for split in [Split::Train, Split::Test] {
        if !marks.iter().flatten().any(|mark| *mark == Some(split)) {
            let place = format!("{place}: {} split", split.name());
            return Err(Error::invalid(place, "at least one node", "none")
                .with_hint("list nodes for it, or remove the lists: shares are then chosen by a seed"));
        }
    }
    Ok(Division { marks, description: description(lists, shares, units) })
}

/// Leaves out of the training split what `data.training_share` does not use.
pub(super) fn shorten(graphs: &[Graph], marks: &mut Marks, shares: Shares) {
    choose_for(graphs, marks, None, |labels| {
        let mut left_out = vec![true; labels.len()];
        shares.used(labels).into_iter().for_each(|position| left_out[position] = false);
        left_out
    });
}

/// What a share is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    Graphs,
    Nodes,
}

fn choose(graphs: &[Graph], marks: &mut Marks, to: Split, held: impl Fn(&[usize]) -> Vec<bool>) -> Chosen {
    choose_for(graphs, marks, Some(to), held)
}

/// Moves what `held` chooses of the training nodes to another split, or out of all; it is given a class per graph
/// or node.
fn choose_for(graphs: &[Graph], marks: &mut Marks, to: Option<Split>, held: impl Fn(&[usize]) -> Vec<bool>) -> Chosen {
    let is_for_training = |mark: &Option<Split>| *mark == Some(Split::Train);
    let of_graphs: Vec<usize> = (0..graphs.len()).filter(|graph| marks[*graph].iter().any(is_for_training)).collect();
    if of_graphs.len() > 1 {
        let chosen = held(&vec![0; of_graphs.len()]);
        for (graph, _) in of_graphs.into_iter().zip(chosen).filter(|(_, chosen)| *chosen) {
            marks[graph].iter_mut().filter(|mark| is_for_training(mark)).for_each(|mark| *mark = to);
        }
        return Chosen::Graphs;
    }
    for graph in of_graphs {
        let nodes: Vec<usize> =
            (0..graphs[graph].size()).filter(|node| is_for_training(&marks[graph][*node])).collect();
        let classes: Vec<usize> = nodes.iter().map(|node| class(&graphs[graph], *node)).collect();
        for (node, _) in nodes.into_iter().zip(held(&classes)).filter(|(_, chosen)| *chosen) {
            marks[graph][node] = to;
        }
    }
    Chosen::Nodes
}

/// The class of a node; nodes with several labels are all of one.
fn class(graph: &Graph, node: usize) -> usize {
    match &graph.labels {
        Some(Labels::Classes(classes)) => usize::try_from(classes[node]).expect("classes are positions"),
        _ => 0,
    }
}

fn description(lists: &Lists, shares: Shares, units: &str) -> String {
    let mut names: Vec<&str> = lists.present.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    if units.is_empty() {
        return format!("split by {}", names.join(", "));
    }
    let share = shares.tested_in_words(&format!("the {units}"));
    if names.is_empty() { share } else { format!("{share}, but for {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::graphs::config::GraphDataConfig;
    use crate::data::graphs::nodes::{Matrix, Nodes};

    const SHARES: Shares = Shares { training: 1.0, validation: 0.0, test: 0.2, seed: 0 };

    /// Graphs of so many nodes each, in turn of classes 0 and 1.
    fn graphs(sizes: &[usize]) -> Vec<Graph> {
        let all: usize = sizes.iter().sum();
        let numbers = sizes.iter().enumerate().flat_map(|(number, size)| vec![number as u64; *size]).collect();
        let nodes = Nodes {
            features: Matrix { columns: 1, values: vec![0.0; all] },
            graphs: Some(numbers),
            links: Vec::new(),
            labels: Some(Labels::Classes((0..all as i64).map(|node| node % 2).collect())),
        };
        nodes.into_graphs(&GraphDataConfig::default(), |_| String::new()).unwrap()
    }

    fn lists(nodes: usize, listed: &[(Split, &[usize])]) -> Lists {
        let mut lists = Lists::none(nodes);
        for (split, nodes) in listed {
            nodes.iter().for_each(|node| lists.marks[*node] = Some(*split));
            lists.present.push((format!("{}.txt", split.name()), *split));
        }
        lists
    }

    fn count(marks: &Marks, split: Option<Split>) -> usize {
        marks.iter().flatten().filter(|mark| **mark == split).count()
    }

    fn counts(marks: &Marks) -> [usize; 4] {
        [Some(Split::Train), Some(Split::Validation), Some(Split::Test), None].map(|split| count(marks, split))
    }

    #[test]
    fn nodes_of_one_graph_are_shared_out_by_class_and_seed() {
        let graphs = graphs(&[100]);
        let shares = Shares { validation: 0.25, training: 0.5, ..SHARES };
        let divided = divide(&graphs, &lists(100, &[]), &[], shares, "a").unwrap();
        assert_eq!(counts(&divided.marks), [30, 10, 20, 40]);
        let of_class = |split| (0..100).filter(|node| node % 2 == 0 && divided.marks[0][*node] == Some(split)).count();
        assert_eq!(Split::ALL.map(of_class), [15, 5, 10]);
        assert_eq!(divided.description, "test_share 0.2 of the nodes, split_seed 0");
        let again = divide(&graphs, &lists(100, &[]), &[], shares, "a").unwrap();
        let other = divide(&graphs, &lists(100, &[]), &[], Shares { seed: 1, ..shares }, "a").unwrap();
        assert!(divided.marks == again.marks && divided.marks != other.marks);
    }

    #[test]
    fn of_several_graphs_whole_ones_are_held_out() {
        let graphs = graphs(&[10, 20, 30, 40, 50]);
        let shares = Shares { validation: 0.25, ..SHARES };
        let divided = divide(&graphs, &lists(150, &[]), &[], shares, "a").unwrap();
        let splits: Vec<Option<Split>> = divided.marks.iter().map(|marks| marks[0]).collect();
        assert!(divided.marks.iter().zip(&splits).all(|(marks, first)| marks.iter().all(|mark| mark == first)));
        let of = |split| splits.iter().filter(|mark| **mark == Some(split)).count();
        assert_eq!(Split::ALL.map(of), [3, 1, 1]);
        assert!(divided.description.starts_with("test_share 0.2 of the graphs"));
    }

    #[test]
    fn lists_come_first_and_one_alone_leaves_the_rest_to_the_other_part() {
        let graphs = graphs(&[10]);
        let divided = |listed: &[(Split, &[usize])], validation| {
            let shares = Shares { validation, ..SHARES };
            divide(&graphs, &lists(10, listed), &[], shares, "a").map(|divided| counts(&divided.marks))
        };
        let (train, valid, test) = (Split::Train, Split::Validation, Split::Test);
        assert_eq!(divided(&[(train, &[0, 1]), (test, &[2])], 0.0).unwrap(), [2, 0, 1, 7]);
        assert_eq!(divided(&[(train, &[0, 1]), (valid, &[3]), (test, &[2])], 0.5).unwrap(), [2, 1, 1, 6]);
        assert_eq!(divided(&[(test, &[2])], 0.0).unwrap(), [9, 0, 1, 0]);
        assert_eq!(divided(&[(train, &[2, 3, 4, 5])], 0.5).unwrap(), [2, 2, 6, 0]);
        assert_eq!(divided(&[(valid, &[2, 3])], 0.9).unwrap(), [6, 2, 2, 0]);
        let all: Vec<usize> = (0..10).collect();
        let error = divided(&[(train, &all)], 0.0).unwrap_err();
        assert_eq!(error.to_string(), "a: test split: expected at least one node, found none");
    }
}
