//! Spaces: which primitives there are, how cells are stacked, what stands before and after them.

pub mod point;
