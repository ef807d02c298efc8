//! In which precision a network computes. Weights are always fp32 (docs/method.md, "Mixed precision").

use crate::error::{Error, Result};
use crate::tensor::bridge::autocast::Autocast;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

/// Arithmetic of the forward and backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision throughout.
    #[default]
    Fp32,
    /// bfloat16 by autocast; needs no loss scaling.
    Bf16,
    /// Half precision by autocast, with loss scaling; CUDA only.
    Fp16,
}

/// The type for what half precision is too coarse for: fp32, and fp64 for fp64.
pub fn at_least_single(kind: Kind) -> Kind {
    if kind == Kind::Double { kind } else { Kind::Float }
}

impl Precision {
    /// The name as typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
        }
    }

    /// The type of products, where it is not fp32.
    pub fn half(self) -> Option<Kind> {
        match self {
            Self::Fp32 => None,
            Self::Bf16 => Some(Kind::BFloat16),
            Self::Fp16 => Some(Kind::Half),
        }
    }

    /// Casts to this precision on `device` while the guard lives.
    ///
    /// # Errors
    /// fp16 on a CPU.
    pub fn autocast(self, device: Device) -> Result<Option<Autocast>> {
        if self == Self::Fp16 && !device.is_cuda() {
            return Err(Error::usage("--amp fp16 needs a CUDA device").with_hint("use --amp bf16 on a CPU"));
        }
        self.half().map(|kind| Autocast::enter(device, kind)).transpose()
    }
}
