//! The engine without the program: optimizers, flat weights, networks in their modes, whole steps.
//!
//! A binary of its own: libtorch's generator is the process's, so tests that draw from it take turns here, and
//! those of `it` would draw in between.

mod amp;
mod baselines;
mod candidates;
mod freezing;
mod growth;
mod images;
mod limits;
mod memory;
mod nas_bench_201;
mod nas_bench_graph;
mod network;
mod one_shot;
mod optimizers;
mod parameters;
mod partial;
mod parts;
mod resgcn;
mod shapes;
mod stops;
mod strategies;
mod uneven;

use sgas::batch::{Batch, PointBatch};
use sgas::genotype::{Genotype, zoo};
use sgas::model::{ModelConfig, NetworkSpec};
use sgas::space::point::PointConfig;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};

/// A network of two cells, small enough for a step in milliseconds.
fn spec() -> NetworkSpec {
    NetworkSpec {
        model: ModelConfig { channels: 4, cells: 2 },
        point: PointConfig { k: 4, embedding: 16, ..PointConfig::default() },
        classes: 5,
        ..NetworkSpec::default()
    }
}

fn cell() -> Genotype {
    zoo::find("Cri2_ModelNet_Best").unwrap().genotype.clone()
}

/// Held by a test while it draws from libtorch's generator.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clouds of points on a grid of sixteenths, the same at every call.
fn batch() -> Batch {
    let index = Tensor::arange(6 * 32 * 3, (Kind::Int64, Device::Cpu));
    let points = (&index * 7919_i64 + (&index * &index) * 31_i64).remainder(97).to_kind(Kind::Float) / 48.5 - 1.0;
    Batch::Points(PointBatch { points: points.view([6, 32, 3]), labels: Tensor::from_slice(&[0_i64, 1, 2, 3, 4, 0]) })
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.detach().to_kind(Kind::Float).flatten(0, -1)).unwrap()
}

/// All elements equal to the bit.
fn assert_equal(one: &Tensor, other: &Tensor) {
    assert_eq!(one.size(), other.size());
    assert!(one.equal(other), "tensors differ by up to {}", (one - other).abs().max().double_value(&[]));
}
