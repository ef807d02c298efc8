//! Primitives of NAS-Bench-Graph (Qin et al. 2022, arXiv 2206.09166) on graphs, by PyTorch Geometric's definitions
//! (docs/method.md, "NAS-Bench-Graph"). Features are rows (N, C), one per node; the context are the links of the batch.
//!
//! Every primitive is an operator behind batch norm → ReLU → dropout of the state that it reads; of raw features it
//! reads them as they are. Activation and norm thus belong to the reader, and `skip` hands on what it reads that way.
//! Linear maps stand before sums, which commute, so that sums run over the narrow side.

mod arma;
mod attention;
mod chebyshev;
mod convolution;
mod isomorphism;
mod pair;
mod rows;
mod sage;
mod sum;

use crate::ops::{Mode, Operation, Primitive, State, build};
use crate::tensor::init::Init;
use crate::tensor::layers::BatchNorm;
use crate::tensor::links::{Aggregate, Links};
use crate::tensor::parameters::{Factor, Path};
use crate::tensor::precision::at_least_single;
pub use attention::HEADS;
pub use rows::Rows;
use tch::Tensor;

/// What a primitive is built after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Channels of the state that it reads.
    pub inputs: i64,
    /// Channels that it gives; `skip` gives those that it reads.
    pub outputs: i64,
    /// Whether the state is the raw features, which are neither normalised nor activated, and were dropped out before.
    pub raw: bool,
    /// Dropout of what is read.
    pub dropout: f64,
}

/// An operator: rows (N, C_in) and links to (N, C_out).
trait Operator {
    fn forward(&self, rows: &Rows, links: &Links) -> Tensor;
}

/// Everything that an edge may compute, in the order of the published list. Alphas are stored by the place in this
/// table, so a new primitive comes last.
pub const PRIMITIVES: [Primitive<Links, Reading>; 9] = [
    Primitive::new("gat", |path, reading| reader(path, reading, attention::Attention::new)),
    Primitive::new("gcn", |path, reading| reader(path, reading, convolution::Convolution::new)),
    Primitive::new("gin", |path, reading| reader(path, reading, isomorphism::Isomorphism::new)),
    Primitive::new("cheb", |path, reading| reader(path, reading, chebyshev::Chebyshev::new)),
    Primitive::new("sage", |path, reading| reader(path, reading, sage::Sage::new)),
    Primitive::new("arma", |path, reading| reader(path, reading, arma::Arma::new)),
    Primitive::new("graph", |path, reading| reader(path, reading, sum::NeighbourSum::new)),
    Primitive::new("fc", |path, reading| reader(path, reading, rows::FullyConnected::new)),
    Primitive::new("skip", |path, reading| reader(path, reading, |_, _, _| rows::Identity)),
];

/// A primitive by its name. Panics on a name that the table does not hold.
pub fn operation(path: &Path, primitive: &str, reading: Reading) -> Option<Box<dyn Operation<Links>>> {
    build(&PRIMITIVES, path, primitive, reading)
}

/// An operator and what stands before it.
struct Reader<O> {
    norm: Option<BatchNorm>,
    dropout: f64,
    operator: O,
}

/// At `path` (`norm`, `operator`).
fn reader<O: Operator + 'static>(
    path: &Path,
    reading: Reading,
    operator: impl FnOnce(&Path, i64, i64) -> O,
) -> Box<dyn Operation<Links>> {
    let Reading { inputs, outputs, raw, dropout } = reading;
    let norm = (!raw).then(|| BatchNorm::new(&path.sub("norm"), inputs));
    Box::new(Reader { norm, dropout, operator: operator(&path.sub("operator"), inputs, outputs) })
}

impl<O: Operator> Operation<Links> for Reader<O> {
    fn forward(&self, state: &State, links: &Links, mode: Mode) -> Tensor {
        let rows = match &self.norm {
            Some(norm) => {
                let active = norm.forward(&state.features, mode.by_batch_statistics()).relu();
                Rows::new(if mode.is_training() { active.dropout(self.dropout, true) } else { active })
            }
            None => Rows::new(state.features.shallow_clone()),
        };
        self.operator.forward(&rows, links)
    }
}

/// Whether links from a node to itself count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loops {
    AsStored,
    LeftOut,
}

/// Σ_j x_j over the links into a node as they are stored, (N, C).
fn neighbour_sum(x: &Tensor, links: &Links) -> Tensor {
    let [sum, ..] = links.aggregates(x, &[Aggregate::Sum]);
    sum.expect("a sum was asked for")
}

/// The mean of x_j over the links into a node as they are stored, 0 for a node without, (N, C).
fn mean(x: &Tensor, links: &Links) -> Tensor {
    let wide = x.to_kind(at_least_single(x.kind()));
    let share = links.count_into().clamp_min(1.0).reciprocal().to_kind(wide.kind());
    (neighbour_sum(&wide, links) * share).to_kind(x.kind())
}

/// Σ_j x_j / √(d_i d_j) over the links into a node, (N, C); d counts them.
fn normalized_sum(x: &Tensor, links: &Links, loops: Loops) -> Tensor {
    let wide = x.to_kind(at_least_single(x.kind()));
    let own = match loops {
        Loops::AsStored => None,
        Loops::LeftOut => Some(links.count_loops()),
    };
    let counted = own.as_ref().map_or_else(|| links.count_into(), |own| links.count_into() - own);
    let counted = counted.to_kind(wide.kind());
    // 0 for a node without links.
    let root = counted.clamp_min(1.0).rsqrt() * counted.clamp_max(1.0);
    let scaled = wide * &root;
    let mut sum = neighbour_sum(&scaled, links);
    if let Some(own) = own {
        sum -= &scaled * own.to_kind(scaled.kind());
    }
    (sum * root).to_kind(x.kind())
}

/// The rows with a bias on each, in their own type.
fn with_bias(rows: Tensor, bias: &Factor) -> Tensor {
    let bias = bias.tensor().to_kind(rows.kind());
    rows + bias
}

/// A bias that starts at zero.
fn bias(path: &Path, outputs: i64) -> Factor {
    path.factor("bias", &[outputs], Init::Zeros)
}
