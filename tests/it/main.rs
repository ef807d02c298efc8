//! The integration tests, in one binary because linking libtorch is slow.

mod bridge;
mod cli;
mod data;
mod decisions;
mod errors;
mod golden;
mod kernels;
mod loader;
mod parity;
mod pictures;
mod readme;
mod runs;
