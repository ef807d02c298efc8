//! What libtorch lacks or does otherwise than the reference: initialisation, layers, flat weights, gathers,
//! neighbours, seeded randomness, and the C++ bridge.
#![allow(clippy::disallowed_methods, reason = "the traps that clippy.toml bans are dealt with in this folder")]

pub mod adjacency;
pub mod bridge;
pub mod convolution;
pub mod fused;
pub mod init;
pub mod layers;
pub mod links;
pub mod mixture;
pub mod multiply_adds;
pub mod native;
pub mod nearest;
pub mod neighbours;
pub mod parameters;
pub mod precision;
pub mod random;
pub mod sparse;
pub mod synchronised;
pub mod watch;
