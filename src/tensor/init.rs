//! PyTorch's and the reference's initialisation. tch's own defaults differ (batch norm starts at U(0, 1),
//! convolutions 2.4 times too wide), so every weight names its distribution (docs/method.md, "Initial weights").

use tch::{Device, Kind, Tensor};

/// The distribution that a weight starts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Uniform from -bound to bound.
    Uniform {
        /// The greatest absolute value.
        bound: f64,
    },
    /// Gaussian around 0.
    Normal {
        /// The standard deviation.
        deviation: f64,
    },
}

impl Init {
    /// PyTorch's default for weights and biases of linear layers and convolutions: ±1/√fan-in.
    pub fn fan_in(fan_in: i64) -> Self {
        Self::Uniform { bound: 1.0 / (fan_in as f64).sqrt() }
    }

    /// Glorot's: ±√(6 / (fan-in + fan-out)).
    pub fn glorot(fan_in: i64, fan_out: i64) -> Self {
        Self::Uniform { bound: (6.0 / (fan_in + fan_out) as f64).sqrt() }
    }

    /// Kaiming's Gaussian before a ReLU: variance 2 / fan-in.
    pub fn kaiming(fan_in: i64) -> Self {
        Self::Normal { deviation: (2.0 / fan_in as f64).sqrt() }
    }

    /// A fresh fp32 tensor, drawn from libtorch's generator (seed it first: [`crate::tensor::random`]).
    pub fn tensor(self, shape: &[i64], device: Device) -> Tensor {
        let options = (Kind::Float, device);
        match self {
            Self::Zeros => Tensor::zeros(shape, options),
            Self::Ones => Tensor::ones(shape, options),
            // Drawn on the CPU, so that a seed gives the same weights on every device.
            Self::Uniform { bound } => {
                Tensor::empty(shape, (Kind::Float, Device::Cpu)).uniform_(-bound, bound).to_device(device)
            }
            Self::Normal { deviation } => {
                (Tensor::randn(shape, (Kind::Float, Device::Cpu)) * deviation).to_device(device)
            }
        }
    }
}
