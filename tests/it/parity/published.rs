//! An accident of the published code on CPUs, which the golden files hold: they were made on one.
//!
//! libtorch's batch norm on a CPU (seen in 2.11) takes a gradient that lies channels-last for one that lies as
//! its input does, when a dimension is 1. The published `semi_gcn` meets that case at every backward pass: the
//! gradient of its norm is then a permutation of the right one, and the golden files hold the permuted numbers. (Only
//! a gradient straight from one gather lies so; where several paths meet, as behind every other norm, their sum does
//! not.) The kernel at fault is the CPU's; CUDA, where the published results were made, has another (not tried here).
//! Our own layout never meets the case: our gradients are the mathematical ones.
//!
//! So [`PublishedPoints`] is the point space with one primitive in another form: `semi_gcn` as it is in the library,
//! with the gradient permuted between its two halves. Networks over it are built as those over any space.

use sgas::batch::Batch;
use sgas::genotype::SpaceName;
use sgas::ops::{Map, Mode, Operation, Shared, State, point};
use sgas::space::point::PointSpace;
use sgas::space::{CellContext, CellPlan, Head, Space, Stem};
use sgas::tensor::mixture::Part;
use sgas::tensor::neighbours::Neighbours;
use sgas::tensor::parameters::{Path, Store, Weights};
use sgas::topology::CellKind;
use tch::{Device, Kind, Tensor};

type PointOperation = Box<dyn Operation<Neighbours>>;

/// A primitive on point clouds, with the accident where the published one has it.
pub fn operation(path: &Path, primitive: &str, channels: i64) -> Option<PointOperation> {
    let own = point::operation(path, primitive, channels)?;
    Some(if primitive == "semi_gcn" { Box::new(PublishedSemiGcn { own, permute: permuted }) } else { own })
}

/// `semi_gcn` whose gradient is changed between the block and the mean over the neighbours.
struct PublishedSemiGcn {
    own: PointOperation,
    permute: fn(Tensor, i64) -> Tensor,
}

impl Operation<Neighbours> for PublishedSemiGcn {
    fn forward(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Tensor {
        // The mean over itself is what a point has: the operation without its second half.
        let points = neighbours.rows.size()[0];
        let itself = Tensor::arange(points, (Kind::Int64, neighbours.rows.device())).unsqueeze(1);
        let hidden = self.own.forward(state, &Neighbours::new(itself, neighbours.clouds), mode);
        neighbours.mean(&(self.permute)(hidden, neighbours.clouds))
    }

    fn part(&self, state: &State, neighbours: &Neighbours, mode: Mode) -> Part<'_> {
        Part::plain(self.forward(state, neighbours, mode))
    }

    fn shares(&self) -> &'static [Shared] {
        self.own.shares()
    }

    fn maps(&self) -> Vec<Map<'_>> {
        self.own.maps()
    }

    fn is_identity(&self) -> bool {
        self.own.is_identity()
    }
}

/// `rows` (B·N, C), whose gradient is read as if it lay (B, C, N).
fn permuted(rows: Tensor, clouds: i64) -> Tensor {
    let channels = rows.size()[1];
    let permuted = rows.view([clouds, -1, channels]).transpose(1, 2).reshape([-1, channels]);
    (rows - &permuted).detach() + permuted
}

/// The point space as the published code computes it on a CPU.
pub struct PublishedPoints(pub PointSpace);

impl Space for PublishedPoints {
    const OUTPUT_BIAS: &'static str = PointSpace::OUTPUT_BIAS;
    const INPUT_WEIGHT: Option<&'static str> = PointSpace::INPUT_WEIGHT;

    type Context = Neighbours;

    fn name(&self) -> SpaceName {
        self.0.name()
    }

    fn stem(&self, root: &Path, channels: i64) -> Box<dyn Stem> {
        self.0.stem(root, channels)
    }

    fn plan(&self, channels: i64, cells: usize, states: &dyn Fn(CellKind) -> usize) -> Vec<CellPlan> {
        self.0.plan(channels, cells, states)
    }

    fn preprocess(&self, path: &Path, plan: &CellPlan, input: usize) -> PointOperation {
        self.0.preprocess(path, plan, input)
    }

    fn operation(&self, path: &Path, primitive: &str, plan: &CellPlan, _: usize) -> Option<PointOperation> {
        operation(path, primitive, plan.channels)
    }

    fn context<'a>(&self, plan: &CellPlan, first_input: &Tensor, batch: &'a Batch) -> CellContext<'a, Neighbours> {
        self.0.context(plan, first_input, batch)
    }

    fn drop_path_units(&self, batch: &Batch) -> i64 {
        self.0.drop_path_units(batch)
    }

    fn head(&self, root: &Path, channels: i64, plan: &[CellPlan]) -> Box<dyn Head> {
        self.0.head(root, channels, plan)
    }
}

/// Numbers between -1 and 1 without order, which no other test's draws change.
fn scattered(shape: &[i64]) -> Tensor {
    let count: i64 = shape.iter().product();
    let hashed = (Tensor::arange(count, (Kind::Double, Device::Cpu)) + 1.0) * 12.9898;
    ((hashed.sin() * 43_758.545_3).frac()).to_kind(Kind::Float).view(shape)
}

/// Without the permutation it is the library's operation, so what networks compare is the library's own.
#[test]
fn the_published_operation_is_ours_in_all_but_the_permutation() {
    const CHANNELS: i64 = 6;
    let run = |wrap: fn(PointOperation) -> PointOperation| {
        let store = Store::new(Device::Cpu);
        let operation = wrap(point::operation(&store.root(), "semi_gcn", CHANNELS).unwrap());
        let (parameters, buffers) = store.finish();
        let weights = Weights { parameters, buffers };
        tch::no_grad(|| {
            weights.parameters.iter().for_each(|(_, leaf)| leaf.shallow_clone().copy_(&scattered(&leaf.size())))
        });
        let x = scattered(&[2 * 20, CHANNELS]).set_requires_grad(true);
        let neighbours = Neighbours::nearest(&x, 2, 4, 1);
        let y = operation.forward(&State::new(x.shallow_clone()), &neighbours, Mode::TRAINING);
        let loss = (&y * y.detach().sin()).sum(Kind::Float);
        let leaves: Vec<Tensor> = weights.parameters.iter().map(|(_, leaf)| leaf.shallow_clone()).chain([x]).collect();
        let mut results = Tensor::run_backward(&[loss], &leaves, false, false);
        results.extend(weights.buffers.copies());
        results.push(y);
        results
    };
    let ours = run(|own| own);
    let kept = run(|own| Box::new(PublishedSemiGcn { own, permute: |rows, _| rows }));
    let moved = run(|own| Box::new(PublishedSemiGcn { own, permute: permuted }));
    assert!(ours.len() > 5 && ours == kept, "the same bits");
    let [output, same] = [&ours, &moved].map(|results| results.last().unwrap());
    assert!(super::distance(output, same) < 1e-6, "the same output but for rounding");
    assert!(ours.iter().zip(&moved).any(|(ours, moved)| super::distance(ours, moved) > 0.01), "another gradient");
}
