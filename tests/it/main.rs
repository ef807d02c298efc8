//! The integration tests, in one binary because linking libtorch is slow.

mod data;
mod decisions;
mod golden;
