"""A derived cell in any space: inputs brought to one width, nodes that sum their edges, and a concatenation of states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from . import genotypes
from .layers import drop_path


class NoOperation(nn.Module):
    """`none`: an edge that carries nothing."""


class Identity(nn.Module):
    """`skip_connect`: the state as it is."""

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        return x


class DerivedCell(nn.Module):
    """The edges of a genotype; `make(edge)` gives the operation of one. Operations read a state and `context`: what the
    space's operations read besides features (neighbours, links, or nothing). `channels` is the dimension that states
    are joined in."""

    def __init__(self, cell: genotypes.Cell, make: Callable[[genotypes.Edge], nn.Module], edges: str = "_ops",
                 channels: int = -1):
        super().__init__()
        self.cell, self.edges_name, self.channels = cell, edges, channels
        self.drop_path = 0.0
        setattr(self, edges, nn.ModuleList(make(edge) for edge in cell.edges))

    def nodes(self, states: list[Tensor], *context: Any) -> Tensor:
        """The cell's output for its inputs, which are at its width already."""
        operations = getattr(self, self.edges_name)
        states = list(states)
        for node in range(self.cell.nodes):
            summed = None
            for edge, operation in zip(self.cell.edges, operations):
                if edge.node != node or isinstance(operation, NoOperation):
                    continue
                output = operation(states[edge.source], *context)
                if not isinstance(operation, Identity):
                    output = drop_path(output, self.drop_path, self.training)
                summed = output if summed is None else summed + output
            states.append(torch.zeros_like(states[0]) if summed is None else summed)
        return torch.cat([states[state] for state in self.cell.concat], self.channels)
