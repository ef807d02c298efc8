#!/usr/bin/env python3
"""Looks at the wheel of `make wheel` by twine and auditwheel, installs it into a fresh virtual environment and does the
whole job there: no Rust, nothing of the checkout.

    test_wheel.py [WHEEL] [--torch-of PYTHON]   PYTHON: another environment's, whose torch 2.11.0 serves; else pip fetches
                                                torch (3 GB with CUDA)
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

sys.dont_write_bytecode = True
from test_dist import ROOT, SMOKE_SEARCH, SMOKE_TRAIN, check

CHECKS = ROOT / "target" / "wheel-checks"
CHECKS_LIST = ROOT / "scripts" / "wheel-checks.txt"
# Of torch, and so of the environment that the wheel is installed into.
OF_TORCH = {"libc10.so", "libgomp.so.1", "libtorch.so", "libtorch_cpu.so"}
FAKE_TORCH = {"2.10.1+cu126": "needs torch 2.11.0, found 2.10.1+cu126", "2.11.0+cpu": "that torch is no whole one"}


def looked_at(wheel):
    """What indexes and installers would refuse."""
    python, made = CHECKS / "bin" / "python", CHECKS / CHECKS_LIST.name
    if not made.is_file() or made.read_bytes() != CHECKS_LIST.read_bytes():
        shutil.rmtree(CHECKS, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", CHECKS], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", CHECKS_LIST]
        subprocess.run(install, check=True, stdin=subprocess.DEVNULL)
        shutil.copy(CHECKS_LIST, made)

    def told(*words):
        result = subprocess.run([python, "-m", *words, wheel], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"})
        check(result.returncode == 0, f"{' '.join(words)}: exit code {result.returncode}")
        return " ".join(result.stdout.split())

    check("PASSED" in told("twine", "check", "--strict"), "twine finds nothing to say")
    shown = told("auditwheel", "show")
    tag = re.search(r"manylinux_2_\d+", wheel.name)[0]
    check(f"{tag}_x86_64" in shown, f"auditwheel finds the versions of symbols of {tag}, as the wheel's name says")
    # It says linux_x86_64 beside, because of what the wheel may not bundle.
    with zipfile.ZipFile(wheel) as archive, tempfile.NamedTemporaryFile() as program:
        bundled = [name for name in archive.namelist() if re.search(r"\.so(\.|$)", name)]
        program.write(archive.read("sgas/bin/sgas"))
        program.flush()
        needed = subprocess.run(["readelf", "-d", program.name], stdout=subprocess.PIPE, text=True, check=True).stdout
    outside = OF_TORCH & set(re.findall(r"NEEDED.*\[(.*)\]", needed))
    check(bundled == [] and "libtorch_cpu.so" in outside, f"not in the wheel, because torch has them: {', '.join(sorted(outside))}")


class Environment:
    """A virtual environment and a home of its own."""

    def __init__(self, folder):
        self.folder, self.home = folder, folder / "home"
        self.python = folder / "venv" / "bin" / "python"
        self.sgas = self.python.with_name("sgas")
        self.home.mkdir()
        self.variables = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}
        # As pip needs them to reach its index.
        self.variables |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "OMP_"))}
        self.call(sys.executable, "-m", "venv", folder / "venv")

    def packages(self):
        return next((self.folder / "venv" / "lib").glob("python3*/site-packages"))

    def call(self, *command, code=0, **variables):
        result = subprocess.run(list(map(str, command)), env=self.variables | variables, cwd=self.home,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if result.returncode != code:
            print(result.stdout + result.stderr, file=sys.stderr)
        words = " ".join(map(str, command)).replace(str(self.folder), "")
        check(result.returncode == code, f"{words[:150]}: exit code {result.returncode}")
        return result

    def install(self, wheel, torch_of):
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        self.call(*pip, *(["--no-deps", wheel] if torch_of else [f"{wheel}[onnx]", "onnxruntime"]))


def other_torches_are_told(environment):
    """Before there is a right one: none, another release, half of one."""
    told = environment.call(environment.sgas, "doctor", code=2).stderr
    check(told.count("\n") == 2 and "there is no torch" in told, "without torch: one sentence and a hint")
    torch = environment.packages() / "torch"
    for version, expected in FAKE_TORCH.items():
        torch.mkdir()
        (torch / "__init__.py").write_text("raise SystemExit('torch was imported')\n")
        (torch / "version.py").write_text(f"__version__ = '{version}'\n")
        told = environment.call(environment.sgas, "doctor", code=2).stderr
        check(told.count("\n") == 2 and expected in told, f"torch {version}: one sentence and a hint")
        shutil.rmtree(torch)


def packages_of(python):
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(subprocess.run([python, "-c", ask], stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


def a_build_with_cuda_needs_two_packages_of_nvidia(environment, other):
    """Of fifteen. Without them: a sentence that names the first."""
    if not re.search(r"^cuda[^=]*= '", (other / "torch" / "version.py").read_text(), re.M):
        print("   that torch is the CPU build: it needs no package of NVIDIA")
        return
    ours = environment.packages()
    (ours / "torch").symlink_to(other / "torch")
    told = environment.call(environment.sgas, "doctor", code=2).stderr
    check(told.count("\n") == 2 and "libcudart.so" in told, "torch with CUDA without packages of NVIDIA: one sentence and a hint")
    for library in ("libcudart.so.*", "libcupti.so.*"):
        for file in other.glob(f"nvidia/*/lib/{library}"):
            place = ours / file.relative_to(other)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(file)
    environment.call(environment.sgas, "search", *SMOKE_SEARCH, "--device", "cpu", "--save", "by-two-packages.json")
    check((environment.home / "by-two-packages.json").is_file(), "torch with CUDA and two packages of NVIDIA: a search")
    (ours / "torch").unlink()
    shutil.rmtree(ours / "nvidia")


def use_torch_of(environment, other):
    """The packages of another environment behind our own."""
    (environment.packages() / "torch-of-another.pth").write_text(f"{other}\n")


def the_commands(environment, begin):
    run = lambda *words: environment.call(environment.sgas, *words).stdout
    report = json.loads(run("doctor", "--json"))
    libraries = [path for path in report["libtorch"]["libraries"] if "libtorch_cpu" in path]
    check(len(libraries) == 1 and "site-packages/torch/lib/" in libraries[0], "doctor sees this environment's libtorch")
    searched = time.monotonic()
    run("search", *SMOKE_SEARCH, "--save", "cell.json")
    now = time.monotonic()
    print(f"   a first cell after {now - searched:.0f} s of search, {now - begin:.0f} s after nothing was there")
    run("train", "--genotype", "cell.json", *SMOKE_TRAIN, "--out", "run")
    accuracy = json.loads(run("eval", "--run", "run", "--json"))["overall_accuracy"]
    check(0 <= accuracy <= 1, f"search, train and eval on synthetic shapes: overall accuracy {accuracy:.3f}")
    run("data", "synth", "shapes", "--format", "ply", "--train", "10", "--test", "10", "--points", "64")
    run("predict", "--run", "run", "--input", "shapes", "--output", "predicted.json")
    check(len(json.loads((environment.home / "predicted.json").read_text())["predictions"]) == 20, "predict 20 files")
    run("export", "--run", "run", "--format", "torch", "--output", "network.pt")
    card = (environment.home / "README.md").read_text()
    check("| test | overall_accuracy |" in card, "export by the Python that the wheel is in, with a model card")


def the_package(environment):
    told = environment.call(environment.python, "-c", "import sgas, torch; n = sgas.load('run'); "
                            "print(sgas.__file__, tuple(n(torch.rand(2, 64, 3)).shape), len(sgas.events('run')))").stdout
    check("site-packages/sgas/__init__.py (2, 10)" in told, "the run's network in Python, from the wheel")
    # The tests alone, away from the checkout's package and program.
    for part in ["python/tests", "tests/fixtures/golden", "tests/fixtures/runs-0.1.0", "docs"]:
        shutil.copytree(ROOT / part, environment.home / "checkout" / part, ignore=shutil.ignore_patterns("__pycache__"))
    tests = environment.home / "checkout" / "python" / "tests"
    told = environment.call(environment.python, "-m", "unittest", "discover", "-s", tests, SGAS=str(environment.sgas))
    print(told.stderr.strip().splitlines()[-3])
    # The console script's own tests need the checkout; those of ONNX its packages, which TORCH_OF may not have.
    print("   " + told.stderr.splitlines()[-1])
    check(told.stderr.splitlines()[-1].startswith("OK"), "the Python tests pass with the installed wheel")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, nargs="?")
    parser.add_argument("--torch-of", type=Path)
    arguments = parser.parse_args()
    wheels = [arguments.wheel] if arguments.wheel else sorted((ROOT / "dist").glob("sgas-*.whl"))
    if len(wheels) != 1:
        sys.exit(f"error: expected one wheel in {ROOT / 'dist'}, found {len(wheels)}\nhint: make wheel")
    looked_at(wheels[0])
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sgas-test-wheel-") as name:
        environment = Environment(Path(name).resolve())
        if arguments.torch_of:
            other = packages_of(arguments.torch_of)
            environment.install(wheels[0].resolve(), True)
            installed = time.monotonic()
            other_torches_are_told(environment)
            a_build_with_cuda_needs_two_packages_of_nvidia(environment, other)
            use_torch_of(environment, other)
            # What was looked at meanwhile is no part of it.
            begin += time.monotonic() - installed
        else:
            environment.install(wheels[0].resolve(), False)
        print(f"   installed after {time.monotonic() - begin:.0f} s{', without torch' if arguments.torch_of else ''}")
        the_commands(environment, begin)
        the_package(environment)
    print("the wheel does the whole job")


if __name__ == "__main__":
    main()
