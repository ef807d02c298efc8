//! What memory there is, and what a step of a run needs of it: plain numbers; what they are measured by stands in
//! `tensor/bridge/memory.rs`.

mod control_group;
mod killed;
mod need;
mod room;
mod witness;

pub use killed::Killed;
pub use need::{Need, Trial};
pub use room::{Bound, Room, address_space_left, device, host};
pub use witness::{Witnessed, advise, witness};
