//! Small computations whose results are whole numbers, exact in every type and on every device.

use super::machine::Cuda;
use crate::error::{Error, Result, first_line};
use crate::tensor::fused::TensorPath;
use crate::tensor::native::{self, Family};
use crate::tensor::neighbours::Neighbours;
use crate::tensor::random::{Key, Purpose};
use rand::RngExt;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

/// One computation on one device.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    /// `cpu`, `cuda:0`.
    pub device: String,
    /// What was computed.
    pub what: &'static str,
    /// What went wrong.
    pub failure: Option<String>,
}

/// Rows and columns of a product: sums of 64 terms in -1..=1 are exact also in bf16, which holds whole numbers to 256.
const SIZE: i64 = 64;
/// Points of a cloud in whole coordinates below `RANGE`, whose squared distances are exact in fp32.
const POINTS: i64 = 32;
const RANGE: u16 = 1024;

/// All checks on the processor and on every device that libtorch can use.
pub(super) fn of_devices(cuda: &Cuda) -> Vec<Check> {
    let devices = std::iter::once(Device::Cpu).chain((0..cuda.usable_devices).map(Device::Cuda));
    devices.flat_map(of_device).collect()
}

fn of_device(device: Device) -> Vec<Check> {
    let name = match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    };
    let check = |what, outcome: Result<bool>| Check {
        device: name.clone(),
        what,
        failure: match outcome {
            Ok(true) => None,
            Ok(false) => Some("the result is wrong".to_owned()),
            Err(error) => Some(first_line(&error.to_string())),
        },
    };
    let mut checks = vec![
        check("fp32 product", product(device, Kind::Float)),
        check("fp16 product", product(device, Kind::Half)),
        check("bf16 product", product(device, Kind::BFloat16)),
        check("neighbours", neighbours(device)),
    ];
    if let Device::Cuda(index) = device
        && !native::is_switched_off()
    {
        checks.extend(Family::ALL.into_iter().map(|family| {
            let state = native::state(family, index).clone().map_err(Error::Torch);
            check(family.words(), state.map(|()| true))
        }));
    }
    checks
}

/// Whether a product of two matrices in this type is exact.
fn product(device: Device, kind: Kind) -> Result<bool> {
    let numbers = Tensor::arange(SIZE * SIZE, (Kind::Double, Device::Cpu)).view([SIZE, SIZE]);
    let (one, other) = (numbers.remainder(3.0) - 1.0, (&numbers / 5.0).floor().remainder(3.0) - 1.0);
    let there = |matrix: &Tensor| matrix.f_to_kind(kind)?.f_to_device(device);
    let found = there(&one)?.f_matmul(&there(&other)?)?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
    Ok(found == one.f_matmul(&other)?)
}

/// Whether the processor's kernel and plain operations on the device find the same neighbours.
fn neighbours(device: Device) -> Result<bool> {
    let mut generator = Key::new(0, Purpose::Synthetic).generator();
    let numbers: Vec<f32> = (0..POINTS * 3).map(|_| f32::from(generator.random_range(0..RANGE))).collect();
    let points = Tensor::from_slice(&numbers).view([POINTS, 3]);
    let (k, dilation) = (4, 2);
    let by_kernel = Neighbours::nearest(&points, 1, k, dilation).rows;
    let there = points.f_to_device(device)?;
    let _plain = TensorPath::enter();
    Ok(by_kernel == Neighbours::nearest(&there, 1, k, dilation).rows.f_to_device(Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_passes_every_check() {
        let checks = of_device(Device::Cpu);
        assert_eq!(checks.len(), 4);
        assert!(checks.iter().all(|check| check.failure.is_none()), "{checks:?}");
    }
}
