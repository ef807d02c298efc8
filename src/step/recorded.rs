//! Forward and backward passes that a GPU is given as a whole: recorded once as a CUDA graph, and repeated for every
//! batch of the same shape. The program then launches one graph where it launched thousands of kernels, which take it
//! longer than they take the GPU.

use crate::batch::Batch;
use crate::error::Result;
use crate::model::Model;
use crate::ops::Mode;
use crate::panics;
use crate::tensor::bridge::capture::{self, Capture};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tch::{Device, Kind, Tensor, no_grad};

/// Whether passes are recorded in this process, where they can be.
static RECORDING: AtomicBool = AtomicBool::new(true);

/// Passes that run as they are before one is recorded: they make what later ones find made.
const WARM_UP: u32 = 2;

/// Lets every pass of this process run as it is from now on.
pub fn never_record() {
    RECORDING.store(false, Ordering::Relaxed);
}

/// Whether passes over clouds and images on a GPU are recorded in this process.
pub fn records() -> bool {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    RECORDING.load(Ordering::Relaxed) && *IS_THERE.get_or_init(capture::is_there)
}

/// What a pass gives.
pub struct Pass {
    /// Logits of the batch, without gradient.
    pub logits: Tensor,
    /// Loss of the batch, 0-dimensional, without gradient.
    pub loss: Tensor,
    /// Flat gradient of the loss times the loss scale.
    pub gradient: Tensor,
}

/// Repeats passes of one kind. What a pass gives is written over by the next.
#[derive(Default)]
pub struct Recorder {
    /// What the passes seen so far have in common.
    place: Option<Place>,
    seen: u32,
    /// Passes since the last of this place: an epoch may end with a smaller batch.
    strange: u32,
    recorded: Option<Box<Recorded>>,
}

struct Recorded {
    capture: Capture,
    /// What the recorded pass reads.
    batch: Batch,
    pass: Pass,
}

/// All that makes one pass another than the last.
#[derive(PartialEq)]
struct Place {
    batch: Vec<(Vec<i64>, Kind)>,
    mode: Mode,
    /// Where the weights lie, and what learns, and their numbers.
    tables: [(usize, usize); 2],
}

impl Recorder {
    /// What `pass` gives for a batch; after some of the same kind, which the flat table that learns belongs to, it is
    /// recorded. Random numbers must be seeded before. Where a pass cannot be recorded, this and all others run as they
    /// are, and a warning says so.
    ///
    /// # Errors
    /// Those of `pass`, and libtorch's.
    pub fn run(
        &mut self,
        model: &dyn Model,
        learns: &Tensor,
        batch: &Batch,
        mode: Mode,
        pass: impl Fn(&Batch) -> Result<Pass>,
    ) -> Result<Pass> {
        let weights = model.weights().parameters.flat();
        let (Device::Cuda(index), Some(tensors)) = (weights.device(), batch.tensors()) else { return pass(batch) };
        if !records() {
            return pass(batch);
        }
        let shapes = tensors.iter().map(|tensor| (tensor.size(), tensor.kind())).collect();
        let tables = [weights, learns].map(|table| (table.data_ptr() as usize, table.numel()));
        let place = Some(Place { batch: shapes, mode, tables });
        if self.place == place {
            self.strange = 0;
        } else if self.recorded.is_some() && self.strange < WARM_UP && self.is_other_batch(place.as_ref()) {
            self.strange += 1;
            return pass(batch);
        } else {
            *self = Self { place, ..Self::default() };
        }
        if self.seen < WARM_UP {
            self.seen += 1;
            return pass(batch);
        }
        if self.recorded.is_none() {
            match panics::as_errors(|| Recorded::new(index, batch, &pass)) {
                Ok(recorded) => {
                    tracing::debug!("a step's pass was recorded as a CUDA graph");
                    self.recorded = Some(Box::new(recorded));
                }
                Err(error) => {
                    tracing::warn!(
                        "steps are launched kernel by kernel: they can't be recorded as CUDA graphs: {error}"
                    );
                    never_record();
                }
            }
        }
        self.recorded.as_mut().map_or_else(|| pass(batch), |recorded| recorded.repeat(&tensors))
    }

    /// Records anew: what the passes do is another now.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether nothing but the batch is another than in the passes so far.
    fn is_other_batch(&self, other: Option<&Place>) -> bool {
        self.place.as_ref().zip(other).is_some_and(|(own, other)| (own.mode, own.tables) == (other.mode, other.tables))
    }
}

impl Recorded {
    fn new(index: usize, batch: &Batch, pass: impl Fn(&Batch) -> Result<Pass>) -> Result<Self> {
        let batch = batch.copied().expect("a batch that is recorded has tensors alone");
        let (capture, pass) = Capture::record(index, || pass(&batch))?;
        Ok(Self { capture, batch, pass })
    }

    fn repeat(&mut self, tensors: &[&Tensor]) -> Result<Pass> {
        let own = self.batch.tensors().expect("a batch that was recorded has tensors alone");
        no_grad(|| own.iter().zip(tensors).for_each(|(own, tensor)| own.shallow_clone().copy_(tensor)));
        self.capture.replay()?;
        let Pass { logits, loss, gradient } = &self.pass;
        let [logits, loss, gradient] = [logits, loss, gradient].map(Tensor::shallow_clone);
        Ok(Pass { logits, loss, gradient })
    }
}
