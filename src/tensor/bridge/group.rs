//! Processes that find each other by a store that all of them reach (c10d's TCP store) and sum tensors over all of them
//! (c10d's process groups: Gloo, and NCCL between GPUs), gradients that are summed while they are computed, and batch norm
//! whose statistics run over all processes.

use std::ffi::{CString, c_char, c_void};
use std::ptr::null;
use std::time::Duration;

use tch::Tensor;
use torch_sys::C_tensor;

use super::norm::BatchNorm;
use super::{check, take_text, tensors};
use crate::error::Result;

unsafe extern "C" {
    fn sgas_group_open(
        out: *mut *mut c_void,
        found_port: *mut i64,
        host: *const c_char,
        port: i64,
        serves: i32,
        prefix: *const c_char,
        milliseconds: i64,
    ) -> *mut c_char;
    fn sgas_group_close(group: *mut c_void);
    fn sgas_group_set(group: *mut c_void, key: *const c_char, value: *const c_char) -> *mut c_char;
    fn sgas_group_has(group: *mut c_void, key: *const c_char, found: *mut i32) -> *mut c_char;
    fn sgas_group_get(group: *mut c_void, key: *const c_char, value: *mut *mut c_char) -> *mut c_char;
    fn sgas_group_connect(
        group: *mut c_void,
        rank: i64,
        world: i64,
        own_host: *const c_char,
        milliseconds: i64,
    ) -> *mut c_char;
    fn sgas_nccl_load() -> *mut c_char;
    fn sgas_group_connect_gpus(group: *mut c_void, rank: i64, world: i64) -> *mut c_char;
    fn sgas_group_leave_gpus(group: *mut c_void) -> *mut c_char;
    fn sgas_group_all_reduce(group: *mut c_void, tensor: *mut C_tensor) -> *mut c_char;
    fn sgas_group_sums_beside(group: *const c_void, tensor: *const C_tensor) -> i32;
    fn sgas_group_gradient(
        out: *mut *mut C_tensor,
        group: *mut c_void,
        scaled: *const C_tensor,
        loss: *const C_tensor,
        leaves: *const *const C_tensor,
        offsets: *const i64,
        count: i64,
        length: i64,
        least_bytes: i64,
    ) -> *mut c_char;
    fn sgas_synced_norm(
        out: *mut *mut C_tensor,
        x: *const C_tensor,
        norm: *const *const C_tensor,
        momentum: f64,
        epsilon: f64,
        group: *mut c_void,
    ) -> *mut c_char;
}

/// A store of keys and texts that all processes of a run reach.
#[derive(Debug)]
pub struct Store {
    group: *mut c_void,
    /// Where it is reached on its host.
    pub port: u16,
}

// SAFETY: c10d's stores and process groups lock what they share.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: it was given to us alone, and is not used after.
        unsafe { sgas_group_close(self.group) }
    }
}

fn text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).expect("no zeros are left")
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl Store {
    /// Opens a store on this machine, at `port` or a free one for 0.
    ///
    /// # Errors
    /// A port that is taken.
    pub fn serve(port: u16, prefix: &str) -> Result<Self> {
        // Where the server itself connects to it.
        Self::open("127.0.0.1", port, true, prefix, Duration::from_secs(60))
    }

    /// Joins the store of another process, for which it waits so long.
    ///
    /// # Errors
    /// A store that can't be reached.
    pub fn join(host: &str, port: u16, prefix: &str, patience: Duration) -> Result<Self> {
        Self::open(host, port, false, prefix, patience)
    }

    fn open(host: &str, port: u16, serves: bool, prefix: &str, patience: Duration) -> Result<Self> {
        let (host, prefix) = (text(host), text(prefix));
        let (mut group, mut found) = (std::ptr::null_mut(), 0);
        // SAFETY: the texts outlive the call; the out-pointers are one place each.
        check(unsafe {
            let (host, prefix) = (host.as_ptr(), prefix.as_ptr());
            let patience = milliseconds(patience);
            sgas_group_open(&raw mut group, &raw mut found, host, port.into(), serves.into(), prefix, patience)
        })?;
        Ok(Self { group, port: u16::try_from(found).expect("ports are 16 bits") })
    }

    /// Sets a key.
    ///
    /// # Errors
    /// A store that can't be reached any more.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (text(key), text(value));
        // SAFETY: the texts outlive the call.
        check(unsafe { sgas_group_set(self.group, key.as_ptr(), value.as_ptr()) })
    }

    /// The text of a key, where it is set.
    ///
    /// # Errors
    /// A store that can't be reached any more.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let key = text(key);
        let (mut found, mut value) = (0, std::ptr::null_mut());
        // SAFETY: the key outlives the calls; the out-pointers are one place each, and a text is ours to free.
        unsafe {
            check(sgas_group_has(self.group, key.as_ptr(), &raw mut found))?;
            if found == 0 {
                return Ok(None);
            }
            check(sgas_group_get(self.group, key.as_ptr(), &raw mut value))?;
        }
        Ok(take_text(value))
    }

    /// Connects this process with the others of the store, which all must call it. `own_host` is how the others reach
    /// this machine, where it is not the address of its name. `patience` is for how long a sum waits for a process.
    ///
    /// # Errors
    /// A process that does not come in time.
    pub fn connect(self, rank: usize, world: usize, own_host: Option<&str>, patience: Duration) -> Result<Group> {
        let own_host = own_host.map(text);
        let place = own_host.as_ref().map_or(null(), |host| host.as_ptr());
        // SAFETY: the text outlives the call.
        check(unsafe { sgas_group_connect(self.group, rank as i64, world as i64, place, milliseconds(patience)) })?;
        Ok(Group { store: self, rank, world })
    }
}

/// Loads what sums tensors of GPUs by NCCL, which [`super::device::load_cuda`] must come before.
///
/// # Errors
/// Why it can't be loaded.
pub fn load_nccl() -> Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { sgas_nccl_load() })
}

/// Processes that are connected.
#[derive(Debug)]
pub struct Group {
    store: Store,
    rank: usize,
    world: usize,
}

impl Group {
    /// The store by which they found each other.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Replaces the tensor, of the same shape and type in every process, by the sum over all processes, the same bits in
    /// each. Every process must call it.
    ///
    /// # Errors
    /// A process that can't be reached, or that does not come in time.
    pub fn all_reduce(&self, numbers: &mut Tensor) -> Result<()> {
        // SAFETY: the tensor outlives the call.
        check(unsafe { sgas_group_all_reduce(self.store.group, numbers.as_mut_ptr()) })
    }

    /// From now on tensors of GPUs are summed by NCCL, not by way of host memory. Every process must call it, each with a
    /// GPU of its own.
    ///
    /// # Errors
    /// No library for it; no GPU.
    pub fn connect_gpus(&self) -> Result<()> {
        // SAFETY: plain numbers.
        check(unsafe { sgas_group_connect_gpus(self.store.group, self.rank as i64, self.world as i64) })
    }

    /// From now on tensors of GPUs are summed by way of host memory again.
    ///
    /// # Errors
    /// libtorch's.
    pub fn leave_gpus(&self) -> Result<()> {
        // SAFETY: takes nothing else.
        check(unsafe { sgas_group_leave_gpus(self.store.group) })
    }

    /// Whether a sum of this tensor goes on while the program does something else.
    pub fn sums_beside(&self, tensor: &Tensor) -> bool {
        // SAFETY: the tensor outlives the call.
        unsafe { sgas_group_sums_beside(self.store.group, tensor.as_ptr()) != 0 }
    }

    /// The gradient of `scaled` for these leaves, each at its offset in a flat tensor of `length` numbers, and behind it
    /// `loss`, 0-dimensional; all of it summed over all processes, the same bits in each. Parts of at least so many bytes
    /// are summed while the backward pass computes the rest. Every process must call it.
    ///
    /// # Errors
    /// A process that can't be reached; libtorch's.
    pub fn gradient(
        &self,
        scaled: &Tensor,
        loss: &Tensor,
        leaves: &[(&Tensor, i64)],
        length: i64,
        least_bytes: i64,
    ) -> Result<Tensor> {
        let (tensors_of, offsets): (Vec<*const C_tensor>, Vec<i64>) =
            leaves.iter().map(|(leaf, offset)| (leaf.as_ptr(), *offset)).unzip();
        let (group, count) = (self.store.group, leaves.len() as i64);
        let (tensors_of, offsets) = (tensors_of.as_ptr(), offsets.as_ptr());
        // SAFETY: tensors and lists outlive the call, and each list has as many places as `count` says.
        let [flat] = tensors(|out| unsafe {
            let (scaled, loss) = (scaled.as_ptr(), loss.as_ptr());
            sgas_group_gradient(out, group, scaled, loss, tensors_of, offsets, count, length, least_bytes)
        })?;
        Ok(flat)
    }

    /// Batch norm of rows (R, C) or images (B, C, H, W) by the statistics of all processes' batches, which may differ in
    /// size. Every process must call it, and later its backward pass, whose gradient is that of the sum of all
    /// processes' losses. The group must live until then.
    ///
    /// # Errors
    /// A process that can't be reached; other shapes.
    pub fn norm(&self, x: &Tensor, norm: &BatchNorm<'_>) -> Result<Tensor> {
        let places = norm.tensors();
        let group = self.store.group;
        // SAFETY: the tensors outlive the call, and `places` holds the four that the function reads.
        let [out] = tensors(|out| unsafe {
            sgas_synced_norm(out, x.as_ptr(), places.as_ptr(), norm.momentum, norm.epsilon, group)
        })?;
        Ok(out)
    }
}
