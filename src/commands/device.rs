//! From what was asked to what is there: the device, the threads, the precision.

use super::{AmpChoice, DeviceChoice, GlobalOptions, processes};
use crate::dist::place::Place;
use crate::error::{Error, Result};
use crate::restart;
use crate::step::never_record;
use crate::tensor::bridge::architectures::{self, Architectures};
use crate::tensor::bridge::device::{WITHOUT_CUDA, load_broke_off, load_cuda, make_deterministic};
use crate::tensor::bridge::machine::{self, Capability, Gpu};
use crate::tensor::precision::Precision;
use std::sync::Once;
use tch::{Cuda, Device};

/// How a libtorch with CUDA comes to this program.
const GET_CUDA: &str = "`make setup-cuda` where sgas was built, or let LD_LIBRARY_PATH name the torch/lib folder of a \
                        Python's torch 2.11 with CUDA";
/// The same for GPUs that CUDA 13 left behind.
const GET_CUDA_12: &str = "a libtorch 2.11 built with CUDA 12.6 serves capabilities 5.0 to 9.0 (`pip install \
                                      torch==2.11.0 --index-url https://download.pytorch.org/whl/cu126`): let \
                                      LD_LIBRARY_PATH name its torch/lib folder";
/// The first GPU that libtorch 2.11 serves when built with CUDA 13 (and 12.8), as `make setup-cuda` fetches it.
const LEAST_OF_CUDA_13: Capability = Capability { major: 7, minor: 5 };
/// The first that it serves when built with CUDA 12.6.
const LEAST_OF_CUDA_12: Capability = Capability { major: 5, minor: 0 };

/// Sets the threads of tensor operations, finds the device, and says to CUDA whether results must repeat, whether cuDNN may
/// choose by trial, and whether steps are recorded. Must come before anything else asks libtorch.
///
/// # Errors
/// A CUDA device that was asked for by name and can't be used; more threads than the cores can serve.
pub fn prepare(global: &GlobalOptions) -> Result<Device> {
    let place = processes::place()?;
    let device = find(global.device, place.as_ref().map_or(0, |place| place.local_rank))?;
    set_threads(global)?;
    if let Some(Place { local_world, .. }) = place
        && global.threads.is_none()
        && std::env::var_os(THREADS_VARIABLE).is_none()
    {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        tch::set_num_threads(i32::try_from((cores / local_world).max(1)).unwrap_or(i32::MAX));
    }
    if global.deterministic && device.is_cuda() {
        make_deterministic()?;
        tracing::info!("--deterministic: the same bits at every run, by slower operators");
    }
    if global.cudnn_benchmark {
        choose_by_trial(device);
    }
    if global.no_cuda_graphs {
        never_record();
    }
    Ok(device)
}

/// Turns cuDNN's benchmark mode on: it times its algorithms at every new shape of a convolution, and the fastest may be
/// another one in the next process.
fn choose_by_trial(device: Device) {
    if device.is_cuda() {
        Cuda::cudnn_set_benchmark(true);
    } else {
        tracing::warn!("--cudnn-benchmark does nothing on a processor");
    }
}

/// Threads of tensor operations per core, and at least in all, beyond which a run only waits: every operation wakes all
/// of them and waits for the last (measured on two cores: 64 threads take five times as long as two, 1000 a hundred
/// times).
const MOST_THREADS: (usize, usize) = (16, 64);

/// OpenMP's name for the number of threads.
const THREADS_VARIABLE: &str = "OMP_NUM_THREADS";

/// Sets the threads of tensor operations where `--threads` says them.
///
/// # Errors
/// More than the cores can serve, also where the environment asks for them.
pub(super) fn set_threads(global: &GlobalOptions) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = match (global.threads, std::env::var(THREADS_VARIABLE)) {
        (Some(threads), _) => Some((format!("--threads {threads}"), threads)),
        (None, Ok(text)) => {
            // A list has the threads of each level of nested regions; libtorch nests none.
            let threads = text.split(',').next().and_then(|first| first.trim().parse().ok());
            threads.map(|threads| (format!("{THREADS_VARIABLE}={text}"), threads))
        }
        (None, Err(_)) => None,
    };
    asked.map_or(Ok(()), |(place, threads)| check_threads(&place, threads, cores))?;
    if let Some(threads) = global.threads {
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    }
    Ok(())
}

fn check_threads(place: &str, threads: usize, cores: usize) -> Result<()> {
    let (per_core, at_least) = MOST_THREADS;
    let most = cores.saturating_mul(per_core).max(at_least);
    if threads <= most {
        return Ok(());
    }
    let expected = format!("at most {most}: this machine has {cores} cores, and more threads only wait for each other");
    Err(Error::invalid(place, expected, threads.to_string()).with_hint(format!("leave it out, or take {cores}")))
}

/// `local_rank` is the number of this process among those of its machine.
fn find(choice: DeviceChoice, local_rank: usize) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(automatic_device(local_rank)),
        DeviceChoice::Cuda(index) => {
            let loaded = load_cuda();
            cuda(index, &loaded).map_err(|Refusal { reason, hint, .. }| {
                let hint = hint.unwrap_or("leave --device out, or use --device cpu");
                Error::usage(format!("--device cuda:{index}: {reason}")).with_hint(hint)
            })
        }
    }
}

/// The first GPU, of several processes of a machine each its own as far as they reach, or the processor; a GPU that is
/// there and can't be used is told once.
fn automatic_device(local_rank: usize) -> Device {
    static WARNING: Once = Once::new();
    let loaded = load_or_restart();
    let count = usize::try_from(Cuda::device_count()).unwrap_or(0);
    cuda(local_rank % count.max(1), &loaded).unwrap_or_else(|Refusal { reason, hint, is_expected }| {
        if !is_expected {
            let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            WARNING.call_once(|| tracing::warn!("computing on the processor: {reason}{hint}"));
        }
        Device::Cpu
    })
}

/// Loads libtorch's CUDA part. Where it breaks off half-way, the program starts again without it.
pub(super) fn load_or_restart() -> std::result::Result<(), String> {
    let loaded = load_cuda();
    if let (Err(reason), true) = (&loaded, load_broke_off()) {
        restart::with(WITHOUT_CUDA, reason);
    }
    loaded
}

/// Why a GPU is not used.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    reason: String,
    hint: Option<&'static str>,
    /// On a machine without a GPU, or with a libtorch for processors alone and no GPU either.
    is_expected: bool,
}

/// The GPU of this index, where libtorch's CUDA part was loaded and can compute on it.
fn cuda(index: usize, loaded: &std::result::Result<(), String>) -> std::result::Result<Device, Refusal> {
    let gpus = || machine::driver().map_or(0, |driver| driver.gpus);
    let refuse = |reason: String, hint, is_expected| Err(Refusal { reason, hint, is_expected });
    if let Err(reason) = loaded {
        let gpu = machine::gpu(index).ok();
        let hint = gpu.as_ref().map(|gpu| get_cuda(gpu.capability));
        let is_expected = is_absent(reason) && gpu.is_none();
        return refuse(format!("libtorch's CUDA part can't be loaded: {reason}"), hint, is_expected);
    }
    if !Cuda::is_available() {
        return refuse("no CUDA device is usable".to_owned(), None, gpus() == 0);
    }
    let count = usize::try_from(Cuda::device_count()).unwrap_or(0);
    if index >= count {
        return refuse(format!("there are {count} CUDA devices, counted from 0"), None, false);
    }
    served(machine::gpu(index), architectures::served().as_ref())?;
    Ok(Device::Cuda(index))
}

/// How a libtorch that has kernels for this GPU comes to this program.
pub(super) fn get_cuda(gpu: Capability) -> &'static str {
    if gpu < LEAST_OF_CUDA_13 { GET_CUDA_12 } else { GET_CUDA }
}

/// The dynamic linker's word for a library that is nowhere; it also says this of one that another needs.
pub(super) fn is_absent(reason: &str) -> bool {
    reason.starts_with("libtorch_cuda.so: cannot open shared object file")
}

/// Refuses a GPU for which libtorch has no kernels. Where the driver or libtorch does not say, the run shows it.
fn served(
    gpu: std::result::Result<Gpu, String>,
    architectures: Option<&Architectures>,
) -> std::result::Result<(), Refusal> {
    let (Ok(gpu), Some(architectures)) = (gpu, architectures) else { return Ok(()) };
    match without_kernels(&gpu.name, gpu.capability, architectures) {
        None => Ok(()),
        Some((reason, hint)) => Err(Refusal { reason, hint: Some(hint), is_expected: false }),
    }
}

/// What is wrong, and what to do, where libtorch has no kernels for a GPU.
pub(super) fn without_kernels(
    name: &str,
    capability: Capability,
    architectures: &Architectures,
) -> Option<(String, &'static str)> {
    if architectures.serve(capability) {
        return None;
    }
    let reason =
        format!("{name} has compute capability {capability}, and this libtorch has kernels for {architectures} alone");
    let is_older = capability < architectures.least();
    let hint = if is_older && (LEAST_OF_CUDA_12..LEAST_OF_CUDA_13).contains(&capability) {
        GET_CUDA_12
    } else if is_older {
        "no libtorch 2.11 serves so old a GPU: use --device cpu"
    } else {
        "use a libtorch 2.11 that was built for it, as `make setup-cuda` fetches one, or --device cpu"
    };
    Some((reason, hint))
}

/// The precision that `--amp` means on `device`, told in one line where the program chose it.
///
/// # Errors
/// fp16 on a processor.
pub fn precision(amp: Option<AmpChoice>, device: Device) -> Result<Precision> {
    match (amp, device) {
        (None, _) => Ok(Precision::Fp32),
        (Some(AmpChoice::Auto), _) => Ok(told(automatic(device, machine::gpu))),
        (Some(AmpChoice::Bf16), Device::Cuda(index)) => {
            if let Some(warning) = slow_bf16(machine::gpu(index)) {
                tracing::warn!("{warning}");
            }
            Ok(Precision::Bf16)
        }
        (Some(AmpChoice::Bf16), _) => Ok(Precision::Bf16),
        (Some(AmpChoice::Fp16), Device::Cuda(_)) => Ok(Precision::Fp16),
        (Some(AmpChoice::Fp16), _) => Err(Error::usage("--amp fp16: half precision needs a CUDA device")
            .with_hint("--amp alone takes bf16 on a processor")),
    }
}

/// fp16 on a GPU with Tensor Cores, bf16 elsewhere, and why; `ask` describes the GPU of an index.
fn automatic(device: Device, ask: impl FnOnce(usize) -> std::result::Result<Gpu, String>) -> (Precision, String) {
    let Device::Cuda(index) = device else {
        return (Precision::Bf16, "without loss scaling, on a processor".to_owned());
    };
    match ask(index) {
        Ok(gpu) if gpu.capability.has_tensor_cores() => {
            (Precision::Fp16, format!("with loss scaling, on {} with Tensor Cores", gpu.name))
        }
        Ok(Gpu { name, capability, .. }) => {
            (Precision::Bf16, format!("without loss scaling, on {name}, which has no Tensor Cores ({capability})"))
        }
        Err(reason) => {
            (Precision::Bf16, format!("without loss scaling; whether there are Tensor Cores is unknown: {reason}"))
        }
    }
}

/// bf16 is correct everywhere, and fast where there are units for it.
fn slow_bf16(gpu: std::result::Result<Gpu, String>) -> Option<String> {
    let Gpu { name, capability, .. } = gpu.ok().filter(|gpu| !gpu.capability.has_bf16())?;
    let instead = if capability.has_tensor_cores() { "; --amp fp16 uses its Tensor Cores" } else { "" };
    Some(format!("--amp bf16: {name} ({capability}) has no units for bf16 and emulates it{instead}"))
}

/// The precision of a run: what `--amp` asks for, else what its configuration says.
///
/// # Errors
/// fp16 on a processor.
pub fn precision_of_run(configured: Precision, amp: Option<AmpChoice>, device: Device) -> Result<Precision> {
    match (amp, configured) {
        (Some(_), _) => precision(amp, device),
        (None, Precision::Fp16) => precision(Some(AmpChoice::Fp16), device),
        (None, other) => Ok(other),
    }
}

fn told((precision, why): (Precision, String)) -> Precision {
    tracing::info!("--amp: {} {why}", precision.name());
    precision
}

#[cfg(test)]
mod tests;
