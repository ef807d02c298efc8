//! SGD and Adam on flat tensors, with state that a checkpoint can hold, and clipping by the global norm.

mod config;
pub use config::{AdamConfig, AlphaConfig, OptimizerKind, WeightConfig};
