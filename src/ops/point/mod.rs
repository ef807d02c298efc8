//! Primitives on point clouds (REFERENCE section 5). Features are rows (R, C); the context is the
//! cell's neighbour graph. Linear maps stand before gathers: a map of a gathered row is the gathered row of
//! the map, computed once per point instead of once per neighbour.

mod attention;
mod convolution;
pub mod edge;
mod isomorphism;
mod max_relative;
pub mod published;
mod sage;

use crate::ops::skip::Skip;
use crate::ops::{Operation, RowBlock};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::parameters::Path;

/// A primitive by its name, mapping `channels` to `channels`; absent for `none`, which computes nothing.
/// Panics on a name that no list of primitives holds.
pub fn operation(path: &Path, primitive: &str, channels: i64) -> Option<Box<dyn Operation<Neighbours>>> {
    let gconv = path.sub("gconv");
    Some(match primitive {
        "none" => return None,
        "skip_connect" => Box::new(Skip),
        "conv_1x1" => Box::new(RowBlock(Block::new(path, channels, channels, Activation::Relu, false))),
        "edge_conv" => Box::new(edge::EdgeConvolution::new(&gconv, channels)),
        "mr_conv" => Box::new(max_relative::MaxRelativeConvolution::new(&gconv, channels)),
        "gat" => Box::new(attention::GraphAttention::new(&gconv, channels)),
        "semi_gcn" => Box::new(convolution::SemiGcn::new(&gconv, channels)),
        "gin" => Box::new(isomorphism::GraphIsomorphism::new(&gconv, channels)),
        "sage" => Box::new(sage::Sage::new(&gconv, channels, sage::Messages::Absolute)),
        "rel_sage" => Box::new(sage::Sage::new(&gconv, channels, sage::Messages::Relative)),
        other => unreachable!("{other} is not a primitive of the point space"),
    })
}
