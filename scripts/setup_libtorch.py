#!/usr/bin/env python3
"""Puts libtorch into `.libtorch/` of this checkout, from the wheels on PyPI; nothing else on the machine changes.

Needs Python 3 with venv. A libtorch of the user's own (LIBTORCH) is checked and left alone.
    setup_libtorch.py          the CPU libraries: downloads 0.6 GB, keeps 0.5 GB
    setup_libtorch.py --cuda   adds the CUDA libraries: downloads 2.7 GB more
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

EXPECTED = "2.11."
ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".libtorch"

# At load libtorch_cpu.so needs libcudart and libcupti, and finds them by a path relative to itself.
TORCH = "torch==2.11.0"
CPU_WHEELS = [TORCH, "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"]
CPU_KEPT = [
    "torch/include/*",
    "torch/version.py",
    "torch/lib/libc10.so",
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libgomp.so.1",
    "nvidia/cu13/lib/libcudart.so.13",
    "nvidia/cu13/lib/libcupti.so.13",
    # What `make dist` passes on comes with its licences.
    "torch-*.dist-info/licenses/*",
    "nvidia_*.dist-info/licenses/*",
]

# What libtorch_cuda.so of that wheel asks for, at the versions that the wheel pins.
CUDA_WHEELS = [
    TORCH,
    "nvidia-cublas==13.1.0.3",
    "nvidia-cuda-cupti==13.0.85",
    "nvidia-cuda-nvrtc==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cudnn-cu13==9.19.0.56",
    "nvidia-cufft==12.0.0.61",
    "nvidia-cufile==1.15.1.6",
    "nvidia-curand==10.4.0.35",
    "nvidia-cusolver==12.0.4.66",
    "nvidia-cusparse==12.6.3.3",
    "nvidia-cusparselt-cu13==0.8.0",
    "nvidia-nccl-cu13==2.28.9",
    "nvidia-nvjitlink==13.0.88",
    "nvidia-nvshmem-cu13==3.4.5",
    "nvidia-nvtx==13.0.85",
]
CUDA_KEPT = [
    "torch/lib/libc10_cuda.so",
    "torch/lib/libcaffe2_nvrtc.so",
    "torch/lib/libtorch_cuda*.so",
    "torch/lib/libtorch_nvshmem.so",
    "nvidia/*/lib/*.so*",
]

# A machine's own Python has no say in what is downloaded: the wheels' libraries are the same for each.
# pip takes a platform by its letter, so every older glibc is named.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 16, -1)] + ["manylinux2014_x86_64"]
TARGET = ["--python-version", "311", "--implementation", "cp", "--only-binary", ":all:", "--no-deps"]


def fail(problem, hint):
    sys.exit(f"error: {problem}\nhint: {hint}")


def version_in(libtorch):
    """The version of a libtorch archive (build-version) or of a wheel (version.py); None where there is none."""
    archive, wheel = libtorch / "build-version", libtorch / "version.py"
    if archive.is_file():
        return archive.read_text().strip()
    if wheel.is_file():
        for line in wheel.read_text().splitlines():
            if line.startswith("__version__ = "):
                return line.split("=")[1].strip().strip("'\"")
    return None


def check_own(libtorch):
    """Judges the LIBTORCH that the user has set."""
    version = version_in(libtorch)
    if version is None or not (libtorch / "lib" / "libtorch_cpu.so").is_file():
        fail(f"LIBTORCH={libtorch} holds no libtorch: lib/libtorch_cpu.so with version.py or build-version expected",
             "point LIBTORCH at a folder of libtorch 2.11.x, or unset it and run `make setup`")
    if not version.startswith(EXPECTED):
        fail(f"LIBTORCH={libtorch} is libtorch {version}; {EXPECTED}x expected",
             "point LIBTORCH at libtorch 2.11.x, or unset it and run `make setup`")
    print(f"libtorch {version} of LIBTORCH={libtorch}")


def check_platform():
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        fail(f"libtorch is fetched for Linux on x86_64 alone; this is {sys.platform} on {platform.machine()}",
             "install libtorch 2.11.x yourself and set LIBTORCH to its folder (it holds lib/ and include/)")


def run(command, hint):
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
        fail(f"`{' '.join(map(str, command[:4]))} ...` failed", hint)


def download(wheels, folder):
    """Downloads wheels with a pip of our own, so that the system's Python needs none."""
    venv = folder / "venv"
    run([sys.executable, "-m", "venv", venv], "install Python's venv (Debian and Ubuntu: apt install python3-venv)")
    targets = [flag for name in PLATFORMS for flag in ("--platform", name)]
    command = [venv / "bin" / "python", "-m", "pip", "download", "--quiet", "--no-cache-dir", "--dest", folder / "wheels"]
    run(command + TARGET + targets + wheels, "check the connection to pypi.org (pip's own settings and PIP_INDEX_URL apply)")
    return sorted((folder / "wheels").glob("*.whl"))


def unpack(wheels, kept, into):
    """Unpacks the files that match a pattern of `kept`, and removes each wheel when done with it."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if not name.endswith("/") and any(fnmatch(name, pattern) for pattern in kept):
                    archive.extract(name, into)
        wheel.unlink()


def absent(patterns, folder):
    return [pattern for pattern in patterns if next(folder.glob(pattern), None) is None]


def setup(cuda):
    """Makes `.libtorch/` whole in a folder beside it, then renames: a cut run leaves nothing half done."""
    kept = CPU_KEPT + (CUDA_KEPT if cuda else [])
    if not absent(kept, HOME) and (version_in(HOME / "torch") or "").startswith(EXPECTED):
        print(f"libtorch {version_in(HOME / 'torch')} is in {HOME / 'torch'}")
        return
    check_platform()
    print(f"libtorch: downloading {'3.3' if cuda else '0.6'} GB from PyPI, once ...", flush=True)
    with tempfile.TemporaryDirectory(prefix=".libtorch-", dir=ROOT) as name:
        folder = Path(name)
        unpack(download(CUDA_WHEELS if cuda else CPU_WHEELS, folder), kept, folder / "new")
        new = folder / "new"
        # The wheel's own libtorch.so asks for libtorch_cuda.so; linkers would bind programs to it.
        (new / "torch" / "lib" / "libtorch.so").symlink_to("libtorch_cpu.so")
        missing = absent(kept, new)
        if missing:
            fail(f"the wheels lack {', '.join(missing)}", "report this with the output of `pip --version`")
        if HOME.exists():
            HOME.rename(folder / "old")
        new.rename(HOME)
    print(f"libtorch {version_in(HOME / 'torch')} is in {HOME / 'torch'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuda", action="store_true", help="with the CUDA libraries")
    cuda = parser.parse_args().cuda
    own = os.environ.get("LIBTORCH")
    if own and Path(own).resolve() != HOME / "torch":
        check_own(Path(own))
    else:
        setup(cuda)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
