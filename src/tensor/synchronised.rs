//! Whether batch norms take the statistics of one process's batch, or of the batches of all processes (synchronised batch
//! norm).

use crate::tensor::bridge::group::Group;
use crate::tensor::bridge::norm::BatchNorm;
use crate::tensor::fused::done;
use std::cell::RefCell;
use std::sync::Arc;
use tch::Tensor;

thread_local! {
    static GROUP: RefCell<Option<Arc<Group>>> = const { RefCell::new(None) };
}

/// While this lives, norms of this thread are synchronised over a group, or over none; after it as before.
#[must_use = "it ends where the guard is dropped"]
pub struct Scope(Option<Arc<Group>>);

impl Scope {
    /// Over the processes of a group; without one, norms are each process's own.
    pub fn enter(group: Option<Arc<Group>>) -> Self {
        Self(GROUP.replace(group))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        GROUP.set(self.0.take());
    }
}

/// Whether norms are synchronised in this thread.
pub fn is_on() -> bool {
    GROUP.with_borrow(Option::is_some)
}

/// The synchronised norm of rows (R, C) or images (B, C, H, W); in training, where [`is_on`].
pub fn norm(x: &Tensor, norm: &BatchNorm<'_>) -> Tensor {
    let group = GROUP.with_borrow(Clone::clone).expect("norms are synchronised");
    done(group.norm(x, norm))
}
