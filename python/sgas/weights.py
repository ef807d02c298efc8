"""Files of weights: a reader of safetensors with torch and the standard library alone.

The package `safetensors` would be a second dependency for what takes a page here: a header in JSON that says where
every tensor's bytes stand. Nothing of a file is executed, and every number of the header is checked before use.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import torch
from torch import Tensor

from .errors import RunError

LONGEST_HEADER = 100_000_000
TYPES = {"F64": (torch.float64, 8), "F32": (torch.float32, 4), "F16": (torch.float16, 2), "BF16": (torch.bfloat16, 2),
         "I64": (torch.int64, 8), "I32": (torch.int32, 4), "I16": (torch.int16, 2), "I8": (torch.int8, 1),
         "U8": (torch.uint8, 1), "BOOL": (torch.bool, 1)}


def read(file: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, in host memory. Inf and NaN are refused, as the program does."""
    try:
        if not file.is_file():
            raise RunError(f"{file}: expected a regular file, found none")
        content = bytearray(file.read_bytes())
    except OSError as error:
        raise RunError(f"{file}: can't be read: {error.strerror}") from None
    except MemoryError:
        raise RunError(f"{file}: does not fit into memory") from None
    header, data = _header(content, file)
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: _begin(item[1], file)):
        dtype, shape, begin, stop = _entry(name, entry, len(content) - data, file)
        if begin != end:
            raise RunError(f"{file}: {name}: expected its bytes to begin at {end}, found {begin}: the file is damaged")
        end = stop
        # A tensor of no elements has no bytes to read.
        tensor = torch.empty(shape, dtype=dtype)
        if stop > begin:
            tensor = torch.frombuffer(content, dtype=torch.uint8, count=stop - begin, offset=data + begin)
            tensor = tensor.clone().view(dtype).view(shape)
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise RunError(f"{file}: {name}: holds inf or NaN")
        tensors[name] = tensor
    if data + end != len(content):
        raise RunError(f"{file}: expected {data + end} bytes, as its header says, found {len(content)}")
    return tensors


def _header(content: bytearray, file: Path) -> tuple[dict[str, object], int]:
    length = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else 0
    if not 2 <= length <= min(LONGEST_HEADER, len(content) - 8):
        raise RunError(f"{file}: expected a safetensors file: its header is cut off or none")
    try:
        header = json.loads(content[8:8 + length].decode())
    except (ValueError, RecursionError):
        raise RunError(f"{file}: expected a safetensors file: its header is no JSON") from None
    if not isinstance(header, dict):
        raise RunError(f"{file}: expected a safetensors file: its header is no JSON object")
    header.pop("__metadata__", None)
    return header, 8 + length


def _begin(entry: object, file: Path) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int for offset in offsets):
        raise RunError(f"{file}: an entry of its header has no data_offsets")
    return offsets[0], offsets[1]


def _entry(name: str, entry: object, available: int, file: Path) -> tuple[torch.dtype, list[int], int, int]:
    assert isinstance(entry, dict)
    begin, stop = _begin(entry, file)
    kind, shape = entry.get("dtype"), entry.get("shape")
    if not isinstance(kind, str) or kind not in TYPES:
        raise RunError(f"{file}: {name}: expected one of the types {', '.join(TYPES)}, found {str(kind)[:20]!r}")
    if not isinstance(shape, list) or len(shape) > 8 or not all(type(size) is int and 0 <= size < 2**62 for size in shape):
        raise RunError(f"{file}: {name}: expected a shape of at most 8 sizes")
    dtype, width = TYPES[kind]
    if not 0 <= begin <= stop <= available:
        raise RunError(f"{file}: {name}: its bytes {begin} to {stop} are not all in the file: it is cut off")
    if math.prod(shape) * width != stop - begin:
        raise RunError(f"{file}: {name}: {stop - begin} bytes are not those of the shape {shape} in {kind}")
    return dtype, shape, begin, stop
