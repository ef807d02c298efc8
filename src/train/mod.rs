//! Retraining of a derived cell: the one loop for every space.

mod config;
mod train_loop;

pub use config::TrainConfig;
pub use train_loop::{TrainData, TrainSettings, Training};
