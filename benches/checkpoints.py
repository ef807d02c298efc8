#!/usr/bin/env python3
"""What a checkpoint costs, and how long a run takes from SIGTERM to its end, for every task at its own size.

Usage: benches/checkpoints.py [--sgas target/debug/sgas] [--threads 2] [NAME ...]

Each run is the task's own configuration on synthetic data of its size of samples, keeps its state after every step, and
gets SIGTERM after a few. Prints a table in Markdown. Speeds are of this machine; nothing else should run beside it.
"""
import argparse
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# name: command, configuration, more. Sets are small: only steps are looked at.
RUNS = {
    "ModelNet10 search": ("search", "modelnet10", []),
    "ModelNet40 search": ("search", "modelnet40", []),
    "CIFAR-10 search": ("search", "cifar10", []),
    "CIFAR-100 search": ("search", "cifar100", []),
    "ImageNet search, batch 8": ("search", "imagenet", ["--batch", "8"]),
    "PPI search": ("search", "ppi", []),
    "S3DIS search": ("search", "s3dis", []),
    "ShapeNetPart search": ("search", "shapenetpart", []),
    "ModelNet10 train": ("train", "modelnet10", ["--genotype", "Cri2_ModelNet_Best"]),
    "ModelNet40 train": ("train", "modelnet40", ["--genotype", "Cri2_ModelNet_Best"]),
    "CIFAR-10 train": ("train", "cifar10", ["--genotype", "Cri1_CIFAR_Best"]),
    "CIFAR-100 train": ("train", "cifar100", ["--genotype", "Cri1_CIFAR_Best"]),
    "ImageNet train, batch 8": ("train", "imagenet", ["--genotype", "Cri1_CIFAR_Best", "--batch", "8"]),
    "PPI train": ("train", "ppi", ["--genotype", "Cri2_PPI_Best"]),
    "S3DIS train (ResGCN-28)": ("train", "s3dis", ["--model", "resgcn"]),
    "ShapeNetPart train (ResGCN-28)": ("train", "shapenetpart", ["--model", "resgcn"]),
}
KEPT = re.compile(r"state kept: (\d+) bytes in ([\d.]+) s")
PROBED = re.compile(r"state probed: a loss of \S+ in ([\d.]+) s")
# Of the configuration's default: checkpoint.minutes.
INTERVAL = 600.0


def measure(sgas: str, threads: int, name: str, wanted: int):
    command, config, more = RUNS[name]
    with tempfile.TemporaryDirectory() as folder:
        words = [sgas, command, "-v", "--config", config, "--data", "synthetic", "--device", "cpu", "--threads", str(threads)]
        words += ["--set", "checkpoint.steps=1", "--out", str(Path(folder) / "run"), *more]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        kept, at, steps, probed = [], time.monotonic(), [], 0.0
        for line in process.stderr:
            if found := PROBED.search(line):
                probed = float(found[1])
            found = KEPT.search(line)
            if not found:
                if "error" in line:
                    print(line, file=sys.stderr)
                continue
            now = time.monotonic()
            kept.append((int(found[1]), float(found[2]) + probed))
            steps.append(now - at - float(found[2]) - probed)
            at = now
            # The first one is the beginning's.
            if len(kept) == wanted + 1:
                break
        # In the middle of the next step.
        step = statistics.median(steps[1:])
        time.sleep(step / 2)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        process.wait()
        return kept[1:], step, time.monotonic() - begun, process.returncode, rest


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sgas", default="target/debug/sgas")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kept", type=int, default=3)
    parser.add_argument("names", nargs="*", default=list(RUNS))
    asked = parser.parse_args()
    print("| run | a step, s | state, MB | looked at and kept in, s (least to most) | share of ten minutes | SIGTERM to exit, s |")
    print("|---|---|---|---|---|---|")
    for name in asked.names:
        kept, step, ended, code, rest = measure(asked.sgas, asked.threads, name, asked.kept)
        if code != 143:
            sys.exit(f"{name}: exit code {code}\n{rest}")
        seconds = [second for _, second in kept]
        print(
            f"| {name} | {step:.2f} | {kept[-1][0] / 1e6:.1f} | {statistics.median(seconds):.3f}"
            f" ({min(seconds):.3f} to {max(seconds):.3f}) | {100 * statistics.median(seconds) / INTERVAL:.4f} % | {ended:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
