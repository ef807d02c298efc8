//! Signals that a run answers to: it is stopped at the end of a step, or kept and gone on with.
//!
//! The first interrupt or termination lets the step end; a second one ends the process at once. A signal that was
//! ignored when the program began (`nohup`, a shell's background) stays ignored.

use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What came.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// The number of the signal that asked to stop; 0 where none did.
    stop: Arc<AtomicUsize>,
    /// Whether the state is to be kept.
    keep: Arc<AtomicBool>,
}

impl Signals {
    /// The number of the signal that asked to stop, if one did.
    pub fn stop(&self) -> Option<u8> {
        let signal = self.stop.load(Ordering::Relaxed);
        u8::try_from(signal).ok().filter(|signal| *signal > 0)
    }

    /// Whether the state was asked for since the last call.
    pub fn take_keep(&self) -> bool {
        self.keep.swap(false, Ordering::Relaxed)
    }
}

/// The signals that ask to stop.
pub const STOPPING: [u8; 3] = [15, 2, 1];

/// The name of a signal that stops.
pub fn name(signal: u8) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        15 => "SIGTERM",
        _ => "a signal",
    }
}

/// From now on signals are noted, for every run of this process.
pub fn watch() -> Signals {
    static SIGNALS: OnceLock<Signals> = OnceLock::new();
    SIGNALS.get_or_init(register).clone()
}

#[cfg(unix)]
fn register() -> Signals {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::flag;
    let signals = Signals::default();
    let ignored = ignored();
    let is_ours = |signal: &i32| ignored >> (signal - 1) & 1 == 0;
    let mut refused = Vec::new();
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(is_ours) {
        // In this order: where one came before, the process ends. Not by a hangup, which a terminal that is closed may
        // send twice.
        let registered = match signal {
            SIGHUP => Ok(()),
            other => flag::register_conditional_shutdown(other, 128 + other, Arc::clone(&asked)).map(drop),
        };
        let registered = registered
            .and_then(|()| flag::register(signal, Arc::clone(&asked)))
            .and_then(|_| flag::register_usize(signal, Arc::clone(&signals.stop), signal as usize));
        refused.extend(registered.err());
    }
    if is_ours(&SIGUSR1) {
        refused.extend(flag::register(SIGUSR1, Arc::clone(&signals.keep)).err());
    }
    if let Some(error) = refused.first() {
        tracing::warn!("signals end the run without a checkpoint: {error}");
    }
    signals
}

/// Where there are no such signals nothing comes.
#[cfg(not(unix))]
fn register() -> Signals {
    Signals::default()
}

/// The signals that this process ignores, one bit each from 1 on; none where the system does not tell.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Sends a signal to a process that this one started; one that has ended meanwhile needs none.
#[cfg(unix)]
pub fn pass_on(child: &Child, signal: u8) {
    let signal = rustix::process::Signal::from_named_raw(i32::from(signal));
    let process = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let (Some(signal), Some(process)) = (signal, process) {
        let _ = rustix::process::kill_process(process, signal);
    }
}

/// Where there are no such signals nothing is sent.
#[cfg(not(unix))]
pub fn pass_on(_: &Child, _: u8) {}
