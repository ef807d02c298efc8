#!/usr/bin/env python3
"""Puts the program with its libtorch into a folder that needs no checkout: Linux, Python 3, cargo and binutils.

    dist.py install PREFIX     bin/sgas, lib/sgas/ with libtorch, completions under share/
    dist.py pack               dist/sgas-<version>-linux-x86_64/ and the same as .tar.gz
    dist.py kit DIR NAME=FILE...   what benches/gpu.sh needs, to run with a torch that is there: the programs bare in DIR
                               (a folder of the checkout), and DIR and the script as dist/sgas-<version>-gpu-kit.tar.xz
With --cuda, what `make setup-cuda` fetched comes too; without it a GPU machine's own torch 2.11 serves by
LD_LIBRARY_PATH.
"""

import argparse
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

# The test stands alone, so that it can go to another machine with a package. Nothing is left beside the scripts.
sys.dont_write_bytecode = True
from test_dist import needed_versions

ROOT = Path(__file__).resolve().parent.parent
LIBTORCH = Path(os.environ.get("LIBTORCH") or ROOT / ".libtorch" / "torch").resolve()
# The system's own, on every machine that can run the program.
SYSTEM = re.compile(r"(ld-linux.*|lib(c|m|dl|rt|pthread|util|gcc_s|stdc\+\+))\.so(\.\d+)*")
CUDA = ["torch/lib/libc10_cuda.so", "torch/lib/libcaffe2_nvrtc.so", "torch/lib/libtorch_cuda*.so",
        "torch/lib/libtorch_nvshmem.so", "nvidia/*/lib/*.so*"]
# `make nccl` builds it.
NCCL = ROOT / "target" / "lib" / "libsgas_nccl.so"
COMPLETIONS = {"bash": "bash-completion/completions/sgas", "zsh": "zsh/site-functions/_sgas",
               "fish": "fish/vendor_completions.d/sgas.fish"}
# Which GCC brought a version of its C++ library, as GCC's manual lists them.
GCC_OF_GLIBCXX = {25: 8, 26: 9, 28: 10, 29: 11, 30: 12, 31: 13, 32: 13, 33: 14, 34: 15}
# Of what draws curves on the pages of `sgas report`.
VENDORED_LICENCE = "src/report/page/vendor/LICENSE-uPlot"
DOCUMENTS = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"]
FOLDERS = ["configs", "docs"]
# What benches/gpu.sh reads of the checkout.
KIT = ["benches/gpu.sh", "benches/gpu_parts.py", "benches/gpu_visit.py", "benches/gpu_micro.py", "benches/compare.py", "benches/memory.py",
       "benches/shapes.json", "benches/reference", "configs"]
# The kit and the checkout travel together where a machine is lent.
LARGEST_KIT = 50 * 2**20
# The programs are the same code five times over: it is found again where one can look back as far as all of them reach.
FAR_SIGHTED = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**28}]
# build.rs writes it; what follows the folders beside the program is the checkout's libtorch.
RUNPATH = re.compile(rb"(\$ORIGIN/\.\./lib:\$ORIGIN/\.\./lib/sgas):([^\0]*)\0")


def fail(problem, hint):
    sys.exit(f"error: {problem}\nhint: {hint}")


def run(command, **settings):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, **settings)
    if result.returncode != 0:
        fail(f"`{' '.join(map(str, command[:5]))} ...` failed", "what it said stands above")
    return result


def build():
    """The program as cargo builds it, and its version."""
    command = ["cargo", "build", "--bin", "sgas", "--message-format=json-render-diagnostics"]
    lines = run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    program = next(message["executable"] for message in map(json.loads, reversed(lines)) if message.get("executable"))
    return Path(program)


def version():
    return re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]


def without_checkout(content):
    """The program's bytes with the folders beside it as its only RUNPATH: the text is cut short where it lies."""
    shortened, count = RUNPATH.subn(lambda match: match[1] + bytes(len(match[2]) + 2), content)
    if count != 1:
        fail(f"the program has {count} RUNPATHs as build.rs writes them, not one", "unset RUSTFLAGS and build again")
    return shortened


def strip(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    run(["strip", "--strip-unneeded", "-o", target, source])
    target.chmod(0o755)


def add_program(source, target):
    strip(source, target)
    target.write_bytes(without_checkout(target.read_bytes()))


def needed_libraries(program):
    """What the program loads from beside libtorch, by the dynamic linker's own account."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    told = run(["ldd", program], stdout=subprocess.PIPE, text=True, env=environment).stdout
    if "not found" in told:
        fail(f"{program} does not find all its libraries:\n{told}", "run `make setup`")
    paths = [Path(path) for path in re.findall(r"=> (/.*) \(0x", told)]
    beside = [path for path in paths if LIBTORCH.parent in path.resolve().parents and not SYSTEM.fullmatch(path.name)]
    if not any(path.name == "libtorch_cpu.so" for path in beside):
        fail(f"{program} does not load libtorch from {LIBTORCH}", "build with the same LIBTORCH")
    return beside


def add_libraries(program, folder, cuda):
    for library in needed_libraries(program):
        strip(library.resolve(), folder / library.name)
    if not cuda:
        if (LIBTORCH / "lib" / "libtorch_cuda.so").exists():
            print("without CUDA; CUDA=1 takes its libraries along (3.3 GB)")
        return
    found = [path for pattern in CUDA for path in LIBTORCH.parent.glob(pattern)] + [NCCL]
    if not any(path.name == "libtorch_cuda.so" for path in found):
        fail(f"there is no libtorch_cuda.so in {LIBTORCH}/lib", "run `make setup-cuda`")
    if not NCCL.is_file():
        fail(f"there is no {NCCL}", "run `make nccl`")
    for path in found:
        if not (folder / path.name).exists():
            shutil.copy(path, folder / path.name)


def add_completions(program, share):
    for shell, name in COMPLETIONS.items():
        target = share / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as file:
            run([program, "completions", shell], stdout=file)
    run([program, "man", share / "man" / "man1"], stdout=subprocess.DEVNULL)


def add_licences(folder):
    """That of what is in the program besides crates, and those of what lies in lib/, where `make setup` left them."""
    (folder / "uPlot").mkdir(parents=True)
    shutil.copy(ROOT / VENDORED_LICENCE, folder / "uPlot" / "LICENSE")
    found = sorted(LIBTORCH.parent.glob("*.dist-info/licenses"))
    for licences in found:
        shutil.copytree(licences, folder / licences.parent.name.removesuffix(".dist-info"))
    if not found:
        print(f"note: no licences lie beside {LIBTORCH}; add libtorch's before you pass this on")


def needs(folder):
    """Of the system's libraries, in words."""
    libraries = [path for path in (folder / "lib").iterdir() if path.is_file()]
    glibc, cxx = needed_versions([folder / "bin" / "sgas", *libraries])
    gcc = GCC_OF_GLIBCXX.get(cxx)
    return f"glibc 2.{glibc} and libstdc++ with GLIBCXX_3.4.{cxx}{f' (of GCC {gcc})' if gcc else ''}, or newer"


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def pages(folder):
    """The manual pages, one by one: others' lie beside them."""
    return [f"share/man/man1/{page.name}" for page in sorted((folder / "share" / "man" / "man1").iterdir())]


def replace(new, old):
    """Puts a file or folder where another may be; programs that run go on with the old one."""
    old.parent.mkdir(parents=True, exist_ok=True)
    if old.is_dir():
        old.rename(new.parent / "old")
    new.rename(old)


def install(prefix, cuda):
    """In a folder of its own below lib/: a libgomp straight in /usr/local/lib would serve every program."""
    prefix = prefix.expanduser().resolve()
    program = build()
    try:
        prefix.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".sgas-", dir=prefix) as name:
            new = Path(name)
            add_program(program, new / "bin" / "sgas")
            add_libraries(program, new / "lib" / "sgas", cuda)
            add_completions(new / "bin" / "sgas", new / "share")
            for part in ["lib/sgas", *(f"share/{file}" for file in COMPLETIONS.values()), *pages(new), "bin/sgas"]:
                replace(new / part, prefix / part)
    except OSError as error:
        fail(f"can't install into {prefix}: {error}", "name a folder that can be written: make install PREFIX=DIR")
    print(f"{prefix}/bin/sgas, with libtorch in {prefix}/lib/sgas ({size(prefix / 'lib' / 'sgas'):.0f} MB)")
    print(f"put {prefix}/bin into PATH, and try: sgas doctor")


def pack(cuda):
    program = build()
    dist = ROOT / "dist"
    folder = dist / f"sgas-{version()}-linux-x86_64{'-cuda' if cuda else ''}"
    shutil.rmtree(folder, ignore_errors=True)
    add_program(program, folder / "bin" / "sgas")
    add_libraries(program, folder / "lib", cuda)
    add_completions(folder / "bin" / "sgas", folder / "share")
    add_licences(folder / "licences")
    for name in DOCUMENTS:
        shutil.copy(ROOT / name, folder / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name)
    archive = folder.with_name(folder.name + ".tar.gz")
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        tar.add(folder, folder.name, filter=of_nobody)
    print(f"{folder}: {size(folder):.0f} MB\n{archive}: {archive.stat().st_size / 1e6:.0f} MB")
    print(f"it runs on Linux x86-64 with {needs(folder)}")


def kit(folder, programs):
    """The programs, and what they read laid out as in the checkout; the archive must stay small enough to be sent."""
    for name, source in programs:
        add_program(source, folder / name)
    name = f"sgas-{version()}-gpu-kit"
    archive = ROOT / "dist" / f"{name}.tar.xz"
    archive.parent.mkdir(exist_ok=True)
    archive.unlink(missing_ok=True)
    part = archive.with_suffix(".part")
    with lzma.open(part, "wb", filters=FAR_SIGHTED) as file, tarfile.open(fileobj=file, mode="w") as tar:
        for path in [*KIT, str(folder.resolve().relative_to(ROOT))]:
            tar.add(ROOT / path, f"{name}/{path}", filter=of_kit)
    listed = run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    checkout = sum((ROOT / path).stat().st_size for path in listed.split("\0") if (ROOT / path).is_file())
    whole = part.stat().st_size + checkout
    if whole > LARGEST_KIT:
        part.unlink()
        fail(f"the kit ({(whole - checkout) / 2**20:.1f} MiB) and the checkout ({checkout / 2**20:.1f} MiB) are more than "
             f"{LARGEST_KIT / 2**20:.0f} MiB together", "take untracked files out of the checkout, or files out of KIT")
    part.rename(archive)
    print(f"{archive}: {(whole - checkout) / 2**20:.1f} MiB; with the checkout {whole / 2**20:.1f} MiB")


def of_kit(entry):
    return None if entry.name.endswith("__pycache__") else of_nobody(entry)


def of_nobody(entry):
    """Owners are of no interest on another machine."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    into = commands.add_parser("install")
    into.add_argument("prefix", type=Path)
    into.add_argument("--cuda", action="store_true")
    commands.add_parser("pack").add_argument("--cuda", action="store_true")
    programs = commands.add_parser("kit")
    programs.add_argument("folder", type=Path)
    programs.add_argument("files", type=Path, nargs="+", metavar="NAME=FILE")
    arguments = parser.parse_args()
    if arguments.command == "install":
        install(arguments.prefix, arguments.cuda)
    elif arguments.command == "pack":
        pack(arguments.cuda)
    else:
        named = [str(file).partition("=") for file in arguments.files]
        kit(arguments.folder, [(name, source) for name, _, source in named])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
