"""What the tests need of the program: runs that it trained on synthetic data, files as it reads them, its predictions.

SGAS names the program (default: target/debug/sgas of the checkout, else the one in PATH).
"""

import atexit
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = Path(os.environ.get("SGAS_GOLDEN_DIR") or ROOT / "tests" / "fixtures" / "golden")
SMALL = ["--set", "data.synthetic.train=60", "--set", "data.synthetic.test=20"]
STORED = ["--set", "data.normalize=none"]
POINTS = ["--config", "smoke/train-points", *SMALL, *STORED, "--set", "train.epochs=12"]
GRAPHS = ["--config", "smoke/train-graphs", "--set", "train.epochs=3"]
IMAGES = [*SMALL, "--set", "train.epochs=8", "--set", "data.images.augmentation=none"]
# A stem that halves three times learns slowly to tell images apart.
IMAGENET = [*IMAGES, "--config", "smoke/train-imagenet", "--set", "train.epochs=25"]
SEGMENTATION = ["--config", "smoke/train-segmentation", *STORED, "--set", "train.epochs=4"]
BENCH_GRAPH = ["--config", "nas-bench-graph-cora", "--set", "model.channels=16", "--set", "train.epochs=10",
               "--set", "nas_bench_graph.dropout=0.2", "--set", "data.synthetic.train=10", "--set", "data.synthetic.test=10"]
# Every primitive is in one of the cells.
CELLS = {
    "points": {"space": "point", "normal": [["edge_conv", 0], ["mr_conv", 1], ["skip_connect", 1], ["gat", 2],
                                            ["conv_1x1", 0], ["semi_gcn", 3]], "normal_concat": [1, 2, 3, 4]},
    "more-points": {"space": "point", "normal": [["gin", 1], ["sage", 0], ["rel_sage", 2], ["gin", 0], ["gat", 3],
                                                 ["edge_conv", 2]], "normal_concat": [1, 2, 3, 4]},
    "graphs": {"space": "graph", "normal": [["edge_conv", 0], ["mr_conv", 1], ["skip_connect", 1], ["gat", 2],
                                            ["conv_1x1", 0], ["semi_gcn", 3]], "normal_concat": [1, 2, 3, 4]},
    "more-graphs": {"space": "graph", "normal": [["gin", 1], ["sage", 0], ["rel_sage", 2], ["gin", 0], ["gat", 3],
                                                 ["edge_conv", 2]], "normal_concat": [1, 2, 3, 4]},
    "nas-bench-graph": {"space": "nas-bench-graph", "normal": [["skip", 0], ["gat", 1], ["cheb", 1], ["arma", 2]],
                        "normal_concat": [3, 4]},
    "more-nas-bench-graph": {"space": "nas-bench-graph", "normal": [["gcn", 0], ["gin", 0], ["sage", 1], ["graph", 2]],
                             "normal_concat": [3, 4]},
    "raw-nas-bench-graph": {"space": "nas-bench-graph", "normal": [["skip", 0], ["fc", 0], ["graph", 0], ["cheb", 1]],
                            "normal_concat": [2, 3, 4]},
    "nas-bench-201": {"space": "nas-bench-201",
                      "normal": [["nor_conv_3x3", 0], ["none", 0], ["nor_conv_1x1", 1], ["skip_connect", 0],
                                 ["avg_pool_3x3", 1], ["nor_conv_3x3", 2]], "normal_concat": [3]},
}
RUNS = {
    "points": POINTS,
    "more-points": POINTS,
    "graphs": GRAPHS,
    "more-graphs": [*GRAPHS, "--set", "graph.norm=none", "--set", "graph.dropout=0.1", "--set", "graph.feature_dropout=0.1",
                    "--set", "graph.propagation=5", "--set", "graph.teleport=0.2"],
    "ppi": ["--config", "smoke/train-ppi", "--set", "train.epochs=3", "--genotype", "Cri1_PPI_Best"],
    "images": [*IMAGES, "--config", "smoke/train-images", "--genotype", "Cri1_CIFAR_Best"],
    "auxiliary": [*IMAGES, "--config", "smoke/train-images", "--genotype", "NASNet", "--set", "data.images.size=32",
                  "--set", "image.auxiliary=true", "--set", "model.channels=4", "--set", "train.drop_path=0.1"],
    "imagenet": [*IMAGENET, "--genotype", "AmoebaNet"],
    "nas-bench-201": [*IMAGES, "--config", "smoke/train-cifar10-nas-bench-201"],
    "nas-bench-graph": BENCH_GRAPH,
    "more-nas-bench-graph": [*BENCH_GRAPH, "--set", "nas_bench_graph.layers_before=1", "--set",
                             "nas_bench_graph.layers_after=0", "--set", "model.cells=2"],
    "raw-nas-bench-graph": [*BENCH_GRAPH, "--set", "model.cells=2"],
    "resgcn": SEGMENTATION,
    "segmentation": [*SEGMENTATION, "--genotype", "Cri2_ModelNet_Best"],
    "gcn": [*GRAPHS, "--model", "gcn"],
    "gat": [*GRAPHS, "--model", "gat", "--set", "graph.propagation=3"],
    "dgcnn": [*POINTS, "--model", "dgcnn"],
    "resnet": [*IMAGES, "--config", "smoke/train-images", "--model", "resnet", "--set", "model.channels=8"],
    "resnet-imagenet": [*IMAGENET, "--model", "resnet"],
}
_folder = []
_trained = {}


def folder():
    """A folder for this process."""
    if not _folder:
        _folder.append(Path(tempfile.mkdtemp(prefix="sgas-python-")))
        atexit.register(shutil.rmtree, _folder[0], ignore_errors=True)
    return _folder[0]


def program():
    """The program, as it is started."""
    named = os.environ.get("SGAS")
    built = ROOT / "target" / "debug" / "sgas"
    found = named or (str(built) if built.is_file() else shutil.which("sgas"))
    if not found:
        sys.exit("there is no program to compare with: build it (`make build`), or name it in SGAS")
    return found


def sgas(*words):
    """What a call of the program prints."""
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "SGAS_RUNS": str(folder() / "runs")}
    result = subprocess.run([program(), *map(str, words), "--device", "cpu"], stdin=subprocess.DEVNULL, env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise AssertionError(f"sgas {' '.join(map(str, words))}: exit code {result.returncode}\n{result.stderr}")
    return result.stdout


def trained(name):
    """The folder of a training of `RUNS`, made once."""
    if name not in _trained:
        run = folder() / name
        cell = []
        if name in CELLS:
            file = folder() / f"{name}.json"
            file.write_text(json.dumps(CELLS[name]))
            cell = ["--genotype", file]
        sgas("train", *RUNS[name], *cell, "--data", "synthetic", "--out", run)
        _trained[name] = run
    return _trained[name]


def predictions(run, *inputs):
    """What `sgas predict` writes of these files, as JSON, a prediction each."""
    output = folder() / "predictions.json"
    sgas("predict", "--run", run, "--input", *inputs, "--output", output, "--force")
    return json.loads(output.read_text())["predictions"]


def probabilities(run, *inputs):
    """The probabilities that the program gives, fp64 (inputs or nodes, classes)."""
    return torch.tensor([list(one["probabilities"].values()) for one in predictions(run, *inputs)], dtype=torch.float64)


def write_cloud(file, points):
    """Points fp32 (N, 3) as text that loses nothing."""
    file.write_text("".join(" ".join(f"{value:.9g}" for value in point) + "\n" for point in points.tolist()))


def write_png(file, image):
    """An image uint8 (3, H, W)."""
    _, height, width = image.shape
    rows = image.permute(1, 2, 0).reshape(height, -1).tolist()
    data = b"".join(b"\0" + bytes(row) for row in rows)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


def write_graph(place, features, links):
    """Features fp32 (N, C) and links (2, E) as tables."""
    place.mkdir()
    lines = [",".join(f"feature_{column}" for column in range(features.shape[1]))]
    lines += [",".join(f"{value:.9g}" for value in row) for row in features.tolist()]
    (place / "features.csv").write_text("\n".join(lines) + "\n")
    pairs = [f"{source},{target}" for source, target in links.t().tolist()]
    (place / "edges.csv").write_text("\n".join(["source,target", *pairs]) + "\n")


def safetensors_header(file):
    """The header of a file, and where its tensors begin."""
    content = file.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:8 + length]), 8 + length
