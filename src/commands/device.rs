//! From what was asked to what is there: the device, the threads, the precision.

use super::{AmpChoice, DeviceChoice, GlobalOptions};
use crate::error::{Error, Result};
use crate::tensor::bridge::device::load_cuda;
use crate::tensor::bridge::machine::{self, Gpu};
use crate::tensor::precision::Precision;
use tch::{Cuda, Device};

/// Finds the device, and sets the threads of tensor operations and how cuDNN chooses. Must come before anything else asks libtorch.
///
/// # Errors
/// A CUDA device that was asked for by name and can't be used.
pub fn prepare(global: &GlobalOptions) -> Result<Device> {
    let device = find(global.device)?;
    set_threads(global);
    if global.cudnn_benchmark {
        choose_by_trial(device);
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

/// Sets the threads of tensor operations where `--threads` says them.
pub(super) fn set_threads(global: &GlobalOptions) {
    if let Some(threads) = global.threads {
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    }
}

fn find(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto if load_cuda().is_ok() && Cuda::is_available() => Ok(Device::Cuda(0)),
        DeviceChoice::Auto => Ok(Device::Cpu),
        DeviceChoice::Cuda(index) => cuda(index),
    }
}

fn cuda(index: usize) -> Result<Device> {
    load_cuda().map_err(|reason| no_cuda(index, &format!("libtorch's CUDA part can't be loaded: {reason}")))?;
    if !Cuda::is_available() {
        return Err(no_cuda(index, "no CUDA device is usable"));
    }
    let count = usize::try_from(Cuda::device_count()).unwrap_or(0);
    if index >= count {
        return Err(no_cuda(index, &format!("there are {count} CUDA devices, counted from 0")));
    }
    Ok(Device::Cuda(index))
}

fn no_cuda(index: usize, reason: &str) -> Error {
    Error::usage(format!("--device cuda:{index}: {reason}")).with_hint("leave --device out, or use --device cpu")
}

/// The precision that `--amp` means on `device`, told in one line where the program chose it.
///
/// # Errors
/// fp16 on a processor.
pub fn precision(amp: Option<AmpChoice>, device: Device) -> Result<Precision> {
    match (amp, device) {
        (None, _) => Ok(Precision::Fp32),
        (Some(AmpChoice::Auto), _) => Ok(told(automatic(device, machine::gpu))),
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
mod tests {
    use super::*;
    use crate::tensor::bridge::machine::Capability;

    #[test]
    fn amp_follows_the_device() {
        let on = |amp, device| precision(amp, device).map_err(|error| error.exit_code());
        assert_eq!(on(None, Device::Cuda(0)), Ok(Precision::Fp32));
        assert_eq!(on(Some(AmpChoice::Auto), Device::Cpu), Ok(Precision::Bf16));
        assert_eq!(on(Some(AmpChoice::Fp16), Device::Cuda(0)), Ok(Precision::Fp16));
        assert_eq!(on(Some(AmpChoice::Fp16), Device::Cpu), Err(2));
    }

    #[test]
    fn amp_alone_takes_fp16_where_there_are_tensor_cores() {
        let chosen = |major, minor| {
            let gpu = Gpu { name: "GPU".to_owned(), memory_bytes: 0, capability: Capability { major, minor } };
            automatic(Device::Cuda(1), |index| (index == 1).then_some(gpu).ok_or_else(|| "which?".to_owned()))
        };
        assert_eq!(chosen(7, 0), (Precision::Fp16, "with loss scaling, on GPU with Tensor Cores".to_owned()));
        assert_eq!(chosen(9, 0).0, Precision::Fp16);
        let (precision, why) = chosen(6, 1);
        assert_eq!(precision, Precision::Bf16);
        assert!(why.contains("no Tensor Cores (6.1)"), "{why}");
        let (precision, why) = automatic(Device::Cuda(0), |_| Err("no driver".to_owned()));
        assert_eq!(precision, Precision::Bf16);
        assert!(why.contains("no driver"), "{why}");
    }
}
