#!/usr/bin/env python3
"""What `sgas search` and `sgas train` say a step takes, beside what the process then really takes.

Runs one epoch of a few steps of each recipe on synthetic data (PPI: on a few of its own graphs), and writes a table in Markdown to standard output:

    SGAS_DATA=target/test-data benches/memory.py target/debug/sgas > table.md
    SGAS_DATA=target/test-data benches/memory.py target/debug/sgas --device cuda --published

On a processor, what was taken is the most memory that the process held (VmHWM) without what it held before the first
trial; on a GPU the most bytes that libtorch had of it. Only Python's own library is needed."""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Name, arguments, batch. Published sizes but for the batch, where the machine is small.
CELLS = {"points": "Cri2_ModelNet_Best", "images": "Cri1_CIFAR_Best", "graphs": "Cri2_PPI_Best"}
SEARCH, TRAIN = "--set search.epochs=1", "--set train.epochs=1"
RECIPES = [
    ("ModelNet10 search", f"search --task modelnet10 {SEARCH}", 14, 14),
    ("ModelNet10 search, `modelnet10-cpu`", f"search --config modelnet10-cpu {SEARCH}", None, 28),
    ("ModelNet40 training", f"train --task modelnet40 --genotype {CELLS['points']} {TRAIN}", 8, 16),
    ("ModelNet40 training, bf16", f"train --task modelnet40 --genotype {CELLS['points']} {TRAIN} --amp", 8, 16),
    ("CIFAR-10 search", f"search --task cifar10 {SEARCH}", 32, 32),
    ("CIFAR-10 training", f"train --task cifar10 --genotype {CELLS['images']} {TRAIN}", 32, 32),
    ("PPI search", f"search --task ppi {SEARCH}", None, None),
    ("PPI training, `ppi-cpu`", f"train --config ppi-cpu --genotype {CELLS['graphs']} {TRAIN}", None, None),
    ("PPI training", f"train --task ppi --genotype {CELLS['graphs']} {TRAIN} --set data.training_share=0.1", None, None),
    ("ResGCN-28 training", f"train --task s3dis --model resgcn {TRAIN}", 4, 10),
]
# Of synthetic samples with --published: some steps of any published batch.
ENOUGH = 200
UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def bytes_of(number: str, unit: str) -> float:
    return float(number) * UNITS[unit]


def measure(program: str, line: str, batch, samples, device: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        command = [program, *line.split(), "--device", device, "--out", f"{folder}/run", "-v"]
        if samples is not None:
            command += ["--data", "synthetic", "--set", "data.training_share=1.0"]
            command += ["--set", f"data.synthetic.train={samples}", "--set", "data.synthetic.test=10"]
        if batch is not None:
            command += ["--batch", str(batch)]
        told = subprocess.run(command, capture_output=True, text=True)
        if told.returncode != 0:
            return {"error": told.stderr.strip().splitlines()[-1]}
        log = told.stderr
        found = re.search(r"memory: a step takes about ([\d.]+) (\w+) at batch (\d+)", log)
        before = re.search(r"the process holds ([\d.]+) (\w+) before", log)
        if not found or not before:
            return {"error": "no estimate was told"}
        seconds = sum(float(text) for text in re.findall(r"at most; ([\d.]+) s", log))
        events = [json.loads(event) for event in Path(folder, "run", "events.jsonl").read_text().splitlines()]
        memory = [event["memory"] for event in events if event["event"] == "epoch"][-1]
        taken = memory["device_reserved_bytes"] or memory["resident_bytes"] - bytes_of(*before.groups())
        estimate = bytes_of(found[1], found[2])
        return {"batch": int(found[3]), "estimate": estimate, "taken": taken, "seconds": seconds}


def mib(number: float) -> str:
    return f"{number / (1 << 20):.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="recipes whose name holds this text")
    parser.add_argument("--published", action="store_true", help="published batches, for a machine that is large enough")
    options = parser.parse_args()
    print("| recipe | batch | estimate, MiB | taken, MiB | estimate / taken | seconds of the trial |")
    print("|---|---|---|---|---|---|")
    for name, line, batch, samples in RECIPES:
        if options.only.lower() not in name.lower():
            continue
        if options.published:
            if "-cpu" in line:
                continue
            batch, samples = None, samples and ENOUGH
        # Validation takes a part of the samples of a search.
        samples = 2 * samples if samples is not None and line.startswith("search") else samples
        row = measure(options.program, line, batch, samples, options.device)
        if "error" in row:
            print(f"| {name} | | {row['error']} | | | |", flush=True)
            continue
        share = row["estimate"] / row["taken"]
        numbers = [row["batch"], mib(row["estimate"]), mib(row["taken"]), f"{share:.2f}", f"{row['seconds']:.1f}"]
        print(f"| {name} | " + " | ".join(map(str, numbers)) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
