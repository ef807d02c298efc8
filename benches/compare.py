#!/usr/bin/env python3
"""Our step beside the published code's, run in turn on one machine with the same threads; one Markdown file a shape.

    compare.py --sgas DIR [--python PYTHON] [--ours BINARY] [--rounds N] [--repeats N] ... [SHAPE ...]
    compare.py --deep-gcns DIR ... resgcn28-train

SHAPE is a name in `benches/shapes.json`; without any, a search step and a training step of points, of images and of
graphs, of the size of a CPU. DIR is a checkout of https://github.com/lightaime/sgas, for a ResGCN of
https://github.com/lightaime/deep_gcns_torch, PYTHON one with torch, numpy,
sklearn and, for graphs, torch_geometric. Without --ours, cargo builds `benches/steps` in the profile of the program.
A round is one process of ours, then one of theirs; each times its steps after a warm-up, and the ratio of a round is
that of its two sums of medians. Both processes get the same OMP_NUM_THREADS and GOMP_SPINCOUNT. Needs nothing but
Python's own library.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = Path("benches/reference/time_published.py")
SHAPES = json.loads((ROOT / "benches" / "shapes.json").read_text())
DEFAULT_SHAPES = ["modelnet10-search", "modelnet40-small-train", "cifar10-search", "cifar10-train", "ppi-search",
                  "ppi-train"]
SIZES = ["batch", "points", "k", "pixels", "nodes", "links", "features", "blocks", "cells", "channels", "classes"]
SAMPLES = {"point": "points", "image": "images", "graph": "graphs", "resgcn": "points"}
# Turns that a waiting thread spins: what the program sets (src/threads.rs).
SPIN_COUNT = 1000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=f"of {', '.join(SHAPES)}; default: {' '.join(DEFAULT_SHAPES)}")
    parser.add_argument("--sgas", type=Path, help="checkout of the published code")
    parser.add_argument("--deep-gcns", type=Path, help="checkout of the published code of ResGCN")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch, numpy, sklearn, torch_geometric")
    parser.add_argument("--ours", type=Path, help="a built benches/steps")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32",
                        help="training: bf16 on a CPU, fp16 on CUDA, as the published script's --amp")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--spin-count", type=int, default=SPIN_COUNT,
                        help=f"GOMP_SPINCOUNT of both; default {SPIN_COUNT}, libgomp's own is 300000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=ROOT / "benches" / "results",
                        help="folder for SHAPE-vs-published.md; default: benches/results")
    for name in SIZES:
        parser.add_argument(f"--{name}", type=int, help="default: the shape's")
    args = parser.parse_args()
    args.shapes = args.shapes or DEFAULT_SHAPES
    for shape in args.shapes:
        check_shape(parser, args, shape)
    if min(args.rounds, args.repeats, args.threads) < 1 or args.warmup < 0:
        parser.error("--rounds, --repeats and --threads are at least 1, --warmup at least 0")
    # The processes run in the checkout; a link to Python must stay one, or it loses its environment.
    if os.sep in args.python:
        args.python = os.path.abspath(args.python)
    return args


def check_shape(parser, args, shape):
    if shape not in SHAPES:
        parser.error(f"{shape}: no shape; there are {', '.join(SHAPES)}")
    half = "fp16" if args.device == "cuda" else "bf16"
    mixed = (SHAPES[shape]["space"], SHAPES[shape]["what"]) in (("point", "train"), ("resgcn", "train"))
    flag, folder = checkout(args, shape)
    if folder is None or not folder.is_dir():
        parser.error(f"{shape} needs {flag} DIR" if folder is None else f"{flag} {folder}: no folder")
    if args.precision not in (["fp32", half] if mixed else ["fp32"]):
        parser.error(f"--precision {args.precision}: the published script has none for {shape} on {args.device}")
    for name in SIZES:
        if getattr(args, name) is not None and name not in SHAPES[shape]:
            parser.error(f"--{name}: {shape} has no such size")


def checkout(args, shape):
    """The flag and the folder of the published code of a shape."""
    of_resgcn = SHAPES[shape]["space"] == "resgcn"
    return ("--deep-gcns", args.deep_gcns) if of_resgcn else ("--sgas", args.sgas)


def build():
    """The bench's binary, by cargo."""
    command = ["cargo", "bench", "--profile", "dev", "--bench", "steps", "--no-run",
               "--message-format=json-render-diagnostics"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    built = [message["executable"] for message in map(json.loads, lines)
             if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "steps"]
    return Path(built[-1])


def flags(args):
    """What both sides are told in the same words."""
    sizes = [(name, getattr(args, name)) for name in SIZES]
    told = [("device", args.device), ("threads", args.threads), ("warmup", args.warmup), ("repeats", args.repeats)]
    return [word for name, value in told + sizes if value is not None for word in (f"--{name}", str(value))]


def commands(args, shape):
    """For each side its words after the program."""
    amp = [] if args.precision == "fp32" else ["--amp"]
    return {
        "ours": [shape, *flags(args), "--precision", args.precision, "--json"],
        "published": [shape, *flags(args), *amp],
    }


def environment(args):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_", "MKL_"))}
    return {**kept, "OMP_NUM_THREADS": str(args.threads), "GOMP_SPINCOUNT": str(args.spin_count)}


def run(program, words, env):
    load = os.getloadavg()[0]
    done = subprocess.run([*program, *words], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, program))} ended with exit code {done.returncode}")
    return {**json.loads(done.stdout), "load": load}


def whole_step(result):
    """Seconds of all parts of a step together."""
    return sum(part["median"] for part in result["seconds"].values())


def measure(args, shape, ours):
    flag, folder = checkout(args, shape)
    programs = {"ours": [ours], "published": [args.python, PUBLISHED, flag, folder.resolve()]}
    env = environment(args)
    rounds = []
    for number in range(args.rounds):
        rounds.append({side: run(programs[side], words, env) for side, words in commands(args, shape).items()})
        ours, published = (whole_step(rounds[-1][side]) for side in ("ours", "published"))
        print(f"{shape}, round {number + 1} of {args.rounds}: {ours:.3f} s beside {published:.3f} s, {published / ours:.2f} x",
              file=sys.stderr)
    return rounds


def first_line(command, cwd=ROOT):
    """What a command says first; nothing where it says nothing or is not there."""
    try:
        text = subprocess.run(command, cwd=cwd, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""
    return text.partition("\n")[0]


def commit(folder):
    head = first_line(["git", "rev-parse", "--short=12", "HEAD"], folder)
    changed = first_line(["git", "status", "--porcelain", "--untracked-files=no"], folder)
    return (head or "unknown") + (" with changes" if changed else "")


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine())


def memory_size():
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def spread(values, digits=3):
    """Median (least to most)."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def parts_table(rounds):
    """Per part of a step: seconds of both, and the ratio of every round."""
    rows = ["| | ours, s | published, s | published / ours |", "|---|---|---|---|"]

    def row(name, seconds):
        ours, published = ([seconds(round_[side]) for round_ in rounds] for side in ("ours", "published"))
        ratios = [theirs / own for own, theirs in zip(ours, published)]
        rows.append(f"| {name} | {spread(ours)} | {spread(published)} | {spread(ratios, 2)} |")

    parts = list(rounds[0]["ours"]["seconds"])
    for part in parts:
        row(part.replace("_", " "), lambda result: result["seconds"][part]["median"])
    if len(parts) > 1:
        row("**whole step**", whole_step)
    return rows


def memory_table(rounds):
    rows = ["| | ours, MiB | published, MiB | published / ours |", "|---|---|---|---|"]
    for key, name in [("peak_memory_bytes", "peak of the process"), ("peak_device_bytes", "peak on the device")]:
        if key in rounds[0]["ours"]:
            ours, published = ([round_[side][key] / 2**20 for round_ in rounds] for side in ("ours", "published"))
            ratios = [theirs / own for own, theirs in zip(ours, published)]
            rows.append(f"| {name} | {spread(ours, 0)} | {spread(published, 0)} | {spread(ratios, 2)} |")
    return rows


def rounds_table(rounds):
    """Every round, with the spread of the steps inside its processes and the load when each began."""
    rows = ["| round | code | part | median, s | least | most | load |", "|---|---|---|---|---|---|---|"]
    for number, round_ in enumerate(rounds, 1):
        for side, result in round_.items():
            for part, times in result["seconds"].items():
                numbers = " | ".join(f"{times[key]:.3f}" for key in ("median", "min", "max"))
                rows.append(f"| {number} | {side} | {part.replace('_', ' ')} | {numbers} | {result['load']:.2f} |")
    return rows


def condition_lines(args, shape, rounds):
    ours, published = rounds[0]["ours"], rounds[0]["published"]
    device = f"{processor()}, {os.cpu_count()} cores, {memory_size()}; Linux {platform.release()}"
    if args.device == "cuda":
        driver = first_line(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"])
        device += f"; {published['device_name']}, driver {driver or 'unknown'}"
    sizes = ", ".join(f"{name.replace('_', ' ')} {ours[name]}" for name in SHAPES[shape])
    told = {side: " ".join(words) for side, words in commands(args, shape).items()}
    return [
        f"- machine: {device}",
        f"- date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"- shape: {shape}: {sizes}; {args.precision}; random {SAMPLES[ours['space']]}",
        f"- threads: {ours['threads']} and {published['threads']}; both under `OMP_NUM_THREADS={args.threads} "
        f"GOMP_SPINCOUNT={args.spin_count}`",
        f"- ours: {ours['code']}, commit {commit(ROOT)}, libtorch {ours['torch']}, {ours['parameters']} parameters: "
        f"`steps {told['ours']}`",
        f"- published: {published['code']}, commit {commit(checkout(args, shape)[1])}, torch {published['torch']}, {published['parameters']} parameters: "
        f"`time_published.py {told['published']}`",
        f"- {args.rounds} rounds, in each a process of ours and then one of theirs: {args.warmup} steps of warm-up, "
        f"{args.repeats} that count",
    ]


def report(args, shape, rounds):
    load = max(result["load"] for round_ in rounds for result in round_.values())
    # One process of ours leaves a load of up to its threads to the one after it.
    busy = load > args.threads + 0.5
    lines = [f"# A step of {shape} beside the published code", *condition_lines(args, shape, rounds), ""]
    if busy:
        lines += [f"**The machine was busy with other work (load average up to {load:.1f}): trust no number here.**", ""]
    lines += ["Times are the medians of the rounds' medians (least to most of them); a ratio is taken inside a round.", ""]
    lines += parts_table(rounds)
    lines += ["", "Peak memory counts the whole process with its libraries, and Python's with the interpreter.", ""]
    lines += memory_table(rounds) + ["", "## Every round"] + rounds_table(rounds)
    return "\n".join(lines) + "\n"


def write(path, text):
    """All of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def main():
    args = arguments()
    ours = args.ours.resolve() if args.ours else build()
    kind = "".join(f"-{word}" for word in (args.device, args.precision) if word not in ("cpu", "fp32"))
    for shape in args.shapes:
        text = report(args, shape, measure(args, shape, ours))
        path = args.out / f"{shape}-vs-published{kind}.md"
        write(path, text)
        print(text, end="")
        print(f"written to {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
