//! Supernet and derived network.

mod config;
pub use config::ModelConfig;
