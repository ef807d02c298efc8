"""Aggregation along the links of a graph: messages flow from source to target.

Features are rows (N, C), one per node; links are int64 (2, E), sources first. Several graphs are one graph without links
between them. Sums are made in fp32 at least.
"""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch.nn import functional as F

from .layers import LEAKY_SLOPE


def wide(x: Tensor) -> Tensor:
    """Half precision as fp32, all else as it is."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


class Links:
    """The links of one pass, as they are stored, and with exactly one link from every node to itself.

    A message of a link that does not count is summed into one more row, which is dropped: so no size depends on what the
    links are, and `torch.export` and `torch.compile` can follow."""

    def __init__(self, links: Tensor, nodes: int):
        if links.dtype != torch.int64 or links.dim() != 2 or links.shape[0] != 2:
            raise ValueError(f"links: expected int64 (2, E), sources first, found {links.dtype} {tuple(links.shape)}")
        if not torch.compiler.is_compiling() and links.numel() > 0 and not 0 <= int(links.min()) <= int(links.max()) < nodes:
            raise ValueError(f"links: expected nodes from 0 to {nodes - 1}, as many as features has rows")
        self.nodes = nodes
        self.source, self.target = links
        # Made once: by hand, because `torch.compile` does not follow into functools.cached_property before Python 3.12.
        self._without_loops: Optional[Tensor] = None
        self._looped: Optional[tuple[Tensor, Tensor, Tensor]] = None

    @property
    def without_loops(self) -> Tensor:
        """The row that the message of every link is summed into, where those of a node to itself do not count."""
        if self._without_loops is None:
            self._without_loops = torch.where(self.source == self.target, self.nodes, self.target)
        return self._without_loops

    @property
    def looped(self) -> tuple[Tensor, Tensor, Tensor]:
        """Sources, targets and rows with exactly one link from every node to itself: the stored links, of which those of
        a node to itself do not count, and one more for every node."""
        if self._looped is None:
            own = torch.arange(self.nodes, device=self.source.device)
            stored = (self.source, self.target, self.without_loops)
            self._looped = tuple(torch.cat([one, own]) for one in stored)
        return self._looped

    def count(self, rows: Tensor, dtype: torch.dtype) -> Tensor:
        """How many links lead into every node, (N, 1)."""
        return self.sum_into(torch.ones_like(rows, dtype=dtype).unsqueeze(1), rows)

    def sum_into(self, messages: Tensor, rows: Tensor) -> Tensor:
        """Messages (E, C) summed by row, (N, C)."""
        return messages.new_zeros(self.nodes + 1, messages.shape[1]).index_add(0, rows, messages)[:self.nodes]

    def maximum_into(self, messages: Tensor) -> Tensor:
        """The maximum of messages (E, C) by target, 0 for a node without links, (N, C)."""
        place = self.target.unsqueeze(1).expand_as(messages)
        zeros = messages.new_zeros(self.nodes, messages.shape[1])
        return zeros.scatter_reduce(0, place, messages, "amax", include_self=False)

    def sum(self, x: Tensor) -> Tensor:
        """Σ x_j over the links as they are stored."""
        return self.sum_into(wide(x)[self.source], self.target).to(x.dtype)

    def mean(self, x: Tensor) -> Tensor:
        """The mean of x_j, the node itself included once."""
        source, _, rows = self.looped
        own = wide(x)
        return (self.sum_into(own[source], rows) / self.count(rows, own.dtype)).to(x.dtype)

    def normalized_sum(self, x: Tensor) -> Tensor:
        """Σ x_j / √(d_i d_j), the node itself included once; d counts the links into a node."""
        source, _, rows = self.looped
        own = wide(x)
        root = self.count(rows, own.dtype).rsqrt()
        return (self.sum_into((own * root)[source], rows) * root).to(x.dtype)

    def relative_maximum(self, x: Tensor) -> Tensor:
        """max over the links of (x_j - x_i), 0 for a node without."""
        return self.maximum_into(x[self.source] - x[self.target])

    def attention(self, x: Tensor, target_scores: Tensor, source_scores: Tensor) -> Tensor:
        """Σ w_ij x_j with w_i the softmax over j of LeakyReLU(target_i + source_j), the node itself included once:
        x (N, heads, C), scores (N, heads)."""
        source, target, rows = self.looped
        scores = F.leaky_relu(wide(target_scores)[target] + wide(source_scores)[source], LEAKY_SLOPE)
        # Any number serves that is near the greatest: that of all links, the ones that do not count among them.
        place = target.unsqueeze(1).expand_as(scores)
        greatest = scores.new_zeros(self.nodes, scores.shape[1])
        greatest = greatest.scatter_reduce(0, place, scores.detach(), "amax", include_self=False)
        powers = (scores - greatest[target]).exp()
        weights = powers / self.sum_into(powers, rows)[target]
        messages = (weights.unsqueeze(2) * wide(x)[source]).flatten(1)
        return self.sum_into(messages, rows).view(x.shape).to(x.dtype)
