"""Networks on graphs: features (N, C) in fp32 and links int64 (2, E), sources first, to logits of every node
(N, classes)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import genotypes
from .cells import DerivedCell, Identity
from .layers import LEAKY_SLOPE, RowNorm, linear_block, unit_length
from .links import Links, wide
from .points import of_pairs_split

STEM_MULTIPLIER = 3


def glorot(*shape: int) -> nn.Parameter:
    """Drawn from Glorot's uniform distribution over the last two dimensions."""
    bound = (6.0 / (shape[-1] + shape[-2])) ** 0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class GlorotLinear(nn.Linear):
    """A linear layer without bias that starts from Glorot's distribution."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False)

    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)


class EdgeConvolution(nn.Module):
    """`edge_conv` (Wang et al. 2019): max over j of h([x_i, x_j - x_i]), 0 without links."""

    def __init__(self, channels: int, fixed: bool):
        super().__init__()
        self.nn = linear_block(2 * channels, channels, nn.ReLU(), fixed)

    def forward(self, x: Tensor, links: Links) -> Tensor:
        linear, activation, norm = self.nn.body
        own, other = of_pairs_split(linear.weight, x)
        return links.maximum_into(norm(activation(own[links.target] + other[links.source])))


class MaxRelativeConvolution(nn.Module):
    """`mr_conv` (Li et al. 2019): h([x_i, max over j of (x_j - x_i)])."""

    def __init__(self, channels: int, fixed: bool):
        super().__init__()
        self.nn = linear_block(2 * channels, channels, nn.ReLU(), fixed)

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return self.nn(torch.cat([x, links.relative_maximum(x)], 1))


class _Convolution(nn.Module):
    """Layers of PyTorch Geometric under its names."""

    def __init__(self, channels: int, attends: bool):
        super().__init__()
        self.lin = GlorotLinear(channels, channels)
        if attends:
            self.att_src = glorot(1, 1, channels)
            self.att_dst = glorot(1, 1, channels)


class GraphAttention(nn.Module):
    """`gat` (Velickovic et al. 2018): norm(relu(Σ w_ij·V x_j)), the node itself included once."""

    def __init__(self, channels: int, fixed: bool):
        super().__init__()
        self.gconv = _Convolution(channels, attends=True)
        self.unlinear = nn.Sequential(nn.ReLU(), RowNorm(channels, fixed))

    def forward(self, x: Tensor, links: Links) -> Tensor:
        hidden = self.gconv.lin(x).unsqueeze(1)
        target, source = ((wide(hidden) * vector).sum(2) for vector in (self.gconv.att_dst, self.gconv.att_src))
        return self.unlinear(links.attention(hidden, target, source).squeeze(1))


class GraphConvolution(nn.Module):
    """`semi_gcn` (Kipf and Welling 2017): norm(relu(V·Σ x_j / √(d_i d_j))), the node itself included once."""

    def __init__(self, channels: int, fixed: bool):
        super().__init__()
        self.gconv = _Convolution(channels, attends=False)
        self.unlinear = nn.Sequential(nn.ReLU(), RowNorm(channels, fixed))

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return self.unlinear(self.gconv.lin(links.normalized_sum(x)))


class GraphIsomorphism(nn.Module):
    """`gin` (Xu et al. 2019): h((1 + eps)·x_i + Σ x_j); eps is not trained."""

    def __init__(self, channels: int, fixed: bool):
        super().__init__()
        self.nn = linear_block(channels, channels, nn.ReLU(), fixed)
        self.register_buffer("eps", torch.zeros(1))

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return self.nn(x * (1.0 + self.eps).to(x.dtype) + links.sum(x))


class Sage(nn.Module):
    """`sage` (Hamilton et al. 2017): h([x_i, (mean of x_j)·V]) scaled to length 1, the node itself included once;
    `rel_sage` the same with the mean of (x_j - x_i)."""

    def __init__(self, channels: int, relative: bool, fixed: bool):
        super().__init__()
        self.relative = relative
        bound = channels**-0.5
        self.weight = nn.Parameter(torch.empty(channels, channels).uniform_(-bound, bound))
        self.nn = linear_block(2 * channels, channels, nn.ReLU(), fixed)

    def forward(self, x: Tensor, links: Links) -> Tensor:
        mean = links.mean(x)
        mean = mean - x if self.relative else mean
        return unit_length(self.nn(torch.cat([x, mean @ self.weight], 1)))


class _Operation(nn.Module):
    """An operation along links, under the name `gconv`."""

    def __init__(self, gconv: nn.Module):
        super().__init__()
        self.gconv = gconv

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return self.gconv(x, links)


def operation(name: str, channels: int, fixed: bool) -> nn.Module:
    """An operation by its name in genotypes, from so many channels to as many."""
    if name == "skip_connect":
        return Identity()
    if name == "conv_1x1":
        return linear_block(channels, channels, nn.ReLU(), fixed)
    along_links = {
        "edge_conv": lambda: EdgeConvolution(channels, fixed),
        "mr_conv": lambda: MaxRelativeConvolution(channels, fixed),
        "gat": lambda: GraphAttention(channels, fixed),
        "semi_gcn": lambda: GraphConvolution(channels, fixed),
        "gin": lambda: GraphIsomorphism(channels, fixed),
        "sage": lambda: Sage(channels, False, fixed),
        "rel_sage": lambda: Sage(channels, True, fixed),
    }
    return _Operation(along_links[name]())


class GraphCell(DerivedCell):
    """A cell along the links of the graph, with dropout before its first maps."""

    def __init__(self, cell: genotypes.Cell, inputs: tuple[int, int], channels: int, fixed: bool, dropout: float):
        super().__init__(cell, lambda edge: operation(edge.operation, channels, fixed))
        self.preprocess0 = linear_block(inputs[0], channels, nn.ReLU(), fixed)
        self.preprocess1 = linear_block(inputs[1], channels, nn.ReLU(), fixed)
        self.dropout = nn.Dropout(dropout)

    def forward(self, first: Tensor, second: Tensor, links: Links) -> Tensor:
        inputs = [self.preprocess0(self.dropout(first)), self.preprocess1(self.dropout(second))]
        return self.nodes(inputs, links)


def propagated(logits: Tensor, links: Links, steps: int, teleport: float) -> Tensor:
    """Logits (N, classes) carried along the links by personalised PageRank, Z ← (1 − t) Â Z + t H (Gasteiger et al.
    2019)."""
    own = wide(logits) if steps > 0 else logits
    carried = own
    for _ in range(steps):
        carried = links.normalized_sum(carried) * (1.0 - teleport) + own * teleport
    return carried


class GraphNetwork(nn.Module):
    """The network of a cell: a stem of one linear map, cells, and a classifier of every node's features and their mean;
    where the run has it, propagation of the logits."""

    def __init__(self, genotype: genotypes.Genotype, in_channels: int, classes: int, channels: int, cells: int, norm: str,
                 feature_dropout: float, dropout: float, propagation: int, teleport: float):
        super().__init__()
        self.in_channels = in_channels
        fixed = norm == "none"
        stem, outputs = STEM_MULTIPLIER * channels, channels * len(genotype.normal.concat)
        self.stem = nn.Sequential(linear_block(in_channels, stem, None, fixed))
        widths = [stem, stem, *[outputs] * cells]
        self.cells = nn.ModuleList(
            GraphCell(genotype.normal, (widths[place], widths[place + 1]), channels, fixed, dropout)
            for place in range(cells))
        self.classifier = nn.Linear(outputs + 1, classes)
        self.feature_dropout, self.dropout = nn.Dropout(feature_dropout), nn.Dropout(dropout)
        self.propagation, self.teleport = propagation, teleport

    def forward(self, features: Tensor, links: Tensor) -> Tensor:
        """Features (N, C) and links int64 (2, E), sources first → logits (N, classes)."""
        along = Links(links, features.shape[0])
        first = second = self.stem(self.feature_dropout(features))
        for cell in self.cells:
            first, second = second, cell(first, second, along)
        joined = torch.cat([second.mean(1, keepdim=True), second], 1)
        return propagated(self.classifier(self.dropout(joined)), along, self.propagation, self.teleport)
