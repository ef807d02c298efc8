//! Primitives on point clouds (docs/method.md, "Primitives"). Features are rows (R, C); the context is the
//! cell's neighbour graph. Linear maps stand before gathers: a map of a gathered row is the gathered row of
//! the map, computed once per point instead of once per neighbour.

mod attention;
mod convolution;
pub mod edge;
mod isomorphism;
mod max_relative;
mod sage;

use crate::ops::{Operation, Primitive, RowBlock, Skip, build};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::Path;

/// Everything that an edge may compute, mapping so many channels to as many. Alphas are stored by the place in this
/// table, so a new primitive comes last.
pub const PRIMITIVES: [Primitive<Neighbours, i64>; 10] = [
    Primitive::none(),
    Primitive::new("skip_connect", |_, _| Box::new(Skip)),
    Primitive::new("conv_1x1", |path, channels| {
        Box::new(RowBlock(Block::new(path, channels, channels, Activation::Relu, false)))
    }),
    Primitive::new("edge_conv", |path, channels| Box::new(edge::EdgeConvolution::new(&path.sub("gconv"), channels))),
    Primitive::new("mr_conv", |path, channels| {
        Box::new(max_relative::MaxRelativeConvolution::new(&path.sub("gconv"), channels))
    }),
    Primitive::new("gat", |path, channels| Box::new(attention::GraphAttention::new(&path.sub("gconv"), channels))),
    Primitive::new("semi_gcn", |path, channels| Box::new(convolution::SemiGcn::new(&path.sub("gconv"), channels))),
    Primitive::new("gin", |path, channels| Box::new(isomorphism::GraphIsomorphism::new(&path.sub("gconv"), channels))),
    Primitive::new("sage", |path, channels| {
        Box::new(sage::Sage::new(&path.sub("gconv"), channels, sage::Messages::Absolute))
    }),
    Primitive::new("rel_sage", |path, channels| {
        Box::new(sage::Sage::new(&path.sub("gconv"), channels, sage::Messages::Relative))
    }),
];

/// A primitive by its name; absent for `none`. Panics on a name that the table does not hold.
pub fn operation(path: &Path, primitive: &str, channels: i64) -> Option<Box<dyn Operation<Neighbours>>> {
    build(&PRIMITIVES, path, primitive, channels)
}
