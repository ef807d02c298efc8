"""Checkpoints in the manner of the published code (checkpoints.py) become files of the program, with the same weights and
the logits that the published code computed by them: points, images, PPI, ResGCN; every form; every version of PyTorch
Geometric."""

import json
import unittest

import torch
from checkpoints import forms, of_geometric, published
from program import GOLDEN, folder, sgas, write_cloud, write_graph

from sgas import weights

# As the golden files are held: fp32 of two programs.
PROBABILITIES = 1e-4


def networks(begin):
    files = sorted(GOLDEN.glob(f"{begin}*.safetensors"))
    if not files:
        raise AssertionError(f"there is no {begin}*.safetensors in {GOLDEN}")
    return [(file.stem, *published(file)) for file in files]


def sizes(case):
    """What a checkpoint leaves unsaid."""
    if case["kind"] == "resgcn":
        words = {"resgcn.blocks": case["blocks"], "resgcn.channels": case["channels"], "resgcn.k": case["k"]}
        return ["--task", "s3dis", *set_all(words)]
    image = case["space"] in ("cifar", "imagenet")
    space = {"modelnet": "point", "ppi": "graph"}.get(case["space"], "image")
    file = folder() / "published-cell.json"
    file.write_text(json.dumps({**case["genotype"], "space": space}))
    words = {"model.channels": case["init_channels"], "model.cells": case["layers" if image else "cells"]}
    if space == "point":
        words |= {"point.k": case["k"], "point.embedding": case["emb_dims"]}
    task = {"cifar": "cifar10", "imagenet": "imagenet", "modelnet": "modelnet40", "ppi": "ppi"}[case["space"]]
    return ["--genotype", file, "--task", task, *set_all(words)]


def set_all(words):
    return [word for key, value in words.items() for word in ("--set", f"{key}={value}")]


class Published(unittest.TestCase):
    def imported(self, content, is_zip, case):
        """The file that `sgas import` makes of a checkpoint."""
        file, output = folder() / "checkpoint.pth.tar", folder() / "published.safetensors"
        torch.save(content, file, _use_new_zipfile_serialization=is_zip)
        sgas("import", file, "--output", output, "--force", *sizes(case))
        return output

    def same(self, state, file, tolerance=0.0):
        found = weights.read(file)
        wanted = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
        self.assertEqual(sorted(wanted), sorted(found))
        for name, value in wanted.items():
            self.assertLessEqual(float((value - found[name]).abs().max()), tolerance, name)

    def every_form(self, begin, check=lambda *_: None):
        for name, case, state, tensors in networks(begin):
            for form, content, is_zip in forms(state):
                with self.subTest(f"{name}: {form}"):
                    file = self.imported(content, is_zip, case)
                    self.same(state, file)
            check(case, file, tensors)

    def predicted(self, file, inputs, *more):
        """The probabilities of the program, which is told nothing of the network."""
        output = folder() / "published.json"
        sgas("predict", "--weights", file, "--input", *inputs, "--output", output, "--force", *more)
        told = json.loads(output.read_text())["predictions"]
        return torch.tensor([list(one["probabilities"].values()) for one in told], dtype=torch.float64)

    def near(self, found, expected):
        self.assertEqual(found.shape, expected.shape)
        # Answers that hardly differ would agree with anything.
        self.assertGreater(float(expected.std(0).max()), 1e-3)
        worst = float((found - expected).abs().max())
        print(f"{self.id().rpartition('.')[2]}: probabilities within {worst:.1e} of the published code's")
        self.assertLess(worst, PROBABILITIES)

    def test_points(self):
        def check(case, file, tensors):
            clouds = tensors["input:x"].squeeze(-1).transpose(1, 2)
            files = [folder() / f"published-{number}.xyz" for number in range(len(clouds))]
            for place, cloud in zip(files, clouds):
                write_cloud(place, cloud)
            more = set_all({"data.points": clouds.shape[1], "data.normalize": "none"})
            self.near(self.predicted(file, files, *more), tensors["output:eval_logits_after"].double().softmax(-1))

        self.every_form("point-network", check)

    def test_images(self):
        self.every_form("cnn-network")

    def test_resgcn(self):
        self.every_form("resgcn")

    def test_auxiliary_heads(self):
        """An image network with an auxiliary head, and the same checkpoint without."""
        heads = 0
        for name, case, state, _ in networks("cnn-network"):
            for content in (state, {key: value for key, value in state.items() if not key.startswith("auxiliary_head.")}):
                with self.subTest(f"{name}: {len(content)} tensors"):
                    self.same(content, self.imported({"state_dict": content}, True, case))
            heads += any(key.startswith("auxiliary_head.") for key in state)
        print(f"{heads} networks with an auxiliary head")

    def check_graph(self, case, file, tensors, tag):
        place = folder() / f"published-{tag}"
        write_graph(place, tensors["input:x"], tensors["input:edge_index"])
        more = set_all({"data.graphs.links": "stored", "data.graphs.self_loops": "stored", "data.graphs.duplicates": "stored"})
        self.near(self.predicted(file, [place], *more), tensors["output:eval_logits_after"].double().sigmoid())

    def test_ppi(self):
        self.every_form("graph-network", lambda case, file, tensors: self.check_graph(
            case, file, tensors, f"graph-{len(list(folder().glob('published-graph-*')))}"))

    def test_ppi_of_every_version_of_pytorch_geometric(self):
        for name, case, state, tensors in networks("graph-network"):
            for version in ("1.4", "1.6", "2.0"):
                for is_zip in (True, False):
                    with self.subTest(f"{name}: {version}, {is_zip}"):
                        old = of_geometric(state, version)
                        self.assertTrue(version != "1.4" or sorted(old) != sorted(state))
                        file = self.imported(old, is_zip, case)
                        # The shift of a norm was rounded twice.
                        self.same(state, file, 1e-6)
                self.check_graph(case, file, tensors, f"{version}-{name}")


if __name__ == "__main__":
    unittest.main()
