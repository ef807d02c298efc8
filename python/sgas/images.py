"""Networks on images in the space of DARTS: images (B, 3, H, W), normalised, to logits (B, classes)."""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor, nn

from . import genotypes
from .cells import DerivedCell, Identity

AUXILIARY = (128, 768)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1) -> nn.Conv2d:
    """Without bias; at stride 1 it keeps the size of the image."""
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)


class ReluConvolution(nn.Module):
    """ReLU → convolution → batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1):
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), convolution(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class FactorizedReduction(nn.Module):
    """Half of the channels from every second pixel, half from those one down and right; ReLU before, batch norm after."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv_1 = convolution(inputs, outputs - outputs // 2, 1, 2)
        self.conv_2 = convolution(inputs, outputs // 2, 1, 2)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


def _separable(channels: int, kernel: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    """ReLU → depthwise convolution → pointwise convolution → batch norm."""
    return [nn.ReLU(), convolution(channels, channels, kernel, stride, dilation, channels),
            convolution(channels, channels, 1), nn.BatchNorm2d(channels)]


class Separable(nn.Module):
    """`sep_conv`: a depthwise separable block twice; `dil_conv`: one that reads every other pixel."""

    def __init__(self, channels: int, kernel: int, stride: int, dilated: bool):
        super().__init__()
        if dilated:
            self.op = nn.Sequential(*_separable(channels, kernel, stride, 2))
        else:
            self.op = nn.Sequential(*_separable(channels, kernel, stride), *_separable(channels, kernel, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


def stripes(channels: int, stride: int) -> nn.Sequential:
    """`conv_7x1_1x7`: a row of seven pixels, then a column of seven, over all channels."""
    return nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False),
                         nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False),
                         nn.BatchNorm2d(channels))


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """An operation by its name in genotypes, from so many channels to as many."""
    if name == "skip_connect":
        return Identity() if stride == 1 else FactorizedReduction(channels, channels)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if name == "conv_7x1_1x7":
        return stripes(channels, stride)
    kind, _, size = name.rpartition("_")
    return Separable(channels, int(size[0]), stride, dilated=kind == "dil_conv")


class ImageCell(DerivedCell):
    """A cell of two inputs; one that reduces halves the resolution on the edges from its inputs."""

    def __init__(self, cell: genotypes.Cell, inputs: tuple[int, int], channels: int, reduces: bool, reduced_before: bool):
        def make(edge: genotypes.Edge) -> nn.Module:
            return operation(edge.operation, channels, 2 if reduces and edge.source < cell.inputs else 1)

        super().__init__(cell, make, channels=1)
        first = FactorizedReduction if reduced_before else ReluConvolution
        self.preprocess0 = first(inputs[0], channels)
        self.preprocess1 = ReluConvolution(inputs[1], channels)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.nodes([self.preprocess0(first), self.preprocess1(second)])


class AuxiliaryHead(nn.Module):
    """Logits from a cell in the middle of the stack, for training."""

    def __init__(self, inputs: int, classes: int, pool_stride: int):
        super().__init__()
        narrow, wide = AUXILIARY
        self.features = nn.Sequential(
            nn.ReLU(), nn.AvgPool2d(5, pool_stride, count_include_pad=False), convolution(inputs, narrow, 1),
            nn.BatchNorm2d(narrow), nn.ReLU(), nn.Conv2d(narrow, wide, 2, bias=False), nn.BatchNorm2d(wide), nn.ReLU())
        self.classifier = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class ImageStem(nn.Module):
    """What precedes the cells; its two outputs are the inputs of the first cell."""

    def __init__(self, stem: str, outputs: int):
        super().__init__()
        if stem == "cifar":
            self.stem = nn.Sequential(convolution(3, outputs, 3), nn.BatchNorm2d(outputs))
        else:
            half = outputs // 2
            self.stem0 = nn.Sequential(convolution(3, half, 3, 2), nn.BatchNorm2d(half), nn.ReLU(),
                                       convolution(half, outputs, 3, 2), nn.BatchNorm2d(outputs))
            self.stem1 = nn.Sequential(nn.ReLU(), convolution(outputs, outputs, 3, 2), nn.BatchNorm2d(outputs))
        self.is_cifar = stem == "cifar"

    def enter(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) to both inputs; the ImageNet stem keeps a quarter of the sides, and an eighth."""
        if self.is_cifar:
            x = self.stem(images)
            return x, x
        quarter = self.stem0(images)
        return quarter, self.stem1(quarter)


class ImageNetwork(ImageStem):
    """Normal cells, and reduction cells at a third and two thirds of the stack that double the channels."""

    def __init__(self, genotype: genotypes.Genotype, classes: int, channels: int, cells: int, stem: str,
                 stem_multiplier: int, auxiliary: bool):
        outputs = stem_multiplier * channels if stem == "cifar" else channels
        super().__init__(stem, outputs)
        widths, reduced_before = (outputs, outputs), stem != "cifar"
        self.cells = nn.ModuleList()
        self.auxiliary_position = 2 * cells // 3
        self.auxiliary_head: Optional[AuxiliaryHead] = None
        for place in range(cells):
            reduces = place in (cells // 3, 2 * cells // 3)
            channels *= 2 if reduces else 1
            cell = genotype.reduce if reduces else genotype.normal
            assert cell is not None
            self.cells.append(ImageCell(cell, widths, channels, reduces, reduced_before))
            widths, reduced_before = (widths[1], channels * len(cell.concat)), reduces
            if auxiliary and place == self.auxiliary_position:
                self.auxiliary_head = AuxiliaryHead(widths[1], classes, 3 if stem == "cifar" else 2)
        self.classifier = nn.Linear(widths[1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) → logits (B, classes)."""
        return self._run(images, False)[0]

    def with_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of both heads, for training; the published weight of the second loss is 0.4."""
        if self.auxiliary_head is None:
            raise ValueError("this network has no auxiliary head: image.auxiliary was false in its training")
        return self._run(images, True)

    def _run(self, images: Tensor, learns_twice: bool) -> Any:
        first, second = self.enter(images)
        auxiliary = None
        for place, cell in enumerate(self.cells):
            first, second = second, cell(first, second)
            if learns_twice and place == self.auxiliary_position:
                auxiliary = self.auxiliary_head(second)
        return self.classifier(second.mean((2, 3))), auxiliary
