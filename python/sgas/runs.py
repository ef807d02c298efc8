"""Run folders: a training's network with its weights, and what a run logged. Nothing of a run folder is executed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from . import genotypes, weights
from .baselines import Dgcnn, ResNet, gat, gcn
from .errors import RunError
from .files import read_json, text
from .genotypes import Genotype
from .graphs import GraphNetwork
from .images import ImageNetwork
from .nas_bench_201 import STAGES, NasBench201Network
from .nas_bench_graph import HEADS, NasBenchGraphNetwork
from .points import PointNetwork
from .resgcn import ResGcn

LARGEST_CONFIG = 1 << 20
LARGEST_EVENTS = 1 << 30
PER_POINT_TASKS = ("segmentation", "s3dis", "shapenetpart")


@dataclass(frozen=True)
class About:
    """What a network comes from: the task, the names of its classes in the order of the logits (none in runs of version
    0.1.0), the resolved configuration, the cell (None for a hand-designed network), the file of its weights, the data in
    words, the version of the program that trained it, and what the data is labelled with: `classes`, `labels` (several of
    them at once), or `point_classes`."""

    task: str
    classes: tuple[str, ...]
    config: Mapping[str, Any]
    genotype: Optional[Genotype]
    weights: Path
    data: str = ""
    version: str = ""
    targets: str = "classes"


def load(run: Union[str, Path], which: str = "best", device: Union[str, torch.device] = "cpu") -> nn.Module:
    """The network of a training's run folder, in evaluation mode, with its weights.

    `which` is "best" (of the epoch that scored best on validation; of a run without validation, the last, as
    `sgas eval` takes them) or "last". The module's `about` says what it comes from. Raises `RunError` where the folder
    is no finished epoch of a training, or where files are damaged or do not belong together.
    """
    if which not in ("best", "last"):
        raise ValueError(f"which: expected 'best' or 'last', found {which!r}")
    folder = Path(run)
    told = _told(folder, "train")
    file = folder / f"weights-{which}.safetensors"
    if which == "best" and not file.exists():
        file = folder / "weights-last.safetensors"
    if not file.exists():
        raise RunError(f"{folder}: no epoch of this training is done yet; go on with it: sgas train --out {folder} --resume")
    config = _config(folder / "config.toml")
    genotype = genotypes.read(folder) if (folder / "genotype.json").exists() else None
    tensors = weights.read(file)
    about = About(str(told.get("task")), tuple(map(str, told.get("classes") or ())), config, genotype, file,
                  str(told.get("data", "")), str(told.get("version", "")), str(told.get("targets", "classes")))
    network = _network(about, _Sizes(config, tensors, str(file)))
    _fill(network, tensors, file)
    setattr(network, "about", about)
    return network.to(device).eval()


def events(run: Union[str, Path]) -> list[dict[str, Any]]:
    """What a run logged, in order: the objects of its events.jsonl, each with the key "event". A last line that was not
    written to its end is left out."""
    folder = Path(run)
    _told(folder)
    file = folder / "events.jsonl"
    lines = text(file, LARGEST_EVENTS).split("\n")
    logged = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise RunError(f"{file}: line {number}: expected a JSON object")
        logged.append(event)
    return logged


def _told(folder: Path, command: Optional[str] = None) -> dict[str, Any]:
    file = folder / "run.json"
    if not file.exists():
        raise RunError(f"{folder} is not the folder of a run: there is no run.json in it")
    told = read_json(file)
    if command is not None and told.get("command") != command:
        raise RunError(f"{folder} is not a training: it has no trained network; train what it found: "
                       f"sgas train --genotype {folder}")
    if not isinstance(told.get("classes") or [], list):
        raise RunError(f"{file}: classes: expected a list of names")
    return told


def _config(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text(file, LARGEST_CONFIG))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RunError(f"{file}: expected TOML: {error}") from None


class _Sizes:
    """The sizes of a network: those that the configuration has, checked, and those that the weights say."""

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], origin: str):
        self.config, self.tensors, self.origin = config, tensors, origin

    def value(self, section: str, key: str, default: Any) -> Any:
        table = self.config.get(section, {})
        return table.get(key, default) if isinstance(table, dict) else default

    def integer(self, section: str, key: str, default: Optional[int], least: int, most: int) -> int:
        value = self.value(section, key, default)
        if type(value) is not int or not least <= value <= most:
            raise RunError(f"config.toml: {section}.{key}: expected {least} to {most}, found {str(value)[:40]!r}")
        return value

    def share(self, section: str, key: str, default: float) -> float:
        value = self.value(section, key, default)
        if type(value) not in (int, float) or not 0.0 <= value <= 1.0:
            raise RunError(f"config.toml: {section}.{key}: expected a number from 0 to 1, found {str(value)[:40]!r}")
        return float(value)

    def one_of(self, section: str, key: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.value(section, key, default)
        if value not in choices:
            raise RunError(f"config.toml: {section}.{key}: expected one of {', '.join(choices)}, found {str(value)[:40]!r}")
        return value

    def flag(self, section: str, key: str) -> bool:
        value = self.value(section, key, False)
        if type(value) is not bool:
            raise RunError(f"config.toml: {section}.{key}: expected true or false, found {str(value)[:40]!r}")
        return value

    def model(self) -> dict[str, int]:
        return {"channels": self.integer("model", "channels", None, 1, 65536),
                "cells": self.integer("model", "cells", None, 1, 1000)}

    def size(self, name: str, dimension: int) -> int:
        """A size of a weight, which must be there."""
        tensor = self.tensors.get(name)
        if tensor is None or tensor.dim() <= dimension:
            raise RunError(f"{self.origin}: expected a weight {name}: these are the weights of another network")
        return tensor.shape[dimension]


def _network(about: About, sizes: _Sizes) -> nn.Module:
    """The network without memory for its weights, so that wrong sizes take none."""
    name = about.genotype.space if about.genotype is not None else about.config.get("network", "resgcn")
    build = BUILDERS.get(name if isinstance(name, str) else "")
    if build is None or (about.genotype is None) == (name in genotypes.SPACES):
        raise RunError(f"config.toml: network: this package has no network {str(name)[:40]!r}; "
                       f"it has {', '.join(BUILDERS)}")
    with torch.device("meta"):
        return build(about, sizes)


def _cell(about: About) -> Genotype:
    assert about.genotype is not None, "builders of spaces are asked for cells alone"
    return about.genotype


def _point(about: About, sizes: _Sizes) -> nn.Module:
    return PointNetwork(_cell(about), sizes.size("stem.0.body.0.weight", 1), sizes.size("classifier.4.body.0.bias", 0),
                        **sizes.model(), **_of_points(sizes),
                        stem_multiplier=sizes.integer("point", "stem_multiplier", 3, 1, 64),
                        per_point=about.task in PER_POINT_TASKS)


def _of_points(sizes: _Sizes) -> dict[str, Any]:
    return {"k": sizes.integer("point", "k", 9, 2, 256), "embedding": sizes.integer("point", "embedding", 1024, 1, 65536),
            "dropout": sizes.share("point", "dropout", 0.5)}


def _image(about: About, sizes: _Sizes) -> nn.Module:
    return ImageNetwork(_cell(about), sizes.size("classifier.bias", 0), **sizes.model(), stem=_stem(sizes),
                        stem_multiplier=sizes.integer("image", "stem_multiplier", 3, 1, 64),
                        auxiliary=sizes.flag("image", "auxiliary"))


def _stem(sizes: _Sizes) -> str:
    return sizes.one_of("image", "stem", "cifar", ("cifar", "imagenet"))


def _nas_bench_201(about: About, sizes: _Sizes) -> nn.Module:
    model = sizes.model()
    if model["cells"] % STAGES != 0:
        raise RunError(f"config.toml: model.cells: expected a multiple of {STAGES}, found {model['cells']}")
    return NasBench201Network(_cell(about), sizes.size("classifier.bias", 0), **model)


def _graph(about: About, sizes: _Sizes) -> nn.Module:
    return GraphNetwork(_cell(about), sizes.size("stem.0.body.0.weight", 1), sizes.size("classifier.bias", 0),
                        **sizes.model(), norm=sizes.one_of("graph", "norm", "batch", ("batch", "none")), **_of_graphs(sizes))


def _of_graphs(sizes: _Sizes) -> dict[str, Any]:
    return {"feature_dropout": sizes.share("graph", "feature_dropout", 0.0),
            "dropout": sizes.share("graph", "dropout", 0.0),
            "propagation": sizes.integer("graph", "propagation", 0, 0, 200),
            "teleport": sizes.share("graph", "teleport", 0.1)}


def _nas_bench_graph(about: About, sizes: _Sizes) -> nn.Module:
    layers = {key: sizes.integer("nas_bench_graph", key, default, 0, 1)
              for key, default in (("layers_before", 0), ("layers_after", 1))}
    model = sizes.model()
    if model["channels"] % HEADS != 0:
        raise RunError(f"config.toml: model.channels: expected a multiple of {HEADS}, found {model['channels']}")
    return NasBenchGraphNetwork(_cell(about), _raw_width(_cell(about), sizes, layers), sizes.size("classifier.bias", 0),
                                **model, **layers, dropout=sizes.share("nas_bench_graph", "dropout", 0.7))


def _raw_width(genotype: Genotype, sizes: _Sizes, layers: Mapping[str, int]) -> int:
    """The numbers per node: what a layer before the cell reads, or else an operator that reads the raw features."""
    if layers["layers_before"] > 0:
        return sizes.size("stem.weight", 1)
    raw = [True]
    for place, edge in enumerate(genotype.normal.edges):
        if raw[edge.source] and edge.operation != "skip":
            prefix = f"cells.0._ops.{place}.operator."
            read = [name for name, tensor in sizes.tensors.items()
                    if name.startswith(prefix) and name.endswith("weight") and tensor.dim() == 2]
            return sizes.size(read[0] if read else prefix + "weight", 1)
        raw.append(raw[edge.source] and edge.operation == "skip")
    # Four times skip: the features, joined as often as the cell has leaves.
    return sizes.size("hidden.weight" if layers["layers_after"] > 0 else "classifier.weight", 1) // len(genotype.normal.concat)


def _resgcn(about: About, sizes: _Sizes) -> nn.Module:
    widths = sizes.value("resgcn", "prediction", [512, 256])
    if not isinstance(widths, list) or len(widths) != 2 or not all(type(w) is int and 1 <= w <= 65536 for w in widths):
        raise RunError("config.toml: resgcn.prediction: expected two widths from 1 to 65536")
    return ResGcn(sizes.size("head.gconv.nn.0.weight", 1) // 2, sizes.size("prediction.3.0.bias", 0),
                  blocks=sizes.integer("resgcn", "blocks", 28, 1, 1000),
                  channels=sizes.integer("resgcn", "channels", 64, 1, 4096), k=sizes.integer("resgcn", "k", 16, 2, 255),
                  stochastic=sizes.share("resgcn", "stochastic", 0.2),
                  fusion=sizes.integer("resgcn", "fusion", 1024, 1, 65536), prediction=(widths[0], widths[1]),
                  dropout=sizes.share("resgcn", "dropout", 0.3))


def _two_layers(make: Callable[..., nn.Module]) -> Callable[[About, _Sizes], nn.Module]:
    def build(about: About, sizes: _Sizes) -> nn.Module:
        return make(sizes.size("conv1.lin.weight", 1), sizes.size("conv2.bias", 0), sizes.model()["channels"],
                    **_of_graphs(sizes))

    return build


def _dgcnn(about: About, sizes: _Sizes) -> nn.Module:
    return Dgcnn(sizes.size("convolutions.0.body.0.weight", 1) // 2, sizes.size("classifier.4.body.0.bias", 0),
                 **_of_points(sizes))


def _resnet(about: About, sizes: _Sizes) -> nn.Module:
    return ResNet(sizes.size("classifier.bias", 0), sizes.model()["channels"], _stem(sizes))


BUILDERS: dict[str, Callable[[About, _Sizes], nn.Module]] = {
    "point": _point, "image": _image, "graph": _graph, "nas-bench-201": _nas_bench_201,
    "nas-bench-graph": _nas_bench_graph, "resgcn": _resgcn, "gcn": _two_layers(gcn), "gat": _two_layers(gat),
    "dgcnn": _dgcnn, "resnet": _resnet}


def _fill(network: nn.Module, tensors: dict[str, Tensor], file: Path) -> None:
    """Puts the weights into the network, after all names and shapes were compared."""
    # PyTorch's counters, which nothing reads; the program writes none.
    def is_counter(name: str) -> bool:
        return name.endswith("num_batches_tracked")

    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items() if not is_counter(name)}
    found = {name: tuple(value.shape) for name, value in tensors.items() if not is_counter(name)}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            told = [("none" if shape is None else str(shape)) for shape in (wanted.get(name), found.get(name))]
            raise RunError(f"{file}: {name}: expected {told[0]}, found {told[1]}: weights, genotype.json and config.toml "
                           "do not belong together")
    if any(tensors[name].dtype != torch.float32 for name in wanted):
        raise RunError(f"{file}: expected weights in fp32")
    network.load_state_dict({name: tensors[name] for name in wanted}, assign=True)
