//! From what was asked to what is there: the device, the threads, the precision.

use super::{AmpChoice, DeviceChoice, GlobalOptions};
use crate::error::{Error, Result};
use crate::tensor::bridge::device::load_cuda;
use crate::tensor::precision::Precision;
use tch::{Cuda, Device};

/// Sets the threads of tensor operations and finds the device. Must come before anything else asks libtorch.
///
/// # Errors
/// A CUDA device that was asked for by name and can't be used.
pub fn prepare(global: &GlobalOptions) -> Result<Device> {
    let device = find(global.device)?;
    if let Some(threads) = global.threads {
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    }
    Ok(device)
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
        (Some(AmpChoice::Auto), Device::Cuda(_)) => Ok(told(Precision::Fp16, "with loss scaling, on a CUDA device")),
        (Some(AmpChoice::Auto), _) => Ok(told(Precision::Bf16, "without loss scaling, on a processor")),
        (Some(AmpChoice::Bf16), _) => Ok(Precision::Bf16),
        (Some(AmpChoice::Fp16), Device::Cuda(_)) => Ok(Precision::Fp16),
        (Some(AmpChoice::Fp16), _) => Err(Error::usage("--amp fp16: half precision needs a CUDA device")
            .with_hint("--amp alone takes bf16 on a processor")),
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

fn told(precision: Precision, why: &str) -> Precision {
    tracing::info!("--amp: {} {why}", precision.name());
    precision
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amp_follows_the_device() {
        let on = |amp, device| precision(amp, device).map_err(|error| error.exit_code());
        assert_eq!(on(None, Device::Cuda(0)), Ok(Precision::Fp32));
        assert_eq!(on(Some(AmpChoice::Auto), Device::Cuda(0)), Ok(Precision::Fp16));
        assert_eq!(on(Some(AmpChoice::Auto), Device::Cpu), Ok(Precision::Bf16));
        assert_eq!(on(Some(AmpChoice::Fp16), Device::Cpu), Err(2));
    }
}
