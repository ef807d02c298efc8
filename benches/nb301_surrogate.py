"""Compares `sgas estimate` with onnxruntime on random cells of the DARTS space.

    python3 -m venv env && env/bin/pip install onnxruntime numpy
    env/bin/python benches/nb301_surrogate.py SGAS nb301-surrogate.onnx nb301-encoding.json [CELLS]

Encodes the cells by itself, so that a mistake of the program's encoding shows too. Prints the greatest difference and
the estimates of some cells that have more and more skip_connects; fails where a difference exceeds 0.001 points.
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import onnxruntime

PRIMITIVES = ["max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
PREFIX = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
EPOCHS = 98
TOLERANCE = 0.001


def random_cell(draw, skips=None):
    """Two edges into each of four nodes, from different states; the first `skips` of both kinds are skip_connects."""
    edges = []
    for node in range(4):
        sources = sorted(draw.sample(range(2 + node), 2))
        edges += [[draw.choice(PRIMITIVES), source] for source in sources]
    for edge in edges[:skips or 0]:
        edge[0] = "skip_connect"
    if skips is not None:
        for edge in edges[skips:]:
            edge[0] = "sep_conv_3x3"
    return edges


def genotype(normal, reduce):
    concat = [2, 3, 4, 5]
    return {"space": "image", "normal": normal, "normal_concat": concat, "reduce": reduce, "reduce_concat": concat}


def numbers(cell, encoding):
    """The inputs of a cell: an edge's number is the first of its node plus its source."""
    values = {}
    for kind in ("normal", "reduce"):
        first = 0
        for node in range(4):
            pair = cell[kind][2 * node:2 * node + 2]
            for primitive, source in pair:
                values[f"{PREFIX}edge_{kind}_{first + source}"] = primitive
            if node:
                values[f"{PREFIX}inputs_node_{kind}_{node + 2}"] = "_".join(str(source) for _, source in pair)
            first += 2 + node
    return [table[values.get(name, "#na#")] for name, table in encoding.items()]


def main():
    program, surrogate, encoding_file = sys.argv[1:4]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 100
    draw = random.Random(301)
    cells = [genotype(random_cell(draw), random_cell(draw)) for _ in range(count)]
    cells += [genotype(random_cell(draw, skips), random_cell(draw, skips)) for skips in range(9)]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{index}.json" for index in range(len(cells))]
        for file, cell in zip(files, cells):
            file.write_text(json.dumps(cell))
        command = [program, "estimate", *map(str, files), "--table", surrogate, "--encoding", encoding_file, "--json"]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["cells"]
    session = onnxruntime.InferenceSession(surrogate)
    encoding = json.loads(Path(encoding_file).read_text())
    differences, theirs = [], []
    for cell, ours in zip(cells, told):
        inputs = {
            "x_cat": numpy.array([numbers(cell, encoding)], dtype=numpy.int32),
            "x_cont": numpy.array([[EPOCHS]], dtype=numpy.float32),
        }
        theirs.append(float(session.run(None, inputs)[0][0, 0]))
        differences.append(abs(100 * ours["scores"][0]["value"] - theirs[-1]))
    print(f"onnxruntime {onnxruntime.__version__}: {count} random cells, estimates from {min(theirs[:count]):.3f} to "
          f"{max(theirs[:count]):.3f} per cent")
    print(f"greatest difference: {max(differences):.6f} points")
    print("estimates where so many edges of each cell are skip_connects and the others sep_conv_3x3:")
    for skips, (estimate, ours) in enumerate(zip(theirs[count:], told[count:])):
        print(f"  {skips}: {estimate:.3f}, skip_connects told: {ours['skip_connects']}")
    return max(differences) > TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
