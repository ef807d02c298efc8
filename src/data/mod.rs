//! Data sets: where they are found, how their formats are read, split and augmented, and the loader that makes
//! batches ahead. One file per format.
//!
//! Nothing is downloaded, and nothing falls back to synthetic data.

mod checks;
mod config;
pub mod dataset;
mod folders;
pub mod graphs;
mod gzip;
mod hdf5;
mod identity;
pub mod images;
pub mod inputs;
pub mod kind;
pub mod loader;
mod numpy;
pub mod parsers;
pub mod points;
mod scan;
pub mod scenes;
pub mod source;
pub mod split;
pub mod survey;

pub use config::DataConfig;
pub use dataset::{Dataset, Targets};
pub use graphs::config::GraphDataConfig;
pub use graphs::survey::GraphContent;
pub use graphs::synthetic_files::{GraphLayout, SyntheticGraphs, TableFormat};
pub use identity::{DataIdentity, SplitIdentity};
pub use images::augmentation::ImageAugmentation;
pub use images::config::ImageDataConfig;
pub use images::survey::PictureContent;
pub use images::synthetic_files::{PictureFormat, SyntheticPictures};
pub use inputs::{InputFile, InputNeeds, Inputs, find_inputs, read_inputs};
pub use kind::SampleKind;
pub use loader::{Access, Batches, EpochPlan, Loader, LoaderConfig, Samples};
pub use points::augmentation::{Augmentation, Normalization, PointOrder};
pub use points::check_points;
pub use points::survey::{Bounds, Column, ShapeContent};
pub use points::synthetic::SyntheticConfig;
pub use points::synthetic_files::{SyntheticFiles, SyntheticFormat, SyntheticLayout};
pub use scenes::config::SceneDataConfig;
pub use scenes::survey::SceneContent;
pub use scenes::synthetic_files::{SceneFormat, SceneLayout, SyntheticScenes};
pub use scenes::{SceneInputs, read_scenes};
pub use source::{SetName, Source, find, find_own};
pub use split::{HeldOut, Split};
pub use survey::{Content, Spread, Survey, survey};
