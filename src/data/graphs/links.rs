//! Links as files store them: counted, and made into those that the network gets.

use std::ops::AddAssign;

use super::config::{Duplicates, GraphDataConfig, LinkDirections, SelfLoops};
use crate::tensor::adjacency::Link;

/// What is peculiar about stored links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct StoredLinks {
    /// All of them.
    pub links: usize,
    /// From a node to itself, every time that they come.
    pub self_loops: usize,
    /// Those that were there before, in the same direction.
    pub duplicates: usize,
    /// Between two nodes, in one direction alone; each is counted once.
    pub one_way: usize,
}

impl StoredLinks {
    /// Counts the links of a graph.
    pub(super) fn count(links: &[Link]) -> Self {
        let distinct = sorted_once(links.to_vec());
        let is_loop = |link: &&Link| link[0] == link[1];
        let one_way = distinct.iter().filter(|[source, target]| distinct.binary_search(&[*target, *source]).is_err());
        Self {
            links: links.len(),
            self_loops: links.iter().filter(is_loop).count(),
            duplicates: links.len() - distinct.len(),
            one_way: one_way.count(),
        }
    }
}

impl AddAssign for StoredLinks {
    fn add_assign(&mut self, other: Self) {
        self.links += other.links;
        self.self_loops += other.self_loops;
        self.duplicates += other.duplicates;
        self.one_way += other.one_way;
    }
}

/// The links that the network gets.
pub(super) fn prepare(mut links: Vec<Link>, config: &GraphDataConfig) -> Vec<Link> {
    if config.self_loops == SelfLoops::Removed {
        links.retain(|[source, target]| source != target);
    }
    if config.links == LinkDirections::Both {
        for position in 0..links.len() {
            let [source, target] = links[position];
            // The other direction of a self-loop is itself.
            if source != target {
                links.push([target, source]);
            }
        }
    }
    if config.duplicates == Duplicates::Merged { sorted_once(links) } else { links }
}

fn sorted_once(mut links: Vec<Link>) -> Vec<Link> {
    links.sort_unstable();
    links.dedup();
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 to 1 in both directions, 1 to 2 twice in one, 2 to itself twice, 3 to 0.
    const LINKS: [Link; 7] = [[0, 1], [1, 0], [1, 2], [1, 2], [2, 2], [2, 2], [3, 0]];

    fn prepared(text: &str) -> Vec<Link> {
        let mut links = prepare(LINKS.to_vec(), &toml::from_str(text).unwrap());
        links.sort_unstable();
        links
    }

    #[test]
    fn what_is_peculiar_is_counted() {
        let expected = StoredLinks { links: 7, self_loops: 2, duplicates: 2, one_way: 2 };
        assert_eq!(StoredLinks::count(&LINKS), expected);
        assert_eq!(StoredLinks::count(&[]), StoredLinks::default());
    }

    #[test]
    fn links_lead_in_both_directions_once_without_self_loops_unless_asked_otherwise() {
        assert_eq!(prepared(""), [[0, 1], [0, 3], [1, 0], [1, 2], [2, 1], [3, 0]]);
        assert_eq!(prepared("links = 'stored'"), [[0, 1], [1, 0], [1, 2], [3, 0]]);
        assert_eq!(prepared("links = 'stored'\nself_loops = 'stored'"), [[0, 1], [1, 0], [1, 2], [2, 2], [3, 0]]);
        let as_stored = "links = 'stored'\nself_loops = 'stored'\nduplicates = 'stored'";
        assert_eq!(prepared(as_stored), LINKS);
        let all = prepared("self_loops = 'stored'\nduplicates = 'stored'");
        assert_eq!(all.len(), 2 * 5 + 2, "a self-loop has no other direction");
        assert_eq!(all.iter().filter(|link| **link == [2, 1]).count(), 2);
    }
}
