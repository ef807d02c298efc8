//! The integration tests, in one binary because linking libtorch is slow.

mod kernels;
