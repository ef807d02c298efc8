//! The links of graphs as sorted lists, by target and by source: compressed sparse rows in both directions.
//!
//! A link leads from its source to its target, as messages flow. Links may come twice and lead from a node to itself:
//! what becomes of those is decided where graphs are read, and by each operation.

/// A link: source and target.
pub type Link = [u32; 2];

/// The links of one graph, or of several side by side, sorted by target and then by source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjacency {
    /// Where the list of each target begins among `sources`, and where the last one ends: nodes + 1 numbers.
    incoming: Vec<i32>,
    /// The source of every link, by target.
    sources: Vec<i32>,
    /// Where the list of each source begins among `targets`, and where the last one ends.
    outgoing: Vec<i32>,
    /// The target of every link, by source.
    targets: Vec<i32>,
    /// The place among `sources` of every link of `targets`.
    positions: Vec<i32>,
}

impl Adjacency {
    /// Sorts the links of `nodes` nodes. Panics on a link to a node that is not there, and beyond 2³¹ − 1 nodes or
    /// links: whoever reads a graph has checked.
    pub fn new(nodes: usize, links: &[Link]) -> Self {
        assert!(i32::try_from(nodes.max(links.len())).is_ok(), "graphs have less than 2^31 nodes and links");
        // Stable passes: by source, then by target, and from there by source again.
        let by_source = sorted(nodes, links.len(), |link| links[link][0]).order;
        let by_target = sorted(nodes, links.len(), |place| links[by_source[place] as usize][1]);
        let link = |position: usize| links[by_source[by_target.order[position] as usize] as usize];
        let outgoing = sorted(nodes, links.len(), |position| link(position)[0]);
        Self {
            sources: (0..links.len()).map(|position| link(position)[0] as i32).collect(),
            targets: outgoing.order.iter().map(|&position| link(position as usize)[1] as i32).collect(),
            positions: outgoing.order.iter().map(|&position| position as i32).collect(),
            incoming: by_target.offsets,
            outgoing: outgoing.offsets,
        }
    }

    /// Of the lists of another one.
    pub(super) fn from_lists(
        incoming: Vec<i32>,
        sources: Vec<i32>,
        outgoing: Vec<i32>,
        targets: Vec<i32>,
        positions: Vec<i32>,
    ) -> Self {
        Self { incoming, sources, outgoing, targets, positions }
    }

    /// Graphs side by side, as one graph without links between them. Panics beyond 2³¹ − 1 nodes or links in all.
    pub fn join(parts: &[&Self]) -> Self {
        if let [only] = parts {
            return (*only).clone();
        }
        let [nodes, links] =
            [Self::nodes, Self::links].map(|count| parts.iter().map(|part| count(part)).sum::<usize>());
        assert!(i32::try_from(nodes.max(links)).is_ok(), "a batch of graphs has less than 2^31 nodes and links");
        let mut joined = Self::new(0, &[]);
        for part in parts {
            let (nodes, links) = (joined.nodes() as i32, joined.links() as i32);
            let shifted = |numbers: &[i32], by: i32| numbers.iter().map(move |number| number + by).collect::<Vec<_>>();
            joined.incoming.extend(shifted(&part.incoming[1..], links));
            joined.sources.extend(shifted(&part.sources, nodes));
            joined.outgoing.extend(shifted(&part.outgoing[1..], links));
            joined.targets.extend(shifted(&part.targets, nodes));
            joined.positions.extend(shifted(&part.positions, links));
        }
        joined
    }

    /// Nodes.
    pub fn nodes(&self) -> usize {
        self.incoming.len() - 1
    }

    /// Links.
    pub fn links(&self) -> usize {
        self.sources.len()
    }

    /// Where the list of each target begins among [`Self::sources`]: nodes + 1 numbers.
    pub fn incoming(&self) -> &[i32] {
        &self.incoming
    }

    /// The source of every link, by target.
    pub fn sources(&self) -> &[i32] {
        &self.sources
    }

    /// Where the list of each source begins among [`Self::targets`]: nodes + 1 numbers.
    pub fn outgoing(&self) -> &[i32] {
        &self.outgoing
    }

    /// The target of every link, by source.
    pub fn targets(&self) -> &[i32] {
        &self.targets
    }

    /// The place among [`Self::sources`] of every link of [`Self::targets`].
    pub fn positions(&self) -> &[i32] {
        &self.positions
    }

    /// The sources of the links into a node.
    pub fn sources_of(&self, target: usize) -> &[i32] {
        &self.sources[self.incoming[target] as usize..self.incoming[target + 1] as usize]
    }

    /// The links from a node to itself.
    pub fn loops_of(&self, node: usize) -> usize {
        let sources = self.sources_of(node);
        let first = sources.partition_point(|&source| (source as usize) < node);
        sources[first..].iter().take_while(|&&source| source as usize == node).count()
    }
}

struct Sorted {
    offsets: Vec<i32>,
    order: Vec<u32>,
}

/// Counting sort of `0..count` by node, stable.
fn sorted(nodes: usize, count: usize, node: impl Fn(usize) -> u32) -> Sorted {
    let mut offsets = vec![0_i32; nodes + 1];
    for item in 0..count {
        offsets[node(item) as usize + 1] += 1;
    }
    for index in 0..nodes {
        offsets[index + 1] += offsets[index];
    }
    let mut next = offsets.clone();
    let mut order = vec![0; count];
    for item in 0..count {
        let place = &mut next[node(item) as usize];
        order[*place as usize] = item as u32;
        *place += 1;
    }
    Sorted { offsets, order }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graphs() -> impl Strategy<Value = (usize, Vec<Link>)> {
        (1_u32..12).prop_flat_map(|nodes| {
            (Just(nodes as usize), prop::collection::vec((0..nodes, 0..nodes).prop_map(|(a, b)| [a, b]), 0..60))
        })
    }

    /// (source, target) of the lists by target, in their order.
    fn by_target(adjacency: &Adjacency) -> Vec<Link> {
        let of = |target: usize| adjacency.sources_of(target).iter().map(move |&source| [source as u32, target as u32]);
        (0..adjacency.nodes()).flat_map(of).collect()
    }

    proptest! {
        #[test]
        fn the_lists_hold_the_links_sorted_whatever_their_order((nodes, mut links) in graphs()) {
            let adjacency = Adjacency::new(nodes, &links);
            links.reverse();
            prop_assert_eq!(&adjacency, &Adjacency::new(nodes, &links));
            links.sort_unstable_by_key(|&[source, target]| (target, source));
            prop_assert_eq!(by_target(&adjacency), links.clone());
            for node in 0..nodes {
                let loops = links.iter().filter(|[source, target]| source == target && *source as usize == node);
                prop_assert_eq!(adjacency.loops_of(node), loops.count());
            }
        }

        #[test]
        fn both_directions_are_the_same_links((nodes, links) in graphs()) {
            let adjacency = Adjacency::new(nodes, &links);
            let incoming = by_target(&adjacency);
            let mut seen = vec![false; links.len()];
            for source in 0..nodes {
                let range = adjacency.outgoing()[source] as usize..adjacency.outgoing()[source + 1] as usize;
                prop_assert!(adjacency.targets()[range.clone()].is_sorted());
                for place in range {
                    let position = adjacency.positions()[place] as usize;
                    prop_assert_eq!(incoming[position], [source as u32, adjacency.targets()[place] as u32]);
                    seen[position] = true;
                }
            }
            prop_assert!(seen.into_iter().all(|seen| seen));
        }

        #[test]
        fn joined_graphs_are_the_graph_of_all_links((nodes, links) in graphs(), (more, others) in graphs()) {
            let joined = Adjacency::join(&[&Adjacency::new(nodes, &links), &Adjacency::new(more, &others)]);
            let shift = nodes as u32;
            let all: Vec<Link> = links.iter().copied().chain(others.iter().map(|[a, b]| [a + shift, b + shift])).collect();
            prop_assert_eq!(joined, Adjacency::new(nodes + more, &all));
        }
    }
}
