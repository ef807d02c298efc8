#!/usr/bin/env python3
"""Packs the program and the Python package into dist/sgas-<version>-py3-none-manylinux_2_<NN>_x86_64.whl.

    wheel.py [--program FILE]   FILE: a program that is built already; else cargo builds it

hatchling makes the wheel, of a folder in which this script lays program, package, completions and licences; what the wheel
says of itself stands in python/pyproject.toml. libtorch stays outside: the console script finds that of the torch beside
it. NN is the newest glibc that the program asks for. Linux, Python 3 with venv, cargo, binutils.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.dont_write_bytecode = True
from dist import ROOT, VENDORED_LICENCE, add_completions, add_program, build, fail, run, version
from test_dist import needed_versions

PYTHON = ROOT / "python"
TOOLS = ROOT / "target" / "wheel-tools"
REQUIREMENTS = ROOT / "scripts" / "wheel.txt"
PROGRAM = "sgas/bin/sgas"
# Seconds of every entry, so that equal files are equal wheels.
MOMENT = "1577836800"
# torch's own wheels ask for it; a lower one would promise what no environment can keep.
LEAST_GLIBC = 28


def tools():
    """The Python with hatchling, made once for each state of its list."""
    python, made = TOOLS / "bin" / "python", TOOLS / REQUIREMENTS.name
    if not made.is_file() or made.read_bytes() != REQUIREMENTS.read_bytes():
        shutil.rmtree(TOOLS, ignore_errors=True)
        run([sys.executable, "-m", "venv", TOOLS])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
             "-r", REQUIREMENTS])
        shutil.copy(REQUIREMENTS, made)
    return python


def lay(folder, source):
    """The project that hatchling packs; the tag of its wheel."""
    add_program(source, folder / PROGRAM)
    # The whole one, which finds its libtorch, prints them.
    add_completions(source, folder / "share")
    for file in [*(PYTHON / "sgas").glob("*.py"), PYTHON / "sgas" / "py.typed"]:
        shutil.copy(file, folder / "sgas" / file.name)
    for file in ("pyproject.toml", "sgas_program.py", "wheel_tag.py"):
        shutil.copy(PYTHON / file, folder / file)
    for file in ("Cargo.toml", "LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copy(ROOT / file, folder / file)
    shutil.copy(ROOT / VENDORED_LICENCE, folder / "LICENSE-uPlot")
    # The page that indexes show.
    shutil.copy(ROOT / "docs" / "python.md", folder / "README.md")
    glibc, _ = needed_versions([folder / PROGRAM])
    return f"py3-none-manylinux_2_{max(glibc, LEAST_GLIBC)}_x86_64"


def pack(folder, tag):
    """The wheel of a project, in a folder within it."""
    made = folder / "dist"
    environment = {**os.environ, "SGAS_WHEEL_TAG": tag, "SOURCE_DATE_EPOCH": MOMENT, "PYTHONDONTWRITEBYTECODE": "1"}
    run([tools(), "-m", "hatchling", "build", "-t", "wheel", "-d", made], cwd=folder, env=environment,
        stdout=subprocess.DEVNULL)
    wheel = made / f"sgas-{version()}-{tag}.whl"
    if not wheel.is_file():
        fail(f"hatchling made {', '.join(file.name for file in made.iterdir())}, not {wheel.name}",
             "the version in Cargo.toml must be one of Python too")
    with zipfile.ZipFile(wheel) as archive:
        if not archive.getinfo(PROGRAM).external_attr >> 16 & 0o111:
            fail(f"{PROGRAM} in the wheel can't be executed", "another release of hatchling, see scripts/wheel.txt?")
    return wheel


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path)
    source = parser.parse_args().program or build()
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sgas-wheel-", dir=dist) as name:
        made = pack(Path(name), lay(Path(name), source))
        for old in dist.glob("sgas-*.whl"):
            old.unlink()
        wheel = dist / made.name
        made.rename(wheel)
    print(f"{wheel}: {wheel.stat().st_size / 1e6:.1f} MB, without libtorch\ninstall it: pip install {wheel}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
