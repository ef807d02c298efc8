//! The processes that share a run: which one this is, what is its share of the work, and sums over all of them.
//!
//! Mostly there is one, and then nothing here does anything. Several are started by a launcher ([`place`]), find each other
//! by a store, and sum by a process group of c10d ([`group`]).

mod check;
pub mod place;

use crate::error::{Error, Result};
use crate::tensor::bridge::group::{Group, Store};
use crate::tensor::parameters::Parameters;
use crate::tensor::synchronised;
use place::{Collectives, Place};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tch::{Cuda, Device, Kind, Tensor, no_grad};

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

    /// This process's part of so many things in a row.
    pub fn part_of(self, count: usize) -> std::ops::Range<usize> {
        count * self.rank / self.world..count * (self.rank + 1) / self.world
    }

    /// This process's steps where all processes together have `jobs` batches to deal. In lockstep all have equally
    /// many, and the batches of a last round that would not reach everybody are left out.
    pub fn steps(self, jobs: usize, lockstep: bool) -> usize {
        let rest = usize::from(!lockstep && self.rank < jobs % self.world);
        jobs / self.world + rest
    }
}

/// The types of tensors that processes give each other.
const KINDS: [Kind; 9] = [
    Kind::Float,
    Kind::Double,
    Kind::Half,
    Kind::BFloat16,
    Kind::Int64,
    Kind::Int,
    Kind::Int8,
    Kind::Uint8,
    Kind::Bool,
];
/// How often the store is asked whether somebody came.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of gradient that are summed at once while the rest is computed; less than two such parts are summed as a whole.
const BUCKET: usize = 4 << 20;
/// For how long processes that lost one wait for each other's word, to say which it was.
const ROLL_CALL: Duration = Duration::from_secs(3);

/// The processes of a run, as one of them sees them.
#[derive(Clone, Default)]
pub struct Processes(Option<Arc<Member>>);

/// One of several.
struct Member {
    share: Share,
    group: Arc<Group>,
    /// Bytes of gradient that are summed at once while the rest is computed.
    bucket: usize,
}

impl Processes {
    /// One process without others.
    pub fn alone() -> Self {
        Self(None)
    }

    /// Meets the others of a launcher, and tries whether sums over all of them are right, of tensors of this device too.
    ///
    /// # Errors
    /// Processes that do not come in time, with their ranks; a store that can't be reached; another program in one of
    /// them; wrong sums.
    pub fn meet(place: &Place, patience: Duration, device: Device, collectives: Collectives) -> Result<Self> {
        let Place { share, host, port, .. } = place;
        let serves = share.rank == 0 && !place.launcher_has_store;
        let prefix = format!("sgas/{}", place.attempt);
        let unreached = |error: Error| {
            let what = if serves { "can't be opened" } else { "can't be reached" };
            let text = first_line(&error);
            Error::run(format!("rank {}: the store of the processes at {host}:{port} {what}: {text}", share.rank))
                .with_hint("MASTER_ADDR and MASTER_PORT name a machine and a free port that all processes reach")
        };
        let store = match serves {
            true => Store::serve(*port, &prefix),
            false => Store::join(host, *port, &prefix, patience),
        };
        let store = store.map_err(unreached)?;
        let missing = roll_call(&store, "here", *share, patience)?;
        if !missing.is_empty() {
            let told = format!("{} of {} did not come within {} s", ranks(&missing), share.world, patience.as_secs());
            return Err(Error::run(format!("rank {}: {told}", share.rank))
                .with_hint(format!("look at their own output; {} sets the time", place::PATIENCE)));
        }
        // Processes that reach the store so are all on this machine.
        let is_local = ["127.0.0.1", "localhost", "::1"].contains(&host.as_str());
        let group = store.connect(share.rank, share.world, is_local.then_some("127.0.0.1"), patience)?;
        let processes = Self::sharing(*share, group);
        let versions = concat!(env!("CARGO_PKG_VERSION"), " ", env!("SGAS_LIBTORCH_VERSION"));
        processes.agree("the versions of program and libtorch", || blake3::hash(versions.as_bytes()))?;
        processes.together(check::sums(&processes, Device::Cpu))?;
        if processes.any(device.is_cuda())? {
            processes.join_gpus(place, device, collectives)?;
        }
        Ok(processes)
    }

    /// Sums tensors of GPUs by NCCL where every process has a GPU of its own and NCCL's sums are right; else by way of
    /// host memory.
    fn join_gpus(&self, place: &Place, device: Device, collectives: Collectives) -> Result<()> {
        let Some(Member { group, .. }) = self.0.as_deref() else { return Ok(()) };
        let has_own = i64::try_from(place.local_world).is_ok_and(|world| world <= Cuda::device_count());
        let unfit = match collectives {
            _ if !device.is_cuda() => Some("this process computes on a processor".to_owned()),
            Collectives::Gloo => Some(format!("{} says so", place::COLLECTIVES)),
            Collectives::Auto if !has_own => Some("processes share a GPU".to_owned()),
            Collectives::Auto | Collectives::Nccl => None,
        };
        // Each step of it is taken by all or by none.
        let mut failure =
            self.any(unfit.is_some())?.then(|| unfit.unwrap_or_else(|| "another process can't".to_owned()));
        let attempts: [&dyn Fn() -> Result<()>; 2] = [&|| group.connect_gpus(), &|| check::sums(self, device)];
        for attempt in attempts {
            if failure.is_none() {
                let own = attempt().err().map(|error| first_line(&error));
                failure =
                    self.any(own.is_some())?.then(|| own.unwrap_or_else(|| "it failed in another process".to_owned()));
            }
        }
        let Some(reason) = failure else {
            tracing::info!("tensors of GPUs are summed by NCCL, which is untried yet on real ones");
            return Ok(());
        };
        if collectives == Collectives::Nccl {
            return Err(Error::run(format!("rank {}: NCCL can't be used: {reason}", self.share().rank))
                .with_hint(format!("{}=gloo sums by way of host memory", place::COLLECTIVES)));
        }
        tracing::info!("tensors of GPUs are summed by way of host memory, not by NCCL: {reason}");
        group.leave_gpus()?;
        self.together(check::sums(self, device))
    }

    /// One of several that are connected.
    pub fn sharing(share: Share, group: Group) -> Self {
        Self(Some(Arc::new(Member { share, group: Arc::new(group), bucket: BUCKET })))
    }

    /// The same with other parts of the gradient.
    #[cfg(test)]
    pub fn in_buckets_of(&self, bytes: usize) -> Self {
        let same = |member: &Arc<Member>| Member { group: Arc::clone(&member.group), bucket: bytes, ..**member };
        Self(self.0.as_ref().map(same).map(Arc::new))
    }

    /// Rank and world.
    pub fn share(&self) -> Share {
        self.0.as_ref().map_or(Share::WHOLE, |member| member.share)
    }

    /// Whether this one writes the run's folder and speaks for all.
    pub fn leads(&self) -> bool {
        self.share().rank == 0
    }

    /// Whether there are others.
    pub fn are_several(&self) -> bool {
        self.0.is_some()
    }

    /// Replaces the tensor, of the same shape in every process, by the sum over all processes, the same bits in each; of
    /// one process nothing changes. Every process must call it.
    ///
    /// # Errors
    /// A process that can't be reached.
    pub fn all_reduce(&self, numbers: &mut Tensor) -> Result<()> {
        let Some(member) = &self.0 else { return Ok(()) };
        no_grad(|| member.group.all_reduce(numbers)).map_err(|error| self.lost(&error))
    }

    /// The same with the mean over all processes.
    ///
    /// # Errors
    /// A process that can't be reached.
    pub fn mean(&self, numbers: &mut Tensor) -> Result<()> {
        self.all_reduce(numbers)?;
        if let Some(member) = &self.0 {
            *numbers /= member.share.world as f64;
        }
        Ok(())
    }

    /// The means of a flat gradient and of a loss, 0-dimensional, at once.
    ///
    /// # Errors
    /// A process that can't be reached.
    pub fn mean_of_step(&self, gradient: Tensor, loss: Tensor) -> Result<(Tensor, Tensor)> {
        if self.0.is_none() {
            return Ok((gradient, loss));
        }
        let (count, kind) = (gradient.numel() as i64, loss.kind());
        let mut joined = Tensor::cat(&[gradient, loss.detach().to_kind(Kind::Float).view([1])], 0);
        self.mean(&mut joined)?;
        Ok((joined.narrow(0, 0, count), joined.get(count).to_kind(kind)))
    }

    /// The mean over all processes of the flat gradient of `scaled`, and of `loss`, 0-dimensional. A large gradient is
    /// summed in parts while the rest is computed, where norms do not wait for the other processes too.
    ///
    /// # Errors
    /// A process that can't be reached.
    pub fn mean_gradient(&self, parameters: &Parameters, scaled: &Tensor, loss: Tensor) -> Result<(Tensor, Tensor)> {
        let flat = parameters.flat();
        let bytes = flat.numel() * flat.kind().elt_size_in_bytes();
        let beside = |member: &&Arc<Member>| {
            let is_large = bytes >= 2 * member.bucket;
            is_large && scaled.requires_grad() && !synchronised::is_on() && member.group.sums_beside(flat)
        };
        let Some(member) = self.0.as_ref().filter(beside) else {
            return self.mean_of_step(parameters.gradient(scaled), loss);
        };
        let leaves: Vec<(&Tensor, i64)> = parameters.places().collect();
        let (count, kind) = (flat.numel() as i64, loss.kind());
        let joined = member.group.gradient(scaled, &loss, &leaves, count, member.bucket as i64);
        let joined = joined.map_err(|error| self.named(error))? / member.share.world as f64;
        Ok((joined.narrow(0, 0, count), joined.get(count).to_kind(kind)))
    }

    /// What the mean loss of this process's batch is multiplied by, so that the mean over all processes is that of their
    /// batches joined; `counted`, 0-dimensional, is what that loss is a mean over. None where there is one process.
    ///
    /// # Errors
    /// A process that can't be reached.
    pub fn weight_of(&self, counted: impl FnOnce() -> Tensor) -> Result<Option<Tensor>> {
        let Some(member) = &self.0 else { return Ok(None) };
        let own = no_grad(|| counted().to_kind(Kind::Double));
        let mut all = own.copy();
        self.all_reduce(&mut all)?;
        let world = member.share.world as f64;
        Ok(Some((own * world / all.clamp_min(f64::MIN_POSITIVE)).to_kind(Kind::Float)))
    }

    /// Whether it holds in any process.
    ///
    /// # Errors
    /// A process that can't be reached.
    pub fn any(&self, holds: bool) -> Result<bool> {
        if self.0.is_none() {
            return Ok(holds);
        }
        let mut count = Tensor::full([1], i64::from(holds), (Kind::Int64, Device::Cpu));
        self.all_reduce(&mut count)?;
        Ok(count.int64_value(&[0]) > 0)
    }

    /// What came of the same work in every process: an error where any has one. What the first process says as well needs
    /// no rank.
    ///
    /// # Errors
    /// This process's own; that another has one; a process that can't be reached.
    pub fn together<T>(&self, result: Result<T>) -> Result<T> {
        if !self.are_several() || !self.any(result.is_err())? {
            return result;
        }
        let text = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let first = self.bytes_of_first(text.as_bytes())?;
        match result {
            Ok(_) => Err(elsewhere()),
            Err(own) if first == text.as_bytes() => Err(own),
            Err(own) => Err(own.of_rank(self.share().rank)),
        }
    }

    /// What the first process says, in every process; `said` is asked there alone.
    ///
    /// # Errors
    /// The first process's own; that it had one; a process that can't be reached.
    pub fn from_first<T: Serialize + DeserializeOwned>(&self, said: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.0.is_none() {
            return said();
        }
        let own = if self.leads() { Some(said()) } else { None };
        let bytes = match &own {
            Some(Ok(value)) => serde_json::to_vec(value).expect("what processes tell each other is plain data"),
            _ => Vec::new(),
        };
        let bytes = self.bytes_of_first(&bytes)?;
        match own {
            Some(own) => own,
            None if bytes.is_empty() => Err(elsewhere()),
            None => Ok(serde_json::from_slice(&bytes).expect("it was written by the same program")),
        }
    }

    /// The tensors of the first process by their names, in every process; what others give is not looked at.
    ///
    /// # Errors
    /// A process that can't be reached.
    pub fn tensors_of_first(&self, own: &BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>> {
        let code = |tensor: &Tensor| KINDS.iter().position(|kind| *kind == tensor.kind()).expect("a known type");
        let describe = |(name, tensor): (&String, &Tensor)| (name.clone(), tensor.size(), code(tensor));
        let described: Vec<(String, Vec<i64>, usize)> = self.from_first(|| Ok(own.iter().map(describe).collect()))?;
        let mut tensors = BTreeMap::new();
        for (name, shape, kind) in described {
            let tensor = match own.get(&name).filter(|_| self.leads()) {
                Some(tensor) => tensor.to_device(Device::Cpu).contiguous().copy(),
                None => Tensor::zeros(&shape, (KINDS[kind], Device::Cpu)),
            };
            // As bytes no type changes in a sum with zeros.
            let mut bytes = tensor.reshape([-1]).view_dtype(Kind::Uint8);
            if bytes.numel() > 0 {
                self.all_reduce(&mut bytes)?;
            }
            tensors.insert(name, tensor);
        }
        Ok(tensors)
    }

    /// The same bytes in every process: the first one's.
    fn bytes_of_first(&self, own: &[u8]) -> Result<Vec<u8>> {
        let mut count = Tensor::from_slice(&[if self.leads() { own.len() as i64 } else { 0 }]);
        self.all_reduce(&mut count)?;
        let count = count.int64_value(&[0]);
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = match self.leads() {
            true => Tensor::from_slice(own),
            false => Tensor::zeros([count], (Kind::Uint8, Device::Cpu)),
        };
        self.all_reduce(&mut bytes)?;
        Ok(Vec::try_from(bytes).expect("bytes"))
    }

    /// Refuses to go on where processes do not have the same digest of `what`.
    ///
    /// # Errors
    /// The ranks that differ from the first; a process that can't be reached.
    pub fn agree(&self, what: &str, digest: impl FnOnce() -> blake3::Hash) -> Result<()> {
        let Share { rank, world } = self.share();
        if !self.are_several() {
            return Ok(());
        }
        let own = digest();
        let mut digests = Tensor::zeros([world as i64, 32], (Kind::Uint8, Device::Cpu));
        digests.get(rank as i64).copy_(&Tensor::from_slice(own.as_bytes()));
        self.all_reduce(&mut digests)?;
        let is_other = |other: &usize| !digests.get(*other as i64).equal(&digests.get(0));
        let others: Vec<usize> = (1..world).filter(is_other).collect();
        if others.is_empty() {
            return Ok(());
        }
        Err(Error::run(format!("{what} differ between processes: {} from rank 0", ranks(&others))).with_hint(
            "the same program, libtorch and data must be everywhere; from the last checkpoint --resume goes on",
        ))
    }

    /// From now on, until it is dropped, batch norms of this thread take the statistics of all processes' batches.
    #[must_use = "it ends where the guard is dropped"]
    pub fn synchronise_norms(&self) -> synchronised::Scope {
        synchronised::Scope::enter(self.0.as_ref().map(|member| Arc::clone(&member.group)))
    }

    /// The same error; of a sum within a pass, which libtorch told, one that says who can't be reached any more.
    pub fn named(&self, error: Error) -> Error {
        let text = error.to_string();
        let is_of_sum = ["gloo/transport", "NCCL", "sum over the GPUs"].iter().any(|word| text.contains(word));
        if is_of_sum && !text.contains("rank ") { self.lost(&error) } else { error }
    }

    /// That a process can't be reached any more, and which, as far as the others say.
    fn lost(&self, error: &Error) -> Error {
        let Some(member) = &self.0 else { return Error::run(error.to_string()) };
        // A store on a machine that is cut off gives no answer at all. The thread keeps the group, which would wait too.
        let (sender, answer) = std::sync::mpsc::channel();
        let (group, share) = (Arc::clone(&member.group), member.share);
        let call = move || {
            // Where nobody waits for it any more, nobody misses it.
            let _ = sender.send(roll_call(group.store(), "lost", share, ROLL_CALL));
            std::thread::park();
        };
        let started = std::thread::Builder::new().spawn(call);
        let missing = started.ok().and_then(|_| answer.recv_timeout(ROLL_CALL * 2).ok());
        let who = match missing {
            Some(Ok(missing)) if !missing.is_empty() => ranks(&missing),
            Some(Ok(_)) => "a process of this run, which found so of another,".to_owned(),
            Some(Err(_)) | None => "the process that keeps the store (rank 0, or the launcher)".to_owned(),
        };
        Error::run(format!("rank {}: {who} can't be reached any more ({})", member.share.rank, first_line(error)))
            .with_hint("what it said itself stands in its own output; the last checkpoint is whole: --resume goes on")
    }
}

/// Says to the others that this process came to a place, and gives those that did not within the time.
fn roll_call(store: &Store, place: &str, share: Share, patience: Duration) -> Result<Vec<usize>> {
    let began = Instant::now();
    store.set(&format!("{place}/{}", share.rank), "")?;
    let mut missing: Vec<usize> = (0..share.world).collect();
    loop {
        let mut left = Vec::new();
        for rank in missing {
            if store.get(&format!("{place}/{rank}"))?.is_none() {
                left.push(rank);
            }
        }
        missing = left;
        if missing.is_empty() || began.elapsed() >= patience {
            return Ok(missing);
        }
        std::thread::sleep(LOOK);
    }
}

/// `rank 2`, `ranks 2 and 3`.
fn ranks(ranks: &[usize]) -> String {
    let numbers: Vec<String> = ranks.iter().map(ToString::to_string).collect();
    match &numbers[..] {
        [one] => format!("rank {one}"),
        [first @ .., last] => format!("ranks {} and {last}", first.join(", ")),
        [] => "no rank".to_owned(),
    }
}

fn elsewhere() -> Error {
    Error::run("another process of this run failed").with_hint("its own output says why")
}

fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Processes that are threads, for tests.
#[cfg(test)]
pub mod threads {
    use super::*;

    /// What `run` gives in each of `world` processes, by rank.
    pub fn run<T: Send>(world: usize, run: impl Fn(&Processes) -> T + Sync) -> Vec<T> {
        let patience = Duration::from_secs(60);
        let store = Store::serve(0, "test").unwrap();
        let port = store.port;
        let run = &run;
        std::thread::scope(|scope| {
            let start = |rank| {
                scope.spawn(move || {
                    let share = Share { rank, world };
                    let store = Store::join("127.0.0.1", port, "test", patience).unwrap();
                    let group = store.connect(rank, world, Some("127.0.0.1"), patience).unwrap();
                    run(&Processes::sharing(share, group))
                })
            };
            let started: Vec<_> = (0..world).map(start).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }
}

#[cfg(test)]
mod tests;
