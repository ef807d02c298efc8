//! Retraining of a derived cell: the one loop for every space.

mod config;
pub use config::TrainConfig;
