#!/usr/bin/env python3
"""Builds libsgas_nccl.so, by which `sgas` sums tensors of several GPUs with NCCL (src/tensor/bridge/nccl), into target/lib/,
where the program finds it. It needs a C++ compiler and no GPU; CUDA's headers are fetched from PyPI, once (200 MB, nearly
all of it NCCL itself, of which the header is kept).

    nccl.py            builds it where it is older than what it is made of
    nccl.py --try      the same for a test: where the headers can't be had the reason is told as that of a skipped test
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from setup_libtorch import ROOT, download, fail, unpack

SOURCE = ROOT / "src" / "tensor" / "bridge" / "nccl"
TARGET = ROOT / "target" / "lib" / "libsgas_nccl.so"
HEADERS = ROOT / "target" / "nccl"
LIBTORCH = Path(os.environ.get("LIBTORCH") or ROOT / ".libtorch" / "torch").resolve()
# The versions that torch 2.11 pins, and those that go with them.
WHEELS = ["nvidia-nccl-cu13==2.28.9", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-crt==13.0.88", "nvidia-cuda-cccl==13.0.85"]
KEPT = ["nvidia/nccl/include/nccl.h", "nvidia/cu13/include/*"]


def fetch_headers():
    if (HEADERS / KEPT[0]).is_file():
        return
    HEADERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HEADERS) as name:
        unpack(download(WHEELS, Path(name)), KEPT, Path(name) / "new")
        (Path(name) / "new" / "nvidia").rename(HEADERS / "nvidia")


def is_new():
    sources = [*SOURCE.rglob("*.*"), Path(__file__), LIBTORCH / "version.py", LIBTORCH / "build-version"]
    made_of = [path.stat().st_mtime for path in sources if path.is_file()]
    return TARGET.is_file() and TARGET.stat().st_mtime >= max(made_of)


def build():
    includes = [SOURCE / "stubs", HEADERS / "nvidia/cu13/include", HEADERS / "nvidia/nccl/include",
                LIBTORCH / "include", LIBTORCH / "include/torch/csrc/api/include"]
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    part = TARGET.with_suffix(".part")
    # As libtorch was built, and as the bridge is.
    command = [os.environ.get("CXX", "c++"), "-std=c++17", "-O1", "-fPIC", "-shared", "-DNDEBUG", "-D_GLIBCXX_USE_CXX11_ABI=1",
               "-DGLOG_USE_GLOG_EXPORT", *(word for folder in includes for word in ("-isystem", folder)),
               SOURCE / "process_group.cpp", "-o", part, f"-L{LIBTORCH / 'lib'}", "-ltorch_cpu", "-lc10"]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
        fail("libsgas_nccl.so does not compile", "what the compiler said stands above")
    part.rename(TARGET)


def main():
    is_test = sys.argv[1:] == ["--try"]
    if sys.argv[1:] and not is_test:
        sys.exit(__doc__)
    if not is_new():
        try:
            fetch_headers()
        except (SystemExit, OSError) as reason:
            if not is_test:
                raise
            print(f"skipped: libsgas_nccl.so was not compiled, because CUDA's headers are not there: {reason}")
            return
        build()
    print(f"{TARGET}: sums over GPUs by NCCL, untried on real ones")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
