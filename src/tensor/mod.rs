//! What libtorch lacks or does otherwise than the reference: initialisation, layers, flat weights, gathers,
//! neighbours, seeded randomness, and the C++ bridge.

pub mod bridge;
pub mod precision;
pub mod random;
