//! The integration tests, in one binary because linking libtorch is slow.

mod bridge;
mod cli;
mod cloud_files;
mod data;
mod decisions;
mod doctor;
mod errors;
mod golden;
mod graphs;
mod image_kernels;
mod inputs;
mod kernels;
mod linear_kernel;
mod link_kernels;
mod loader;
mod memory;
mod neighbours;
mod own_graphs;
mod own_pictures;
mod own_scenes;
mod own_shapes;
mod parity;
mod pictures;
mod readme;
mod runs;
mod scenes;
