//! In which precision a network computes. Weights are always fp32 (REFERENCE section 6).

use serde::{Deserialize, Serialize};

/// Arithmetic of the forward and backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision throughout.
    Fp32,
    /// bfloat16 by autocast; needs no loss scaling.
    Bf16,
    /// Half precision by autocast, with loss scaling; CUDA only.
    Fp16,
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
}
