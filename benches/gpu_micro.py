#!/usr/bin/env python3
"""What single operators cost on a GPU, by torch alone: the questions that the tensor path in src/ had to guess.

    gpu_micro.py [--device cuda|cpu] [--seconds 40] [--json FILE] [--divisor N]

Prints a Markdown table, a row per case and variant; a case that fails is a row too, and what the seconds did not
suffice for is named at the end. --divisor makes the batches smaller, to try the script on a processor, whose numbers
say nothing. Times are per call, by the clock of the device, after a warm-up.
"""

import argparse
import json
import sys
import time
from pathlib import Path

STARTED = time.monotonic()

import torch  # noqa: E402 (the seconds count from the start of the process)
import torch.nn.functional as F  # noqa: E402

# Seconds of calls that make a measurement, and the most calls.
MEASURED = 0.03
MOST_CALLS = 200
MIB = 2**20


class Out(Exception):
    """No time is left."""


class Bench:
    """Rows that were measured, and what measures them."""

    def __init__(self, device, seconds, divisor):
        self.device, self.seconds, self.divisor = device, seconds, divisor
        self.is_cuda = device == "cuda"
        # A processor's fp16 is too slow even to try the script.
        self.half = torch.float16 if self.is_cuda else torch.bfloat16
        self.rows, self.group = [], ""

    def smaller(self, size):
        return max(size // self.divisor, 1)

    def random(self, *shape, kind=torch.float32):
        return torch.randn(*shape, device=self.device).to(kind)

    def wait(self):
        if self.is_cuda:
            torch.cuda.synchronize()

    def seconds_per_call(self, call):
        for _ in range(2):
            call()
        self.wait()
        start = time.perf_counter()
        call()
        self.wait()
        calls = max(1, min(MOST_CALLS, int(MEASURED / max(time.perf_counter() - start, 1e-6))))
        if not self.is_cuda:
            start = time.perf_counter()
            for _ in range(calls):
                call()
            return (time.perf_counter() - start) / calls
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(calls):
            call()
        last.record()
        self.wait()
        return first.elapsed_time(last) / 1e3 / calls

    def add(self, case, variant, call, moved=0):
        """Measures a call; `moved` is what it reads and writes, in bytes."""
        if time.monotonic() - STARTED > self.seconds:
            raise Out
        row = {"group": self.group, "case": case, "variant": variant}
        try:
            seconds = self.seconds_per_call(call)
            row["microseconds"] = seconds * 1e6
            if moved:
                row["gigabytes_per_second"] = moved / seconds / 1e9
        except Exception as error:  # Whatever a kernel throws is a result.
            row["error"] = str(error).strip().split("\n")[0][:200]
        self.rows.append(row)

    def add_value(self, case, variant, microseconds):
        self.rows.append({"group": self.group, "case": case, "variant": variant, "microseconds": microseconds})


def name(kind):
    return {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}[kind]


def backward_too(forward, *leaves):
    """A call of `forward` and of its gradient by `leaves`."""
    leaves = [leaf.requires_grad_() for leaf in leaves]
    output = forward()
    gradient = torch.ones_like(output)
    return lambda: torch.autograd.grad(forward(), leaves, gradient)


def bandwidth(bench):
    count = bench.smaller(64 * MIB)
    for kind in (torch.float32, bench.half):
        a, b, c = (bench.random(count, kind=kind) for _ in range(3))
        size = a.numel() * a.element_size()
        bench.add(f"{size // MIB} MiB", f"copy {name(kind)}", lambda: b.copy_(a), 2 * size)
        bench.add(f"{size // MIB} MiB", f"add {name(kind)}", lambda: torch.add(a, b, out=c), 3 * size)
    a = bench.random(count)
    half = torch.empty(count, dtype=bench.half, device=bench.device)
    bench.add(f"{4 * count // MIB} MiB", f"cast fp32 to {name(bench.half)}", lambda: half.copy_(a), 6 * count)


def launches(bench):
    x = torch.zeros(1, device=bench.device)
    many = 1000

    def calls():
        for _ in range(many):
            x.add_(1.0)

    calls()
    bench.wait()
    start = time.perf_counter()
    calls()
    asked = time.perf_counter() - start
    bench.wait()
    whole = time.perf_counter() - start
    bench.add_value("a tiny operator from Python", "until it is queued", asked / many * 1e6)
    bench.add_value("a tiny operator from Python", "until it is done", whole / many * 1e6)
    bench.add("reading a number", "item(), with the wait", lambda: x.item())
    leaf = torch.ones(1, device=bench.device, requires_grad=True)
    bench.add("a tiny operator from Python", "mul with its backward pass", backward_too(lambda: leaf * 2.0, leaf))
    if bench.is_cuda:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            calls()
        bench.wait()
        start = time.perf_counter()
        graph.replay()
        bench.wait()
        bench.add_value("a tiny operator in a CUDA graph", "until it is done", (time.perf_counter() - start) / many * 1e6)


LAYOUTS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}
# Batch, channels, side: of a CIFAR-10 search and training, where images are largest and smallest.
IMAGES = [(64, 16, 32), (64, 64, 8), (96, 36, 32), (96, 144, 8)]


def images(bench, batch, channels, side, kind, layout):
    return bench.random(bench.smaller(batch), channels, side, side, kind=kind).contiguous(memory_format=LAYOUTS[layout])


def depthwise(bench, trial=False):
    torch.backends.cudnn.benchmark = trial
    for batch, channels, side in IMAGES:
        for kernel, dilation in ((3, 1), (5, 2)):
            padding = dilation * (kernel - 1) // 2
            for kind in (torch.float32, bench.half):
                for layout in LAYOUTS:
                    x = images(bench, batch, channels, side, kind, layout)
                    weight = bench.random(channels, 1, kernel, kernel, kind=kind)
                    conv = lambda: F.conv2d(x, weight, padding=padding, dilation=dilation, groups=channels)
                    case = f"{batch} x {channels} x {side}², {kernel}x{kernel} dilated {dilation}, {name(kind)}"
                    variant = layout + (", benchmark mode" if trial else "")
                    bench.add(case, variant, conv)
                    bench.add(case, variant + ", backward too", backward_too(conv, x, weight))
    torch.backends.cudnn.benchmark = False


def depthwise_by_trial(bench):
    """The last group: cuDNN's trials take long."""
    depthwise(bench, trial=True)


def pointwise(bench):
    for batch, channels, side in IMAGES:
        for kind in (torch.float32, bench.half):
            case = f"{batch} x {channels} x {side}², {name(kind)}"
            weight = bench.random(channels, channels, 1, 1, kind=kind)
            for layout in LAYOUTS:
                x = images(bench, batch, channels, side, kind, layout)
                conv = lambda: F.conv2d(x, weight)
                bench.add(case, f"convolution {layout}, backward too", backward_too(conv, x, weight))
            rows = bench.random(bench.smaller(batch) * side * side, channels, kind=kind)
            matrix = bench.random(channels, channels, kind=kind)
            bench.add(case, "product of rows, backward too", backward_too(lambda: rows @ matrix.t(), rows, matrix))


def neighbours(bench):
    for clouds, points, channels, wanted in ((28, 1024, 3, (9, 18)), (4, 4096, 64, (16, 64, 16 * 28))):
        clouds, points = bench.smaller(clouds), max(bench.smaller(points), 512)
        x = bench.random(clouds, points, channels)
        distances = torch.cdist(x, x)
        shape = f"{clouds} x {points} x {points}"
        bench.add(shape, "distances by a product", lambda: torch.baddbmm(distances, x, x.transpose(1, 2), alpha=-2.0))
        for k in wanted:
            bench.add(shape, f"topk {k}, sorted", lambda: distances.topk(k, -1, False, True))
            bench.add(shape, f"topk {k}, unsorted", lambda: distances.topk(k, -1, False, False))
        bench.add(shape, "sort", lambda: distances.sort(-1))


def gathers(bench):
    """Sums over neighbours and links, as backward passes of gathers take them."""
    for what, targets, links, channels in (("28 clouds, k 9", 28672, 28672 * 9, 32), ("a graph of PPI", 2300, 66000, 512)):
        targets, links = bench.smaller(targets), bench.smaller(links)
        index = torch.randint(targets, (links,), device=bench.device)
        case = f"{what}: {links} rows of {channels} into {targets}"
        for kind in sorted({torch.float32, bench.half, torch.bfloat16}, key=str):
            values = bench.random(links, channels, kind=kind)
            sums = torch.zeros(targets, channels, dtype=kind, device=bench.device)
            bench.add(case, f"index_add {name(kind)}", lambda: sums.index_add_(0, index, values))
            source = bench.random(targets, channels, kind=kind)
            bench.add(case, f"index_select {name(kind)}", lambda: source.index_select(0, index))
            bench.add(case, f"index_select {name(kind)}, backward too",
                      backward_too(lambda: source.index_select(0, index), source))
        values = bench.random(links, channels, kind=bench.half)
        sums = torch.zeros(targets, channels, device=bench.device)
        bench.add(case, f"index_add {name(bench.half)} widened to fp32", lambda: sums.index_add_(0, index, values.float()))


def segments(bench):
    targets, links, channels = bench.smaller(2300), bench.smaller(66000), 512
    index = torch.randint(targets, (links,), device=bench.device).sort()[0]
    lengths = torch.bincount(index, minlength=targets)
    wide = index.unsqueeze(1).expand(links, channels)
    case = f"{links} sorted rows of {channels} into {targets}, fp32"
    values = bench.random(links, channels)
    out = torch.zeros(targets, channels, device=bench.device)
    segmented = lambda how: lambda: torch.segment_reduce(values, how, lengths=lengths, axis=0, unsafe=True)
    scattered = lambda how: lambda: out.scatter_reduce(0, wide, values, how, include_self=False)
    reduced = lambda how: lambda: out.index_reduce(0, index, values, how, include_self=False)
    for how, other in (("sum", "sum"), ("mean", "mean"), ("max", "amax")):
        bench.add(case, f"segment_reduce {how}", segmented(how))
        bench.add(case, f"scatter_reduce {other}", scattered(other))
    bench.add(case, "index_add", lambda: out.index_add(0, index, values))
    bench.add(case, "index_reduce mean", reduced("mean"))
    bench.add(case, "index_reduce amax", reduced("amax"))
    for how, other in (("sum", "sum"), ("max", "amax")):
        bench.add(case, f"segment_reduce {how}, backward too", backward_too(segmented(how), values))
        bench.add(case, f"scatter_reduce {other}, backward too", backward_too(scattered(other), values))
    bench.add(case, "index_reduce amax, backward too", backward_too(reduced("amax"), values))


def norms(bench):
    sizes = [("rows", 28672, 128), ("rows of pairs", 28672 * 9, 32)]
    inputs = [(f"{what}: {rows} x {channels}", lambda kind, rows=rows, channels=channels:
               bench.random(bench.smaller(rows), channels, kind=kind), channels) for what, rows, channels in sizes]
    for layout in LAYOUTS:
        inputs.append((f"images 64 x 16 x 32², {layout}",
                       lambda kind, layout=layout: images(bench, 64, 16, 32, kind, layout), 16))
    for case, make, channels in inputs:
        for kind in (torch.float32, bench.half):
            for with_cudnn in (True, False):
                x, weight, bias = make(kind), *(torch.ones(channels, device=bench.device) for _ in range(2))
                norm = lambda: F.batch_norm(x, None, None, weight, bias, True)
                with torch.backends.cudnn.flags(enabled=with_cudnn, allow_tf32=False):
                    variant = f"{name(kind)}, {'cuDNN allowed' if with_cudnn else 'native'}, backward too"
                    bench.add(case, variant, backward_too(norm, x, weight, bias))


def transfers(bench):
    if not bench.is_cuda:
        return
    for size in (MIB, 64 * MIB):
        there = torch.empty(size, dtype=torch.uint8, device="cuda")
        pageable = torch.zeros(size, dtype=torch.uint8)
        pinned = pageable.pin_memory()
        case = f"{size // MIB} MiB to the GPU"
        bench.add(case, "pageable", lambda: there.copy_(pageable), size)
        bench.add(case, "pinned", lambda: there.copy_(pinned, non_blocking=True), size)
        bench.add(f"{size // MIB} MiB of host memory", "pinning, with the copy into it", lambda: pageable.pin_memory(), size)
        bench.add(f"{size // MIB} MiB from the GPU", "pinned", lambda: pinned.copy_(there, non_blocking=True), size)


GROUPS = [launches, bandwidth, transfers, neighbours, gathers, segments, norms, pointwise, depthwise, depthwise_by_trial]


def table(rows):
    lines = ["| what | case | variant | µs per call | GB/s |", "|---|---|---|---|---|"]
    for row in rows:
        value = f"{row['microseconds']:.1f}" if "microseconds" in row else f"failed: {row['error'].replace('|', '/')}"
        rate = f"{row['gigabytes_per_second']:.0f}" if "gigabytes_per_second" in row else ""
        lines.append(f"| {row['group']} | {row['case']} | {row['variant']} | {value} | {rate} |")
    return "\n".join(lines)


def write(path, result):
    if path:
        path.write_text(json.dumps(result, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--divisor", type=int, default=1)
    args = parser.parse_args()
    # As sgas computes without --amp.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(1)
    bench = Bench(args.device, args.seconds, args.divisor)
    conditions = {"torch": torch.__version__, "device": args.device, "divisor": args.divisor}
    if bench.is_cuda:
        conditions |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda,
                       "cudnn": torch.backends.cudnn.version()}
    missing = []
    for group in GROUPS:
        bench.group = group.__name__
        try:
            group(bench)
        except Out:
            missing.append(group.__name__)
        except Exception as error:  # The set-up of a case.
            bench.rows.append({"group": bench.group, "case": "set-up", "variant": "", "error": str(error).split("\n")[0]})
        # After every group, so that a killed run leaves what it has.
        write(args.json, {"conditions": conditions, "rows": bench.rows, "cut": missing})
        if bench.is_cuda:
            torch.cuda.empty_cache()
    print(", ".join(f"{key} {value}" for key, value in conditions.items()) + "\n\n" + table(bench.rows))
    if missing:
        print(f"\nCut by --seconds {args.seconds:g}: {', '.join(missing)}")
    failed = sum("error" in row for row in bench.rows)
    print(f"\n{len(bench.rows)} measured, {failed} failed, {time.monotonic() - STARTED:.1f} s")
    return 1 if failed or not bench.rows else 0


if __name__ == "__main__":
    sys.exit(main())
