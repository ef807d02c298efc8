"""Networks for other programs: state dicts, programs of `torch.export`, and ONNX.

    python -m sgas.export RUN --format torch|torch-export|onnx --output FILE

`sgas export` calls this for what PyTorch alone can write, and adds a model card. In Python it is for networks that were
fine-tuned: `export.write(network, "net.onnx", "onnx", classes=["ours", "theirs"])`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, Optional, Union

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from .errors import RunError
from .files import read_json
from .runs import load
from .signatures import Signature, signature

FORMATS = ("torch", "torch-export", "onnx")
# What ONNX needs, and nothing else of this package.
ONNX_PACKAGES = ("onnx", "onnxscript")
OPSET = 18
# What sizes may be; an upper bound is asked for, and no memory holds more.
MOST = {"batch": 1 << 20, "points": 1 << 24, "nodes": 1 << 30, "links": 1 << 33}
# Keys of [data] by which inputs were prepared, and of a table in it.
PREPARATION = {"points": ("points", "features", "normalize"), "images": (), "graphs": ("graphs",)}
OF_TABLES = {"points": {"scenes": ("block",)}, "images": {"images": ("size", "augmentation", "mean", "deviation")},
             "graphs": {}}
SPLITS = ("train", "validation", "test")
# Of a configuration, what says how a network is built and what it sees; by it the program takes the file without more.
SECTIONS = ("task", "seed", "network", "data", "model", "point", "image", "graph", "nas_bench_graph", "resgcn")
# Keys of [data] that name places of one machine, or how it works.
OF_MACHINE = ("source", "train_list", "test_list", "workers", "batches_ahead", "skip_bad")


class ExportError(RunError):
    """A network or place that can't be written, and why."""


def write(network: nn.Module, file: Union[str, Path], format: str, classes: Optional[Sequence[str]] = None,
          metadata: Optional[Mapping[str, Any]] = None, force: bool = False) -> dict[str, Any]:
    """Writes a network of `sgas.load` and returns what was written beside it, as plain data.

    `classes` are names in the order of the logits, where they are no longer those of the run; `metadata` is plain data of
    one's own to stand beside ours. Raises `ExportError` where the file is there already (without `force`), a package is
    missing or the network can't be expressed.
    """
    if format not in FORMATS:
        raise ExportError(f"format: expected one of {', '.join(FORMATS)}, found {format!r}")
    place = Path(file)
    if place.exists() and not force:
        raise ExportError(f"{place} is there already; name another file, or replace it with --force")
    if not place.absolute().parent.is_dir():
        raise ExportError(f"{place}: expected a file in a folder that is there")
    network.eval()
    told = {**describe(network, classes), **(metadata or {})}
    content = io.BytesIO()
    if format == "torch":
        state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        torch.save({**told, "state_dict": state}, content)
    elif format == "torch-export":
        torch.export.save(program(network), content, extra_files={"sgas.json": json.dumps(told)})
    else:
        told["opset"] = OPSET
        content.write(onnx(network, told).SerializeToString())
    _replace(place, content.getvalue())
    return told


def describe(network: nn.Module, classes: Optional[Sequence[str]] = None) -> dict[str, Any]:
    """What belongs to a network, as plain data: where it comes from, what it takes and gives, and names of its classes."""
    about, shape = network.about, signature(network)
    with torch.no_grad():
        outputs = network(*shape.example()).shape[-1]
    names = list(about.classes if classes is None else classes)
    if names and len(names) != outputs:
        raise ExportError(f"classes: expected {outputs} names, one of every logit, found {len(names)}; name them anew")
    return {
        "sgas": about.version,
        "torch": str(torch.__version__),
        "task": about.task,
        "network": about.genotype.space if about.genotype is not None else str(about.config.get("network", "resgcn")),
        "genotype": about.genotype.to_json() if about.genotype is not None else "",
        "classes": names,
        "targets": about.targets,
        "config": json.dumps(_own(about.config)),
        "trained_on": about.data,
        "preparation": _preparation(shape.kind, about.config.get("data", {})),
        "inputs": [asdict(value) for value in shape.inputs],
        "output": asdict(shape.output),
        "least": shape.least,
    }


def _own(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in config.items() if name in SECTIONS}
    if isinstance(kept.get("data"), Mapping):
        kept["data"] = {key: value for key, value in kept["data"].items() if key not in OF_MACHINE}
    if isinstance(config.get("train"), Mapping) and "batch" in config["train"]:
        kept["train"] = {"batch": config["train"]["batch"]}
    return kept


def _preparation(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: data[key] for key in PREPARATION[kind] if key in data}
    for table, keys in OF_TABLES[kind].items():
        found |= {key: data[table][key] for key in keys if key in data.get(table, {})}
    return found


def scores(run: Union[str, Path]) -> dict[str, dict[str, float]]:
    """What `sgas eval` left in a run: by split the numbers over all samples."""
    files = {split: Path(run) / f"eval-{split}.json" for split in SPLITS}
    return {split: {name: value for name, value in read_json(file).items() if type(value) in (int, float)}
            for split, file in files.items() if file.exists()}


def program(network: nn.Module) -> ExportedProgram:
    """The network as a program of `torch.export`, whose sizes with a name are free."""
    shape = signature(network)
    try:
        with torch.no_grad(), _quiet():
            exported = torch.export.export(network, shape.example(), dynamic_shapes=_free(shape))
    except Exception as error:
        raise ExportError(f"{_called(network)} can't be expressed by torch.export: {_first_line(error)}") from error
    for node in exported.graph.nodes:
        # Lines of this machine's files.
        node.meta.pop("stack_trace", None)
    return exported


def _free(shape: Signature) -> tuple[dict[int, Dim], ...]:
    names = {size for value in shape.inputs for size in value.shape if isinstance(size, str)}
    sizes = {name: Dim(name, min=shape.least.get(name, 1), max=MOST[name]) for name in names}
    return tuple({at: sizes[size] for at, size in enumerate(value.shape) if isinstance(size, str)}
                 for value in shape.inputs)


def onnx(network: nn.Module, told: Mapping[str, Any]) -> Any:
    """The network as an ONNX model (`onnx.ModelProto`) with `told` as its metadata: texts as they are, all else as
    JSON."""
    _require(*ONNX_PACKAGES)
    shape = signature(network)
    exported = program(network)
    try:
        with _quiet():
            model = torch.onnx.export(exported, shape.example(), dynamo=True, opset_version=OPSET, verbose=False,
                                      dynamic_shapes=_free(shape), input_names=[value.name for value in shape.inputs],
                                      output_names=[shape.output.name]).model_proto
    except Exception as error:
        raise ExportError(f"{_called(network)} can't be expressed by operators of ONNX: {_first_line(error)}") from error
    model.producer_name, model.producer_version = "sgas", told["sgas"]
    graph = model.graph
    for holder in (graph, *graph.input, *graph.output, *graph.node, *graph.value_info, *graph.initializer):
        # Names of modules, and lines of this machine's files.
        del holder.metadata_props[:]
    for name, value in told.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value if isinstance(value, str) else json.dumps(value)
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters report, which is of no use to who calls them; what fails is an exception."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _require(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f"ONNX needs the packages {' and '.join(packages)} beside torch; there is no {missing[0]}: "
                          f"{sys.executable} -m pip install {' '.join(packages)}")


def _called(network: nn.Module) -> str:
    return type(network).__name__


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def _replace(place: Path, content: bytes) -> None:
    """Writes the whole file or none."""
    descriptor, partial = tempfile.mkstemp(prefix=".sgas-partial-", dir=place.absolute().parent)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(partial, 0o666 & ~umask)
        os.replace(partial, place)
    except BaseException:
        os.unlink(partial)
        raise


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sgas.export", description="Write a trained network for other programs.")
    parser.add_argument("run", help="a training's run folder")
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("--output", required=True, metavar="FILE")
    parser.add_argument("--which", default="best", choices=("best", "last"), help="the weights [default: best]")
    parser.add_argument("--force", action="store_true", help="replace the file where it is there")
    parser.add_argument("--json", action="store_true", help="print what belongs to the network as JSON")
    typed = parser.parse_args(arguments)
    try:
        network = load(typed.run, typed.which)
        told = write(network, typed.output, typed.format, metadata={"scores": scores(typed.run)}, force=typed.force)
    except (RunError, OSError) as error:
        _fail(error)
    print(json.dumps(told) if typed.json else f"written: {typed.output}")


def _fail(error: Exception) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
