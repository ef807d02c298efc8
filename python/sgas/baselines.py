"""The hand-designed networks that a search is held against: graph convolutions and graph attention on graphs, DGCNN on
points, a residual network on images. Inputs are those of `graphs`, `points` and `images`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .graphs import GlorotLinear, glorot, propagated
from .images import ImageStem, convolution
from .layers import convolution_block
from .links import Links, wide
from .points import PointHead, nearest, of_pairs

GAT_HEADS = 8
DGCNN_WIDTHS = (64, 64, 128, 256)
STAGES = 3
BLOCKS_PER_STAGE = 3
POSITION = 3


class ConvolutionLayer(nn.Module):
    """Σ V x_j / √(d_i d_j) + b, the node itself included once (Kipf and Welling 2017)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.lin = GlorotLinear(inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, links: Links) -> Tensor:
        return links.normalized_sum(self.lin(x)) + self.bias


class AttentionLayer(nn.Module):
    """Heads of graph attention side by side, and b (Velickovic et al. 2018)."""

    def __init__(self, inputs: int, heads: int, channels: int):
        super().__init__()
        self.heads = heads
        self.lin = GlorotLinear(inputs, heads * channels)
        self.att_src, self.att_dst = glorot(1, heads, channels), glorot(1, heads, channels)
        self.bias = nn.Parameter(torch.zeros(heads * channels))

    def forward(self, x: Tensor, links: Links) -> Tensor:
        hidden = self.lin(x).unflatten(1, (self.heads, -1))
        target, source = ((wide(hidden) * vector).sum(2) for vector in (self.att_dst, self.att_src))
        return links.attention(hidden, target, source).flatten(1) + self.bias


class TwoLayers(nn.Module):
    """Two layers along the links with dropout before each and an activation between."""

    def __init__(self, in_channels: int, first: nn.Module, second: nn.Module, activation: nn.Module,
                 feature_dropout: float, dropout: float, propagation: int, teleport: float):
        super().__init__()
        self.in_channels = in_channels
        self.conv1, self.conv2, self.activation = first, second, activation
        self.feature_dropout, self.dropout = nn.Dropout(feature_dropout), nn.Dropout(dropout)
        self.propagation, self.teleport = propagation, teleport

    def forward(self, features: Tensor, links: Tensor) -> Tensor:
        """Features (N, C) and links int64 (2, E), sources first → logits (N, classes)."""
        along = Links(links, features.shape[0])
        x = self.activation(self.conv1(self.feature_dropout(features), along))
        return propagated(self.conv2(self.dropout(x), along), along, self.propagation, self.teleport)


def gcn(in_channels: int, classes: int, channels: int, **settings: Any) -> TwoLayers:
    """Two layers of graph convolutions."""
    first, second = ConvolutionLayer(in_channels, channels), ConvolutionLayer(channels, classes)
    return TwoLayers(in_channels, first, second, nn.ReLU(), **settings)


def gat(in_channels: int, classes: int, channels: int, **settings: Any) -> TwoLayers:
    """Two layers of graph attention: eight heads (of fewer than eight channels as many), then one."""
    heads = min(GAT_HEADS, channels)
    first = AttentionLayer(in_channels, heads, channels // heads)
    return TwoLayers(in_channels, first, AttentionLayer(heads * (channels // heads), 1, classes), nn.ELU(), **settings)


class Dgcnn(PointHead):
    """Dynamic edge convolutions (Wang et al. 2019), each over the nearest in its own input, the point itself among them."""

    def __init__(self, in_channels: int, classes: int, k: int, embedding: int, dropout: float):
        super().__init__(sum(DGCNN_WIDTHS), classes, embedding, dropout, per_point=False)
        self.k = self.least_points = k
        self.in_channels = in_channels
        widths = zip((in_channels, *DGCNN_WIDTHS), DGCNN_WIDTHS)
        self.convolutions = nn.ModuleList(convolution_block(2 * inputs, width, nn.ReLU()) for inputs, width in widths)

    def forward(self, points: Tensor) -> Tensor:
        """Points (B, N, C) → logits (B, classes)."""
        x, outputs, searched = points, [], points[..., :POSITION]
        for block in self.convolutions:
            linear, activation, norm = block.body
            pairs = of_pairs(linear.weight, linear.bias, x, nearest(searched, self.k))
            x = searched = wide(norm(activation(pairs)).amax(2))
            outputs.append(x)
        return self.head(outputs)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with batch norms beside the identity, or a 1×1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = convolution(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        changes = stride > 1 or inputs != outputs
        shortcut = [convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)] if changes else []
        self.downsample = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (inner + self.downsample(x)).relu()


class ResNet(ImageStem):
    """Three stages of three blocks (He et al. 2016, for CIFAR-10) upon the stem of the run."""

    def __init__(self, classes: int, channels: int, stem: str):
        super().__init__(stem, channels)
        self.stages = STAGES
        for stage in range(STAGES):
            blocks = []
            for place in range(BLOCKS_PER_STAGE):
                widens = stage > 0 and place == 0
                outputs = 2 * channels if widens else channels
                blocks.append(BasicBlock(channels, outputs, 2 if widens else 1))
                channels = outputs
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) → logits (B, classes)."""
        x = self.enter(images)[1].relu()
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.classifier(x.mean((2, 3)))
