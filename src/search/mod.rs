//! The search: bilevel steps, strategies, and the one loop for every space.

mod config;
pub use config::{AlphaBatch, AlphaData, SearchConfig, StrategyKind};
