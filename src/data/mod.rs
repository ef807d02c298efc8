//! Data sets: where they are found, how their formats are read, split and augmented, and the loader that makes
//! batches ahead. One file per format.
//!
//! Nothing is downloaded, and nothing falls back to synthetic data.

mod checks;
mod config;
pub mod dataset;
mod folders;
pub mod images;
pub mod loader;
pub mod points;
pub mod source;
pub mod split;

pub use config::DataConfig;
pub use dataset::Dataset;
pub use images::augmentation::ImageAugmentation;
pub use images::config::ImageDataConfig;
pub use loader::{Access, Batches, EpochPlan, Loader, LoaderConfig, Samples};
pub use points::augmentation::{Augmentation, Normalization, PointOrder};
pub use points::survey::{Bounds, Column, Spread, Survey, survey};
pub use points::synthetic::SyntheticConfig;
pub use points::synthetic_files::{SyntheticFiles, SyntheticFormat, SyntheticLayout};
pub use points::{InputFile, InputNeeds, Inputs, find_inputs, read_inputs};
pub use source::{SetName, Source, find};
pub use split::{HeldOut, Split};
