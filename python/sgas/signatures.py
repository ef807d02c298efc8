"""What networks take and give: names, types and sizes, of which some are free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

import torch
from torch import Tensor, nn

from .images import ImageStem
from .nas_bench_201 import NasBench201Network
from .points import PointHead
from .resgcn import ResGcn

# Sizes of examples: free ones differ, and are none of the sizes that networks have of themselves.
BATCH, NODES, LINKS, MORE_POINTS = 3, 19, 41, 7


@dataclass(frozen=True)
class Value:
    """An input or output. Sizes with a name are free, from `least` where it has an entry, else from 1."""

    name: str
    type: str
    shape: tuple[Union[str, int], ...]


@dataclass(frozen=True)
class Signature:
    """The kind of data (`points`, `images` or `graphs`), and what `forward` takes and gives."""

    kind: str
    inputs: tuple[Value, ...]
    output: Value
    least: dict[str, int]

    def example(self) -> tuple[Tensor, ...]:
        """Inputs of some size; what they hold says nothing."""
        sizes = {"batch": BATCH, "nodes": NODES, "links": LINKS, "points": self.least.get("points", 1) + MORE_POINTS}

        def one(value: Value) -> Tensor:
            shape = [sizes[size] if isinstance(size, str) else size for size in value.shape]
            if value.type == "int64":
                return torch.arange(shape[0] * shape[1]).view(shape) % NODES
            return torch.linspace(-1.0, 1.0, int(torch.tensor(shape).prod())).sin().view(shape)

        return tuple(one(value) for value in self.inputs)


def signature(network: nn.Module) -> Signature:
    """What a network of `sgas.load` takes and gives. Images have the size that the run evaluates with: layers that halve
    the resolution join outputs that agree at some sizes alone."""
    if isinstance(network, (PointHead, ResGcn)):
        per_point = getattr(network, "per_point", True)
        shape = ("batch", "points", "classes") if per_point else ("batch", "classes")
        inputs: tuple[Value, ...] = (Value("points", "float32", ("batch", "points", network.in_channels)),)
        least = {"points": network.least_points}
    elif isinstance(network, (ImageStem, NasBench201Network)):
        side = network.about.config["data"]["images"]["size"]
        inputs, shape, least = (Value("images", "float32", ("batch", 3, side, side)),), ("batch", "classes"), {}
    else:
        inputs = Value("features", "float32", ("nodes", network.in_channels)), Value("links", "int64", (2, "links"))
        shape, least = ("nodes", "classes"), {}
    return Signature(inputs[0].name if len(inputs) == 1 else "graphs", inputs, Value("logits", "float32", shape), least)
