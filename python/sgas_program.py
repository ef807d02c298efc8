"""The console script `sgas`: finds the torch of this environment and becomes the program, which computes with its
libraries. Apart from the package `sgas`, because importing that imports torch, which takes seconds."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import NoReturn, Optional

TORCH = "2.11.0"
LIBRARIES = ("libc10.so", "libtorch_cpu.so")


def fail(problem: str, hint: str) -> NoReturn:
    """As the program tells of wrong usage."""
    print(f"error: {problem}\nhint: {hint}", file=sys.stderr)
    sys.exit(2)


def torch_folder() -> Path:
    """Where the torch of this environment lies; it is looked for, not imported."""
    install = f"{sys.executable} -m pip install torch=={TORCH}"
    try:
        found = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        found = None
    if found is None or not found.origin:
        fail(f"there is no torch beside {sys.executable}; sgas computes with the libraries of torch {TORCH}", install)
    folder = Path(found.origin).parent
    version = said_in_version_file(folder, "__version__")
    # A local part such as +cpu or +cu130 says how it was built, not which release it is.
    if version is None or version.partition("+")[0] != TORCH:
        fail(f"sgas needs torch {TORCH}, found {version or 'one without version.py'} in {folder}", install)
    missing = [name for name in LIBRARIES if not (folder / "lib" / name).is_file()]
    if missing:
        fail(f"there is no {missing[0]} in {folder / 'lib'}: that torch is no whole one for Linux", install)
    for library, package in of_cuda(folder):
        if not is_found(library, folder):
            fail(f"the torch in {folder} is built with CUDA and finds no {library}, which it loads without a GPU too",
                 f"{sys.executable} -m pip install {package}, or the CPU build of torch")
    return folder


def of_cuda(folder: Path) -> list[tuple[str, str]]:
    """What libtorch_cpu.so of a build with CUDA loads at once, each with the package that has it; nothing else of NVIDIA
    is needed without a GPU."""
    cuda = said_in_version_file(folder, "cuda")
    if cuda is None:
        return []
    major = cuda.partition(".")[0]
    suffix = "-cu12" if major == "12" else ""
    return [(f"libcudart.so.{major}", f"nvidia-cuda-runtime{suffix}"), (f"libcupti.so.{major}", f"nvidia-cuda-cupti{suffix}")]


def is_found(library: str, folder: Path) -> bool:
    """Whether the dynamic linker will: in the packages beside torch, in torch itself, or where the system looks."""
    if (folder / "lib" / library).is_file() or any(folder.parent.glob(f"nvidia/*/lib/{library}")):
        return True
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def said_in_version_file(folder: Path, name: str) -> Optional[str]:
    """A text in torch/version.py, which is read and not executed; None where it says None or nothing."""
    try:
        text = (folder / "version.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{name}\s*(?::[^=]*)?=\s*['\"]([^'\"]+)['\"]", text, re.M)
    return found[1] if found else None


def environment(folder: Path) -> dict[str, str]:
    """This process's, with torch's libraries first; what was there before stays behind them. `sgas export` calls the
    package by this Python."""
    before = os.environ.get("LD_LIBRARY_PATH")
    paths = [str(folder / "lib"), *([before] if before else [])]
    return {"SGAS_PYTHON": sys.executable, **os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)}


def main() -> NoReturn:
    """Becomes the program, with this process's arguments."""
    program = Path(__file__).resolve().parent / "sgas" / "bin" / "sgas"
    if not program.is_file():
        fail(f"there is no program at {program}", "install the wheel of sgas again, or run the checkout's target/debug/sgas")
    variables = environment(torch_folder())
    try:
        os.execve(program, ["sgas", *sys.argv[1:]], variables)
    except FileNotFoundError:
        # The file is there, so it is the dynamic linker it names that is not: a system with musl.
        fail("this system has no glibc, which the program and torch need", "use a Linux with glibc, such as Debian or Fedora")
    except OSError as error:
        fail(f"{program} can't be started: {error.strerror}", "it needs Linux on x86-64; install the wheel again")


if __name__ == "__main__":
    main()
