#!/usr/bin/env python3
"""Packs the program and the Python package into dist/sgas-<version>-py3-none-manylinux_2_<NN>_x86_64.whl.

    wheel.py [--program FILE]   FILE: a program that is built already; else cargo builds it

A wheel is a zip archive of files and a list of their digests, which the standard library writes; no backend of Python's
packaging builds a program by cargo and its own build script with fewer lines. libtorch stays outside: the console script
finds that of the torch beside it. NN is the newest glibc that the program asks for. Linux, Python 3, cargo, binutils.
"""

import argparse
import base64
import hashlib
import re
import sys
import tempfile
import zipfile
from pathlib import Path

sys.dont_write_bytecode = True
from dist import COMPLETIONS, ROOT, VENDORED_LICENCE, add_completions, add_program, build, version
from test_dist import needed_versions

PYTHON = ROOT / "python"
LICENCES = ["LICENSE-MIT", "LICENSE-APACHE", VENDORED_LICENCE]
# As python/sgas/export.py asks for them.
ONNX_PACKAGES = ["onnx", "onnxscript"]
# The moment of every entry, so that equal files are equal wheels.
MOMENT = (2020, 1, 1, 0, 0, 0)
# torch's own wheels ask for it; a lower one would promise what no environment can keep.
LEAST_GLIBC = 28


def metadata():
    """What indexes and installers read; the page is docs/python.md."""
    manifest = (ROOT / "Cargo.toml").read_text()
    summary = re.search(r'^description = "(.*)"', manifest, re.M)[1]
    licence = re.search(r'^license = "(.*)"', manifest, re.M)[1]
    lines = ["Metadata-Version: 2.4", "Name: sgas", f"Version: {version()}", f"Summary: {summary}",
             f"License-Expression: {licence}", *(f"License-File: {name}" for name in LICENCES),
             "Classifier: Operating System :: POSIX :: Linux", "Classifier: Programming Language :: Python :: 3",
             "Classifier: Topic :: Scientific/Engineering :: Artificial Intelligence", "Classifier: Typing :: Typed",
             "Requires-Python: >=3.9", "Requires-Dist: torch==2.11.0",
             'Requires-Dist: tomli>=2; python_version < "3.11"', "Provides-Extra: onnx",
             *(f'Requires-Dist: {name}; extra == "onnx"' for name in ONNX_PACKAGES), "Description-Content-Type: text/markdown", ""]
    return "\n".join(lines) + "\n" + (ROOT / "docs" / "python.md").read_text()


def digest(content):
    encoded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={encoded},{len(content)}"


def contents(program, tag):
    """Every file's name in the wheel, its bytes, and whether it is a program."""
    name = f"sgas-{version()}"
    yield "sgas_program.py", (PYTHON / "sgas_program.py").read_bytes(), False
    for file in sorted([*(PYTHON / "sgas").glob("*.py"), PYTHON / "sgas" / "py.typed"]):
        yield f"sgas/{file.name}", file.read_bytes(), False
    yield "sgas/bin/sgas", program.read_bytes(), True
    for shell in sorted(COMPLETIONS.values()):
        yield f"{name}.data/data/share/{shell}", (program.parent / shell).read_bytes(), False
    for licence in LICENCES:
        yield f"{name}.dist-info/licenses/{licence}", (ROOT / licence).read_bytes(), False
    yield f"{name}.dist-info/METADATA", metadata().encode(), False
    wheel = f"Wheel-Version: 1.0\nGenerator: sgas scripts/wheel.py\nRoot-Is-Purelib: false\nTag: {tag}\n"
    yield f"{name}.dist-info/WHEEL", wheel.encode(), False
    yield f"{name}.dist-info/entry_points.txt", b"[console_scripts]\nsgas = sgas_program:main\n", False


def write(wheel, program, tag):
    records = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        def add(name, content, executable):
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            archive.writestr(entry, content)

        for name, content, executable in contents(program, tag):
            add(name, content, executable)
            records.append(f"{name},{digest(content)}\n")
        record = f"sgas-{version()}.dist-info/RECORD"
        add(record, "".join([*records, f"{record},,\n"]).encode(), False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path)
    source = parser.parse_args().program or build()
    with tempfile.TemporaryDirectory(prefix="sgas-wheel-") as folder:
        program = Path(folder) / "sgas"
        add_program(source, program)
        # The whole one, which finds its libtorch, prints them.
        add_completions(source, program.parent)
        glibc, _ = needed_versions([program])
        tag = f"py3-none-manylinux_2_{max(glibc, LEAST_GLIBC)}_x86_64"
        wheel = ROOT / "dist" / f"sgas-{version()}-{tag}.whl"
        wheel.parent.mkdir(exist_ok=True)
        for old in wheel.parent.glob("sgas-*.whl"):
            old.unlink()
        part = wheel.with_suffix(".part")
        write(part, program, tag)
        part.rename(wheel)
    print(f"{wheel}: {wheel.stat().st_size / 1e6:.1f} MB, without libtorch\ninstall it: pip install {wheel}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
