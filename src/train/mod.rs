//! Retraining of a derived cell, one for every space.

mod average;
mod best;
mod config;
mod frozen;
mod train_loop;

pub use config::TrainConfig;
pub use train_loop::{TrainData, TrainSettings, Training};
