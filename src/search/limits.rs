//! Bounds on what a search may find (`[search.limits]`): whether a choice leaves a cell whose network is small enough.
//!
//! Every question is answered by a count of a whole network, of the cheapest cell that keeps what was decided. What is
//! cheapest is told by a table of what primitives add to a network; where their costs do not add up (the networks of
//! NAS-Bench-Graph grow with the leaves of a cell), a choice may be refused for which a dearer rest would have been
//! cheaper, but none is taken that is too large.

use crate::bounds;
use crate::decision::{Choice, EdgeState};
use crate::error::{Error, Result};
use crate::genotype::{Genotype, SpaceName};
use crate::search::candidates::{Cells, genotype};
use crate::topology::{CellKind, Edge, Topology};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;

/// `[search.limits]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// The most weights that a found cell's network may have; absent: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<u64>,
    /// The most multiply-adds that it may take for a picture; absent: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macs: Option<u64>,
    /// The training configuration at whose sizes networks are counted; absent: that of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

impl LimitConfig {
    /// Whether anything is bounded.
    pub fn is_set(&self) -> bool {
        self.params.is_some() || self.macs.is_some()
    }

    /// # Errors
    /// A number outside its range, or a configuration to count by without a bound.
    pub fn validate(&self) -> Result<()> {
        for (key, value) in [("search.limits.params", self.params), ("search.limits.macs", self.macs)] {
            if let Some(value) = value {
                bounds::check(key, &value, &(1..=u64::MAX / 2), "")?;
            }
        }
        match &self.config {
            Some(config) if !self.is_set() => {
                Err(Error::invalid("search.limits", "params or macs beside config", format!("config = \"{config}\""))
                    .with_hint("--max-params or --max-macs bounds what a search may find"))
            }
            _ => Ok(()),
        }
    }
}

/// What a network of a cell takes of each bounded quantity, in the order of the bounds.
pub type Count = Rc<dyn Fn(&Genotype) -> Result<Vec<u64>>>;

/// A bounded quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The flag that sets it.
    pub flag: &'static str,
    /// What is counted.
    pub what: &'static str,
    /// The most that is allowed.
    pub most: u64,
}

/// An edge's place, as far as costs depend on it: the kind of cell, and whether it reads an input of the cell.
type Place = (CellKind, bool);

/// The states of all edges, by kind of cell.
pub type States = BTreeMap<CellKind, Vec<EdgeState>>;

/// The bounds of a search in one space.
#[derive(Clone)]
pub struct Limits {
    space: SpaceName,
    bounds: Vec<Bound>,
    count: Count,
    /// What each primitive adds to a network, as a share of the bounds, summed over them.
    costs: BTreeMap<Place, Vec<f64>>,
}

impl Limits {
    /// Counts what primitives add, a network each.
    ///
    /// # Errors
    /// Bounds that no cell meets; what counting reports.
    pub fn new(space: SpaceName, bounds: Vec<Bound>, count: Count) -> Result<Self> {
        let topology = space.topology();
        let base: Cells = space.kinds().iter().map(|kind| (*kind, first_choices(topology))).collect();
        let mut limits = Self { space, bounds, count, costs: BTreeMap::new() };
        let share = |limits: &Self, cells: &Cells| -> Result<f64> {
            let counts = (limits.count)(&genotype(space, cells))?;
            Ok(counts.iter().zip(&limits.bounds).map(|(count, bound)| *count as f64 / bound.most as f64).sum())
        };
        let of_base = share(&limits, &base)?;
        for (index, kind) in space.kinds().iter().enumerate() {
            for (place, edge) in base[index].1.iter().enumerate() {
                let of = (*kind, topology.reads_input(edge.source));
                if limits.costs.contains_key(&of) {
                    continue;
                }
                let first = topology.first_choosable();
                let mut costs = vec![0.0; space.primitives().len()];
                for (primitive, cost) in costs.iter_mut().enumerate().skip(first) {
                    let mut cells = base.clone();
                    cells[index].1[place].primitive = primitive;
                    *cost = share(&limits, &cells)? - of_base;
                }
                limits.costs.insert(of, costs);
            }
        }
        let open = space.kinds().iter().map(|kind| (*kind, vec![EdgeState::Open; topology.edge_count()])).collect();
        limits.require_some_cell(&limits.cheapest(&open))?;
        Ok(limits)
    }

    /// Refuses bounds that the cheapest cell does not meet.
    fn require_some_cell(&self, cheapest: &Cells) -> Result<()> {
        let counts = (self.count)(&genotype(self.space, cheapest))?;
        let beyond = self.bounds.iter().zip(counts).find(|(bound, count)| *count > bound.most);
        let Some((Bound { flag, what, most }, count)) = beyond else { return Ok(()) };
        Err(Error::invalid(*flag, format!("at least {count} {what}, which the smallest network has"), most.to_string())
            .with_hint("the sizes are those of the training: search.limits.config names another configuration of one"))
    }

    /// Whether a cell that has all these states, and this edge fixed to this primitive, can still meet the bounds.
    ///
    /// # Errors
    /// What counting reports.
    pub fn allow(&self, states: &States, kind: CellKind, edge: usize, primitive: usize) -> Result<bool> {
        let mut states = states.clone();
        if let Some(states) = states.get_mut(&kind) {
            states[edge] = EdgeState::Fixed(primitive);
        }
        self.meet(&self.cheapest(&states))
    }

    /// Whether a cell meets the bounds.
    ///
    /// # Errors
    /// What counting reports.
    pub fn meet(&self, cells: &Cells) -> Result<bool> {
        let counts = (self.count)(&genotype(self.space, cells))?;
        Ok(counts.iter().zip(&self.bounds).all(|(count, bound)| *count <= bound.most))
    }

    /// In words, for a log and for errors.
    pub fn words(&self) -> String {
        let words = self.bounds.iter().map(|Bound { what, most, .. }| format!("at most {most} {what}"));
        words.collect::<Vec<_>>().join(" and ")
    }

    /// The cells that keep what is fixed and add what costs least.
    fn cheapest(&self, states: &States) -> Cells {
        let topology = self.space.topology();
        let of_kind = |(kind, states): (&CellKind, &Vec<EdgeState>)| {
            let mut choices = Vec::with_capacity(topology.decision_count());
            for node in 0..topology.steps() {
                choices.extend(self.cheapest_edges(topology, *kind, node, states));
            }
            (*kind, choices)
        };
        states.iter().map(of_kind).collect()
    }

    /// The edges of a node: those that are fixed, then the cheapest of the open ones.
    fn cheapest_edges(&self, topology: Topology, kind: CellKind, node: usize, states: &[EdgeState]) -> Vec<Choice> {
        let cheapest = |edge: &Edge| {
            let costs = &self.costs[&(kind, topology.reads_input(edge.source))];
            let choosable = topology.first_choosable()..costs.len();
            let best =
                choosable.min_by(|one, other| costs[*one].total_cmp(&costs[*other])).expect("a space has primitives");
            (costs[best], best)
        };
        let mut options: Vec<(f64, Choice)> = topology
            .edges_into(node)
            .map(|index| topology.edge(index))
            .filter_map(|edge| match states[edge.index] {
                EdgeState::Fixed(primitive) => Some((f64::NEG_INFINITY, Choice { primitive, source: edge.source })),
                EdgeState::Open => {
                    let (cost, primitive) = cheapest(&edge);
                    Some((cost, Choice { primitive, source: edge.source }))
                }
                EdgeState::Pruned => None,
            })
            .collect();
        options.sort_by(|one, other| one.0.total_cmp(&other.0));
        options.truncate(topology.kept(node));
        options.sort_by_key(|(_, choice)| choice.source);
        options.into_iter().map(|(_, choice)| choice).collect()
    }
}

/// A cell of the first primitive that may be chosen, whose nodes read their last sources, so that edges from inputs and
/// from nodes are both there.
fn first_choices(topology: Topology) -> Vec<Choice> {
    let of_node = |node: usize| {
        let sources = topology.sources(node);
        let skipped = sources.len() - topology.kept(node);
        sources.into_iter().skip(skipped).map(|source| Choice { primitive: topology.first_choosable(), source })
    };
    (0..topology.steps()).flat_map(of_node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::CellKind::Normal;

    const SPACE: SpaceName = SpaceName::POINT;

    /// Ten per primitive of an edge, by its place in the list.
    fn count() -> Count {
        Rc::new(|genotype: &Genotype| {
            let place = |name: &String| SPACE.primitives().iter().position(|known| known == name).unwrap() as u64;
            Ok(vec![100 + genotype.normal.edges.iter().map(|(name, _)| 10 * place(name)).sum::<u64>()])
        })
    }

    fn limits(most: u64) -> Result<Limits> {
        Limits::new(SPACE, vec![Bound { flag: "--max-params", what: "weights", most }], count())
    }

    fn open() -> States {
        States::from([(Normal, vec![EdgeState::Open; SPACE.topology().edge_count()])])
    }

    #[test]
    fn a_choice_is_allowed_where_the_cheapest_rest_still_fits() {
        // Six edges; the cheapest primitive that may be chosen adds 10.
        let limits = limits(100 + 60 + 30).unwrap();
        let mut states = open();
        assert!(limits.allow(&states, Normal, 0, 4).unwrap());
        assert!(!limits.allow(&states, Normal, 0, 5).unwrap());
        states.get_mut(&Normal).unwrap()[0] = EdgeState::Fixed(3);
        assert!(limits.allow(&states, Normal, 1, 2).unwrap());
        assert!(!limits.allow(&states, Normal, 1, 3).unwrap());
    }

    #[test]
    fn bounds_that_no_cell_meets_are_refused_with_the_least() {
        let error = limits(159).err().unwrap();
        assert_eq!(
            error.to_string(),
            "--max-params: expected at least 160 weights, which the smallest network has, found 159"
        );
        assert!(limits(160).is_ok());
        assert_eq!(limits(160).unwrap().words(), "at most 160 weights");
    }
}
