"""Small files of a run folder, read with a bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import RunError

LARGEST_JSON = 1 << 20


def content(file: Path, most: int) -> bytes:
    """The bytes of a regular file of at most so many."""
    try:
        if not file.is_file():
            raise RunError(f"{file}: expected a regular file, found none")
        with open(file, "rb") as opened:
            found = opened.read(most + 1)
    except OSError as error:
        raise RunError(f"{file}: can't be read: {error.strerror}") from None
    if len(found) > most:
        raise RunError(f"{file}: expected at most {most} bytes")
    return found


def text(file: Path, most: int) -> str:
    """The text of such a file."""
    try:
        return content(file, most).decode()
    except UnicodeDecodeError:
        raise RunError(f"{file}: expected text in UTF-8") from None


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object of a small regular file."""
    found = content(file, LARGEST_JSON)
    try:
        value = json.loads(found.decode())
    except (ValueError, RecursionError) as error:
        raise RunError(f"{file}: expected a JSON object: {error}; was the file cut off?") from None
    if not isinstance(value, dict):
        raise RunError(f"{file}: expected a JSON object, found {type(value).__name__}")
    return value
