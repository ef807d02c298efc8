"""Found cells as plain data, and the shapes of the cells of every space."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

from .errors import RunError
from .files import read_json

MOST_EDGES = 1024


@dataclass(frozen=True)
class Shape:
    """What cells of a space have in common: inputs, and the edges that a node keeps (None: one from every earlier state)."""

    inputs: int
    kept: Optional[int]

    def edges_into(self, node: int) -> int:
        """How many edges lead into a node."""
        sources = self.inputs + node
        return sources if self.kept is None else min(self.kept, sources)

    def nodes_of(self, edges: int) -> Optional[int]:
        """How many nodes a cell of so many edges has; None where no number fits."""
        nodes, counted = 0, 0
        while counted < edges:
            counted += self.edges_into(nodes)
            nodes += 1
        return nodes if counted == edges and nodes > 0 else None


POINT_OPERATIONS = ("skip_connect", "conv_1x1", "edge_conv", "mr_conv", "gat", "semi_gcn", "gin", "sage", "rel_sage")
IMAGE_OPERATIONS = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3",
                    "dil_conv_5x5", "sep_conv_7x7", "conv_7x1_1x7")
SPACES = {
    "point": (Shape(2, 2), POINT_OPERATIONS),
    "graph": (Shape(2, 2), POINT_OPERATIONS),
    "image": (Shape(2, 2), IMAGE_OPERATIONS),
    "nas-bench-201": (Shape(1, None), ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")),
    "nas-bench-graph": (Shape(1, 1), ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")),
}


@dataclass(frozen=True)
class Edge:
    """An operation from a state into a node; states count the cell's inputs first, then its nodes."""

    node: int
    operation: str
    source: int


@dataclass(frozen=True)
class Cell:
    """The edges of a cell, node by node, and the states that are joined to its output."""

    inputs: int
    nodes: int
    edges: tuple[Edge, ...]
    concat: tuple[int, ...]


@dataclass(frozen=True)
class Genotype:
    """A found cell; images of DARTS have a second one, which halves the resolution."""

    space: str
    normal: Cell
    reduce: Optional[Cell] = None
    task: Optional[str] = None

    def to_json(self) -> str:
        """As a genotype file holds it, in one line."""
        value: dict[str, Any] = {"space": self.space}
        for kind, cell in (("normal", self.normal), ("reduce", self.reduce)):
            if cell is not None:
                value |= {kind: [[edge.operation, edge.source] for edge in cell.edges], f"{kind}_concat": list(cell.concat)}
        return json.dumps(value)


def read(path: Union[str, Path]) -> Genotype:
    """The cell of a genotype file as `sgas` writes it, or of a run folder."""
    path = Path(path)
    file = path / "genotype.json" if path.is_dir() else path
    if path.is_dir() and not file.exists():
        raise RunError(f"{path}: there is no genotype.json in it: a run of a hand-designed network, or no run")
    return parse(read_json(file), str(file))


def parse(value: dict[str, Any], origin: str) -> Genotype:
    """The cell that a JSON object holds."""
    space = value.get("space")
    if not isinstance(space, str) or space not in SPACES:
        raise RunError(f"{origin}: space: expected one of {', '.join(SPACES)}, found {str(space)[:60]!r}")
    reduce = _cell(value, "reduce", space, origin) if space == "image" else None
    task = value.get("task")
    return Genotype(space, _cell(value, "normal", space, origin), reduce, task if isinstance(task, str) else None)


def _cell(value: dict[str, Any], kind: str, space: str, origin: str) -> Cell:
    shape, operations = SPACES[space]
    place = f"{origin}: {kind}"
    listed = value.get(kind)
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_EDGES:
        raise RunError(f"{place}: expected a list of 1 to {MOST_EDGES} edges such as [[\"skip_connect\", 0]]")
    nodes = shape.nodes_of(len(listed))
    if nodes is None:
        raise RunError(f"{place}: {len(listed)} edges are not those of a whole cell of the {space} space")
    owners = [node for node in range(nodes) for _ in range(shape.edges_into(node))]
    edges = tuple(_edge(edge, node, shape, operations, place) for edge, node in zip(listed, owners))
    concat = value.get(f"{kind}_concat")
    states = shape.inputs + nodes
    if not isinstance(concat, list) or not 0 < len(concat) <= states or not all(_is_state(s, states) for s in concat):
        raise RunError(f"{place}_concat: expected a list of states from 0 to {states - 1}")
    return Cell(shape.inputs, nodes, edges, tuple(concat))


def _edge(value: Any, node: int, shape: Shape, operations: tuple[str, ...], place: str) -> Edge:
    if not isinstance(value, list) or len(value) != 2:
        raise RunError(f"{place}, node {node}: expected an edge such as [\"skip_connect\", 0]")
    operation, source = value
    if not isinstance(operation, str) or operation not in operations:
        raise RunError(f"{place}, node {node}: expected one of {', '.join(operations)}, found {str(operation)[:60]!r}")
    if not _is_state(source, shape.inputs + node):
        raise RunError(f"{place}, node {node}: expected a state from 0 to {shape.inputs + node - 1} as the source")
    return Edge(node, operation, source)


def _is_state(value: Any, states: int) -> bool:
    return type(value) is int and 0 <= value < states
