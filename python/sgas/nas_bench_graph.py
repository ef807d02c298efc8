"""Networks of NAS-Bench-Graph (Qin et al. 2022), by PyTorch Geometric's definitions: features (N, C) in fp32 and links
int64 (2, E), sources first, to logits of every node (N, classes)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor, nn

from . import genotypes
from .cells import DerivedCell
from .graphs import GlorotLinear, glorot
from .layers import RowNorm
from .links import Links, wide

HEADS = 4


def share_of_degree(x: Tensor, links: Links, loops: bool) -> Tensor:
    """Σ x_j / √(d_i d_j) over the links into a node, with or without those from a node to itself; d counts them."""
    rows = links.target if loops else links.without_loops
    own = wide(x)
    count = links.count(rows, own.dtype)
    root = count.clamp_min(1).rsqrt() * count.clamp_max(1)
    return (links.sum_into((own * root)[links.source], rows) * root).to(x.dtype)


def stored_mean(x: Tensor, links: Links) -> Tensor:
    """The mean of x_j over the links as they are stored, 0 for a node without."""
    rows = wide(x)
    return (links.sum(rows) / links.count(links.target, rows.dtype).clamp_min(1)).to(x.dtype)


class Attention(nn.Module):
    """`gat`: four heads that share the channels, the node itself included once."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.lin = GlorotLinear(inputs, outputs)
        self.att_src = glorot(1, HEADS, outputs // HEADS)
        self.att_dst = glorot(1, HEADS, outputs // HEADS)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, links: Links) -> Tensor:
        hidden = self.lin(x).unflatten(1, (HEADS, -1))
        target, source = ((wide(hidden) * vector).sum(2) for vector in (self.att_dst, self.att_src))
        attended = links.attention(hidden, target, source).flatten(1)
        return attended + self.bias.to(attended.dtype)


class Convolution(nn.Module):
    """`gcn`: Σ W x_j / √(d_i d_j) + b, the node itself included once."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.lin = GlorotLinear(inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, links: Links) -> Tensor:
        summed = links.normalized_sum(self.lin(x))
        return summed + self.bias.to(summed.dtype)


class Isomorphism(nn.Module):
    """`gin`: W (x_i + Σ x_j) + b."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.nn = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return self.nn(x + links.sum(x))


class Chebyshev(nn.Module):
    """`cheb`: U x_i − V Σ x_j / √(d_i d_j) + b, links of a node to itself left out."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.lins = nn.ModuleList([GlorotLinear(inputs, outputs), GlorotLinear(inputs, outputs)])
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, links: Links) -> Tensor:
        own, neighbours = self.lins
        summed = own(x) - share_of_degree(neighbours(x), links, loops=False)
        return summed + self.bias.to(summed.dtype)


class Sage(nn.Module):
    """`sage`: U x_i + V·(mean of x_j) + b."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.lin_l = nn.Linear(inputs, outputs)
        self.lin_r = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return self.lin_l(stored_mean(x, links)) + self.lin_r(x)


class Arma(nn.Module):
    """`arma`: relu(U x_i + V Σ x_j / √(d_i d_j) + b)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.root_weight = GlorotLinear(inputs, outputs)
        self.init_weight = GlorotLinear(inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, links: Links) -> Tensor:
        summed = self.root_weight(x) + share_of_degree(self.init_weight(x), links, loops=True)
        return (summed + self.bias.to(summed.dtype)).relu()


class NeighbourSum(nn.Module):
    """`graph`: U x_i + V Σ x_j + b."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.lin_rel = nn.Linear(inputs, outputs)
        self.lin_root = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return self.lin_rel(links.sum(x)) + self.lin_root(x)


class FullyConnected(nn.Linear):
    """`fc`: W x_i + b."""

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return super().forward(x)


class Skip(nn.Module):
    """`skip`: x_i."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return x


OPERATORS: dict[str, Callable[[int, int], nn.Module]] = {
    "gat": Attention, "gcn": Convolution, "gin": Isomorphism, "cheb": Chebyshev, "sage": Sage, "arma": Arma,
    "graph": NeighbourSum, "fc": FullyConnected, "skip": Skip}


class Reader(nn.Module):
    """An operator behind batch norm → ReLU → dropout of the state that it reads; raw features it reads as they are."""

    def __init__(self, name: str, inputs: int, outputs: int, raw: bool, dropout: float):
        super().__init__()
        self.norm = None if raw else RowNorm(inputs)
        self.dropout = nn.Dropout(dropout)
        self.operator = OPERATORS[name](inputs, outputs)

    def forward(self, x: Tensor, links: Links) -> Tensor:
        if self.norm is not None:
            x = self.dropout(self.norm(x).relu())
        return self.operator(x, links)


class BenchGraphCell(DerivedCell):
    """A cell of one input; `skip` hands on what it reads, so states that hand on raw features have their width."""

    def __init__(self, cell: genotypes.Cell, inputs: int, channels: int, raw: bool, dropout: float, narrows: bool):
        widths, raws = [channels if narrows else inputs], [raw]
        for edge in cell.edges:
            skips = edge.operation == "skip"
            widths.append(widths[edge.source] if skips else channels)
            raws.append(skips and raws[edge.source])

        def make(edge: genotypes.Edge) -> nn.Module:
            return Reader(edge.operation, widths[edge.source], channels, raws[edge.source], dropout)

        super().__init__(cell, make)
        self.preprocess0 = nn.Linear(inputs, channels) if narrows else None
        self.outputs = sum(widths[state] for state in cell.concat)

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return self.nodes([x if self.preprocess0 is None else self.preprocess0(x)], links)


class NasBenchGraphNetwork(nn.Module):
    """Dropout and perhaps a linear layer, the cell, and a classifier behind the ReLU of the cell's leaves."""

    def __init__(self, genotype: genotypes.Genotype, in_channels: int, classes: int, channels: int, cells: int,
                 layers_before: int, layers_after: int, dropout: float):
        super().__init__()
        self.in_channels = in_channels
        self.dropout = nn.Dropout(dropout)
        self.stem: Optional[nn.Linear] = nn.Linear(in_channels, channels) if layers_before > 0 else None
        width = in_channels if self.stem is None else channels
        self.cells = nn.ModuleList()
        for place in range(cells):
            raw = place == 0 and self.stem is None
            self.cells.append(BenchGraphCell(genotype.normal, width, channels, raw, dropout, narrows=place > 0))
            width = self.cells[-1].outputs
        self.hidden: Optional[nn.Linear] = nn.Linear(width, channels) if layers_after > 0 else None
        self.classifier = nn.Linear(width if self.hidden is None else channels, classes)

    def forward(self, features: Tensor, links: Tensor) -> Tensor:
        """Features (N, C) and links int64 (2, E), sources first → logits (N, classes)."""
        along = Links(links, features.shape[0])
        x = self.dropout(features)
        x = x if self.stem is None else self.stem(x)
        for cell in self.cells:
            x = cell(x, along)
        x = x.relu()
        return self.classifier(x if self.hidden is None else self.hidden(x))
