//! The built-in graphs: planted communities, for trying and testing without any download.
//!
//! Nodes of a community have the same labels, and only its beacons (one node in ten) show them: the features of all
//! other nodes are noise alone. Relays (one in four) link to the beacons, and the remaining nodes, the members, link
//! to relays and to each other, now and then to a relay of another community. So a node's own features tell the labels
//! of one node in ten, its neighbours' features those of one in three, and those of the neighbours' neighbours, two
//! links away, those of nearly all. Not real data; scores on it say nothing about published ones.

use std::ops::RangeInclusive;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::labels::Labels;
use super::nodes::{Matrix, Nodes};
use super::set::{GraphSet, count, with_training_share};
use crate::bounds;
use crate::data::config::Section;
use crate::data::graphs::config::GraphDataConfig;
use crate::data::split::Split;
use crate::data::synthetic::SyntheticConfig;
use crate::error::Result;
use crate::tensor::adjacency::Link;
use crate::tensor::random::{Key, Purpose};

/// Nodes of one of several graphs.
const SIZES: RangeInclusive<usize> = 60..=200;

/// Nodes of a community, about.
const COMMUNITY: usize = 20;

/// Numbers per node: each label has two.
const CHANNELS: usize = 16;

/// Labels, where nodes have several.
const LABELS: usize = CHANNELS / 2;

/// Classes, where nodes have one of several.
const CLASSES: usize = 5;

/// The chance of a community to have a label.
const HOLDS: f64 = 0.35;

/// What a beacon shows of a label, plus in one channel and minus in another, among noise of deviation 1.
const SIGNAL: f32 = 6.0;

/// The chance of a member to link to a relay of another community, and to another member.
const ASTRAY: f64 = 0.1;
const BESIDE: f64 = 0.5;

/// The chance of a relay to link to a beacon beyond its first.
const LIT: f64 = 0.5;

/// What kind of set is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// One graph, of which nodes are for training and for testing; else graphs are.
    pub one: bool,
    /// Several labels per node, else one class.
    pub multi_label: bool,
}

/// A set that was made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Synthetic {
    pub nodes: Nodes,
    /// The split of every node.
    pub splits: Vec<Split>,
    pub names: Vec<String>,
}

/// Graphs that are made at once: some 3 GiB.
const MOST_GRAPHS: usize = 100_000;

/// Refuses more graphs than fit into memory; `key` says what asks for them.
///
/// # Errors
/// Too many.
pub(super) fn check_count(key: &str, config: &SyntheticConfig) -> Result<()> {
    let all = config.train.saturating_add(config.test.saturating_mul(2));
    bounds::check(key, &all, &(0..=MOST_GRAPHS), "graphs for training, validation and testing together")
}

/// Opens the built-in set.
///
/// # Errors
/// More graphs than fit into memory.
pub(super) fn open(section: Section<'_, &GraphDataConfig>, multi_label: bool) -> Result<GraphSet> {
    check_count("data.synthetic.train", section.synthetic)?;
    let Synthetic { nodes, splits, names } = generate(section.synthetic, Shape { one: false, multi_label });
    let graphs = nodes.into_graphs(section.own, |number| format!("synthetic graph {}", number.unwrap_or_default()))?;
    let marks = graphs.iter().map(|graph| graph.nodes.iter().map(|node| Some(splits[*node as usize])).collect());
    let marks = marks.collect();
    Ok(GraphSet {
        origin: format!("synthetic {} (built in, not real data)", count(graphs.len())),
        marks: with_training_share(&graphs, marks, section.lists.shares),
        graphs,
        names,
        multi_label,
        layout: "none",
        division: "made apart".to_owned(),
        files: [].into(),
        told: Vec::new(),
    })
}

/// The set of this configuration, the same for the same configuration: so many graphs, or nodes of one graph, for
/// training and for testing, and for validation as many as for testing.
pub(super) fn generate(config: &SyntheticConfig, shape: Shape) -> Synthetic {
    let parts = [(Split::Train, config.train), (Split::Validation, config.test), (Split::Test, config.test)];
    let parts = parts.into_iter().flat_map(|(split, size)| (0..size).map(move |index| (split, index)));
    let mut set = Set::new(shape.multi_label);
    let key = Key::new(config.seed, Purpose::Synthetic);
    if shape.one {
        let mut splits: Vec<Split> = parts.map(|(split, _)| split).collect();
        let mut generator = key.generator();
        splits.shuffle(&mut generator);
        set.add(splits.len(), &mut generator);
        let names = names(shape.multi_label);
        return Synthetic { nodes: set.nodes(None), splits, names };
    }
    let (mut splits, mut numbers) = (Vec::new(), Vec::new());
    for (number, (split, index)) in parts.enumerate() {
        let mut generator = key.at(split as u64, index as u64).generator();
        let size = generator.random_range(SIZES);
        set.add(size, &mut generator);
        splits.extend(std::iter::repeat_n(split, size));
        numbers.extend(std::iter::repeat_n(number as u64, size));
    }
    Synthetic { nodes: set.nodes(Some(numbers)), splits, names: names(shape.multi_label) }
}

fn names(multi_label: bool) -> Vec<String> {
    let (what, count) = if multi_label { ("label", LABELS) } else { ("class", CLASSES) };
    (0..count).map(|number| format!("synthetic_{what}_{number}")).collect()
}

/// Graphs that are put side by side.
struct Set {
    multi_label: bool,
    features: Vec<f32>,
    labels: Labels,
    links: Vec<Link>,
}

/// A community's nodes by what they do.
struct Community {
    beacons: Vec<u32>,
    relays: Vec<u32>,
    members: Vec<u32>,
}

impl Set {
    fn new(multi_label: bool) -> Self {
        let labels = if multi_label { Labels::Several(Vec::new()) } else { Labels::Classes(Vec::new()) };
        Self { multi_label, features: Vec::new(), labels, links: Vec::new() }
    }

    fn nodes(self, graphs: Option<Vec<u64>>) -> Nodes {
        let features = Matrix { columns: CHANNELS, values: self.features };
        Nodes { features, graphs, links: self.links, labels: Some(self.labels) }
    }

    /// Adds a graph of so many nodes.
    fn add(&mut self, size: usize, generator: &mut impl Rng) {
        let first = (self.features.len() / CHANNELS) as u32;
        let mut order: Vec<u32> = (first..first + size as u32).collect();
        order.shuffle(generator);
        let count = (size / COMMUNITY).max(2);
        let mut communities: Vec<Vec<u32>> = vec![Vec::new(); count];
        order.into_iter().enumerate().for_each(|(position, node)| communities[position % count].push(node));
        let communities: Vec<Community> = communities.into_iter().map(Community::new).collect();
        let from = generator.random_range(0..CLASSES);
        let held: Vec<Vec<usize>> = (0..count).map(|number| self.held(from + number, generator)).collect();
        self.features.extend((0..size * CHANNELS).map(|_| -> f32 { StandardNormal.sample(generator) }));
        self.label(size, first, &communities, &held);
        for (community, held) in communities.iter().zip(&held) {
            self.light(community, held);
        }
        for number in 0..count {
            self.link(&communities, number, generator);
        }
    }

    /// The labels of a community, or its class.
    fn held(&self, number: usize, generator: &mut impl Rng) -> Vec<usize> {
        if !self.multi_label {
            return vec![number % CLASSES];
        }
        let held: Vec<usize> = (0..LABELS).filter(|_| generator.random_bool(HOLDS)).collect();
        if held.is_empty() { vec![generator.random_range(0..LABELS)] } else { held }
    }

    fn label(&mut self, size: usize, first: u32, communities: &[Community], held: &[Vec<usize>]) {
        let mut of_node: Vec<&[usize]> = vec![&[]; size];
        for (community, held) in communities.iter().zip(held) {
            community.nodes().for_each(|node| of_node[(node - first) as usize] = held);
        }
        for held in of_node {
            match &mut self.labels {
                Labels::Classes(classes) => classes.push(held[0] as i64),
                Labels::Several(values) => {
                    values.extend((0..LABELS).map(|label| f32::from(u8::from(held.contains(&label)))));
                }
            }
        }
    }

    /// Lets the beacons show the labels.
    fn light(&mut self, community: &Community, held: &[usize]) {
        for (beacon, label) in
            community.beacons.iter().flat_map(|beacon| held.iter().map(move |label| (*beacon, label)))
        {
            let row = beacon as usize * CHANNELS;
            self.features[row + label] += SIGNAL;
            self.features[row + label + LABELS] -= SIGNAL;
        }
    }

    fn link(&mut self, communities: &[Community], number: usize, generator: &mut impl Rng) {
        let Community { beacons, relays, members } = &communities[number];
        for relay in relays {
            let sure = *beacons.choose(generator).expect("every community has a beacon");
            for beacon in beacons {
                if *beacon == sure || generator.random_bool(LIT) {
                    self.links.push([*beacon, *relay]);
                }
            }
        }
        for member in members {
            let wanted = generator.random_range(2..=3);
            self.links.extend(relays.sample(generator, wanted).map(|relay| [*relay, *member]));
            if generator.random_bool(ASTRAY) {
                let other = (number + generator.random_range(1..communities.len())) % communities.len();
                let relay = *communities[other].relays.choose(generator).expect("every community has a relay");
                self.links.push([relay, *member]);
            }
            if generator.random_bool(BESIDE) {
                let other = *members.choose(generator).expect("there is one");
                if other != *member {
                    self.links.push([*member, other]);
                }
            }
        }
    }
}

impl Community {
    fn new(mut nodes: Vec<u32>) -> Self {
        let (beacons, relays) = ((nodes.len() / 10).max(1), (nodes.len() / 4).max(1));
        let mut members = nodes.split_off(beacons);
        let others = members.split_off(relays);
        Self { beacons: nodes, relays: members, members: others }
    }

    fn nodes(&self) -> impl Iterator<Item = u32> {
        self.beacons.iter().chain(&self.relays).chain(&self.members).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::graphs::config::GraphDataConfig;
    use crate::data::graphs::nodes::Graph;

    const CONFIG: SyntheticConfig = SyntheticConfig { train: 40, test: 10, seed: 3 };

    fn made(multi_label: bool) -> (Vec<Graph>, Synthetic) {
        let set = generate(&CONFIG, Shape { one: false, multi_label });
        (set.nodes.clone().into_graphs(&GraphDataConfig::default(), |_| String::new()).unwrap(), set)
    }

    /// The mean of the features over the nodes from which so many links lead to a node.
    fn seen(graph: &Graph, hops: usize) -> Vec<Vec<f32>> {
        let mut rows: Vec<Vec<f32>> = graph.features.values.chunks(CHANNELS).map(<[f32]>::to_vec).collect();
        for _ in 0..hops {
            let mean = |node: usize| {
                let sources = graph.links.sources_of(node);
                let sum = |channel: usize| sources.iter().map(|source| rows[*source as usize][channel]).sum::<f32>();
                (0..CHANNELS).map(|channel| sum(channel) / sources.len().max(1) as f32).collect()
            };
            rows = (0..rows.len()).map(mean).collect();
        }
        rows
    }

    /// The share of nodes whose class the strongest pair of channels tells.
    fn told(graphs: &[Graph], hops: usize) -> f64 {
        let (mut right, mut all) = (0, 0);
        for graph in graphs {
            let Some(Labels::Classes(classes)) = &graph.labels else { panic!("classes") };
            for (row, class) in seen(graph, hops).iter().zip(classes) {
                let strength = |label: &usize| row[*label] - row[label + LABELS];
                let strongest = (0..CLASSES).max_by(|a, b| strength(a).total_cmp(&strength(b))).unwrap();
                right += usize::from(strongest as i64 == *class);
                all += 1;
            }
        }
        right as f64 / all as f64
    }

    #[test]
    fn labels_need_two_hops() {
        let (graphs, _) = made(false);
        let told = [0, 1, 2].map(|hops| told(&graphs, hops));
        // Chance is 0.2. A fixed mean forgets what it saw on the way; what is trained does not.
        assert!(told[0] < 0.32 && told[1] < 0.42 && told[2] > 0.6, "{told:?}");
    }

    #[test]
    fn graphs_are_made_apart_and_follow_the_seed() {
        let (graphs, set) = made(true);
        assert_eq!(graphs.len(), 60);
        assert!(graphs.iter().all(|graph| SIZES.contains(&graph.size())));
        let held = set.splits.iter().filter(|split| **split == Split::Validation).count();
        assert!(held > 10 * 60 && set.splits.len() > 4 * held, "{held} of {}", set.splits.len());
        let Some(Labels::Several(labels)) = &set.nodes.labels else { panic!("several labels") };
        let share = labels.iter().sum::<f32>() / labels.len() as f32;
        assert!((0.3..0.45).contains(&share), "{share}");
        assert_eq!(set, made(true).1);
        let shape = Shape { one: false, multi_label: true };
        assert_ne!(set, generate(&SyntheticConfig { seed: 4, ..CONFIG }, shape));
    }

    #[test]
    fn one_graph_has_nodes_of_all_splits() {
        let shape = Shape { one: true, multi_label: false };
        let set = generate(&SyntheticConfig { train: 100, test: 50, seed: 0 }, shape);
        let count = |split| set.splits.iter().filter(|of| **of == split).count();
        assert_eq!(Split::ALL.map(count), [100, 50, 50]);
        assert!(set.nodes.graphs.is_none() && set.nodes.features.rows() == 200);
        assert!(set.splits[..60].contains(&Split::Test), "in no order");
        let small = generate(&SyntheticConfig { train: 10, test: 10, seed: 0 }, shape);
        assert_eq!(small.nodes.features.rows(), 30);
    }
}
