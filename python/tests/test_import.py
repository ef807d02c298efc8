"""The program reads what torch.save writes: checkpoints of trainings in PyTorch, in both formats, and nothing hostile."""

import argparse
import json
import os
import unittest
from collections import OrderedDict

import torch
from program import folder, safetensors_header, sgas, trained, write_cloud, write_graph, write_png

import sgas as package
from sgas import export


def tensors(file):
    """The tensors of a safetensors file in fp32."""
    header, begin = safetensors_header(file)
    header.pop("__metadata__", None)
    content = file.read_bytes()
    found = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        values = torch.frombuffer(bytearray(content[begin + first:begin + last]), dtype=torch.float32)
        found[name] = values.view(entry["shape"])
    return found


def network_of(run):
    """What the program must be told of weights outside a run."""
    cell = ["--genotype", run / "genotype.json"] if (run / "genotype.json").is_file() else []
    return [*cell, "--config", run / "config.toml"]


def imported(file, run):
    """The tensors of what `sgas import` makes of a file."""
    output = folder() / "imported.safetensors"
    sgas("import", file, "--output", output, "--force", *network_of(run))
    return tensors(output)


class Import(unittest.TestCase):
    """Weights of PyTorch become the program's."""

    def compare(self, state, found):
        wanted = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
        self.assertEqual(sorted(wanted), sorted(found))
        for name, value in wanted.items():
            self.assertTrue(torch.equal(value.float(), found[name]), name)

    def test_checkpoints_in_both_formats(self):
        for name in ("points", "graphs", "auxiliary", "resgcn"):
            run = trained(name)
            network = package.load(run)
            state = network.state_dict()
            optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
            optimizer.param_groups[0]["params"][0].grad = torch.zeros_like(optimizer.param_groups[0]["params"][0])
            optimizer.step()
            schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
            wrapped = OrderedDict((f"module.{key}", value) for key, value in state.items())
            checkpoint = {"epoch": 3, "args": argparse.Namespace(lr=0.1, data="x", size=torch.Size([1, 2])),
                          "state_dict": wrapped, "optimizer": optimizer.state_dict(), "scheduler": schedule.state_dict(),
                          "best_value": torch.tensor(0.5), "device": torch.device("cpu"), "type": torch.float32}
            for content in (state, checkpoint, {"model_state_dict": state}, {"model": OrderedDict(state)}):
                for is_zip in (True, False):
                    with self.subTest(name=name, keys=list(content)[:2], zip=is_zip):
                        file = folder() / "checkpoint.pth.tar"
                        torch.save(content, file, _use_new_zipfile_serialization=is_zip)
                        self.compare(state, imported(file, run))

    def test_types_views_and_parameters(self):
        run = trained("points")
        network = package.load(run)
        state = network.state_dict()
        joined = torch.cat([value.flatten() for value in state.values() if value.is_floating_point()])
        views, first = {}, 0
        for name, value in state.items():
            if value.is_floating_point():
                views[name] = joined[first:first + value.numel()].view(value.shape)
                first += value.numel()
        strided = {name: value.t().contiguous().t() if value.dim() == 2 else value for name, value in views.items()}
        parameters = {name: torch.nn.Parameter(value) for name, value in views.items()}
        for kind, content in [("views", views), ("strided", strided), ("parameters", parameters),
                              ("half", {name: value.half() for name, value in views.items()}),
                              ("bfloat16", {name: value.bfloat16() for name, value in views.items()}),
                              ("double", {name: value.double() for name, value in views.items()})]:
            for is_zip in (True, False):
                with self.subTest(kind=kind, zip=is_zip):
                    file = folder() / f"{kind}.pt"
                    torch.save(content, file, _use_new_zipfile_serialization=is_zip)
                    self.compare({name: value.detach() for name, value in content.items()}, imported(file, run))

    def inputs(self, name, network):
        """What a network sees, and the same as files for the program."""
        drawn, data = torch.Generator().manual_seed(1), network.about.config["data"]
        if name in ("points", "dgcnn"):
            points = torch.rand(8, data["points"], 3, generator=drawn)
            files = [folder() / f"tuned-{number}.xyz" for number in range(len(points))]
            for file, cloud in zip(files, points):
                write_cloud(file, cloud)
            return (points,), files
        if name == "graphs":
            features, links = torch.randn(40, 16, generator=drawn), torch.randint(0, 40, (2, 90), generator=drawn)
            both = torch.cat([links, links.flip(0)], 1)
            place = folder() / "tuned-graph"
            write_graph(place, features, links)
            return (features, torch.unique(both[:, both[0] != both[1]], dim=1)), [place]
        config = data["images"]
        pixels = torch.randint(0, 256, (8, 3, config["size"], config["size"]), generator=drawn, dtype=torch.uint8)
        files = [folder() / f"tuned-{number}.png" for number in range(len(pixels))]
        for file, image in zip(files, pixels):
            write_png(file, image)
        mean, deviation = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "deviation"))
        return ((pixels / 255 - mean) / deviation,), files

    def test_logits_of_networks_that_were_trained_in_pytorch(self):
        """As a state dict, of which the program must be told the network; and as `sgas.export` writes it, which says it."""
        for name in ("points", "graphs", "images", "nas-bench-201", "dgcnn"):
            run = trained(name)
            network = package.load(run).train()
            given, files = self.inputs(name, network)
            with torch.no_grad():
                before = network.eval()(*given)
            network.train()
            optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
            for _ in range(3):
                optimizer.zero_grad()
                logits = network(*given)
                torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % logits.shape[1]).backward()
                optimizer.step()
            with torch.no_grad():
                logits = network.eval()(*given)
            self.assertGreater(float((logits - before).abs().max()), 1e-2)
            expected = logits.double().softmax(-1)
            bare, whole = folder() / "tuned.pth.tar", folder() / "tuned.pt"
            torch.save({"epoch": 3, "state_dict": network.state_dict(), "optimizer": optimizer.state_dict()}, bare)
            export.write(network, whole, "torch", force=True)
            for named in ([bare, *network_of(run)], [whole]):
                with self.subTest(name=name, file=named[0].name):
                    output = folder() / "tuned.json"
                    sgas("predict", "--weights", *named, "--input", *files, "--output", output, "--force")
                    told = json.loads(output.read_text())
                    rows = [list(one["probabilities"].values()) for one in told["predictions"]]
                    worst = float((torch.tensor(rows, dtype=torch.float64) - expected).abs().max())
                    print(f"{name} trained in PyTorch, {named[0].name}: probabilities within {worst:.1e}")
                    self.assertLess(worst, 1e-4)
            self.assertEqual(told["classes"], list(network.about.classes))

    def test_hostile_files(self):
        mark = folder() / "executed"

        class Hostile:
            def __reduce__(self):
                return os.system, (f"touch {mark}",)

        run = trained("points")
        for content in (Hostile(), {"state_dict": {"a": torch.zeros(1), "b": Hostile()}}, package.load(run)):
            for is_zip in (True, False):
                file = folder() / "hostile.pt"
                torch.save(content, file, _use_new_zipfile_serialization=is_zip)
                for words in (["import", file, "--output", folder() / "never.safetensors", *network_of(run)],
                              ["eval", "--weights", file, "--data", "synthetic", *network_of(run)],
                              ["predict", "--weights", file, "--input", folder(), *network_of(run)],
                              ["train", "--init", file, "--data", "synthetic", "--out", folder() / "never", *network_of(run)]):
                    with self.assertRaisesRegex(AssertionError, "exit code 2\n.*a use of "):
                        sgas(*words)
        self.assertFalse(mark.exists() or (folder() / "never").exists() or (folder() / "never.safetensors").exists())


if __name__ == "__main__":
    unittest.main()
