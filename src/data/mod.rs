//! Data sets: where they are found, how their formats are read, split and augmented, and the loader that makes
//! batches ahead. One file per format.
//!
//! Nothing is downloaded, and nothing falls back to synthetic data.

pub mod augmentation;
mod class_folder;
mod config;
pub mod loader;
mod modelnet_hdf5;
mod pcd;
pub mod points;
pub mod source;
pub mod split;
pub mod synthetic;

pub use augmentation::{Augmentation, Normalization, PointOrder};
pub use config::DataConfig;
pub use loader::{Access, Batches, EpochPlan, Loader, LoaderConfig, Samples};
pub use points::{PointClouds, PointDataset, load};
pub use source::{PointSet, Source, find};
pub use split::Split;
pub use synthetic::SyntheticConfig;
