//! Primitives on graphs (docs/method.md, "Primitives"): messages flow along links from source to target. Features are
//! rows (N, C), one per node; the context are the links of the batch.
//!
//! The sparse family of the published code, with PyTorch Geometric's conventions: `gat` and `semi_gcn` activate and
//! normalise after aggregation, `sage` and `rel_sage` take means; those four give every node exactly one link to itself,
//! the others take the links as they are stored. A maximum over no links is 0. Linear maps commute with sums and means,
//! so they stand behind the aggregates, which all primitives that read a state share.

mod attention;
mod convolution;
mod edge;
mod isomorphism;
mod max_relative;
mod sage;

use crate::ops::{Operation, Primitive, RowBlock, Shared, Skip, State, build};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::links::{Aggregate, Links};
use crate::tensor::parameters::Path;
use tch::Tensor;

/// Everything that an edge may compute, mapping so many channels to as many. Alphas are stored by the place in this
/// table, so a new primitive comes last.
pub const PRIMITIVES: [Primitive<Links, i64>; 10] = [
    Primitive::none(),
    Primitive::new("skip_connect", |_, _| Box::new(Skip)),
    Primitive::new("conv_1x1", |path, channels| {
        Box::new(RowBlock(Block::matrix(path, channels, channels, Activation::Relu)))
    }),
    Primitive::new("edge_conv", |path, channels| Box::new(edge::EdgeConvolution::new(&path.sub("gconv"), channels))),
    Primitive::new("mr_conv", |path, channels| {
        Box::new(max_relative::MaxRelativeConvolution::new(&path.sub("gconv"), channels))
    }),
    Primitive::new("gat", |path, channels| Box::new(attention::GraphAttention::new(&path.sub("gconv"), channels))),
    Primitive::new("semi_gcn", |path, channels| {
        Box::new(convolution::GraphConvolution::new(&path.sub("gconv"), channels))
    }),
    Primitive::new("gin", |path, channels| Box::new(isomorphism::GraphIsomorphism::new(&path.sub("gconv"), channels))),
    Primitive::new("sage", |path, channels| {
        Box::new(sage::Sage::new(&path.sub("gconv"), channels, sage::Messages::Absolute))
    }),
    Primitive::new("rel_sage", |path, channels| {
        Box::new(sage::Sage::new(&path.sub("gconv"), channels, sage::Messages::Relative))
    }),
];

/// A primitive by its name; absent for `none`. Panics on a name that the table does not hold.
pub fn operation(path: &Path, primitive: &str, channels: i64) -> Option<Box<dyn Operation<Links>>> {
    build(&PRIMITIVES, path, primitive, channels)
}

/// An aggregate of a state, computed together with the others that its operations ask for.
fn aggregate(state: &State, links: &Links, which: Aggregate) -> Tensor {
    state.shared_together(Shared::Linked(which), |features, wanted| {
        let linked = |shared: &Shared| if let Shared::Linked(which) = shared { Some(*which) } else { None };
        let wanted: Vec<Aggregate> = wanted.iter().filter_map(linked).collect();
        let aggregates = Aggregate::ALL.into_iter().zip(links.aggregates(features, &wanted));
        aggregates.filter_map(|(which, tensor)| Some((Shared::Linked(which), tensor?))).collect()
    })
}
