//! Sequential Greedy Architecture Search (SGAS, Li et al., CVPR 2020) on libtorch: search a cell, retrain it
//! in mixed precision, evaluate it. ARCHITECTURE.md shows the floors; a module imports only lower ones.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod batch;
pub mod benchmark;
pub mod bounds;
pub mod cell;
pub mod checkpoint;
pub mod cli;
pub mod commands;
pub mod config;
pub mod data;
pub mod decision;
pub mod dist;
pub mod error;
pub mod eval;
pub mod files;
pub mod fingerprint;
pub mod genotype;
pub mod memory;
pub mod model;
pub mod nearest;
pub mod ops;
pub mod optim;
pub mod panics;
pub mod pickle;
pub mod program;
pub mod python;
pub mod reading;
pub mod registry;
pub mod report;
pub mod restart;
pub mod search;
pub mod space;
pub mod statistics;
pub mod step;
pub mod task;
pub mod tensor;
pub mod threads;
pub mod topology;
pub mod train;
pub mod visible;
