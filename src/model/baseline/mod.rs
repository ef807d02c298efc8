//! The usual hand-designed networks for graphs, shapes and pictures, which say what a search was worth
//! (docs/method.md, "Baselines").

pub(super) mod graph;
pub(super) mod image;
pub(super) mod point;
