"""Numbers that the published code gave (tests/fixtures/golden, or SGAS_GOLDEN_DIR): operations and derived networks with
published cells, weights and inputs from the files."""

import json
import unittest

import torch
from program import GOLDEN, safetensors_header
from torch import nn

from sgas import genotypes, graphs, images, points, weights
from sgas.links import Links
from sgas.resgcn import ResGcn

# As the program's own tests hold it: fp32 of two programs, relative to a tensor's greatest absolute value.
RELATIVE, ABSOLUTE = 1e-4, 1e-5
SPACES = {"cnn": "image", "cifar": "image", "imagenet": "image", "point": "point", "modelnet": "point",
          "graph": "graph", "ppi": "graph"}

PREPROCESSING = {"relu_conv_bn": images.ReluConvolution, "factorized_reduce": images.FactorizedReduction}


class Golden(unittest.TestCase):
    """Every file of a kind."""

    def compare(self, kind, space, check):
        """Calls `check` with case and tensors of every file; it answers whether there was something to compare."""
        compared = 0
        for file in sorted(GOLDEN.glob("*.safetensors")):
            header, _ = safetensors_header(file)
            case = json.loads(header["__metadata__"]["case"])
            if case["kind"] == kind and SPACES[case.get("space", "point")] == space:
                with self.subTest(file.name), torch.no_grad():
                    compared += check(case, weights.read(file))
        print(f"{kind}s of the {space} space: {compared} files")
        self.assertGreater(compared, 0, f"no file of this kind in {GOLDEN}")

    def near(self, ours, published, what):
        allowed = RELATIVE * float(published.abs().max()) + ABSOLUTE
        self.assertEqual(ours.shape, published.shape)
        self.assertLessEqual(float((ours.double() - published.double()).abs().max()), allowed, what)

    def fill(self, module, tensors, after=False):
        state = {name.removeprefix("weight:"): value for name, value in tensors.items() if name.startswith("weight:")}
        if after:
            state |= {name.removeprefix("after:"): value for name, value in tensors.items() if name.startswith("after:")}
        loaded = module.load_state_dict(state, strict=False)
        left_out = [name for name in loaded.missing_keys if not name.endswith("num_batches_tracked")]
        self.assertEqual((left_out, loaded.unexpected_keys), ([], []))
        return module

    def operations(self, space, make, arguments, as_published=lambda y: y):
        def check(case, tensors):
            module = make(case) if case["primitive"] != "none" else None
            if module is None:
                return False
            self.fill(module, tensors).train(case["mode"] == "train")
            self.near(as_published(module(*arguments(tensors))), tensors["output:y"], "y")
            return True

        self.compare("op", space, check)

    def test_point_operations(self):
        def arguments(tensors):
            rows = tensors["input:x"].squeeze(-1).transpose(1, 2)
            return rows, tensors["input:neighbours"]

        self.operations("point", lambda case: points.operation(case["primitive"], case["channels"]), arguments,
                        lambda y: y.transpose(1, 2).unsqueeze(-1))

    def test_graph_operations(self):
        def arguments(tensors):
            x = tensors["input:x"]
            return x, Links(tensors["input:edge_index"], x.shape[0])

        self.operations("graph", lambda case: graphs.operation(case["primitive"], case["channels"], False), arguments)

    def test_image_operations(self):
        def make(case):
            name, stride = case["primitive"], case.get("stride", 1)
            if name in PREPROCESSING:
                return PREPROCESSING[name](case["in_channels"], case["out_channels"])
            # Norms of a supernet have no scale and shift; a derived network has none of those.
            has_norm = not (name.endswith("pool_3x3") or (name == "skip_connect" and stride == 1))
            return images.operation(name, case["channels"], stride) if case["affine"] or not has_norm else None

        self.operations("image", make, lambda tensors: (tensors["input:x"],))

    def network(self, case):
        genotype = genotypes.parse({**case["genotype"], "space": SPACES[case["space"]]}, "case")
        shared = {"classes": case["num_classes"], "channels": case["init_channels"]}
        if genotype.space == "image":
            stem = "imagenet" if case["space"] == "imagenet" else "cifar"
            return images.ImageNetwork(genotype, **shared, cells=case["layers"], stem=stem, stem_multiplier=3,
                                       auxiliary=case["auxiliary"])
        shared |= {"cells": case["cells"], "in_channels": case["in_channels"]}
        if genotype.space == "graph":
            return graphs.GraphNetwork(genotype, **shared, norm="batch", feature_dropout=0.0, dropout=0.0, propagation=0,
                                       teleport=0.1)
        return points.PointNetwork(genotype, **shared, k=case["k"], embedding=case["emb_dims"], dropout=case["dropout"],
                                   stem_multiplier=case["stem_multiplier"], per_point=False)

    def networks(self, space, arguments):
        def check(case, tensors):
            evaluated = self.fill(self.network(case), tensors, after=True).eval()
            self.near(evaluated(*arguments(tensors)), tensors["output:eval_logits_after"], "evaluation")
            # Batch norm over few samples magnifies rounding: in fp64, ours is without it.
            trained = self.fill(self.network(case), tensors).double().train()
            given = [x.double() if x.is_floating_point() else x for x in arguments(tensors)]
            if case["auxiliary"]:
                logits, auxiliary = trained.with_auxiliary(*given)
                self.near(auxiliary, tensors["output:train_aux_logits"], "auxiliary head")
            else:
                logits = trained(*given)
            self.near(logits, tensors["output:train_logits"], "training")
            return True

        self.compare("network", space, check)

    def test_image_networks(self):
        def arguments(tensors):
            if "input:x" in tensors:
                return (tensors["input:x"],)
            return (nn.functional.interpolate(tensors["input:x_28"], (224, 224), mode="nearest"),)

        self.networks("image", arguments)

    def test_graph_networks(self):
        self.networks("graph", lambda tensors: (tensors["input:x"], tensors["input:edge_index"]))

    def test_point_networks(self):
        self.networks("point", lambda tensors: (tensors["input:x"].squeeze(-1).transpose(1, 2),))

    def test_resgcns(self):
        def check(case, tensors):
            network = ResGcn(case["in_channels"], case["num_classes"], case["blocks"], case["channels"], case["k"], 0.0, 1024,
                             (512, 256), case["dropout"])
            x = tensors["input:x"].squeeze(-1).transpose(1, 2)
            logits = self.fill(network, tensors, after=True).eval()(x).transpose(1, 2)
            self.near(logits, tensors["output:eval_logits_after"], "evaluation")
            logits = self.fill(network, tensors).double().train()(x.double()).transpose(1, 2)
            self.near(logits, tensors["output:train_logits"], "training")
            return True

        self.compare("resgcn", "point", check)
