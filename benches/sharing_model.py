#!/usr/bin/env python3
"""A model of the time that a shared step takes, fitted to measured runs of one and of two processes, and what it says of more.

Usage: benches/sharing_model.py [benches/results/sharing.md]        (Python with numpy and scipy)

Reads the table that benches/sharing.py printed. A step of W processes takes

    s*c + n*a + 2*(W-1)/W * B/b

seconds: c the step of one process, s how much slower it computes beside the others of its machine, n sums that each wait
a, and B bytes of gradient at b bytes a second, which a ring sends and receives. s, a and b are fitted to all recipes at
once by least squares of relative errors, none below its least possible value; ranges are those of fits that leave one
recipe out. Then the published table of ResGCN-28 and what the model says of 8, 64 and 512 processes, in Markdown.
"""
import re
import sys
from pathlib import Path

import numpy
from scipy.optimize import lsq_linear

from sharing import RUNS

# What batches weigh, gradient with loss, whether to stop; a search does the first two for the alphas too, and compares
# decisions.
SUMS = {"search": 6, "train": 3}
# GPUs: clouds a second in fp32 and mixed precision (Li et al., SGAS; V100, 4 clouds a GPU).
PUBLISHED = {1: (4.92, 9.01), 2: (9.49, 14.71), 4: (18.63, 24.95), 8: (36.39, 47.67)}
CLOUDS = 4
# Bytes of ResGCN-28's gradient and of a small cell network's, with the seconds of their steps.
NETWORKS = {"ResGCN-28, mixed": (4 * 3_644_301, 0.444), "a cell network of 1 MB": (1 << 20, 0.020)}
# Bytes a second and seconds a hop between machines.
NETWORK = (12.5e9, 5e-6)
BETWEEN_GPUS = 10e9


def measured(path):
    """Of each recipe: its name, sums a step, bytes, seconds of a step of one process and of two."""
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in RUNS and len(cells) > 5:
            command, _, batch, _, _ = RUNS[cells[0]]
            one, two = (float(re.match(r"[\d.]+", cells[place])[0]) / 1000 for place in (3, 5))
            yield cells[0], SUMS[command], int(cells[2]), one * batch, two * 2 * batch


def fitted(rows):
    """s, a, 1/b."""
    # With two processes a ring sends and receives every byte once.
    terms = numpy.array([[c, n, size] for _, n, size, c, _ in rows])
    steps = numpy.array([two for *_, two in rows])
    # In columns of like size.
    scale = numpy.array([1.0, 1e-3, 1e-9])
    found = lsq_linear(terms * scale / steps[:, None], numpy.ones(len(rows)), bounds=([1, 0, 0], numpy.inf))
    return found.x * scale


def in_words(values):
    slower, wait, per_byte = values
    speed = "unlimited" if per_byte < 1e-12 else f"{1e-9 / per_byte:.2f} GB/s"
    return f"s = {slower:.2f}, a = {1000 * wait:.2f} ms, b = {speed}"


def main():
    rows = list(measured(sys.argv[1] if len(sys.argv) > 1 else "benches/results/sharing.md"))
    if len(rows) < 4:
        sys.exit("error: a table of at least four recipes is needed, as benches/sharing.py prints it")
    slower, wait, per_byte = fitted(rows)
    others = numpy.array([fitted(rows[:place] + rows[place + 1:]) for place in range(len(rows))])
    print(f"Fitted: {in_words((slower, wait, per_byte))}. Without one recipe: s {others[:, 0].min():.2f} to "
          f"{others[:, 0].max():.2f}, a {1000 * others[:, 1].min():.2f} to {1000 * others[:, 1].max():.2f} ms, b "
          + " to ".join(f"{1e-9 / value:.2f}" if value > 1e-12 else "unlimited" for value in (others[:, 2].max(), others[:, 2].min()))
          + " GB/s.\n")
    print("| recipe | one process, ms | two, ms | model, ms | of it sums | error |\n|---|---|---|---|---|---|")
    for name, sums, size, one, two in rows:
        sent = sums * wait + size * per_byte
        model = slower * one + sent
        print(f"| {name} | {1000 * one:.1f} | {1000 * two:.1f} | {1000 * model:.1f} | {1000 * sent:.1f} | {100 * (model / two - 1):+.0f} % |")
    size, _ = NETWORKS["ResGCN-28, mixed"]
    print("\n| GPUs | fp32, clouds/s | step, s | more than one | mixed, clouds/s | step, s | more than one | "
          "the gradient's bytes |\n|---|---|---|---|---|---|---|---|")
    for world, speeds in PUBLISHED.items():
        steps = [world * CLOUDS / speed for speed in speeds]
        more = [step - CLOUDS / PUBLISHED[1][place] for place, step in enumerate(steps)]
        sent = 2 * (world - 1) / world * size / BETWEEN_GPUS
        cells = [f"{speeds[place]:.2f} | {steps[place]:.3f} | " + (f"{more[place]:.3f}" if world > 1 else "") for place in (0, 1)]
        print(f"| {world} | {cells[0]} | {cells[1]} | {sent:.4f} s |")
    speed, hop = NETWORK
    print(f"\nBetween machines ({speed / 1e9:.1f} GB/s, {1e6 * hop:.0f} µs a hop, 2·(W − 1) hops a sum), by the formula alone:\n")
    print("| network | step of one | " + " | ".join(f"{world} processes: sum, share that computes" for world in (8, 64, 512)) + " |\n|---|---|---|---|---|")
    for name, (size, step) in NETWORKS.items():
        sums = [2 * (world - 1) * (size / world / speed + hop) for world in (8, 64, 512)]
        print(f"| {name} | {1000 * step:.0f} ms | " + " | ".join(f"{1000 * sum:.1f} ms, {100 * step / (step + sum):.0f} %" for sum in sums) + " |")


if __name__ == "__main__":
    main()
