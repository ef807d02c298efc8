//! The search: bilevel steps, strategies, and the one loop for every space; and searches among random cells.

pub mod bilevel;
pub mod candidates;
mod compose;
mod config;
pub mod freezing;
pub mod limits;
mod search_loop;
pub mod second_order;
pub mod strategy;

pub use config::{AlphaBatch, AlphaData, AlphaOrder, SearchConfig};
pub use search_loop::{Search, SearchData, SearchSettings, state};
pub use strategy::{Strategy, StrategyName};
