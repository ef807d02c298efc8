//! Data sets: where they are found, how their formats are read, split and augmented, and the loader that makes
//! batches ahead. A family of data is one folder and one line in `families.rs`.
//!
//! Nothing is downloaded, and nothing falls back to synthetic data.

mod checks;
mod config;
pub mod dataset;
mod division;
mod families;
pub mod family;
mod find;
mod folders;
pub mod graphs;
mod gzip;
mod hdf5;
mod identity;
pub mod images;
pub mod inputs;
pub mod loader;
mod named;
mod numpy;
pub mod parsers;
pub mod points;
mod scan;
pub mod scenes;
pub mod source;
pub mod split;
pub mod survey;
pub mod synthesis;
mod synthetic;

pub use config::DataConfig;
pub use dataset::{Dataset, Targets, VARIANTS, Variant};
pub use families::register;
pub use family::{Family, FamilyDescription, KnownSet, LoadNeeds, Loaded, SampleKind, SetName};
pub use find::{find, find_own};
pub use graphs::config::GraphDataConfig;
pub use identity::{DataIdentity, SplitIdentity};
pub use images::augmentation::ImageAugmentation;
pub use images::config::ImageDataConfig;
pub use inputs::{InputFile, InputNeeds, InputPoints, Inputs};
pub use loader::{Access, Batches, EpochPlan, Loader, LoaderConfig, Samples};
pub use points::augmentation::{Augmentation, Normalization, PointOrder};
pub use points::colours::ColorRange;
pub(crate) use points::unpack_where_asked;
pub use scenes::config::SceneDataConfig;
pub use source::Source;
pub use split::{HeldOut, Split};
pub use survey::{Content, Survey};
pub use synthesis::{MadeLayout, Making, Synthesis};
pub use synthetic::SyntheticConfig;
