//! A network, what trains it and a batch: whole steps, run again and again.

use crate::batch::Batch;
use crate::error::Result;
use crate::model::{Model, SearchModel};
use crate::ops::Mode;
use crate::search::bilevel::Bilevel;
use crate::search::second_order::Ahead;
use crate::step::WeightStep;
use crate::task::Task;
use crate::tensor::bridge::device::synchronize;
use crate::tensor::random::{Key, Purpose};
use std::time::Instant;
use tch::Device;

/// What of a step is timed on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The alphas' step of a search.
    Alphas,
    /// The weights' step of a search.
    Weights,
    /// The step of a training.
    Train,
}

impl Part {
    /// As results name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alphas => "alpha_step",
            Self::Weights => "weight_step",
            Self::Train => "train_step",
        }
    }
}

/// Steps to run.
pub enum Workload {
    /// Of a search: alphas and weights in turn.
    Search {
        /// The supernet.
        model: Box<dyn SearchModel>,
        /// What trains it.
        bilevel: Box<Bilevel>,
        /// The weights' learning rate.
        rate: f64,
        /// What the weights learn from.
        batch: Batch,
        /// What the alphas learn from.
        alpha_batch: Batch,
    },
    /// Of a training.
    Train {
        /// The network.
        model: Box<dyn Model>,
        /// What trains it.
        step: WeightStep,
        /// What it learns.
        task: Task,
        /// Drop path.
        mode: Mode,
        /// Learning rate.
        rate: f64,
        /// What it learns from.
        batch: Batch,
    },
}

/// Seconds of the parts of every step, in the order of [`Workload::parts`].
pub type Times = Vec<(Part, Vec<f64>)>;

impl Workload {
    /// The parts of a step, in their order.
    pub fn parts(&self) -> &'static [Part] {
        match self {
            Self::Search { .. } => &[Part::Alphas, Part::Weights],
            Self::Train { .. } => &[Part::Train],
        }
    }

    /// Trained weights of the network.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Search { model, .. } => model.weights().parameters.count(),
            Self::Train { model, .. } => model.weights().parameters.count(),
        }
    }

    /// Runs a part once.
    ///
    /// # Errors
    /// A loss or gradient that is not a number.
    pub fn run(&mut self, part: Part) -> Result<()> {
        match self {
            Self::Search { model, bilevel, rate, batch, alpha_batch } => match part {
                Part::Alphas => {
                    let ahead = Ahead { batch, learning_rate: *rate, key: Key::new(0, Purpose::AlphaStep) };
                    bilevel.step_alphas(&mut **model, alpha_batch, &ahead).map(drop)
                }
                Part::Weights | Part::Train => bilevel.step_weights(&mut **model, batch, *rate).map(drop),
            },
            Self::Train { model, step, task, mode, rate, batch } => {
                step.run(&**model, *task, batch, *mode, *rate).map(drop)
            }
        }
    }

    /// Seconds of every part of `repeats` steps after `warmup` others; the clock waits for the device.
    ///
    /// # Errors
    /// A step that fails, or a device.
    pub fn measure(&mut self, warmup: usize, repeats: usize, device: Device) -> Result<Times> {
        let mut times: Times = self.parts().iter().map(|&part| (part, Vec::new())).collect();
        for repeat in 0..warmup + repeats {
            for (part, times) in &mut times {
                synchronize(device)?;
                let start = Instant::now();
                self.run(*part)?;
                synchronize(device)?;
                if repeat >= warmup {
                    times.push(start.elapsed().as_secs_f64());
                }
            }
        }
        Ok(times)
    }
}
