//! SGD and Adam on flat tensors, with state that a checkpoint can hold; clipping by the global norm; schedule;
//! loss scaling.

mod adam;
mod config;
mod optimizer;
mod scaler;
mod schedule;
mod sgd;
mod skip;

pub use adam::Adam;
pub use config::{AdamConfig, AlphaConfig, OptimizerKind, Schedule, WeightConfig};
pub use optimizer::{Optimizer, clip};
pub use scaler::{NonFinite, Scaler, ScalerState};
pub use schedule::learning_rate;
pub use sgd::Sgd;
pub use skip::Skip;
