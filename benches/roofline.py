#!/usr/bin/env python3
"""How far whole steps are from what this machine allows: one Markdown table, benches/results/roofline.md.

    roofline.py [--rounds N] [--threads N] [SHAPE ...]
    roofline.py --sgas DIR [--deep-gcns DIR] [--python PYTHON] ...      the published code too, plain and by torch.compile

SHAPE is a name in `benches/shapes.json`. What is counted and what the bound means stands below the table (LEGEND).
"""

import argparse
import datetime
import os
import statistics
import sys
from pathlib import Path

import compare

LEGEND = """
A step can't be faster than its multiply-adds by the peak of a product of 2048 x 2048 matrices, nor than its bytes by the
peak of a copy of 256 MiB, both measured by libtorch with the same threads; the bound is the greater of the two.
Multiply-adds are those of libtorch's products and convolutions in a step by plain operators. Bytes that must move: what the
step holds besides weights and optimizer at its peak, written by the forward pass and read by the backward pass, and of every
weight what a step reads and writes of it, of its gradient and of the optimizer's memory. The bound is no promise: what stays
in caches need not move, small products never reach the peak of large ones, and selections, norms and sums that are no
products are free in it.
"""

# Reads and writes of a weight in a step: in both passes; its gradient twice; by the optimizer, with the memory that it
# has for each: SGD's momentum, or Adam's two moments.
TOUCHED = {"sgd": 2 + 2 + 2 + 2, "adam": 2 + 2 + 2 + 4}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE")
    parser.add_argument("--sgas", type=Path)
    parser.add_argument("--deep-gcns", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--ours", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=compare.ROOT / "benches" / "results" / "roofline.md")
    args = parser.parse_args()
    args.shapes = args.shapes or [*compare.DEFAULT_SHAPES, "resgcn28-train"]
    args.spin_count = compare.SPIN_COUNT
    if os.sep in args.python:
        args.python = os.path.abspath(args.python)
    return args


def bytes_that_move(shape, result):
    is_adam = shape["what"] == "train" and shape["space"] in ("graph", "resgcn")
    # A search's alphas read all weights, in both passes, and move none.
    touched = TOUCHED["adam" if is_adam else "sgd"] + (2 if shape["what"] == "search" else 0)
    passes = 2 if shape["what"] == "search" else 1
    return 2 * passes * result["bounds"]["bytes_held"] + 4 * touched * result["parameters"]


def told_sides(args):
    """The sides that have a column, with its head."""
    published = {"published": "published", "compiled": "published, by torch.compile"}
    return {"ours": "ours"} | (published if args.sgas or args.deep_gcns else {})


def sides(args, name, ours):
    """Program and words of each side, by its name in the table."""
    told = ["--threads", str(args.threads), "--warmup", str(args.warmup), "--repeats", str(args.repeats)]
    found = {"ours": ([ours], [name, *told, "--json", "--roofline"])}
    flag, folder = compare.checkout(args, name)
    if folder is not None:
        program = [args.python, compare.PUBLISHED, flag, folder.resolve()]
        found |= {"published": (program, [name, *told]), "compiled": (program, [name, *told, "--compile"])}
    return found


def measured(args, name, ours):
    """Results of each side, a round each; a side that fails is left out from then on."""
    found, environment = {}, compare.environment(args)
    programs = sides(args, name, ours)
    for _ in range(args.rounds):
        for side, (program, words) in list(programs.items()):
            try:
                found.setdefault(side, []).append(compare.run(program, words, environment))
            except SystemExit as failure:
                if side == "ours":
                    raise
                print(f"{name}, {side}: {failure}", file=sys.stderr)
                del programs[side]
    return found


def row(args, name, found):
    shape, first = compare.SHAPES[name], found["ours"][0]
    # The fastest peak of all rounds: what the machine can.
    peak = max(result["bounds"]["multiply_adds_per_second"] for result in found["ours"])
    speed = max(result["bounds"]["bytes_per_second"] for result in found["ours"])
    work, moved = first["bounds"]["multiply_adds"], bytes_that_move(shape, first)
    by_work, by_bytes = work / peak, moved / speed
    bound = max(by_work, by_bytes)
    cells = [name, f"{work / 1e9:.2f}", f"{moved / 1e6:.0f}", f"{1000 * by_work:.0f}", f"{1000 * by_bytes:.0f}"]
    for side in told_sides(args):
        times = [compare.whole_step(result) for result in found.get(side, [])]
        cells.append(f"{1000 * statistics.median(times):.0f} ({1000 * min(times):.0f} to {1000 * max(times):.0f}), "
                     f"{statistics.median(times) / bound:.1f} x" if times else "")
    print(f"{name}: {cells[5]} of its bound", file=sys.stderr)
    return "| " + " | ".join(cells) + " |", peak, speed


def main():
    args = arguments()
    ours = args.ours or compare.build()
    rows = [row(args, name, measured(args, name, ours)) for name in args.shapes]
    peak, speed = max(row[1] for row in rows), max(row[2] for row in rows)
    heads = ["step", "G multiply-adds", "MB that must move", "bound by multiply-adds, ms", "by bytes, ms", *told_sides(args).values()]
    lines = [
        "# Steps beside what the machine allows",
        f"{datetime.datetime.now(datetime.UTC):%d %B %Y}, `benches/roofline.py`, commit {compare.commit(compare.ROOT)}; "
        f"{compare.processor()}, {args.threads} thread{'s' if args.threads > 1 else ''}, {compare.memory_size()}; peaks: "
        f"{peak / 1e9:.1f} G multiply-adds a second, {speed / 1e9:.1f} GB/s. {args.rounds} rounds, each side in turn; "
        f"milliseconds of a step, medians of {args.repeats} (least to greatest median of the rounds), and how many times the bound.",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
        *(row[0] for row in rows),
        "",
        LEGEND.strip(),
        "",
    ]
    text = "\n".join(lines)
    args.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
