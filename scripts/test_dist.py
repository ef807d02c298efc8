#!/usr/bin/env python3
"""Unpacks a package of `make dist` into a folder of its own and does the whole job there, in an empty environment.

    test_dist.py [ARCHIVE [CHECKOUT]]   CHECKOUT: the folder from which nothing may be loaded; it need not be there

Nothing but the package is read, so this script and the archive alone will do. A minute; no network.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SMOKE_SEARCH = ["--config", "smoke/search-points", "--data", "synthetic"]
SMOKE_TRAIN = ["--config", "smoke/train-points", "--data", "synthetic"]
PATIENCE = 300


def check(holds, what):
    print(f"{'ok' if holds else 'FAILED'}: {what}", flush=True)
    if not holds:
        sys.exit(1)


def needed_versions(files):
    """The newest glibc and the newest libstdc++ whose symbols these files ask for, by the names in their tables."""
    contents = [file.read_bytes() for file in files]
    return tuple(max(int(number) for content in contents for number in re.findall(pattern, content))
                 for pattern in (rb"\0GLIBC_2\.(\d+)(?=\0)", rb"\0GLIBCXX_3\.4\.(\d+)(?=\0)"))


class Package:
    """The unpacked package and a home of its own; commands see nothing of this machine but /usr/bin and /bin."""

    def __init__(self, folder, checkout):
        self.folder, self.checkout = folder, checkout
        self.program = folder / "bin" / "sgas"
        self.home = folder.parent / "home"
        self.home.mkdir()
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.home)}

    def run(self, *words, code=0, **variables):
        command = [self.program, *words]
        result = subprocess.run(command, env=self.environment | variables, cwd=self.home, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        check(result.returncode == code, f"sgas {' '.join(map(str, words))}: exit code {result.returncode}")
        return result.stdout

    def foreign(self, paths):
        """Those in the checkout, or of libtorch and not in the package."""
        known = ("libtorch", "libc10", "libgomp", "libcu")
        strange = [path for path in paths if path.name.startswith(known) and self.folder not in path.parents]
        return strange + [path for path in paths if self.checkout in path.parents]


def files_are_the_package_s_own(package):
    content = package.program.read_bytes()
    check(b"$ORIGIN/../lib:$ORIGIN/../lib/sgas\0" in content, "the program looks for libtorch beside itself")
    # libtorch's messages name the header in which they stand; nothing opens it.
    known = re.findall(re.escape(os.fsencode(package.checkout)) + rb"/[^\0]*", content)
    check(all(b"/include/" in text for text in known), "the program knows nothing of the checkout but headers' names")
    told = subprocess.run(["ldd", package.program], env=package.environment, stdout=subprocess.PIPE, text=True).stdout
    paths = [Path(path) for path in re.findall(r"=> (/.*) \(0x", told)]
    check("not found" not in told and package.foreign(paths) == [], "ldd finds every library, libtorch's in the package")
    for name in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "configs/search/modelnet40.toml",
                 "share/bash-completion/completions/sgas"]:
        check((package.folder / name).is_file(), f"{name} is there")


def needs_no_more_than_is_said(package):
    """Of the system's libraries; a package of a newer system than that of docs/clusters.md may need more."""
    files = [package.program, *(package.folder / "lib").glob("*.so*")]
    page = (package.folder / "docs" / "clusters.md").read_text()
    stated = int(re.search(r"asks for glibc 2\.(\d+)", page)[1])
    glibc, cxx = needed_versions(files)
    check(glibc <= stated, f"it needs glibc 2.{glibc}; docs/clusters.md says 2.{stated}")
    stated = int(re.search(r"GLIBCXX_3\.4\.(\d+)", page)[1])
    check(cxx <= stated, f"it needs GLIBCXX_3.4.{cxx}; docs/clusters.md says 3.4.{stated}")


def doctor_is_content(package):
    report = json.loads(package.run("doctor", "--json"))
    libraries = [Path(path) for path in report["libtorch"]["libraries"]]
    check(any(path.name == "libtorch_cpu.so" for path in libraries) and package.foreign(libraries) == [],
          "doctor sees the package's libtorch loaded")
    check(report["checks"] and all(one["failure"] is None for one in report["checks"]), "doctor's computations are right")


def another_torch_wins(package):
    """A GPU machine's torch is another folder; here it is the same libraries under another name."""
    other = package.folder.parent / "torch" / "lib"
    other.mkdir(parents=True)
    for library in (package.folder / "lib").glob("*.so*"):
        os.link(library, other / library.name)
    report = json.loads(package.run("doctor", "--json", LD_LIBRARY_PATH=str(other)))
    strange = [path for path in report["libtorch"]["libraries"] if Path(path).parent != other]
    check(strange == [], "LD_LIBRARY_PATH puts another libtorch first")


def maps_of_a_run(package):
    """What a search has mapped while it runs."""
    command = [package.program, "search", *SMOKE_SEARCH, "--out", "watched"]
    process = subprocess.Popen(command, env=package.environment, cwd=package.home, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    mapped = set()
    while process.poll() is None:
        # A process that ends meanwhile has no map.
        try:
            lines = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
        except OSError:
            break
        mapped |= {Path(line[line.index("/"):]) for line in lines if "/" in line}
        time.sleep(0.2)
    check(process.wait() == 0 and any(path.name == "libtorch_cpu.so" for path in mapped), "a search runs")
    check(package.foreign(mapped) == [], "nothing that it maps lies in the checkout or in another libtorch")


def the_three_commands(package):
    package.run("search", *SMOKE_SEARCH, "--save", "cell.json")
    package.run("train", "--genotype", "cell.json", *SMOKE_TRAIN)
    accuracy = json.loads(package.run("eval", "--json"))["overall_accuracy"]
    check(0 <= accuracy <= 1, f"search, train and eval on synthetic shapes: overall accuracy {accuracy:.3f}")


def job_script(package):
    """The batch script of docs/clusters.md at the smoke sizes, without a GPU; its folders are those of the test."""
    script = re.search(r"```bash\n(#!/bin/bash\n.*?)```", (package.folder / "docs" / "clusters.md").read_text(), re.S)[1]
    changes = [(r"^sgas=\S+", f"sgas={package.program}"), (r"^runs=\S+", f"runs={package.home}/job"),
               (r"^export LD_LIBRARY_PATH=.*$", ""), ("doctor --device cuda", "doctor"),
               (r"(run search .*)--task modelnet40 --amp", rf"\1{' '.join(SMOKE_SEARCH)} --set search.epochs=12"),
               (r"(run train .*)--amp", rf"\1{' '.join(SMOKE_TRAIN)}")]
    for pattern, text in changes:
        script, count = re.subn(pattern, text, script, flags=re.M)
        check(count == 1, f"the batch script has {pattern}")
    path = package.home / "job.sh"
    path.write_text(script)
    return path


def scheduler(package):
    """An `scontrol` that only notes what it was asked."""
    folder = package.home / "bin"
    folder.mkdir()
    (folder / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {package.home}/scontrol.log\n')
    (folder / "scontrol").chmod(0o755)
    return folder


def begin_job(package, script):
    environment = package.environment | {"PATH": f"{package.home}/bin:/usr/bin:/bin", "SLURM_JOB_ID": "7"}
    return subprocess.Popen(["bash", script], env=environment, cwd=package.home, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def a_job_is_requeued_and_goes_on(package):
    script = job_script(package)
    scheduler(package)
    job = begin_job(package, script)
    state = package.home / "job" / "search" / "checkpoint" / "state.safetensors"
    deadline = time.monotonic() + PATIENCE
    while not state.exists() and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(job.pid, signal.SIGUSR1)
    check(job.wait() != 0, "a job whose time is up ends")
    # What the scheduler does to a job that is requeued.
    os.killpg(job.pid, signal.SIGKILL)
    job.stdout.close()
    check((package.home / "scontrol.log").read_text() == "requeue 7\n", "it asked to be queued again")
    again = begin_job(package, script)
    told = again.communicate(timeout=PATIENCE)[0]
    check(again.returncode == 0 and "overall accuracy" in told, "queued again, it goes on to the evaluation")
    events = (package.home / "job" / "search" / "events.jsonl").read_text().splitlines()
    begun = [json.loads(line)["epoch"] for line in events if '"started"' in line]
    check(len(begun) == 2 and begun[1] > 0, f"its search began at epochs {begun}")


def main():
    archive = Path(sys.argv[1]) if len(sys.argv) > 1 else newest()
    checkout = Path(sys.argv[2] if len(sys.argv) > 2 else ROOT).resolve()
    with tempfile.TemporaryDirectory(prefix="sgas-dist-") as name:
        with tarfile.open(archive) as tar:
            tar.extractall(name)
        package = Package(next(Path(name).resolve().iterdir()), checkout)
        files_are_the_package_s_own(package)
        needs_no_more_than_is_said(package)
        doctor_is_content(package)
        another_torch_wins(package)
        maps_of_a_run(package)
        the_three_commands(package)
        a_job_is_requeued_and_goes_on(package)


def newest():
    archives = sorted((ROOT / "dist").glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
    if not archives:
        sys.exit("error: there is no package\nhint: make dist")
    return archives[-1]


if __name__ == "__main__":
    main()
