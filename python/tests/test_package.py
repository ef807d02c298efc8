"""Loading, fine-tuning, events and genotypes; run folders that are cut, mixed up or hostile give one clear error."""

import contextlib
import io
import json
import os
import re
import shutil
import struct
import unittest

import torch
from program import CELLS, ROOT, folder, safetensors_header, sgas, trained

import sgas as package
from sgas import RunError

FIXTURES = ROOT / "tests" / "fixtures" / "runs-0.1.0"


def copy(name, to):
    """A run's folder that a test may spoil."""
    place = folder() / to
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(trained(name), place)
    return place


def rewrite(file, change):
    """Changes the header of a file of weights, its tensors' bytes as they are."""
    header, data = safetensors_header(file)
    content = file.read_bytes()[data:]
    text = json.dumps(change(header)).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + content)


class Loading(unittest.TestCase):
    def test_best_and_last(self):
        run = trained("graphs")
        best, last = package.load(run), package.load(str(run), which="last")
        self.assertFalse(best.training)
        self.assertEqual(best.about.weights.name, "weights-best.safetensors")
        self.assertEqual(last.about.weights.name, "weights-last.safetensors")
        self.assertEqual(best.about.task, "graphs")
        self.assertEqual(len(best.about.classes), best.classifier.out_features)
        with self.assertRaises(ValueError):
            package.load(run, which="newest")

    def test_without_validation_best_is_last(self):
        network = package.load(trained("resgcn"))
        self.assertEqual(network.about.weights.name, "weights-last.safetensors")
        self.assertIsNone(network.about.genotype)

    def test_names_are_those_of_the_file(self):
        for name in ["points", "auxiliary", "more-graphs"]:
            network = package.load(trained(name))
            header, _ = safetensors_header(network.about.weights)
            names = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
            self.assertEqual(names, set(header) - {"__metadata__"})

    def test_a_run_of_the_first_version(self):
        network = package.load(FIXTURES / "train")
        features = torch.randn(6, network.stem[0].body[0].in_features)
        self.assertEqual(network(features, torch.tensor([[0, 1], [1, 2]])).shape, (6, 5))

    def test_state_dict_round_trip(self):
        network = package.load(trained("points"))
        x = torch.rand(2, 64, 3)
        with torch.no_grad():
            before = network(x)
        file = folder() / "state.pt"
        torch.save(network.state_dict(), file)
        other = package.load(trained("points"), which="last")
        torch.nn.init.zeros_(other.fusion_conv.body[0].weight)
        other.load_state_dict(torch.load(file, weights_only=True))
        with torch.no_grad():
            self.assertTrue(torch.equal(other(x), before))

    def test_the_program_reads_weights_back(self):
        network = package.load(trained("graphs"))
        with torch.no_grad():
            network.classifier.bias.add_(1.0)
        file = folder() / "own.safetensors"
        entries, data = {}, b""
        for name, value in network.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            content = struct.pack(f"<{value.numel()}f", *value.flatten().tolist())
            entries[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(content)]}
            data += content
        header = json.dumps(entries).encode()
        file.write_bytes(struct.pack("<Q", len(header)) + header + data)
        told = [json.loads(sgas("eval", "--weights", weights, "--genotype", folder() / "graphs.json", "--config",
                                "smoke/train-graphs", "--data", "synthetic", "--json"))["loss"]
                for weights in (file, trained("graphs") / "weights-best.safetensors")]
        # A constant on all logits changes no probability.
        self.assertLess(abs(told[0] - told[1]), 1e-5)

    def test_one_step_of_fine_tuning(self):
        torch.manual_seed(0)
        points, targets = torch.rand(6, 64, 3), torch.arange(6)
        for name in ["points", "dgcnn"]:
            network = package.load(trained(name)).train()
            optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
            torch.nn.functional.cross_entropy(network(points), targets).backward()
            self.assertEqual([name for name, value in network.named_parameters() if value.grad is None], [])
            before = [value.clone() for value in network.parameters()]
            optimizer.step()
            self.assertTrue(any(not torch.equal(old, new) for old, new in zip(before, network.parameters())))

    def test_drop_path_and_auxiliary_head(self):
        torch.manual_seed(0)
        network = package.load(trained("auxiliary")).train()
        for cell in network.cells:
            cell.drop_path = 0.2
        logits, auxiliary = network.with_auxiliary(torch.randn(4, 3, 32, 32))
        (logits.sum() + 0.4 * auxiliary.sum()).backward()
        self.assertIsNotNone(network.auxiliary_head.classifier.weight.grad)
        with self.assertRaises(ValueError):
            package.load(trained("images")).with_auxiliary(torch.randn(1, 3, 32, 32))

    def test_autocast(self):
        torch.manual_seed(0)
        graph = torch.randn(30, 16), torch.randint(0, 30, (2, 60))
        inputs = {"points": (torch.rand(4, 64, 3),), "images": (torch.randn(4, 3, 16, 16),), "graphs": graph,
                  "more-points": (torch.rand(4, 64, 3),), "more-graphs": graph, "gat": graph, "nas-bench-graph": graph,
                  "more-nas-bench-graph": graph, "dgcnn": (torch.rand(4, 64, 3),), "resgcn": (torch.rand(2, 256, 3),)}
        for name, given in inputs.items():
            with self.subTest(name):
                network = package.load(trained(name))
                with torch.no_grad():
                    exact = network(*given)
                    with torch.autocast("cpu", dtype=torch.bfloat16):
                        half = network(*given).float()
                self.assertTrue(torch.isfinite(half).all())
                # Blocks of ResGCN look for neighbours in features, and other digits give other neighbours.
                if name != "resgcn":
                    self.assertLess(float((half - exact).abs().mean()), 0.25 * float(exact.abs().mean()) + 0.05)
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = network.train()(*given).float().square().mean()
                loss.backward()
                self.assertTrue(all(torch.isfinite(value.grad).all() for value in network.parameters()
                                    if value.grad is not None))

    def test_compiled(self):
        """As one graph of `torch.compile`, without the code of inductor, which needs a compiler: logits and gradients."""
        torch.manual_seed(0)
        graph = torch.randn(30, 16), torch.randint(0, 30, (2, 60))
        inputs = {"points": (torch.rand(4, 64, 3),), "more-points": (torch.rand(4, 64, 3),), "images": (torch.randn(4, 3, 16, 16),),
                  "nas-bench-201": (torch.randn(4, 3, 16, 16),), "graphs": graph, "nas-bench-graph": graph,
                  "resgcn": (torch.rand(2, 256, 3),)}
        for name, given in inputs.items():
            with self.subTest(name):
                torch.compiler.reset()
                network = package.load(trained(name))
                compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
                with torch.no_grad():
                    self.assertLess(float((compiled(*given) - network(*given)).abs().max()), 1e-4)
                gradients = []
                for module in (network, compiled):
                    network.zero_grad()
                    module(*given).square().mean().backward()
                    gradients.append([value.grad.clone() for value in network.parameters() if value.grad is not None])
                self.assertEqual(*map(len, gradients))
                for one, other in zip(*gradients):
                    self.assertLess(float((one - other).abs().max()), 1e-3 * float(one.abs().max()) + 1e-5)

    def test_inputs_that_do_not_fit(self):
        with self.assertRaisesRegex(ValueError, "at least 8 points"):
            package.load(trained("points"))(torch.rand(1, 7, 3))
        network = package.load(trained("graphs"))
        for links in [torch.zeros(2, 3), torch.tensor([[0], [9]]), torch.zeros(3, 2, dtype=torch.int64)]:
            with self.assertRaisesRegex(ValueError, "links: expected"):
                network(torch.rand(4, 16), links)


class PlainData(unittest.TestCase):
    def test_events(self):
        run = trained("graphs")
        events = package.events(run)
        self.assertEqual(events[0]["event"], "started")
        epochs = [event for event in events if event["event"] == "epoch"]
        self.assertEqual([event["epoch"] for event in epochs], [0, 1, 2])
        cut = copy("graphs", "cut-events")
        with open(cut / "events.jsonl", "a") as file:
            file.write('{"event":"epo')
        self.assertEqual(package.events(cut), events)
        (cut / "events.jsonl").write_text("[]\n")
        with self.assertRaisesRegex(RunError, "line 1: expected a JSON object"):
            package.events(cut)

    def test_genotypes_of_files_and_runs(self):
        run = trained("nas-bench-201")
        cell = package.genotype(run)
        self.assertEqual(cell, package.genotype(folder() / "nas-bench-201.json"))
        self.assertEqual([(edge.node, edge.source) for edge in cell.normal.edges],
                         [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)])
        self.assertEqual(package.genotype(FIXTURES / "train").space, "graph")
        with self.assertRaisesRegex(RunError, "no genotype.json"):
            package.genotype(trained("resgcn"))

    def test_genotypes_that_are_none(self):
        file = folder() / "wrong.json"
        right = CELLS["graphs"]
        edges = right["normal"]
        for change, told in [
            ({"space": "moon"}, "space: expected one of"), ({"normal": edges[:5]}, "5 edges are not"),
            ({"normal": [["edge_conv", 7], *edges[1:]]}, "node 0: expected a state from 0 to 1"),
            ({"normal": [["rm -rf", 0], *edges[1:]]}, "node 0: expected one of skip_connect"),
            ({"normal": [["edge_conv", True], *edges[1:]]}, "expected a state"), ({"normal": 3}, "expected a list"),
            ({"normal_concat": [5]}, "normal_concat: expected a list of states from 0 to 4"),
            ({"normal_concat": []}, "normal_concat: expected"),
        ]:
            file.write_text(json.dumps({**right, **change}))
            with self.subTest(told), self.assertRaisesRegex(RunError, told):
                package.genotype(file)
        for text in ["", "{", "[" * 100_000, "[1]", "\udcff".encode("utf-8", "surrogatepass")]:
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
            with self.assertRaises(RunError):
                package.genotype(file)


class Refused(unittest.TestCase):
    """One clear error, of one type, and nothing else."""

    def refuse(self, run, told):
        with self.assertRaisesRegex(RunError, told):
            package.load(run)

    def test_folders_that_are_no_training(self):
        self.refuse(folder() / "nowhere", "not the folder of a run")
        self.refuse(FIXTURES / "search", "is not a training")
        run = copy("graphs", "no-epoch")
        for file in run.glob("weights-*"):
            file.unlink()
        self.refuse(run, "no epoch of this training is done yet")

    def test_weights_that_are_cut(self):
        run = copy("graphs", "cut")
        file = run / "weights-best.safetensors"
        content = file.read_bytes()
        _, data = safetensors_header(file)
        for length in [0, 5, 8, 100, data, data + 3, len(content) - 1]:
            file.write_bytes(content[:length])
            with self.subTest(length):
                self.refuse(run, "cut off|no JSON|found")
        file.write_bytes(content + b"\0")
        self.refuse(run, "as its header says")

    def test_headers_that_lie(self):
        def changed(name, **fields):
            return lambda header: {**header, name: {**header[name], **fields}}

        bias = "classifier.bias"
        for change, told in [
            (changed(bias, shape=[10**18]), "are not those of the shape"), (changed(bias, shape=[-5]), "expected a shape"),
            (changed(bias, shape=[2**61, 4]), "are not those of the shape"),
            (changed(bias, data_offsets=[0, 20]), "expected its bytes to begin|are not those"),
            (changed(bias, data_offsets=[0, 2**80]), "not all in the file"),
            (changed(bias, data_offsets=[-8, 12]), "not all in the file"),
            (changed(bias, data_offsets="all"), "no data_offsets"), (changed(bias, dtype="F128"), "expected one of the types"),
            (changed(bias, dtype=["F32"]), "expected one of the types"), (lambda header: [header], "no JSON object"),
            (lambda header: {**header, "x": 3}, "no data_offsets"),
            (lambda header: {("more" if name == bias else name): entry for name, entry in header.items()},
             "classifier.bias"),
        ]:
            run = copy("graphs", "lies")
            rewrite(run / "weights-best.safetensors", change)
            with self.subTest(told):
                self.refuse(run, told)

    def test_numbers_that_are_not_finite(self):
        run = copy("graphs", "nan")
        file = run / "weights-best.safetensors"
        header, data = safetensors_header(file)
        content = bytearray(file.read_bytes())
        begin = data + header["classifier.bias"]["data_offsets"][0]
        content[begin:begin + 4] = struct.pack("<f", float("nan"))
        file.write_bytes(content)
        self.refuse(run, "classifier.bias: holds inf or NaN")

    def test_configurations_that_do_not_belong(self):
        for old, new, told in [
            ("channels = 16", "channels = 32", "do not belong together"), ("cells = 2", "cells = 3", "do not belong together"),
            ("channels = 16", "channels = 100000000000", "model.channels: expected 1 to"),
            ("cells = 2", "cells = 1000000000", "model.cells: expected 1 to"),
            ("channels = 16", "channels = true", "model.channels: expected 1 to"),
            ("channels = 16", "channels = ", "expected TOML"), ("teleport = 0.1", "teleport = inf", "graph.teleport"),
            ('norm = "batch"', 'norm = "__import__"', "graph.norm: expected one of"),
        ]:
            run = copy("graphs", "sizes")
            text = (run / "config.toml").read_text()
            self.assertIn(old, text)
            (run / "config.toml").write_text(text.replace(old, new, 1))
            with self.subTest(new):
                self.refuse(run, told)

    def test_files_that_are_none(self):
        for name in ["run.json", "config.toml", "genotype.json", "weights-best.safetensors"]:
            run = copy("graphs", "folders")
            (run / name).unlink()
            (run / name).mkdir()
            with self.subTest(name):
                self.refuse(run, "expected a regular file")

    def test_a_cell_of_another_space(self):
        run = copy("graphs", "space")
        shutil.copy(trained("points") / "genotype.json", run / "genotype.json")
        self.refuse(run, "another network|do not belong together")

    def test_a_network_that_is_not_known(self):
        run = copy("gcn", "unknown")
        text = (run / "config.toml").read_text()
        (run / "config.toml").write_text(text.replace('network = "gcn"', 'network = "transformer"'))
        self.refuse(run, "this package has no network 'transformer'")


class Documented(unittest.TestCase):
    def test_the_example_of_the_docs(self):
        text = (ROOT / "docs" / "python.md").read_text()
        blocks = re.findall(r"```python\n(.*?)```", text, re.S)
        self.assertEqual(len(blocks), 1)
        link = folder() / "runs" / "my-training"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(trained("points"))
        before = os.getcwd()
        os.chdir(folder())
        try:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(blocks[0], "docs/python.md", "exec"), {})
        finally:
            os.chdir(before)
        self.assertIn("points", printed.getvalue().splitlines()[0])
        self.assertTrue((folder() / "fine-tuned.pt").is_file())
