//! The point space.

mod config;
pub use config::PointConfig;
