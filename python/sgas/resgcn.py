"""ResGCN (Li et al., DeepGCNs, 2019): residual edge convolutions over neighbours that every block looks for anew in its
own features. Points (B, N, C), the position in the first three channels, to logits of every point (B, N, classes)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import RowConvolution, parts
from .points import nearest, of_pairs

POSITION = 3


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*parts(RowConvolution(inputs, outputs, bias=True), outputs, nn.ReLU()))


class _Named(nn.Module):
    """A module under one name, as published weights are called."""

    def __init__(self, name: str, module: nn.Module):
        super().__init__()
        setattr(self, name, module)


class WholeEdgeConvolution(nn.Module):
    """Max over the neighbours j, the point itself among them, of h([x_i, x_j - x_i])."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.gconv = _Named("nn", _block(2 * inputs, outputs))

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        convolution, activation, norm = self.gconv.nn
        return norm(activation(of_pairs(convolution.weight, convolution.bias, x, neighbours))).amax(2)


class ResGcn(nn.Module):
    """In training the neighbours of a block are, with the probability `stochastic`, drawn out of the k · dilation
    nearest."""

    def __init__(self, in_channels: int, classes: int, blocks: int, channels: int, k: int, stochastic: float, fusion: int,
                 prediction: tuple[int, int], dropout: float):
        super().__init__()
        self.k, self.stochastic = k, stochastic
        self.in_channels, self.least_points = in_channels, k * max(blocks - 1, 1)
        self.head = WholeEdgeConvolution(in_channels, channels)
        self.backbone = nn.ModuleList(_Named("body", WholeEdgeConvolution(channels, channels)) for _ in range(1, blocks))
        self.fusion_block = _block(channels * blocks, fusion)
        self.prediction = nn.Sequential(
            _block(channels * blocks + fusion, prediction[0]), _block(prediction[0], prediction[1]), nn.Dropout(dropout),
            nn.Sequential(RowConvolution(prediction[1], classes, bias=True)))

    def _neighbours(self, x: Tensor, dilation: int) -> Tensor:
        if self.training and torch.rand(()) < self.stochastic:
            drawn = torch.randperm(self.k * dilation)[:self.k]
            return nearest(x, self.k * dilation)[..., drawn.to(x.device)]
        return nearest(x, self.k, dilation)

    def forward(self, points: Tensor) -> Tensor:
        """Points (B, N, C) → logits (B, N, classes)."""
        features = [self.head(points, self._neighbours(points[..., :POSITION], 1)).to(points.dtype)]
        for dilation, block in enumerate(self.backbone, start=1):
            x = features[-1]
            # Sums over many blocks, in which the next one looks for neighbours, stay in the type of the points.
            features.append(block.body(x, self._neighbours(x, dilation)).to(points.dtype) + x)
        joined = torch.cat(features, -1)
        pooled = self.fusion_block(joined).amax(1, keepdim=True)
        return self.prediction(torch.cat([pooled.expand(-1, joined.shape[1], -1).to(joined.dtype), joined], -1))
