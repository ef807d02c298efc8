//! Mixed precision by libtorch's autocast, per device and as guards: entering and leaving follow scopes, also
//! when a panic unwinds. tch's own `autocast` knows fp16 on CUDA alone and stays on after a panic.
//!
//! State is the thread's. Inside, matrix products run in the half type with fp32 weights cast once and kept
//! until the outermost guard leaves, so an optimizer's step belongs outside.

use std::ffi::c_char;
use std::marker::PhantomData;

use tch::{Device, Kind};

use super::check;
use crate::error::{Error, Result};

unsafe extern "C" {
    fn sgas_autocast_enter(
        device: i32,
        enabled: i32,
        half: i32,
        enabled_before: *mut i32,
        half_before: *mut i32,
    ) -> *mut c_char;
    fn sgas_autocast_leave(device: i32, enabled_before: i32, half_before: i32) -> *mut c_char;
}

/// Autocast is set as asked while this lives, and as it was before afterwards.
#[must_use = "autocast ends where the guard is dropped"]
#[derive(Debug)]
pub struct Autocast {
    device: i32,
    enabled_before: i32,
    half_before: i32,
    // The state is the thread's, so the guard must not move to another.
    not_send: PhantomData<*const ()>,
}

impl Autocast {
    /// Casts to `kind` ([`Kind::Half`] or [`Kind::BFloat16`]) on that kind of device.
    pub fn enter(device: Device, kind: Kind) -> Result<Self> {
        let half = match kind {
            Kind::Half => 0,
            Kind::BFloat16 => 1,
            other => return Err(Error::invalid("autocast", "fp16 or bf16", format!("{other:?}"))),
        };
        Self::set(device, true, half)
    }

    /// An island without casts (neighbour graphs, softmax of alphas, losses). It keeps types as they come: what
    /// was computed in half precision outside needs an explicit cast to fp32.
    pub fn disabled(device: Device) -> Result<Self> {
        Self::set(device, false, 1)
    }

    fn set(device: Device, enabled: bool, half: i32) -> Result<Self> {
        let device = match device {
            Device::Cpu => 0,
            Device::Cuda(_) => 1,
            other => return Err(Error::invalid("autocast", "a CPU or CUDA device", format!("{other:?}"))),
        };
        let (mut enabled_before, mut half_before) = (0, 0);
        // SAFETY: both places outlive the call.
        check(unsafe {
            sgas_autocast_enter(device, i32::from(enabled), half, &raw mut enabled_before, &raw mut half_before)
        })?;
        Ok(Self { device, enabled_before, half_before, not_send: PhantomData })
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: plain numbers that `sgas_autocast_enter` gave. Setting back what was set cannot fail.
        let outcome = check(unsafe { sgas_autocast_leave(self.device, self.enabled_before, self.half_before) });
        debug_assert!(outcome.is_ok(), "{outcome:?}");
    }
}
