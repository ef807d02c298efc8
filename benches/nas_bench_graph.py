#!/usr/bin/env python3
"""Trains cells of NAS-Bench-Graph's table by its protocol and compares their test accuracies with the table's.

    benches/nas_bench_graph.py TABLE.csv SET DATA OUT.csv [--cells 20] [--first 0] [--seed 1] [--sgas target/debug/sgas] [--set KEY=VALUE ...]

SET is cora or citeseer, DATA its folder. The cells are rows of the table drawn by the seed; OUT.csv gets a line after each.
"""
import argparse
import csv
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def genotype(row):
    inputs = [int(state) for state in row["inputs"].split()]
    edges = [list(edge) for edge in zip(row["operations"].split(), inputs)]
    leaves = [state for state in range(1, 5) if state not in inputs]
    return {"space": "nas-bench-graph", "normal": edges, "normal_concat": leaves}


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def accuracy(printed):
    found = re.search(r"accuracy\D*([\d.]+) %", printed)
    if not found:
        sys.exit(f"no accuracy in: {printed}")
    return float(found[1]) / 100


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("graph", metavar="SET")
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="leave out so many of the drawn cells")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sgas", default="target/debug/sgas")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    args = parser.parse_args()
    with open(args.table, newline="") as file:
        rows = list(csv.DictReader(file))
    changes = [part for change in args.changes for part in ("--set", change)]
    with open(args.out, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["inputs", "operations", "table", "ours"])
        for row in random.Random(args.seed).sample(rows, args.cells)[args.first:]:
            with tempfile.TemporaryDirectory() as folder:
                cell, trained = Path(folder) / "cell.json", Path(folder) / "run"
                cell.write_text(json.dumps(genotype(row)))
                config = f"nas-bench-graph-{args.graph}"
                run([args.sgas, "train", "--config", config, "--genotype", cell, "--data", args.data, "--out", trained]
                    + ["--threads", "1", "--quiet"] + changes)
                ours = accuracy(run([args.sgas, "eval", "--run", trained, "--threads", "1", "--quiet"]))
            writer.writerow([row["inputs"], row["operations"], row[f"{args.graph}_test"], f"{ours:.4f}"])
            file.flush()


if __name__ == "__main__":
    main()
