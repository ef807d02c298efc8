//! The precisions that are measured, and which of them a device has.

use crate::commands::{AmpChoice, device};
use crate::error::Result;
use crate::tensor::bridge::machine;
use crate::tensor::precision::Precision;
use serde::{Deserialize, Serialize};
use tch::Device;

/// How numbers are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// Single precision, TF32 off.
    Fp32,
    /// Single precision, of which products see 11 bits.
    Tf32,
    /// Mixed with bfloat16.
    Bf16,
    /// Mixed with half precision, with loss scaling.
    Fp16,
}

impl Arithmetic {
    /// All, the plainest first.
    pub const ALL: [Self; 4] = [Self::Fp32, Self::Tf32, Self::Bf16, Self::Fp16];

    /// As typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
        }
    }

    /// The precision of the networks.
    pub(super) fn precision(self) -> Precision {
        match self {
            Self::Fp32 | Self::Tf32 => Precision::Fp32,
            Self::Bf16 => Precision::Bf16,
            Self::Fp16 => Precision::Fp16,
        }
    }

    /// Why a device has none of it.
    pub(super) fn missing(self, device: Device) -> Option<String> {
        match (self, device) {
            (Self::Fp32 | Self::Bf16, _) => None,
            (Self::Tf32 | Self::Fp16, Device::Cpu) => Some("needs a CUDA device".to_owned()),
            (Self::Tf32, Device::Cuda(index)) => match machine::gpu(index) {
                Ok(gpu) if !gpu.capability.has_bf16() => Some(format!("{} has none ({})", gpu.name, gpu.capability)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// All of them, or fp32 and what `--amp` names.
///
/// # Errors
/// fp16 on a processor.
pub(super) fn arithmetics(amp: Option<AmpChoice>, device: Device) -> Result<Vec<Arithmetic>> {
    let wanted = match amp {
        None => return Ok(Arithmetic::ALL.to_vec()),
        Some(AmpChoice::Bf16) => Precision::Bf16,
        Some(AmpChoice::Fp16) => Precision::Fp16,
        Some(AmpChoice::Auto) => device::precision(amp, device)?,
    };
    let asked = |arithmetic: &Arithmetic| {
        let is_single = arithmetic.precision() == Precision::Fp32;
        arithmetic.precision() == wanted || (is_single && arithmetic.missing(device).is_none())
    };
    Ok(Arithmetic::ALL.into_iter().filter(asked).collect())
}
