"""Networks of `sgas.load` give what the program gives: every space, every primitive, every hand-designed network."""

import unittest

import torch
from program import folder, predictions, probabilities, trained, write_cloud, write_graph, write_png

import sgas as package

# fp32, sums in another order.
LOGITS = 1e-4
SAMPLES = 5


def generator(seed):
    return torch.Generator().manual_seed(seed)


class Parity(unittest.TestCase):
    """The program's probabilities are those of the module's logits."""

    def compare(self, logits, expected, several_labels=False):
        """`expected` are probabilities fp64; of classes, their logarithms are logits less a constant of each sample."""
        logits = logits.double()
        ours = torch.nn.functional.logsigmoid(logits) if several_labels else logits.log_softmax(-1)
        self.assertEqual(ours.shape, expected.shape)
        # A network whose answers hardly differ would agree with anything.
        self.assertGreater(float(expected.std(0).max()), 1e-3)
        worst = float((ours.exp() - expected).abs().max())
        self.assertLess(worst, LOGITS)
        # Below that, fp32 probabilities say too little of logits.
        told = expected > 1e-3
        if several_labels:
            # Near 1 fp32 has few digits of 1 - p.
            told &= expected < 1 - 1e-3
        self.assertGreater(int(told.sum()), 0)
        worst = float((ours - expected.clamp_min(1e-30).log())[told].abs().max())
        self.assertLess(worst, LOGITS)
        print(f"{self.id().rpartition('.')[2]}: {tuple(expected.shape)}, logarithms of probabilities within {worst:.1e}")

    def images(self, name):
        run = trained(name)
        network = package.load(run)
        config = network.about.config["data"]["images"]
        drawn = torch.rand(SAMPLES, 3, config["size"], config["size"], generator=generator(1))
        # Images that differ in colour, or a network of a few steps would not tell them apart.
        colours = torch.rand(SAMPLES, 3, 1, 1, generator=generator(2))
        pixels = (255 * (0.2 * drawn + 0.8 * colours)).to(torch.uint8)
        files = [folder() / f"{name}-{number}.png" for number in range(SAMPLES)]
        for file, image in zip(files, pixels):
            write_png(file, image)
        mean, deviation = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "deviation"))
        with torch.no_grad():
            logits = network((pixels / 255 - mean) / deviation)
        self.compare(logits, probabilities(run, *files))

    def points(self, name):
        run = trained(name)
        network = package.load(run)
        count = network.about.config["data"]["points"]
        scale = torch.rand(SAMPLES, 1, 3, generator=generator(3)) + 0.1
        points = (2 * torch.rand(SAMPLES, count, 3, generator=generator(4)) - 1) * scale
        files = [folder() / f"{name}-{number}.xyz" for number in range(SAMPLES)]
        for file, cloud in zip(files, points):
            write_cloud(file, cloud)
        with torch.no_grad():
            return run, network(points), files

    def clouds(self, name):
        run, logits, files = self.points(name)
        self.compare(logits, probabilities(run, *files))

    def labelled_clouds(self, name):
        run, logits, files = self.points(name)
        network = package.load(run)
        points = torch.stack([torch.tensor([list(map(float, line.split())) for line in file.read_text().splitlines()])
                              for file in files])
        told = predictions(run, *files)
        confidence, classes = logits.softmax(-1).double().max(-1)
        # Blocks look for neighbours in features: where two distances are equal to rounding, another neighbour may be
        # taken, and what a few points are told changes. Points moved by a millionth find such clouds.
        with torch.no_grad():
            moved = [points * (1 + 1e-6 * torch.randn(points.shape, generator=generator(7 + draw))) for draw in range(6)]
            others = torch.stack([network(cloud).softmax(-1).double().max(-1)[0] for cloud in moved])
        stable = 0
        for cloud, one in enumerate(told):
            if float((others[:, cloud] - confidence[cloud]).abs().max()) >= LOGITS:
                self.assertLess(abs(float(confidence[cloud].mean()) - one["confidence"]), 10 * LOGITS)
                continue
            stable += 1
            self.assertLess(abs(float(confidence[cloud].mean()) - one["confidence"]), LOGITS)
            shares = torch.bincount(classes[cloud], minlength=logits.shape[-1]) / classes.shape[1]
            expected = torch.tensor(list(one["shares"].values()))
            # A point whose two best classes are equal to rounding may change.
            self.assertLessEqual(float((shares - expected).abs().max()), 1.5 / classes.shape[1])
        self.assertGreater(len({round(one["confidence"], 4) for one in told}), 1)
        print(f"{name}: {stable} of {len(told)} clouds stay the same when points move by a millionth, and those are the program's")
        self.assertGreaterEqual(stable, 2)

    def graphs(self, name, features=None):
        run = trained(name)
        network = package.load(run)
        width = features or 16
        nodes, links = 40, 90
        values = torch.randn(nodes, width, generator=generator(5))
        drawn = torch.randint(0, nodes - 3, (2, links), generator=generator(6))
        # As the run makes them of stored ones: in both directions, once, without links of a node to itself.
        both = torch.cat([drawn, drawn.flip(0)], 1)
        network_links = torch.unique(both[:, both[0] != both[1]], dim=1)
        place = folder() / f"{name}-graph"
        write_graph(place, values, drawn)
        with torch.no_grad():
            logits = network(values, network_links)
        self.compare(logits, probabilities(run, place), several_labels=name == "ppi")

    def test_points(self):
        self.clouds("points")

    def test_more_points(self):
        self.clouds("more-points")

    def test_dgcnn(self):
        self.clouds("dgcnn")

    def test_resgcn(self):
        self.labelled_clouds("resgcn")

    def test_segmentation(self):
        self.labelled_clouds("segmentation")

    def test_images(self):
        self.images("images")

    def test_auxiliary(self):
        self.images("auxiliary")

    def test_imagenet(self):
        self.images("imagenet")

    def test_nas_bench_201(self):
        self.images("nas-bench-201")

    def test_resnet(self):
        self.images("resnet")

    def test_resnet_imagenet(self):
        self.images("resnet-imagenet")

    def test_graphs(self):
        self.graphs("graphs")

    def test_more_graphs(self):
        self.graphs("more-graphs")

    def test_ppi(self):
        self.graphs("ppi", package.load(trained("ppi")).stem[0].body[0].in_features)

    def test_gcn(self):
        self.graphs("gcn")

    def test_gat(self):
        self.graphs("gat")

    def test_nas_bench_graph(self):
        self.graphs("nas-bench-graph")

    def test_more_nas_bench_graph(self):
        self.graphs("more-nas-bench-graph")

    def test_raw_nas_bench_graph(self):
        self.graphs("raw-nas-bench-graph")
