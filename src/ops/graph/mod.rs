//! Primitives on graphs (REFERENCE section 5): messages flow along links from source to target. Features are rows (N, C),
//! one per node; the context are the links of the batch.
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

use crate::ops::skip::Skip;
use crate::ops::{Operation, RowBlock, Shared, State};
use crate::tensor::layers::{Activation, Block};
use crate::tensor::links::{Aggregate, Links};
use crate::tensor::parameters::Path;
use tch::Tensor;

/// A primitive by its name, mapping `channels` to `channels`; absent for `none`, which computes nothing.
/// Panics on a name that no list of primitives holds.
pub fn operation(path: &Path, primitive: &str, channels: i64) -> Option<Box<dyn Operation<Links>>> {
    let gconv = path.sub("gconv");
    Some(match primitive {
        "none" => return None,
        "skip_connect" => Box::new(Skip),
        "conv_1x1" => Box::new(RowBlock(Block::matrix(path, channels, channels, Activation::Relu))),
        "edge_conv" => Box::new(edge::EdgeConvolution::new(&gconv, channels)),
        "mr_conv" => Box::new(max_relative::MaxRelativeConvolution::new(&gconv, channels)),
        "gat" => Box::new(attention::GraphAttention::new(&gconv, channels)),
        "semi_gcn" => Box::new(convolution::GraphConvolution::new(&gconv, channels)),
        "gin" => Box::new(isomorphism::GraphIsomorphism::new(&gconv, channels)),
        "sage" => Box::new(sage::Sage::new(&gconv, channels, sage::Messages::Absolute)),
        "rel_sage" => Box::new(sage::Sage::new(&gconv, channels, sage::Messages::Relative)),
        other => unreachable!("{other} is not a primitive of the graph space"),
    })
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
