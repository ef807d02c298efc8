//! How much memory there is, and how much of it is free now.

use super::control_group;
use crate::error::Result;
use crate::tensor::bridge::memory::cuda_room;
use std::fs;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};
use tch::Device;

/// What bounds the memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The machine's own.
    Machine,
    /// The control group of a container or a batch job.
    ControlGroup,
    /// The process's addresses (`ulimit -v`).
    AddressSpace,
    /// A GPU's own.
    Gpu,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// All of it.
    pub total: u64,
    /// What this process may still take.
    pub free: u64,
    /// What says so.
    pub bound: Bound,
}

/// Host memory, as the machine, the control groups and the process's own limit bound it.
pub fn host() -> Room {
    let ram = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(ram);
    let mut room = Room { total: system.total_memory(), free: system.available_memory(), bound: Bound::Machine };
    if let Some(limit) = control_group::tightest() {
        room.narrow(limit.total, limit.free, Bound::ControlGroup);
    }
    if let Some((total, free)) = address_space_left() {
        room.narrow(total, free, Bound::AddressSpace);
    }
    room
}

/// Memory of the device.
///
/// # Errors
/// libtorch's, of a GPU.
pub fn device(device: Device) -> Result<Room> {
    let Device::Cuda(index) = device else { return Ok(host()) };
    let room = cuda_room(index)?;
    Ok(Room { total: room.total, free: room.free, bound: Bound::Gpu })
}

impl Room {
    fn narrow(&mut self, total: u64, free: u64, bound: Bound) {
        self.total = self.total.min(total);
        if free < self.free {
            self.free = free;
            self.bound = bound;
        }
    }

    /// What bounds it, in words for behind a number; empty for the machine's own.
    pub fn remark(&self) -> &'static str {
        match self.bound {
            Bound::Machine => "",
            Bound::ControlGroup => " (of this container or job)",
            Bound::AddressSpace => " (of the limit on addresses, `ulimit -v`)",
            Bound::Gpu => " on the GPU",
        }
    }
}

/// The bytes of addresses that this process may have (`ulimit -v`), and those that are left; `None` without such a
/// limit.
pub fn address_space_left() -> Option<(u64, u64)> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = limit.split_whitespace().next()?.parse().ok()?;
    let used = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"))?;
    Some((limit, limit.saturating_sub(used.parse::<u64>().ok()? * 1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_memory_and_some_of_it_is_free() {
        let room = host();
        assert!(room.total > 0 && room.free > 0 && room.free <= room.total, "{room:?}");
    }

    #[test]
    fn the_tightest_bound_is_told() {
        let mut room = Room { total: 100, free: 50, bound: Bound::Machine };
        room.narrow(200, 60, Bound::ControlGroup);
        assert_eq!(room, Room { total: 100, free: 50, bound: Bound::Machine });
        room.narrow(40, 10, Bound::AddressSpace);
        assert_eq!(room, Room { total: 40, free: 10, bound: Bound::AddressSpace });
    }
}
