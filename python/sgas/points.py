"""Networks on point clouds: points (B, N, C) in fp32, the position in the first three channels, to logits (B, classes),
or of every point (B, N, classes)."""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import genotypes
from .cells import DerivedCell, Identity
from .layers import LEAKY_SLOPE, Block, RowConvolution, convolution_block, unit_length

HIDDEN = (512, 256)


@torch.no_grad()
def nearest(x: Tensor, k: int, dilation: int = 1) -> Tensor:
    """The k·dilation nearest of every point by the features x (B, N, C), every dilation-th kept, the point itself first:
    int64 (B, N, k). Which of several points at one distance comes first is not said."""
    points = x.shape[1]
    if points < k * dilation:
        raise ValueError(f"a cloud needs at least {k * dilation} points here, k times the dilation; found {points}")
    # In fp64 |x|² + |y|² - 2·x·y keeps more digits of a small distance than fp32 has, and every format has its operators.
    wide = x.double()
    squares = wide.square().sum(-1)
    distances = torch.baddbmm(squares.unsqueeze(2) + squares.unsqueeze(1), wide, wide.transpose(1, 2), alpha=-2.0)
    numbers = torch.arange(points, device=x.device)
    distances = distances.masked_fill(numbers.unsqueeze(1) == numbers, -1.0)
    return distances.topk((k - 1) * dilation + 1, largest=False).indices[..., ::dilation]


def gather(x: Tensor, neighbours: Tensor) -> Tensor:
    """The features of the neighbours: (B, N, C) and (B, N, k) → (B, N, k, C)."""
    clouds = torch.arange(x.shape[0], device=x.device).view(-1, 1, 1)
    return x[clouds, neighbours]


def of_pairs_split(weight: Tensor, x: Tensor, bias: Optional[Tensor] = None) -> tuple[Tensor, Tensor]:
    """The shares of x_i and of x_j in W·[x_i, x_j - x_i]. With W = [U, V] it is (U - V)·x_i + V·x_j: two maps of every
    row instead of one of every pair."""
    own, other = weight.flatten(1).chunk(2, 1)
    return F.linear(x, own - other, bias), F.linear(x, other)


def of_pairs(weight: Tensor, bias: Optional[Tensor], x: Tensor, neighbours: Tensor) -> Tensor:
    """W·[x_i, x_j - x_i] + b of all pairs, (B, N, k, C_out)."""
    own, other = of_pairs_split(weight, x, bias)
    return own.unsqueeze(2) + gather(other, neighbours)


class EdgeConvolution(nn.Module):
    """`edge_conv` (Wang et al. 2019): max over the other neighbours j of h([x_i, x_j - x_i])."""

    def __init__(self, channels: int):
        super().__init__()
        self.nn = convolution_block(2 * channels, channels, nn.ReLU())

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        convolution, *tail = self.nn.body
        pairs = of_pairs(convolution.weight, convolution.bias, x, neighbours[..., 1:])
        return nn.Sequential(*tail)(pairs).amax(2)


class MaxRelativeConvolution(nn.Module):
    """`mr_conv` (Li et al. 2019): h([x_i, max over the other neighbours j of (x_j - x_i)])."""

    def __init__(self, channels: int):
        super().__init__()
        self.nn = convolution_block(2 * channels, channels, nn.ReLU())

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        relative = gather(x, neighbours[..., 1:]).amax(2) - x
        return self.nn(torch.cat([x, relative], -1))


class GraphAttention(nn.Module):
    """`gat` (Velickovic et al. 2018): Σ over j of w_ij·h(x_j), w_i the softmax over j of LeakyReLU(a·[h(x_i), h(x_j)])."""

    def __init__(self, channels: int):
        super().__init__()
        self.nn = convolution_block(channels, channels, nn.ReLU())
        self.att = nn.Parameter(torch.empty(1, 2 * channels, 1, 1).uniform_(-(3.0**0.5), 3.0**0.5))

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        hidden = self.nn(x)
        target, source = F.linear(hidden, self.att.view(2, -1)).float().split(1, -1)
        scores = target + gather(source, neighbours).squeeze(-1)
        weights = F.leaky_relu(scores, LEAKY_SLOPE).softmax(-1).to(hidden.dtype)
        return (weights.unsqueeze(-1) * gather(hidden, neighbours)).sum(2)


class SemiGcn(nn.Module):
    """`semi_gcn` (Kipf and Welling 2017): the mean over the neighbours j of h(x_j)."""

    def __init__(self, channels: int):
        super().__init__()
        self.nn = convolution_block(channels, channels, nn.ReLU())

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        return gather(self.nn(x), neighbours).mean(2)


class GraphIsomorphism(nn.Module):
    """`gin` (Xu et al. 2019): h((1 + eps)·x_i + Σ over the other neighbours j of x_j); eps is not trained."""

    def __init__(self, channels: int):
        super().__init__()
        self.nn = convolution_block(channels, channels, nn.ReLU())
        self.register_buffer("eps", torch.zeros(1))

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        own = x * (1.0 + self.eps).to(x.dtype)
        return self.nn(own + gather(x, neighbours[..., 1:]).sum(2))


class _Map(nn.Module):
    """A 1×1 convolution under the name `body.0`."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False):
        super().__init__()
        self.body = nn.Sequential(RowConvolution(inputs, outputs, bias))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Sage(nn.Module):
    """`sage` (Hamilton et al. 2017): relu(W·[x_i, max over j of relu(V·x_j)]), scaled to length 1; `rel_sage` the same
    with V·(x_j - x_i)."""

    def __init__(self, channels: int, relative: bool):
        super().__init__()
        self.relative = relative
        self.pre_nn = _Map(channels, channels)
        self.nn = _Map(2 * channels, channels)

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        mapped = self.pre_nn(x)
        # ReLU and the subtraction keep the order, so both may follow the maximum.
        maximum = gather(mapped, neighbours).amax(2)
        message = maximum - mapped if self.relative else maximum
        return unit_length(self.nn(torch.cat([x, message.relu()], -1)).relu())


class _Operation(nn.Module):
    """An operation over neighbours, under the name `gconv`."""

    def __init__(self, gconv: nn.Module):
        super().__init__()
        self.gconv = gconv

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        return self.gconv(x, neighbours)


def operation(name: str, channels: int) -> nn.Module:
    """An operation by its name in genotypes, from so many channels to as many."""
    if name == "skip_connect":
        return Identity()
    if name == "conv_1x1":
        return convolution_block(channels, channels, nn.ReLU())
    over_neighbours = {
        "edge_conv": lambda: EdgeConvolution(channels),
        "mr_conv": lambda: MaxRelativeConvolution(channels),
        "gat": lambda: GraphAttention(channels),
        "semi_gcn": lambda: SemiGcn(channels),
        "gin": lambda: GraphIsomorphism(channels),
        "sage": lambda: Sage(channels, relative=False),
        "rel_sage": lambda: Sage(channels, relative=True),
    }
    return _Operation(over_neighbours[name]())


class PointCell(DerivedCell):
    """A cell over one neighbour graph, searched in its first input before preprocessing, with a dilation of its own."""

    def __init__(self, cell: genotypes.Cell, inputs: tuple[int, int], channels: int, k: int, dilation: int):
        super().__init__(cell, lambda edge: operation(edge.operation, channels))
        self.preprocess0 = convolution_block(inputs[0], channels, nn.ReLU())
        self.preprocess1 = convolution_block(inputs[1], channels, nn.ReLU())
        self.k, self.dilation = k, dilation

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        neighbours = nearest(first, self.k, self.dilation)
        return self.nodes([self.preprocess0(first), self.preprocess1(second)], neighbours)


class PointHead(nn.Module):
    """Fusion of what is joined of all layers, pooling over the points, and a classifier of the cloud or of every point."""

    def __init__(self, inputs: int, classes: int, embedding: int, dropout: float, per_point: bool):
        super().__init__()
        self.per_point = per_point
        self.fusion_conv = convolution_block(inputs, embedding, nn.LeakyReLU(LEAKY_SLOPE))
        pooled = embedding + inputs if per_point else 2 * embedding

        def hidden(inputs: int, outputs: int) -> Block:
            return convolution_block(inputs, outputs, nn.LeakyReLU(LEAKY_SLOPE), bias=True)

        self.classifier = nn.Sequential(hidden(pooled, HIDDEN[0]), nn.Dropout(dropout), hidden(*HIDDEN),
                                        nn.Dropout(dropout), _Map(HIDDEN[1], classes, bias=True))

    def head(self, outputs: list[Tensor]) -> Tensor:
        """From the outputs of stem and cells, (B, N, C) each."""
        joined = torch.cat(outputs, -1)
        fused = self.fusion_conv(joined)
        maximum = fused.amax(1, keepdim=True)
        if self.per_point:
            return self.classifier(torch.cat([maximum.expand(-1, joined.shape[1], -1), joined], -1))
        return self.classifier(torch.cat([maximum[:, 0], fused.mean(1)], -1))


class PointNetwork(PointHead):
    """The network of a cell: a stem of one linear map, cells whose dilation grows from 1, and the head."""

    def __init__(self, genotype: genotypes.Genotype, in_channels: int, classes: int, channels: int, cells: int, k: int,
                 embedding: int, dropout: float, stem_multiplier: int, per_point: bool):
        stem = stem_multiplier * channels
        outputs = channels * len(genotype.normal.concat)
        super().__init__(stem + cells * outputs, classes, embedding, dropout, per_point)
        self.in_channels, self.least_points = in_channels, k * cells
        self.stem = nn.Sequential(convolution_block(in_channels, stem, None))
        widths = [stem, stem, *[outputs] * cells]
        self.cells = nn.ModuleList(
            PointCell(genotype.normal, (widths[place], widths[place + 1]), channels, k, dilation=place + 1)
            for place in range(cells))

    def forward(self, points: Tensor) -> Tensor:
        """Points (B, N, C) → logits (B, classes), or of every point (B, N, classes)."""
        first = second = self.stem(points)
        outputs = [second]
        for cell in self.cells:
            first, second = second, cell(first, second)
            outputs.append(second)
        return self.head(outputs)
