"""The program reads what torch.save writes: checkpoints of trainings in PyTorch, in both formats, and nothing hostile."""

import argparse
import json
import os
import unittest
from collections import OrderedDict

import torch
from program import folder, safetensors_header, sgas, trained, write_cloud

import sgas as package


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

    def test_logits_of_a_network_that_was_trained_in_pytorch(self):
        run = trained("points")
        network = package.load(run).train()
        generator = torch.Generator().manual_seed(1)
        points = torch.rand(8, network.about.config["data"]["points"], 3, generator=generator)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(points), torch.arange(8)).backward()
            optimizer.step()
        network.eval()
        file = folder() / "tuned.pt"
        torch.save({"state_dict": network.state_dict()}, file)
        clouds = [folder() / f"tuned-{number}.xyz" for number in range(len(points))]
        for cloud, of in zip(clouds, points):
            write_cloud(cloud, of)
        output = folder() / "tuned.json"
        sgas("predict", "--weights", file, *network_of(run), "--input", *clouds, "--output", output, "--force")
        rows = [list(one["probabilities"].values()) for one in json.loads(output.read_text())["predictions"]]
        with torch.no_grad():
            expected = network(points).double().softmax(-1)
        worst = float((torch.tensor(rows, dtype=torch.float64) - expected).abs().max())
        print(f"trained in PyTorch: probabilities within {worst:.1e}")
        self.assertLess(worst, 1e-4)

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
                with self.assertRaisesRegex(AssertionError, "exit code 2\n.*a use of "):
                    imported(file, run)
        self.assertFalse(mark.exists())


if __name__ == "__main__":
    unittest.main()
