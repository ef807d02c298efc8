#!/usr/bin/env python3
"""Times one step of the published SGAS code, as it is, to stand beside ours.

    time_published.py --sgas DIR [SHAPE] [--device cpu|cuda] [--threads N] [--warmup N] [--repeats N]
    time_published.py --deep-gcns DIR resgcn28-train ...

DIR is a checkout of https://github.com/lightaime/sgas, for a ResGCN of https://github.com/lightaime/deep_gcns_torch;
nothing of it is copied or changed. Needs torch and numpy,
for points sklearn too, for graphs torch_geometric; what of torch_geometric its version 1.4.3 had and today's has not
is in `old_geometric.py`. Elsewhere torch_geometric and torchvision, of which a step uses an initialiser at most, are
stood in for. On a CPU the code's `.cuda()` does nothing. Points, images, graphs and labels are random: a step costs
the same for any.

SHAPE is a name in `benches/shapes.json`; flags named as its sizes (--batch, --pixels ...) change them.
search: alpha step (first order) and weight step of the supernet in turn, as `train_search.py` of `gcn/gcn_point`,
`gcn/gcn_graph` or `cnn` does. train: one training step of the network of the shape's cell, as
`gcn/gcn_point/main_modelnet.py`, `gcn/gcn_graph/main_ppi.py` or `cnn/train.py` does. Prints one JSON object; times in
seconds.
"""

import argparse
import contextlib
import json
import math
import os
import platform
import resource
import statistics
import sys
import time
import types
from pathlib import Path

SHAPES = json.loads((Path(__file__).resolve().parent.parent / "shapes.json").read_text())
SIZES = ["batch", "points", "k", "pixels", "nodes", "links", "features", "blocks", "cells", "channels", "classes"]
# For each space a folder of a checkout, and a file that must be there.
FOLDERS = {
    "point": ("sgas", "gcn/gcn_point", "model_search.py"),
    "image": ("sgas", "cnn", "model_search.py"),
    "graph": ("sgas", "gcn/gcn_graph", "model_search.py"),
    "resgcn": ("deep_gcns", "examples/sem_seg_dense", "architecture.py"),
}
# Rates of search and training.
RATES = {"point": (0.005, 0.1), "image": (0.025, 0.025), "graph": (0.005, 0.002), "resgcn": (None, 0.001)}
# S3DIS: position, colour, position in the room.
S3DIS_CHANNELS = 9


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sgas", type=Path, help="checkout of the published code")
    parser.add_argument("--deep-gcns", type=Path, help="checkout of the published code of ResGCN")
    parser.add_argument("shape", nargs="?", choices=SHAPES, default="modelnet10-search")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--warmup", type=int, default=2, help="steps before the clock counts")
    parser.add_argument("--repeats", type=int, default=7, help="steps that count")
    parser.add_argument("--compile", action="store_true", help="the network by torch.compile")
    parser.add_argument("--amp", action="store_true", help="train: fp16 autocast with a scaler (cuda), bf16 (cpu)")
    for name in SIZES:
        parser.add_argument(f"--{name}", type=int, help="default: the shape's")
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    for name in SIZES:
        if name not in shape and getattr(args, name) is not None:
            parser.error(f"--{name}: {args.shape} has no such size")
    for name, value in {"drop_path": 0.0, "auxiliary_weight": 0.0, **shape}.items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
    checkout, folder, file = FOLDERS[args.space]
    args.checkout, flag = getattr(args, checkout), f"--{checkout.replace('_', '-')}"
    if args.checkout is None:
        parser.error(f"{args.shape} needs {flag}")
    args.folder = args.checkout / folder
    if not (args.folder / file).is_file():
        parser.error(f"{flag} {args.checkout}: {folder}/{file} is not there")
    if args.amp and (args.space, args.what) not in (("point", "train"), ("resgcn", "train")):
        parser.error(f"--amp: the published script has none for {args.shape}")
    return args


def stand_in(name, **content):
    """Puts a module of that name, with its parents, where `import` looks first."""
    parent = None
    for depth in range(name.count(".") + 1):
        path = ".".join(name.split(".")[: depth + 1])
        module = sys.modules.setdefault(path, types.ModuleType(path))
        if parent is not None:
            setattr(parent, path.rsplit(".", 1)[1], module)
        parent = module
    for key, value in content.items():
        setattr(parent, key, value)


def glorot(tensor):
    bound = math.sqrt(6.0 / (tensor.size(-2) + tensor.size(-1)))
    tensor.data.uniform_(-bound, bound)


def zeros(tensor):
    if tensor is not None:
        tensor.data.zero_()


def prepare(args):
    """Makes the checkout importable, and on a CPU `.cuda()` nothing."""
    import torch

    stand_in("torchvision.transforms")
    if args.space == "graph":
        import old_geometric

        old_geometric.restore()
        stand_in("torch_cluster", knn_graph=None)
    elif args.space == "resgcn":
        stand_in("torch_cluster", knn_graph=None)
    else:
        stand_in("torch_geometric.nn.inits", glorot=glorot, zeros=zeros)
    sys.path[:0] = [str(args.folder), str(args.checkout)]
    if args.device == "cpu":
        torch.cuda.FloatTensor = torch.FloatTensor
        torch.Tensor.cuda = lambda self, *_, **__: self
        torch.nn.Module.cuda = lambda self, *_, **__: self
    elif not torch.cuda.is_available():
        sys.exit("error: --device cuda, but torch sees no GPU")
    torch.set_num_threads(args.threads)
    # cuDNN's default is TF32; ours has it off too.
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(1)
    return torch


def weight_step(torch, model, loss_of, optimizer, autocast, scaler, clip=5.0):
    optimizer.zero_grad()
    with autocast():
        loss = loss_of()
    scaler.scale(loss).backward()
    if clip is not None:
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    scaler.step(optimizer)
    scaler.update()


def loss_function(torch, args):
    loss = torch.nn.BCEWithLogitsLoss() if args.space == "graph" else torch.nn.CrossEntropyLoss()
    return loss.cuda()


def supernet(torch, args, criterion):
    """The published supernet with no edge decided."""
    from model_search import Network

    sizes = {
        "point": lambda: dict(steps=3, in_channels=3, emb_dims=1024, dropout=0.5, k=args.k),
        "graph": lambda: dict(steps=3, in_channels=args.features),
        "image": dict,
    }[args.space]()
    model = Network(args.channels, args.classes, args.cells, criterion, **sizes).cuda()
    for kind in ("normal", "reduce") if args.space == "image" else ("normal",):
        undecided = [-1] * len(getattr(model, f"alphas_{kind}"))
        setattr(model, f"{kind}_selected_idxs", torch.tensor(undecided, dtype=torch.int).cuda())
    return model


def compile_where_asked(args, model):
    """In place, so that all who hold the network call what was compiled. Shapes do not change."""
    if args.compile:
        model.compile(dynamic=False)


def search_steps(torch, args, samples, labels):
    """The two halves of a search step, each a function without arguments."""
    from architect import Architect

    criterion = loss_function(torch, args)
    model, rate = supernet(torch, args, criterion), RATES[args.space][0]
    settings = types.SimpleNamespace(momentum=0.9, weight_decay=3e-4, arch_learning_rate=3e-4, arch_weight_decay=1e-3)
    architect = Architect(model, settings)
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=3e-4)
    scaler = torch.amp.GradScaler(args.device, enabled=False)
    model.train()
    compile_where_asked(args, model)

    def alpha():
        architect.step(samples, labels, samples, labels, rate, optimizer, unrolled=False)

    def weights():
        weight_step(torch, model, lambda: criterion(model(samples), labels), optimizer, contextlib.nullcontext, scaler)

    return model, {"alpha_step": alpha, "weight_step": weights}


def resgcn(args):
    """The published ResGCN, with the settings of its script."""
    from architecture import DenseDeepGCN

    settings = types.SimpleNamespace(
        n_filters=args.channels, k=args.k, act="relu", norm="batch", bias=True, epsilon=0.2, stochastic=True,
        conv="edge", n_blocks=args.blocks, in_channels=S3DIS_CHANNELS, block="res", dropout=0.3, n_classes=args.classes)
    return DenseDeepGCN(settings).to(args.device)


def network(args):
    """The published network of the shape's cell, or its ResGCN."""
    if args.space == "resgcn":
        return resgcn(args)
    import genotypes
    import model as networks

    cell, auxiliary = getattr(genotypes, args.cell), args.auxiliary_weight > 0
    sizes = (args.channels, args.classes, args.cells, auxiliary, cell)
    if args.space == "point":
        return networks.NetworkModelNet40(*sizes, in_channels=3, emb_dims=1024, dropout=0.5, k=args.k).cuda()
    if args.space == "graph":
        return networks.NetworkPPI(*sizes, in_channels=args.features).cuda()
    return networks.NetworkCIFAR(*sizes).cuda()


def weight_optimizer(torch, args, model):
    """The published one of training."""
    rate = RATES[args.space][1]
    if args.space in ("graph", "resgcn"):
        return torch.optim.Adam(model.parameters(), rate)
    decay = {"point": 1e-4, "image": 3e-4}[args.space]
    return torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=decay)


def train_steps(torch, args, samples, labels):
    """A training step. Without a drop path in the shape there is none, as in the first epoch."""
    criterion = loss_function(torch, args)
    # The code prints the channels of its cells.
    with contextlib.redirect_stdout(sys.stderr):
        model = network(args)
    model.drop_path_prob = args.drop_path
    optimizer = weight_optimizer(torch, args, model)
    half = torch.float16 if args.device == "cuda" else torch.bfloat16
    scaler = torch.amp.GradScaler(args.device, enabled=args.amp and half == torch.float16)
    model.train()
    compile_where_asked(args, model)

    def autocast():
        return torch.autocast(args.device, dtype=half, enabled=args.amp)

    def loss():
        if args.space == "resgcn":
            return criterion(model(samples), labels)
        logits, auxiliary = model(samples)
        if args.auxiliary_weight == 0:
            return criterion(logits, labels)
        return criterion(logits, labels) + args.auxiliary_weight * criterion(auxiliary, labels)

    def step():
        clip = None if args.space == "resgcn" else 5.0
        weight_step(torch, model, loss, optimizer, autocast, scaler, clip)

    return model, {"train_step": step}


def random_batch(torch, args):
    """Samples and labels on the device."""
    if args.space == "graph":
        return random_graphs(torch, args)
    if args.space == "resgcn":
        samples = torch.rand(args.batch, S3DIS_CHANNELS, args.points, 1) * 2 - 1
        return samples.to(args.device), torch.randint(args.classes, (args.batch, args.points)).to(args.device)
    if args.space == "point":
        samples = torch.rand(args.batch, 3, args.points, 1) * 2 - 1
    else:
        samples = torch.randn(args.batch, 3, args.pixels, args.pixels)
    labels = torch.randint(args.classes, (args.batch,))
    return samples.to(args.device), labels.to(args.device)


def random_graphs(torch, args):
    """Graphs side by side, with links in both directions and none from a node to itself, by their sources as PPI has
    them; and labels of their nodes."""
    def half():
        source = torch.randint(args.nodes, (args.links // 2,))
        target = (source + torch.randint(1, args.nodes, (args.links // 2,))) % args.nodes
        return torch.stack([source, target])

    one_way = torch.cat([half() + number * args.nodes for number in range(args.batch)], dim=1)
    links = torch.cat([one_way, one_way.flip(0)], dim=1)
    links = links[:, links[0].argsort(stable=True)]
    nodes = args.batch * args.nodes
    features, labels = torch.randn(nodes, args.features), torch.randint(2, (nodes, args.classes)).float()
    graphs = types.SimpleNamespace(x=features.to(args.device), edge_index=links.to(args.device))
    return graphs, labels.to(args.device)


def measure(torch, args, steps):
    """Runs the steps in turn; the times of each after the warm-up."""
    wait = torch.cuda.synchronize if args.device == "cuda" else lambda: None
    times = {name: [] for name in steps}
    for repeat in range(args.warmup + args.repeats):
        for name, step in steps.items():
            wait()
            start = time.perf_counter()
            step()
            wait()
            if repeat >= args.warmup:
                times[name].append(time.perf_counter() - start)
    return times


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def main():
    args = arguments()
    torch = prepare(args)
    samples, labels = random_batch(torch, args)
    model, steps = (search_steps if args.what == "search" else train_steps)(torch, args, samples, labels)
    times = measure(torch, args, steps)
    conditions = {name: getattr(args, name) for name in
                  ("shape", "device", "threads", "amp", "warmup", "repeats", *SHAPES[args.shape])}
    result = {
        "code": f"published (lightaime/{'deep_gcns_torch' if args.space == 'resgcn' else 'sgas'})",
        **conditions,
        "torch": torch.__version__,
        "device_name": torch.cuda.get_device_name() if args.device == "cuda" else platform.processor() or platform.machine(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": {name: summary(values) for name, values in times.items()},
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    if args.device == "cuda":
        result["peak_device_bytes"] = torch.cuda.max_memory_allocated()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
