//! The primitives of NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326): full convolutions instead of separable ones, a
//! pool without batch norm, and `none`, which an edge may be decided for.

use crate::ops::image::pool::{Pool, PoolKind};
use crate::ops::image::{Build, ReluConvolution};
use crate::ops::{Operation, Primitive, Skip, build};
use crate::tensor::parameters::Path;

/// In the order of the published table.
pub const PRIMITIVES: [Primitive<(), Build>; 5] = [
    Primitive::none(),
    Primitive::new("skip_connect", |_, _| Box::new(Skip)),
    Primitive::new("nor_conv_1x1", |path, build| Box::new(convolution(path, 1, build))),
    Primitive::new("nor_conv_3x3", |path, build| Box::new(convolution(path, 3, build))),
    Primitive::new("avg_pool_3x3", |path, build| Box::new(Pool::new(path, PoolKind::Mean, build))),
];

fn convolution(path: &Path, kernel: i64, build: Build) -> ReluConvolution {
    ReluConvolution::square(path, kernel, build.channels, build.channels, build.stride, build.affine)
}

/// A primitive by its name; absent for `none`. Panics on a name that the table does not hold.
pub fn operation(path: &Path, primitive: &str, after: Build) -> Option<Box<dyn Operation<()>>> {
    build(&PRIMITIVES, path, primitive, after)
}
