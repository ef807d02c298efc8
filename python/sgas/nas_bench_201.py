"""Networks of NAS-Bench-201 (Dong and Yang 2020): images (B, 3, H, W), normalised, to logits (B, classes)."""

from __future__ import annotations

from torch import Tensor, nn

from . import genotypes
from .cells import DerivedCell, Identity, NoOperation
from .images import ReluConvolution, convolution

STAGES = 3


def operation(name: str, channels: int) -> nn.Module:
    """An operation by its name in genotypes, from so many channels to as many."""
    if name == "none":
        return NoOperation()
    if name == "skip_connect":
        return Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return ReluConvolution(channels, channels, kernel=int(name[-1]))


class BenchCell(DerivedCell):
    """A cell of one input, all of whose edges are kept; its last node is the output."""

    def __init__(self, cell: genotypes.Cell, channels: int):
        super().__init__(cell, lambda edge: operation(edge.operation, channels), edges="layers", channels=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.nodes([x])


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions that halve the resolution, and beside them the mean over 2×2 pixels and a map of channels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv_a = ReluConvolution(inputs, outputs, 3, 2)
        self.conv_b = ReluConvolution(outputs, outputs, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2), convolution(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_b(self.conv_a(x)) + self.downsample(x)


class NasBench201Network(nn.Module):
    """Three stages of cells, a residual block before the second and the third that doubles the channels."""

    def __init__(self, genotype: genotypes.Genotype, classes: int, channels: int, cells: int):
        super().__init__()
        self.stem = nn.Sequential(convolution(3, channels, 3), nn.BatchNorm2d(channels))
        self.cells = nn.ModuleList()
        for stage in range(STAGES):
            if stage > 0:
                self.cells.append(ResidualBlock(channels, 2 * channels))
                channels *= 2
            self.cells.extend(BenchCell(genotype.normal, channels) for _ in range(cells // STAGES))
        self.lastact = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) → logits (B, classes)."""
        x = self.stem(images)
        for cell in self.cells:
            x = cell(x)
        return self.classifier(self.lastact(x).mean((2, 3)))
