//! What libtorch lacks or does otherwise than the reference: initialisation, layers, flat weights, gathers,
//! neighbours, seeded randomness, and the C++ bridge.

pub mod bridge;
pub mod init;
pub mod layers;
pub mod neighbours;
pub mod parameters;
pub mod precision;
pub mod random;
