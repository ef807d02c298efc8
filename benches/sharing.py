#!/usr/bin/env python3
"""What processes that share a run cost: seconds per sample of one process with one thread and with two, and of two
processes with one thread each, with norms of their own and synchronised.

Usage: benches/sharing.py [--sgas target/debug/sgas] [--rounds 3] [NAME ...]

Runs on synthetic data, each way in turn and all of it in rounds; medians of the second and later epochs, without the
passes over validation data. Two processes make steps of twice the batch. Nothing else should run beside it. Prints a
table in Markdown, with the bytes of the weights' gradient and loss, which a step sums over processes. A sample is a
cloud, an image, a graph.
"""
import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

POINTS = ["--set", "data.points=512", "--set", "model.channels=16"]
# name: command, configuration, batch, batches of an epoch, more
RUNS = {
    "points, search": ("search", "smoke/search-points", 4, 8, POINTS),
    "images, search": ("search", "smoke/search-images", 8, 8, ["--set", "model.channels=8"]),
    "graphs, search": ("search", "smoke/search-graphs", 1, 16, ["--set", "model.channels=32"]),
    "points, train": ("train", "smoke/train-points", 4, 16, ["--genotype", "Cri2_ModelNet_1", *POINTS]),
    "images, train": ("train", "smoke/train-images", 16, 16, ["--genotype", "Cri1_CIFAR_1", "--set", "model.channels=16"]),
    "graphs, train": ("train", "smoke/train-graphs", 1, 32, ["--genotype", "Cri2_PPI_2", "--set", "model.channels=64"]),
    "labelled clouds, train (ResGCN)": ("train", "smoke/train-segmentation", 2, 16,
                                        ["--model", "resgcn", "--set", "data.points=1024"]),
}
# name: processes, threads of each, more
WAYS = {
    "one process": (1, 1, []),
    "one process, two threads": (1, 2, []),
    "two processes": (2, 1, []),
    "two processes, synchronised norms": (2, 1, ["--sync-batch-norm"]),
}
EPOCHS = 3


def seconds_per_sample(sgas, run, way, folder):
    command, config, batch, batches, more = run
    world, threads, flags = way
    words = [command, "-q", "--config", config, "--data", "synthetic", "--device", "cpu", "--threads", str(threads)]
    # Half of what there is may be held out for the alphas.
    train = batch * batches * (2 if command == "search" else 1)
    key = "search.batch_growth=0" if command == "search" else "train.drop_path=0"
    words += ["--set", f"data.synthetic.train={train}", "--set", "data.synthetic.test=10", "--set", key]
    words += ["--set", f"{command}.epochs={EPOCHS}", "--batch", str(batch), "--out", str(folder), *more, *flags]
    begin = [sgas] if world == 1 else [sgas, "launch", "--nproc", str(world), "--"]
    ended = subprocess.run(begin + words, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(begin + words)}\n{ended.stderr}")
    with open(folder / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    times = [float(row["seconds"]) - float(row["validation_seconds"] or 0) for row in rows[1:]]
    return statistics.median(times) / (batch * batches), int(rows[-1]["parameters"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sgas", default="target/debug/sgas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = options.names or list(RUNS)
    print("| recipe | weights | bytes a step | ms per sample: " + " | ".join(WAYS) + " | two threads | two processes | "
          "synchronised |\n|---|---|---|" + "---|" * (len(WAYS) + 3))
    for name in names:
        found = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way in WAYS:
                with tempfile.TemporaryDirectory() as folder:
                    seconds, parameters = seconds_per_sample(options.sgas, RUNS[name], WAYS[way], Path(folder) / "run")
                found[way].append(seconds)
        ratios = {way: [one / other for one, other in zip(found["one process"], found[way])] for way in WAYS}
        cells = [f"{1000 * statistics.median(times):.2f} ({1000 * min(times):.2f} to {1000 * max(times):.2f})" for times in found.values()]
        speeds = [f"{statistics.median(ratios[way]):.2f}" for way in list(WAYS)[1:]]
        print(f"| {name} | {parameters} | {4 * (parameters + 1)} | " + " | ".join(cells) + " | " + " | ".join(speeds) + " |", flush=True)


if __name__ == "__main__":
    main()
