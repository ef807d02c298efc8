//! The integration tests, in one binary because linking libtorch is slow.

mod bridge;
mod data;
mod decisions;
mod golden;
mod kernels;
mod loader;
mod parity;
