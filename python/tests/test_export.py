"""Networks that leave the package: `torch.export` and ONNX give the same logits, at several sizes of input.

SGAS_EXPORT_ALL=1 takes every published cell instead of one per space, and ResGCN with 28 blocks.
"""

import contextlib
import importlib.util
import io
import json
import os
import re
import sys
import unittest
import warnings
import zipfile
from pathlib import Path
from unittest import mock

import torch
from program import ROOT, folder, safetensors_header, sgas, trained

import sgas as package
from sgas import About, baselines, export, genotypes, graphs, images, points, resgcn, weights
from sgas.signatures import signature

ALL = os.environ.get("SGAS_EXPORT_ALL") == "1"
HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
LOGITS = 1e-4
# Clouds whose neighbours, and so whose logits, may differ.
LEAST_SHARE = 0.99
# Two distances whose relative difference is below are a near-tie: features of two programs differ by rounding.
TIE = 1e-4
# Of 28 searches for up to 433 neighbours every cloud has a near-tie, and drawn weights make the rest of it another: what is
# held of such a network are its neighbours, one search after the other, and its logits with the same neighbours.
DEEP = ["ResGCN-28"]
# Sizes of inputs beside the one that is traced: clouds and points beyond the least, or nodes and links.
CLOUDS, BATCHES, GRAPHS = ((1, 0), (30, 1), (70, 23)), (1, 4), ((1, 1), (6, 0), (50, 230))
RUNS = ["more-points", "dgcnn", "resgcn", "segmentation", "auxiliary", "imagenet", "resnet", "nas-bench-201", "more-graphs",
        "gcn", "gat", "nas-bench-graph", "more-nas-bench-graph", "raw-nas-bench-graph"]
ONE_PER_SPACE = ["Cri2_ModelNet_Best", "Cri1_CIFAR_Best", "Cri1_PPI_Best"]


def of_cell(name):
    """A small network of a published cell, with drawn weights and statistics."""
    torch.manual_seed(0)
    genotype = genotypes.parse(json.loads(sgas("show", name, "--json"))["genotype"], name)
    size = {"channels": 8, "cells": 2}
    if genotype.space == "point":
        network = points.PointNetwork(genotype, 3, 10, **size, k=4, embedding=32, dropout=0.5, stem_multiplier=3,
                                      per_point=False)
    elif genotype.space == "graph":
        network = graphs.GraphNetwork(genotype, 7, 5, **size, norm="batch", feature_dropout=0.0, dropout=0.0, propagation=0,
                                      teleport=0.1)
    else:
        # Cells at a third and two thirds halve the resolution.
        network = images.ImageNetwork(genotype, 10, 4, 3, "cifar", 3, auxiliary=False)
    return with_statistics(network, genotype)


def with_statistics(network, genotype=None):
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    network.about = About("none", (), {"data": {"images": {"size": 16}}}, genotype, Path("none"))
    return network.eval()


def inputs(network):
    """Random inputs of several sizes."""
    shape, drawn = signature(network), torch.Generator().manual_seed(1)
    if shape.kind == "points":
        for clouds, more in CLOUDS:
            yield (2 * torch.rand(clouds, shape.least["points"] + more, network.in_channels, generator=drawn) - 1,)
    elif shape.kind == "images":
        for batch in BATCHES:
            yield (torch.randn(batch, *shape.inputs[0].shape[1:], generator=drawn),)
    else:
        for nodes, links in GRAPHS:
            yield (torch.randn(nodes, network.in_channels, generator=drawn),
                   torch.randint(0, nodes, (2, links), generator=drawn))


@contextlib.contextmanager
def searching(search):
    """Networks look for neighbours by this."""
    with contextlib.ExitStack() as stack:
        for module in (points, baselines, resgcn):
            stack.enter_context(mock.patch.object(module, "nearest", search))
        yield


def led(network, given, neighbours):
    """The logits where the network takes the neighbours that ONNX found, and for every search the points, what the
    network would have found, and what ONNX did."""
    own, calls, found = points.nearest, [], iter(neighbours)

    def search(x, *rest):
        ours, theirs = own(x, *rest), next(found)
        # A search finds all ranks, of which the network takes every so many.
        dilation = (theirs.shape[-1] - 1) // (ours.shape[-1] - 1)
        calls.append((x, ours, theirs[..., ::dilation]))
        return calls[-1][2]

    with searching(search):
        logits = network(*given)
    assert next(found, None) is None, "ONNX has more searches"
    return logits, calls


def ties(features, ours, theirs):
    """Of each cloud, how many neighbours differ; and whether all that do are as far away, to rounding."""
    def distances(found):
        there = points.gather(features.double(), found)
        return (there - features.double().unsqueeze(2)).square().sum(-1)

    differs = ours != theirs
    ours, theirs = distances(ours), distances(theirs)
    are_ties = ((ours - theirs).abs() <= TIE * ours.abs().clamp_min(1e-12))[differs].all()
    return differs.flatten(1).sum(1), bool(are_ties)


class Exported(unittest.TestCase):
    """Logits of the module, of `torch.export` and of ONNX."""

    def networks(self):
        for name in RUNS:
            yield name, package.load(trained(name))
        cells = [cell["name"] for cell in json.loads(sgas("zoo", "--json"))["cells"]] if ALL else ONE_PER_SPACE
        for name in cells:
            yield name, of_cell(name)
        if ALL:
            torch.manual_seed(0)
            yield "ResGCN-28", with_statistics(resgcn.ResGcn(9, 13, 28, 64, 16, 0.2, 1024, (512, 256), 0.3))

    def same(self, ours, theirs):
        """Whether logits of every sample are the same; rows of a batch are samples, or nodes of a graph."""
        self.assertEqual(ours.shape, theirs.shape)
        return (ours - theirs).abs().flatten(1).amax(1) <= LOGITS

    def test_torch_export_gives_the_same_logits(self):
        for name, network in self.networks():
            with self.subTest(name), torch.no_grad():
                content = io.BytesIO()
                torch.export.save(export.program(network), content)
                content.seek(0)
                with warnings.catch_warnings():
                    # PyTorch's own, of buffers that it does not write.
                    warnings.simplefilter("ignore")
                    program = torch.export.load(content).module()
                for given in inputs(network):
                    self.assertTrue(bool(self.same(network(*given), program(*given)).all()))

    @unittest.skipUnless(HAS_ONNX, "onnx, onnxscript and onnxruntime are not installed")
    def test_onnx_gives_the_same_neighbours_and_logits(self):
        shallow, deep = ({"clouds": 0, "clouds with a near-tie": 0, "clouds that differ": 0} for _ in range(2))
        for name, network in self.networks():
            with self.subTest(name), torch.no_grad():
                self.compare_with_onnx(name, network, shallow, deep)
        for what, counts in (("networks", shallow), (f"{', '.join(DEEP)}", deep)):
            print(f"{what}: " + ", ".join(f"{count} {of}" for of, count in counts.items()))
        self.assertLessEqual(shallow["clouds that differ"], (1 - LEAST_SHARE) * shallow["clouds"])

    def compare_with_onnx(self, name, network, shallow, deep):
        import onnx
        import onnxruntime

        model = export.onnx(network, export.describe(network))
        onnx.checker.check_model(model, full_check=True)
        # The neighbours are outputs too, for this test.
        searches = [node.output[1] for node in model.graph.node if node.op_type == "TopK"]
        for output in searches:
            model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.INT64, None))
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        names, worst = [value.name for value in signature(network).inputs], 0.0
        for given in inputs(network):
            ours = network(*given)
            told = session.run(None, {name: value.numpy() for name, value in zip(names, given)})
            theirs, *neighbours = map(torch.from_numpy, told)
            same = self.same(ours, theirs)
            if neighbours:
                with_theirs, calls = led(network, given, neighbours)
                tied = torch.zeros(len(ours), dtype=torch.int64)
                for features, found, other in calls:
                    differing, are_ties = ties(features, found, other)
                    self.assertTrue(are_ties, "neighbours differ that are no near-tie")
                    tied += differing
                # With the same neighbours every cloud has the same logits, whatever was tied.
                self.assertTrue(bool(self.same(with_theirs, theirs).all()), f"{name}: {float((with_theirs - theirs).abs().max())}")
                counts = deep if name in DEEP else shallow
                counts["clouds"] += len(ours)
                counts["clouds with a near-tie"] += int((tied > 0).sum())
                counts["clouds that differ"] += int((~same).sum())
                same |= tied > 0
            self.assertTrue(bool(same.all()), f"{name}: {float((ours - theirs).abs().max())}")
            if ours.shape[0] > 1 and ours.shape[-1] > 1:
                # A network whose answers hardly differ would agree with anything.
                self.assertGreater(float(ours.flatten(1).std(0).max()), 1e-3)
            worst = max(worst, float((ours - theirs).abs().max()))
        print(f"{name}: {len(searches)} searches for neighbours, logits within {worst:.1e}")


class Ties(unittest.TestCase):
    @unittest.skipUnless(HAS_ONNX, "onnx, onnxscript and onnxruntime are not installed")
    def test_of_points_at_one_distance_the_lower_number_comes_first(self):
        import onnxruntime

        class Search(torch.nn.Module):
            def forward(self, x):
                return points.nearest(x, 4)

        # Corners of a square twice: every point has a twin, and its two neighbours and their twins are equally far.
        corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]).repeat(2, 1).unsqueeze(0)
        model = torch.onnx.export(Search().eval(), (corners,), dynamo=True, opset_version=export.OPSET,
                                  verbose=False).model_proto
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(None, {session.get_inputs()[0].name: corners.numpy()})[0][0]
        self.assertEqual(found.tolist(), [[0, 4, 1, 2], [1, 5, 0, 3], [2, 6, 0, 3], [3, 7, 1, 2],
                                          [4, 0, 1, 2], [5, 1, 0, 3], [6, 2, 0, 3], [7, 3, 1, 2]])


class Files(unittest.TestCase):
    """What is written beside the network, and what is not replaced."""

    def test_a_state_dict_opens_without_executing_anything(self):
        network, file = package.load(trained("graphs")), folder() / "graphs.pt"
        told = export.write(network, file, "torch")
        held = torch.load(file, weights_only=True)
        state = held.pop("state_dict")
        self.assertEqual(held, told)
        self.assertEqual(state.keys(), network.state_dict().keys())
        self.assertEqual(genotypes.parse(json.loads(held["genotype"]), "held"), network.about.genotype)
        self.assertEqual(held["classes"], list(network.about.classes))
        self.assertEqual(held["inputs"][1], {"name": "links", "type": "int64", "shape": (2, "links")})

    def test_a_program_holds_what_belongs_to_it_and_no_lines_of_this_machine(self):
        network, file = package.load(trained("gcn")), folder() / "gcn.pt2"
        told = export.write(network, file, "torch-export", metadata={"license": "MIT"})
        held = {"sgas.json": ""}
        torch.export.load(file, extra_files=held)
        self.assertEqual(json.loads(held["sgas.json"]), json.loads(json.dumps(told)))
        self.assertEqual(told["license"], "MIT")
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.endswith(".json")]
            self.assertTrue(names and all(str(ROOT).encode() not in archive.read(name) for name in names))

    @unittest.skipUnless(HAS_ONNX, "onnx, onnxscript and onnxruntime are not installed")
    def test_onnx_holds_what_belongs_to_it(self):
        import onnx

        network, file = package.load(trained("nas-bench-201")), folder() / "images.onnx"
        told = export.write(network, file, "onnx")
        model = onnx.load(file)
        held = {entry.key: entry.value for entry in model.metadata_props}
        self.assertEqual((held["task"], held["sgas"]), (network.about.task, network.about.version))
        self.assertEqual(json.loads(held["classes"]), list(network.about.classes))
        images = network.about.config["data"]["images"]
        self.assertEqual(json.loads(held["preparation"]), {key: images[key] for key in
                                                           ("size", "augmentation", "mean", "deviation")})
        self.assertEqual([entry.version for entry in model.opset_import if not entry.domain], [told["opset"]])
        dimensions = model.graph.input[0].type.tensor_type.shape.dim
        sizes = [size.dim_param or size.dim_value for size in dimensions]
        self.assertEqual(sizes, ["batch", 3, images["size"], images["size"]])
        self.assertNotIn(str(ROOT).encode(), file.read_bytes())

    def test_other_classes_need_names(self):
        network = package.load(trained("graphs"))
        network.classifier = torch.nn.Linear(network.classifier.in_features, 2)
        with self.assertRaisesRegex(export.ExportError, "expected 2 names"):
            export.write(network, folder() / "two.pt", "torch")
        told = export.write(network, folder() / "two.pt", "torch", classes=["yes", "no"])
        self.assertEqual(told["classes"], ["yes", "no"])

    def test_places_and_formats_that_are_refused(self):
        network, file = package.load(trained("graphs")), folder() / "there.pt"
        file.write_text("a diary")
        for place, format, reason in [(file, "torch", "is there already"), (folder() / "no" / "x.pt", "torch", "in a folder"),
                                      (folder() / "x", "h5", "expected one of torch, torch-export, onnx")]:
            with self.assertRaisesRegex(export.ExportError, reason):
                export.write(network, place, format)
        self.assertEqual(file.read_text(), "a diary")
        export.write(network, file, "torch", force=True)
        self.assertIn("state_dict", torch.load(file, weights_only=True))
        self.assertEqual(list(folder().glob(".sgas-partial-*")), [])

    def test_what_can_not_be_expressed_is_an_error_that_says_so(self):
        network = package.load(trained("graphs"))
        network.dropout.forward = lambda x: x if float(x.sum()) > 0 else -x
        with self.assertRaisesRegex(export.ExportError, "GraphNetwork can't be expressed by torch.export: "):
            export.write(network, folder() / "hindered.pt2", "torch-export")
        self.assertFalse((folder() / "hindered.pt2").exists())

    def test_a_missing_package_is_named(self):
        with mock.patch.object(export, "ONNX_PACKAGES", ("onnx", "no_such_package")):
            with self.assertRaisesRegex(export.ExportError, "there is no (onnx|no_such_package): .* -m pip install"):
                export.write(package.load(trained("graphs")), folder() / "x.onnx", "onnx")

    def test_the_programs_command_says_the_same(self):
        """`sgas export` calls this package; its own safetensors hold the same facts."""
        run, place = trained("points"), folder() / "exported"
        place.mkdir()
        sgas("eval", "--run", run)
        with mock.patch.dict(os.environ, {"SGAS_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(sys.path)}):
            printed = sgas("export", "--run", run, "--format", "torch", "--output", place / "net.pt")
        self.assertIn(f"torch {torch.__version__}", printed)
        held = torch.load(place / "net.pt", weights_only=True)
        sgas("export", "--run", run, "--format", "safetensors", "--output", place / "net.safetensors")
        header, _ = safetensors_header(place / "net.safetensors")
        facts = json.loads(header["__metadata__"]["sgas"])["state"]
        self.assertGreater(facts["scores"]["test"]["samples"], 0)
        texts = ("genotype", "config")
        self.assertEqual({key: json.loads(held[key]) if key in texts else held[key] for key in facts},
                         {key: json.loads(facts[key]) if key in texts else facts[key] for key in facts})
        self.assertNotIn("source", json.loads(held["config"])["data"])
        # Either file says all that the program must know.
        scores = [json.loads(sgas("eval", *named, "--data", "synthetic", "--json"))
                  for named in (["--run", run], *(["--weights", place / f"net.{end}"] for end in ("pt", "safetensors")))]
        for other in scores[1:]:
            self.assertEqual(other["confusion"], scores[0]["confusion"])
            self.assertEqual(list(other["per_class"]), list(scores[0]["per_class"]))
        loaded = weights.read(place / "net.safetensors")
        for name, value in loaded.items():
            self.assertTrue(torch.equal(value, held["state_dict"][name]))
        self.assertIn("net.safetensors", (place / "README.md").read_text())


class Documented(unittest.TestCase):
    @unittest.skipUnless(HAS_ONNX, "onnx, onnxscript and onnxruntime are not installed")
    def test_the_notebook(self):
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "fine-tuning.md").read_text(), re.S)
        self.assertEqual(len(blocks), 6)
        place = folder() / "notebook"
        (place / "runs").mkdir(parents=True)
        (place / "runs" / "my-training").symlink_to(trained("points"))
        before, names = os.getcwd(), {}
        os.chdir(place)
        try:
            with contextlib.redirect_stdout(io.StringIO()) as printed, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for block in blocks:
                    exec(compile(block, "docs/fine-tuning.md", "exec"), names)
        finally:
            os.chdir(before)
        print(printed.getvalue())
        lines = printed.getvalue().splitlines()
        accuracy = float(next(line for line in lines if line.startswith("exported:")).split()[1])
        # Of two classes of equal size.
        self.assertGreater(accuracy, 0.8)
        self.assertEqual(lines[-1], f"['sphere', 'cube'] {accuracy}")
