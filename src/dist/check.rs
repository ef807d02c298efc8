//! Whether sums over processes are right: tried on known numbers before a run relies on them.

use super::Processes;
use crate::error::{Error, Result};
use tch::{Device, Kind, Tensor, no_grad};

/// The types of tensors that are summed.
const KINDS: [Kind; 4] = [Kind::Float, Kind::Double, Kind::Int64, Kind::Uint8];
/// Numbers of a sum: one, and so many that they travel in several pieces, which do not come out even.
const COUNTS: [i64; 2] = [1, 40_001];
/// Numbers repeat after so many: small ones have exact sums in every type.
const PERIOD: i64 = 7;

/// Sums known numbers of this device over all processes and compares. Every process must call it.
///
/// # Errors
/// A sum that is wrong; a process that can't be reached.
pub fn sums(processes: &Processes, device: Device) -> Result<()> {
    let share = processes.share();
    // Rank r gives (r mod 3 + 1) times the numbers.
    let weight = |rank: usize| (rank % 3 + 1) as i64;
    let all: i64 = (0..share.world).map(weight).sum();
    no_grad(|| {
        for (kind, count) in KINDS.into_iter().flat_map(|kind| COUNTS.map(|count| (kind, count))) {
            let numbers = Tensor::arange(count, (Kind::Int64, device)).remainder(PERIOD) + 1;
            // Bytes begin again at 256, in the sum as here.
            let of = |weight: i64| (&numbers * weight).to_kind(kind);
            let mut own = of(weight(share.rank));
            processes.all_reduce(&mut own)?;
            if !own.equal(&of(all)) {
                return Err(Error::run(format!(
                    "rank {}: a sum of {count} numbers ({kind:?}, {device:?}) over {} processes is wrong",
                    share.rank, share.world
                ))
                .with_hint("the processes are connected, but what they send does not arrive as it was"));
            }
        }
        Ok(())
    })
}
