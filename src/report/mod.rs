//! What a run shows: observers of the loops.

pub mod svg;
