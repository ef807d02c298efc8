#!/usr/bin/env python3
"""The parts of benches/gpu.sh, which calls this and says in its head what the variables mean: what is run, in which
order, and what of its output becomes a table. `gpu_visit.py` runs them. Needs nothing but Python's own library.

    gpu_parts.py first|more --report FILE --device cuda|cpu --started SECONDS
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from gpu_visit import Part, Visit, text_of

HERE = Path(__file__).resolve().parent
PYTHON = os.environ.get("PYTHON", "python3")
PROGRAM, GOLDEN, ENGINE, CUDA, STEPS = (
    os.environ.get(name, "") for name in ("SGAS", "SGAS_TESTS", "SGAS_ENGINE", "SGAS_CUDA_TESTS", "SGAS_STEPS"))
BUDGET = {"first": 420, "more": 480}
# Rows of the report's table of golden tensors; the archive has all.
WORST = 40
# Of the tests: waiting threads soon sleep, as the program's own do (src/threads.rs), or they stand in each other's way.
CALM = {"GOMP_SPINCOUNT": "1000"}
SYNTHETIC = ["--data", "synthetic"]
# What is timed: name, words of `sgas bench`, and those of a size to try the script with.
RECIPES = [
    ("ResGCN-28 training", "--task s3dis --model resgcn --batch 4", "--config smoke/train-s3dis"),
    ("ModelNet10 search", "--task modelnet10 --search", "--config smoke/search-modelnet10 --search"),
    ("CIFAR-10 search", "--task cifar10 --search", "--config smoke/search-cifar10 --search"),
    ("ModelNet40 training", "--task modelnet40", "--config smoke/train-modelnet40"),
    ("CIFAR-10 training", "--task cifar10", "--config smoke/train-cifar10"),
    ("PPI training", "--task ppi", "--config smoke/train-ppi"),
    ("PPI search", "--task ppi --search", "--config smoke/search-ppi --search"),
]
# Those that are timed.
TIMED = [name for name, *_ in RECIPES if name in os.environ.get("SGAS_RECIPES", name)]
# Of which a step is traced.
TRACED = ["ResGCN-28 training", "CIFAR-10 search", "ModelNet10 search", "CIFAR-10 training"]
# Those that kernels of sgas take a part of: neighbours and links.
WITH_KERNELS = ["ResGCN-28 training", "ModelNet10 search", "ModelNet40 training", "PPI training", "PPI search"]
# The image networks and their own layout, timed with the other layout and with cuDNN's benchmark mode.
SWITCHED = {"CIFAR-10 search": "nchw", "CIFAR-10 training": "channels-last"}
LAYOUTS = ["channels-last", "nchw"]
# Shapes of benches/shapes.json beside the published code: published sizes, and those of a processor.
SHAPES = {
    "published": ["modelnet10-search-full", "modelnet40-train", "cifar10-search-full", "cifar10-train-full",
                  "ppi-search", "ppi-train"],
    "small": ["modelnet10-search", "modelnet40-small-train", "cifar10-search", "cifar10-train", "ppi-search",
              "ppi-train"],
}


class Settings:
    """What the variables say."""

    def __init__(self, device):
        self.device, self.is_cuda = device, device == "cuda"
        self.small = os.environ.get("SGAS_SIZES", "published" if self.is_cuda else "small") == "small"
        counts = ("1", "2") if self.small else ("3", "10")
        warmup, repeats = (os.environ.get(name, count) for name, count in zip(("SGAS_WARMUP", "SGAS_REPEATS"), counts))
        self.counts = ["--warmup", warmup, "--repeats", repeats]
        self.half = "fp16" if self.is_cuda else "bf16"
        self.halves = ["bf16", "fp16"] if self.is_cuda else ["bf16"]
        self.cores = len(os.sched_getaffinity(0))
        # One for each GPU; two share a GPU that is alone.
        self.gpus = gpus() if self.is_cuda else 0
        self.processes = max(2, self.gpus)
        # By what several GPUs sum; each way that is named must be there.
        self.collectives = ["nccl", "gloo"] if self.gpus > 1 else ["auto"]
        self.width = int(os.environ.get("SGAS_SIDE_BY_SIDE", min(6, max(1, self.cores // 3))))

    def recipe(self, name):
        published, small = next((words, small) for other, words, small in RECIPES if other == name)
        return (small if self.small else published).split()


def gpus():
    """How many GPUs the driver counts."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.splitlines())


def once(title, words, **more):
    """A part that runs again as it ran."""
    return Part(title, words, again=words, **more)


def slug(name):
    return name.lower().replace(" ", "-")


def precision_words(kind):
    return [] if kind == "fp32" else ["--amp", kind]


# --- the first call -------------------------------------------------------------------------------------------------


def machine(visit, settings):
    visit.run(once("What the machine is", [PROGRAM, "doctor", "--device", settings.device]))


def proofs(visit, settings):
    """What only passes or fails: side by side, each with its share of the cores."""
    share = {"OMP_NUM_THREADS": str(max(1, settings.cores // settings.width))}
    tests = [engine_tests(settings, "Mixed precision: losses and scaling", "amp::losses"),
             engine_tests(settings, "Mixed precision: types", "amp::types")]
    rest = engine_tests(settings, "Mixed precision: the rest", "amp::", "--skip", "amp::losses", "--skip", "amp::types")
    rest.limit = 120
    states = [engine_tests(settings, "Going on to the bit", "stops::"),
              engine_tests(settings, "Memory is foretold", "memory::")]
    kernels = ["kernels::", "links::", "mixture::", "rows::", "optimizers::"]
    whole = [tests_of(CUDA, settings, "Kernels of sgas", *kernels), tests_of(CUDA, settings, "CUDA graphs", "graphs::"),
             tests_of(CUDA, settings, "NCCL", "shared::one_process"),
             tests_of(CUDA, settings, "Whole ways, and a killed training", "runs::")] if settings.is_cuda else []
    table = visit.results / "golden.tsv"
    words = [GOLDEN, "golden", "--skip", "golden_decisions", "--test-threads=1"]
    golden = Part("Golden files, one pass", words, {**of_tests(settings), "SGAS_GOLDEN_TABLE": str(table)}, is_test=True)
    chains = [*(smoke(visit, settings, kind) for kind in ["fp32", *settings.halves]), [rest], whole, [golden], tests, states]
    for part in (part for chain in chains for part in chain):
        part.environment.update(share)
    visit.side_by_side(chains, settings.width)
    visit.add_section("Golden files: every tensor's difference", golden_summary(table))


def engine_tests(settings, title, *words):
    return tests_of(ENGINE, settings, title, *words)


def tests_of(program, settings, title, *words):
    return once(title, [program, *words, "--test-threads=1", "--show-output"], is_test=True, environment=of_tests(settings))


def of_tests(settings):
    return {"SGAS_TEST_DEVICE": settings.device, **CALM}


def smoke(visit, settings, kind):
    """Search, training, evaluation and a ResGCN of a minute's size, and searches of images and graphs."""
    words = [*SYNTHETIC, "--device", settings.device, *precision_words(kind)]

    def run(title, name, *command, **more):
        # A run folder serves once.
        first, again = ([PROGRAM, *command, *words, "--out", visit.scratch / kind / (name + end)] for end in ("", "-again"))
        return Part(f"{title}, {kind}", first, again=again, **more)

    def shared(collectives, title, name, *command):
        """The same by several processes, each on the GPU of its number."""
        name = f"{name}-{collectives}"
        begin = [PROGRAM, "launch", "--nproc", str(settings.processes), "--"]
        rest = [*command, *SYNTHETIC, "--device", "auto" if settings.is_cuda else "cpu", *precision_words(kind), "--out"]
        first, again = ([*begin, *rest, visit.scratch / kind / (name + end)] for end in ("", "-again"))
        part = Part(f"{title} by {settings.processes} processes ({collectives}), {kind}", first, again=again)
        part.environment.update(SGAS_COLLECTIVES=collectives)
        return part

    evaluate = [PROGRAM, "eval", "--run", visit.scratch / kind / "train", "--device", settings.device]
    return [
        # The longest first.
        run("Search on images", "images", "search", "--config", "smoke/search-cifar10"),
        run("Search on points", "points", "search", "--config", "smoke/search-modelnet10"),
        run("Training", "train", "train", "--genotype", "Cri2_ModelNet_Best", "--config", "smoke/train-modelnet40"),
        once(f"Evaluation, {kind}", evaluate, after=f"Training, {kind}"),
        run("ResGCN", "resgcn", "train", "--config", "smoke/train-s3dis"),
        run("Search on graphs", "graphs", "search", "--config", "smoke/search-ppi"),
        *(shared(way, "Search on points", "shared", "search", "--config", "smoke/search-modelnet10", "--sync-batch-norm")
          for way in settings.collectives),
    ]


def golden_summary(table):
    rows = [line.split("\t") for line in text_of(table).splitlines()]
    rows = [row for row in rows if len(row) == 5]
    failed = [row for row in rows if row[4].startswith("failed")]
    compared = [row for row in rows if not row[4].startswith("failed")]
    verdicts = sorted({row[4] for row in compared})
    counts = ", ".join(f"{sum(row[4] == verdict for row in compared)} {verdict}" for verdict in verdicts)
    lines = [f"{len(compared)} tensors of {len({row[0] for row in compared})} files: {counts or 'none'}; "
             f"{len(failed)} files failed. `within` the tolerance of tests/it/parity; what is `rounding` or `jump` the full "
             f"comparison (`gpu.sh more`) judges. The {WORST} farthest; all are in the archive's golden.tsv.\n",
             "| file | tensor | greatest difference | relative to the greatest value | verdict |", "|---|---|---|---|---|"]
    compared.sort(key=lambda row: -float(row[3]))
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in failed + compared[:WORST]])


def throughput(visit, settings):
    for name in TIMED:
        throughput_of(visit, settings, name)
    visit.add_section("Throughput", throughput_summary(visit.results))


def throughput_of(visit, settings, name):
    output = visit.results / f"bench-{slug(name)}.json"
    words = [PROGRAM, "bench", *settings.recipe(name), "--device", settings.device]
    again = [*words, "--warmup", "0", "--repeats", "1"]
    visit.run(Part(f"Throughput of a {name}", [*words, *settings.counts, "--output", output], again=again, shown=True))


def throughput_summary(results):
    """A row per recipe, and the published row for one GPU."""
    kinds = ["fp32", "tf32", "bf16", "fp16"]
    lines = ["Samples per second, medians; AMP beside fp32 with TF32 off.\n",
             f"| recipe | batch | {' | '.join(kinds)} | AMP / fp32 |", "|---" * 7 + "|",
             "| ResGCN-28, published, V100 | 4 | 4.92 |  |  | 9.01 | 1.83 |"]
    for name in TIMED:
        path = results / f"bench-{slug(name)}.json"
        recipe = (json.loads(path.read_text())["recipes"] if path.exists() else [{}])[0]
        rates = {row["precision"]: (row.get("samples_per_second") or {}).get("median") for row in recipe.get("rows", [])}
        plain, half = rates.get("fp32"), max((rates.get(kind) or 0 for kind in ("bf16", "fp16")), default=0)
        ratio = f"{half / plain:.2f}" if plain and half else ""
        numbers = [f"{rates[kind]:.2f}" if rates.get(kind) else "" for kind in kinds]
        what = f"{name}, {recipe['samples']}" if recipe else name
        lines.append(f"| {what} | {recipe.get('batch', '')} | {' | '.join(numbers)} | {ratio} |")
    return "\n".join(lines)


def without(visit, settings):
    """What kernels of sgas and CUDA graphs bring: the same recipes without them."""
    rows = []
    plain = {"SGAS_NATIVE": "off"}
    for name in TIMED:
        rows.append((name, "on", "on", of_bench(visit.results / f"bench-{slug(name)}.json", settings.half)))
        for kernels, environment in [("on", {}), *([("off", plain)] if name in WITH_KERNELS else [])]:
            words = ["--device", settings.device, "--no-cuda-graphs", *settings.counts]
            title = f"A {name} without CUDA graphs{'' if kernels == 'on' else ' and kernels of sgas'}, {settings.half}"
            found = measured(visit, title, settings.recipe(name), settings.half, words, environment)
            rows.append((name, kernels, "off", found))
    visit.add_section("With and without sgas's own kernels and CUDA graphs", step_table(
        [f"recipe, {settings.half}", "kernels", "graphs"], rows))


def traces(visit, settings):
    for name in TRACED:
        trace(visit, settings, name)


def trace(visit, settings, name):
    place = visit.scratch / f"trace-{slug(name)}.json"
    words = [PROGRAM, "bench", *settings.recipe(name), *settings.counts, "--device", settings.device, "--amp", settings.half,
             "--trace", place]
    visit.run(once(f"A traced step of a {name}", words, shown=True))
    visit.keep_compressed(place)


def micro(visit, settings):
    title = "What single operators cost"
    if os.environ.get("SGAS_PYTHON_HAS_TORCH") != "1":
        visit.skip(title, f"{PYTHON} has no torch")
        return
    size = ["--divisor", os.environ.get("SGAS_MICRO_DIVISOR", "64")] if settings.small else []
    words = [PYTHON, HERE / "gpu_micro.py", "--device", settings.device, *size]
    # Its torch finds its own libraries.
    environment = {"LD_LIBRARY_PATH": os.environ.get("SGAS_LIBRARY_PATH_BEFORE", "")}
    visit.run(Part(title, [*words, "--seconds", "40", "--json", visit.results / "micro.json"], environment, limit=60,
                   again=[*words, "--seconds", "20"], shown=True))


def switches(visit, settings):
    rows, kind = [], settings.half
    for name, layout in SWITCHED.items():
        rows.append((name, kind, layout, "", of_bench(visit.results / f"bench-{slug(name)}.json", kind)))
    # The trials last: cuDNN's take longest.
    others = [(name, layout, []) for name, own in SWITCHED.items() for layout in LAYOUTS if layout != own]
    trials = [(name, layout, ["--cudnn-benchmark"]) for layout in LAYOUTS for name in SWITCHED]
    for name, layout, trial in others + trials:
        title = f"A {name}, {kind}, {layout}{', benchmark mode' if trial else ''}"
        found = measured(visit, title, settings.recipe(name), kind, ["--device", settings.device, "--layout", layout, *trial,
                                                                    *settings.counts])
        rows.append((name, kind, layout, "on" if trial else "", found))
    visit.add_section("Images: layout, and cuDNN's benchmark mode", step_table(
        ["recipe", "precision", "layout", "benchmark mode"], rows))


def of_bench(path, kind):
    """A row of a throughput's JSON."""
    recipes = json.loads(path.read_text())["recipes"] if path.exists() else []
    return next((row for recipe in recipes for row in recipe["rows"] if row["precision"] == kind), {})


def measured(visit, title, recipe, kind, words, environment=None):
    """One precision in one process, as `sgas bench` calls itself; nothing where it failed."""
    passed = visit.run(Part(title, [PROGRAM, "bench", "--only", kind, *recipe, *words], environment or {}))
    return json.loads(text_of(visit.log_of[title])) if passed else {}


def step_table(heads, rows):
    lines = [f"| {' | '.join(heads)} | s per step | least | samples per second |", "|---" * (len(heads) + 3) + "|"]
    for *words, found in rows:
        step, rate = found.get("step_seconds") or {}, found.get("samples_per_second") or {}
        numbers = [f"{step['median']:.4f}", f"{step['min']:.4f}", f"{rate['median']:.2f}"] if step else ["", "", ""]
        lines.append(f"| {' | '.join([*words, *numbers])} |")
    return "\n".join(lines)


# --- the second call ------------------------------------------------------------------------------------------------


def golden_in_full(visit, settings):
    words = [GOLDEN, "golden", "--skip", "golden_decisions", "--test-threads=1", "--show-output"]
    visit.run(Part("Golden files, in full", words, of_tests(settings), limit=300, is_test=True))


def searches(visit, settings):
    """Whole searches at published size, on real data where it is there, and an epoch of one that takes longer."""
    half = ["--amp", settings.half]
    search(visit, settings, "A whole ModelNet10 search", "modelnet10", "ModelNet10", 3991, half)
    search(visit, settings, "A whole PPI search", "ppi", "ppi", 20, [])
    search(visit, settings, "An epoch of a CIFAR-10 search", "cifar10", "", 50000, [*half, "--set", "search.epochs=1"])


def search(visit, settings, title, task, folder, samples, words):
    """Without real data, as many synthetic samples as the published set has."""
    is_real = folder and not settings.small and (Path(os.environ.get("SGAS_DATA", "")) / folder).is_dir()
    recipe = ["--config", f"smoke/search-{task}"] if settings.small else ["--task", task]
    data = [] if is_real else [*SYNTHETIC, *([] if settings.small else [f"--set=data.synthetic.train={samples}"])]
    title += f", {settings.half if '--amp' in words else 'fp32'}, {'real' if is_real else 'synthetic'} data"
    run = visit.scratch / f"search-{task}"
    visit.run(Part(title, [PROGRAM, "search", *recipe, *data, *words, "--device", settings.device, "--out", run], limit=300))
    visit.keep_compressed(run / "events.jsonl", f"{run.name}-events.jsonl")
    visit.keep_compressed(run / "genotype.json", f"{run.name}-genotype.json")
    visit.add_section(title, f"```\n{text_of(run / 'log.txt').strip()[-3000:]}\n```")


def memory(visit, settings):
    """What a step is said to take beside what it takes."""
    words = [PYTHON, HERE / "memory.py", PROGRAM, "--device", settings.device]
    if settings.is_cuda and not settings.small:
        words.append("--published")
    visit.run(Part("Memory, foretold and taken", words, limit=150, shown=True))


def comparisons(visit, settings):
    reference, deep_gcns = os.environ.get("SGAS_REFERENCE"), os.environ.get("SGAS_DEEP_GCNS")
    if deep_gcns:
        # The batch of the published table.
        batch = [] if settings.small else ["--batch", "4"]
        beside(visit, settings, "resgcn28-train", "fp32", ["--deep-gcns", deep_gcns, *batch])
    shapes = os.environ.get("SGAS_SHAPES", "").split() or SHAPES["small" if settings.small else "published"]
    # The one published script with mixed precision trains on points.
    jobs = [(shape, kind) for shape in shapes for kind in ["fp32", *([settings.half] if "modelnet40" in shape else [])]]
    for shape, kind in jobs if reference else []:
        beside(visit, settings, shape, kind, ["--sgas", reference])
    for variable, checkout in (("SGAS_REFERENCE", reference), ("SGAS_DEEP_GCNS", deep_gcns)):
        if not checkout:
            visit.skip(f"Beside the published code of {variable}", "the variable is not set")


def beside(visit, settings, shape, kind, words):
    visit.run(Part(f"A step of {shape} beside the published code, {kind}", [
        PYTHON, HERE / "compare.py", "--python", PYTHON, "--ours", STEPS, "--device", settings.device, "--precision", kind,
        "--out", visit.results, "--rounds", os.environ.get("SGAS_ROUNDS", "2"), *settings.counts, *words, shape], shown=True))


def scaling(visit, settings):
    """Threads of the processor, on sizes for one."""
    counts = [count for count in (1, 2, 4, 8, 16, 32) if count <= settings.cores]
    recipes = [("ModelNet10 search", "modelnet10"), ("CIFAR-10 search", "cifar10")]
    rows = []
    for name, task in recipes:
        recipe = ["--config", f"smoke/search-{task}" if settings.small else f"{task}-cpu", "--search"]
        for threads in counts:
            words = ["--device", "cpu", "--threads", str(threads), "--warmup", "1", "--repeats", "3"]
            rows.append((name, str(threads), measured(visit, f"A {name}, threads: {threads}", recipe, "fp32", words)))
    visit.add_section("Threads of the processor", step_table(["recipe", "threads"], rows))


# By name: what a call does, and what SGAS_GROUPS may ask for instead.
GROUPS = {
    "machine": machine, "proofs": proofs, "throughput": throughput, "without": without, "traces": traces, "micro": micro,
    "switches": switches, "searches": searches, "memory": memory, "comparisons": comparisons, "scaling": scaling,
    "golden": golden_in_full,
}
CALLS = {
    "first": ["machine", "proofs", "throughput", "without", "traces", "micro", "switches"],
    "more": ["searches", "memory", "comparisons", "scaling", "golden"],
}


def groups_of(call):
    names = os.environ.get("SGAS_GROUPS", "").split(",") if os.environ.get("SGAS_GROUPS") else CALLS[call]
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        sys.exit(f"error: SGAS_GROUPS: no group {unknown[0]}\nhint: there are {', '.join(GROUPS)}")
    return [GROUPS[name] for name in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("call", choices=["first", "more"])
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], required=True)
    parser.add_argument("--started", type=float, required=True)
    args = parser.parse_args()
    settings, groups = Settings(args.device), groups_of(args.call)
    try_out = args.device == "cpu" or settings.small
    title = "Results on a GPU" if not try_out else f"A try of benches/gpu.sh ({args.device}), whose numbers say nothing"
    budget, limit = (float(os.environ.get(name) or default) for name, default in
                     (("SGAS_BUDGET", BUDGET[args.call]), ("SGAS_LIMIT", 90)))
    visit = Visit(title, os.environ.get("SGAS_CONDITIONS", ""), args.report.absolute(), args.device, budget, limit,
                  args.started)
    for group in groups:
        group(visit, settings)
    visit.write()
    return visit.close()


if __name__ == "__main__":
    sys.exit(main())
