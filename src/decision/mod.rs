//! The heart of SGAS (section 3.3 of the paper): which edge is decided when, and for which primitive.
//!
//! Plain arithmetic on a table of alphas (edges × primitives, `f64`), without tensors: `score` holds the
//! three measures of an edge and their product, `greedy` the decisions of a whole search, `confidence` how sure each
//! is, `reading` the ways to read a cell off a table at any time. What may be chosen says the shape of the cell: where it has `none`,
//! that is primitive 0 of every table.

mod confidence;
mod config;
mod greedy;
mod reading;
mod score;

use crate::topology::Topology;

pub use confidence::{Confidence, Table, shares_of_reading};
pub use config::{Criterion, DecisionConfig, grown_batch};
pub use greedy::{Allowed, Decision, GreedyDecision, Observation, Progress, superfluous_edges};
pub use reading::{Choice, EdgeState, primitives_of_edges, read_off, read_off_best_primitive};
pub use score::{EdgeScore, softmax};

/// The index of `none` in tables of alphas, where a space has it.
pub const NONE: usize = 0;

/// The place of the greatest value; the first of equals, so that a search is repeatable.
/// `None` only when there are no values.
fn first_greatest(values: impl IntoIterator<Item = (usize, f64)>) -> Option<(usize, f64)> {
    values.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// The best primitive that an edge of cells of this shape may be decided for.
pub fn best_primitive(topology: Topology, alphas: &[f64]) -> usize {
    let candidates = alphas.iter().copied().enumerate().skip(topology.first_choosable());
    first_greatest(candidates).expect("a table has a primitive to choose").0
}
