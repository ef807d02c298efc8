"""Layers on rows: features (..., C) with one row per point or node.

Weights keep the published names and shapes: a 1×1 convolution is (C_out, C_in, 1, 1), and blocks are convolution →
activation → batch norm, in this order.
"""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAKY_SLOPE = 0.2


class RowConvolution(nn.Conv2d):
    """A 1×1 convolution that reads rows: (..., C_in) → (..., C_out)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False):
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.flatten(1), self.bias)


class RowNorm(nn.BatchNorm1d):
    """Batch norm over all rows, (..., C) → (..., C). One with `fixed` statistics never takes those of a batch: only its
    scale and shift are of use."""

    def __init__(self, channels: int, fixed: bool = False):
        super().__init__(channels)
        self.fixed = fixed

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if self.fixed:
            rows = F.batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        else:
            rows = super().forward(rows)
        return rows.view(x.shape)


def parts(linear: nn.Module, outputs: int, activation: Optional[nn.Module], fixed: bool = False) -> list[nn.Module]:
    """Linear map → activation, where there is one → batch norm."""
    return [linear, *([activation] if activation is not None else []), RowNorm(outputs, fixed)]


class Block(nn.Module):
    """Linear map → activation → batch norm, (..., C_in) → (..., C_out); as an operation of a cell it reads no context."""

    def __init__(self, linear: nn.Module, outputs: int, activation: Optional[nn.Module], fixed: bool = False):
        super().__init__()
        self.body = nn.Sequential(*parts(linear, outputs, activation, fixed))

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        return self.body(x)


def convolution_block(inputs: int, outputs: int, activation: Optional[nn.Module], bias: bool = False) -> Block:
    """A block around a 1×1 convolution, as networks on points have it."""
    return Block(RowConvolution(inputs, outputs, bias), outputs, activation)


def linear_block(inputs: int, outputs: int, activation: Optional[nn.Module], fixed: bool = False) -> Block:
    """A block around a linear layer without bias, as networks on graphs have it."""
    return Block(nn.Linear(inputs, outputs, bias=False), outputs, activation, fixed)


def drop_path(x: Tensor, probability: float, training: bool) -> Tensor:
    """Zeroes whole samples (the first dimension) with some probability and divides the others by the keep rate."""
    if not training or probability == 0.0:
        return x
    keep = 1.0 - probability
    mask = torch.empty(x.shape[:1] + (1,) * (x.dim() - 1), device=x.device, dtype=x.dtype).bernoulli_(keep)
    return x * (mask / keep)


def unit_length(x: Tensor) -> Tensor:
    """Rows divided by their Euclidean length, computed in fp32."""
    return F.normalize(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x, dim=-1).to(x.dtype)
