//! The processes that share a run: which one this is, what is its share of the work, and sums over all of them.
//!
//! Mostly there is one, and then nothing here does anything. How processes reach each other is a [`Group`]'s matter.

use crate::error::Result;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Which part of the work is this process's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Number of this process, from 0.
    pub rank: usize,
    /// Processes in all, at least 1.
    pub world: usize,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { rank: 0, world: 1 };

    /// The place of this process's step among the steps of all processes. Batches are dealt by it, and what every
    /// process draws for itself (dropout) has it in its key.
    pub fn turn(self, step: usize) -> usize {
        step * self.world + self.rank
    }

    /// This process's steps where all processes together have `jobs` batches to deal. In lockstep all have equally
    /// many, and the batches of a last round that would not reach everybody are left out.
    pub fn steps(self, jobs: usize, lockstep: bool) -> usize {
        let rest = usize::from(!lockstep && self.rank < jobs % self.world);
        jobs / self.world + rest
    }
}

/// How the processes of a run reach each other.
pub trait Group: Send + Sync {
    /// Replaces the tensor, of the same shape in every process, by the sum over all processes, the same bits in each.
    /// Every process must call it.
    ///
    /// # Errors
    /// A process that can't be reached.
    fn all_reduce(&self, numbers: &mut Tensor) -> Result<()>;
}

/// The processes of a run, as one of them sees them.
#[derive(Clone, Default)]
pub struct Processes(Option<(Share, Arc<dyn Group>)>);

impl Processes {
    /// One process without others.
    pub fn alone() -> Self {
        Self(None)
    }

    /// One of several, which reach each other by `group`.
    pub fn sharing(share: Share, group: Arc<dyn Group>) -> Self {
        Self(Some((share, group)))
    }

    /// Rank and world.
    pub fn share(&self) -> Share {
        self.0.as_ref().map_or(Share::WHOLE, |(share, _)| *share)
    }

    /// See [`Group::all_reduce`]; of one process nothing changes.
    ///
    /// # Errors
    /// The group's.
    pub fn all_reduce(&self, numbers: &mut Tensor) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |(_, group)| group.all_reduce(numbers))
    }

    /// The same with the mean over all processes.
    ///
    /// # Errors
    /// The group's.
    pub fn mean(&self, numbers: &mut Tensor) -> Result<()> {
        self.all_reduce(numbers)?;
        if let Some((Share { world, .. }, _)) = self.0 {
            *numbers /= world as f64;
        }
        Ok(())
    }

    /// Whether it holds in any process.
    ///
    /// # Errors
    /// The group's.
    pub fn any(&self, holds: bool) -> Result<bool> {
        if self.0.is_none() {
            return Ok(holds);
        }
        let mut count = Tensor::full([1], i64::from(holds), (Kind::Int64, Device::Cpu));
        self.all_reduce(&mut count)?;
        Ok(count.int64_value(&[0]) > 0)
    }
}

/// Processes that are threads, for tests.
#[cfg(test)]
pub mod threads {
    use super::*;
    use std::sync::{Barrier, Mutex};

    struct Threads {
        /// What each put in for the sum under way.
        parts: Mutex<Vec<Option<Tensor>>>,
        barrier: Barrier,
    }

    struct Member {
        rank: usize,
        threads: Arc<Threads>,
    }

    impl Group for Member {
        fn all_reduce(&self, numbers: &mut Tensor) -> Result<()> {
            let Threads { parts, barrier } = &*self.threads;
            parts.lock().unwrap()[self.rank] = Some(numbers.copy());
            barrier.wait();
            let sum = parts.lock().unwrap().iter().flatten().fold(numbers.zeros_like(), |sum, part| sum + part);
            barrier.wait();
            numbers.copy_(&sum);
            Ok(())
        }
    }

    /// What `run` gives in each of `world` processes, by rank.
    pub fn run<T: Send>(world: usize, run: impl Fn(&Processes) -> T + Sync) -> Vec<T> {
        let parts = Mutex::new((0..world).map(|_| None).collect());
        let threads = Arc::new(Threads { parts, barrier: Barrier::new(world) });
        let member = |rank| {
            let group = Arc::new(Member { rank, threads: Arc::clone(&threads) });
            Processes::sharing(Share { rank, world }, group)
        };
        let run = &run;
        std::thread::scope(|scope| {
            let started: Vec<_> = (0..world).map(member).map(|member| scope.spawn(move || run(&member))).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_is_one_processs_and_alone_a_turn_is_a_step() {
        let of = |rank| Share { rank, world: 3 };
        let mut turns: Vec<usize> = (0..3).flat_map(|rank| (0..4).map(move |step| of(rank).turn(step))).collect();
        turns.sort_unstable();
        assert_eq!(turns, (0..12).collect::<Vec<_>>());
        assert_eq!([0, 1, 7].map(|step| Share::WHOLE.turn(step)), [0, 1, 7]);
        for jobs in 0..9 {
            assert_eq!(Share::WHOLE.steps(jobs, true), jobs);
            assert_eq!([0, 1, 2].map(|rank| of(rank).steps(jobs, true)), [jobs / 3; 3]);
            assert_eq!((0..3).map(|rank| of(rank).steps(jobs, false)).sum::<usize>(), jobs);
        }
    }

    #[test]
    fn sums_are_of_all_processes_and_one_alone_changes_nothing() {
        let sum = |processes: &Processes| {
            let Share { rank, .. } = processes.share();
            let mut numbers = Tensor::from_slice(&[rank as f64, 0.5]);
            processes.all_reduce(&mut numbers).unwrap();
            processes.all_reduce(&mut numbers).unwrap();
            let any = [processes.any(rank == 1).unwrap(), processes.any(rank == 7).unwrap()];
            (Vec::<f64>::try_from(numbers).unwrap(), any)
        };
        assert_eq!(threads::run(3, sum), [(); 3].map(|()| (vec![9.0, 4.5], [true, false])));
        assert_eq!(sum(&Processes::alone()), (vec![0.0, 0.5], [false, false]));
        assert!(Processes::alone().any(true).unwrap());
    }
}
