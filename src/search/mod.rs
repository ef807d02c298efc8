//! The search: bilevel steps, strategies, and the one loop for every space.

pub mod bilevel;
mod config;

pub use config::{AlphaBatch, AlphaData, SearchConfig, StrategyKind};
