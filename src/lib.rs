//! Sequential Greedy Architecture Search (SGAS, Li et al., CVPR 2020) on libtorch: search a cell, retrain it
//! in mixed precision, evaluate it. ARCHITECTURE.md shows the floors; a module imports only lower ones.

pub mod batch;
pub mod error;
pub mod tensor;
pub mod threads;
pub mod topology;
