//! What cells of a space are known to score: published tables and surrogates. Nothing is trained here.

pub mod nas_bench_201;
mod nas_bench_graph;
pub mod nb301;
pub mod onnx;

pub use nas_bench_graph::NasBenchGraph;

use crate::error::Result;
use crate::genotype::{Genotype, SpaceName};

/// A number that a benchmark has for a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The data set, in lower case: `cora`.
    pub set: String,
    /// What the number is.
    pub quantity: Quantity,
    /// In the quantity's unit.
    pub value: f64,
}

/// What benchmarks know of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Accuracy on the nodes or images that choose the best epoch, from 0 to 1.
    ValidationAccuracy,
    /// Accuracy on those for testing, from 0 to 1.
    TestAccuracy,
    /// Weights of the network, in millions.
    Parameters,
    /// Multiply-adds of a pass, in millions.
    MultiplyAdds,
    /// Time of a pass, in seconds.
    Latency,
}

impl Quantity {
    /// The name in tables and on the command line: `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ValidationAccuracy => "validation",
            Self::TestAccuracy => "test",
            Self::Parameters => "parameters",
            Self::MultiplyAdds => "multiply-adds",
            Self::Latency => "latency",
        }
    }

    /// The unit, for messages; empty for a share.
    pub fn unit(self) -> &'static str {
        match self {
            Self::ValidationAccuracy | Self::TestAccuracy => "",
            Self::Parameters | Self::MultiplyAdds => "M",
            Self::Latency => "s",
        }
    }
}

/// A published table of cells, or what predicts their scores.
pub trait Benchmark {
    /// The space of its cells.
    fn space(&self) -> SpaceName;

    /// What it knows of a cell.
    ///
    /// # Errors
    /// A cell of another space, or one that it does not know, with the reason.
    fn scores(&self, genotype: &Genotype) -> Result<Vec<Score>>;

    /// The number of cells that it lists; 0 for one that predicts.
    fn cells(&self) -> usize {
        0
    }

    /// The cell of a row; absent from [`Self::cells`] on.
    fn cell(&self, _row: usize) -> Option<Genotype> {
        None
    }
}
