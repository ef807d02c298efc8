"""Writes the seeds beside this script, small good files of every kind, from which mutations begin.

Run with NumPy 2, h5py 3 and Pillow 12: python make_seeds.py
Shapes that other programs wrote are links to tests/fixtures/shapes.
"""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy
from PIL import Image

HERE = Path(__file__).parent / "seeds"
SHAPES = Path(__file__).parent.parent / "tests/fixtures/shapes"
NODES = 7


def put(name, content):
    path = HERE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def link(parser, extensions):
    for shape in sorted(SHAPES.iterdir()):
        if shape.suffix[1:] in extensions:
            path = HERE / parser / shape.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(Path("../../..") / shape.relative_to(SHAPES.parent.parent.parent))


def array(values):
    file = io.BytesIO()
    numpy.save(file, values)
    return file.getvalue()


def shapes():
    link("off", ["off"])
    link("obj", ["obj"])
    link("text", ["xyz", "txt", "csv", "pts"])
    link("npy", ["npy"])
    link("npz", ["npz"])
    link("ply", ["ply"])
    link("pcd", ["pcd"])
    corners = [[(0, 0, 0), (1, 0, 0), (1, 1, 0.5)], [(0, 0, 0), (1, 1, 0.5), (0, 1, 0)]]
    records = [struct.pack("<12fH", 0, 0, 1, *sum(triangle, ()), 0) for triangle in corners]
    put("stl/binary.stl", b"binary".ljust(80) + struct.pack("<I", 2) + b"".join(records))
    vertices = ["".join("   vertex %g %g %g\n" % corner for corner in triangle) for triangle in corners]
    facets = [f" facet normal 0 0 1\n  outer loop\n{lines}  endloop\n endfacet\n" for lines in vertices]
    put("stl/ascii.stl", "solid a\n" + "".join(facets) + "endsolid a\n")
    header = bytearray(b"LASF".ljust(227, b"\0"))
    struct.pack_into("<BB", header, 24, 1, 2)
    struct.pack_into("<IIBHI", header, 96, 227, 0, 2, 26, 2)
    struct.pack_into("<6d", header, 131, 0.25, 0.25, 0.25, 1.0, 0.0, 3.0)
    points = [struct.pack("<iiiHBBbBH3H", x, 2 * x, 3, 9, 0, 5, 0, 0, 0, 257, 514, 65535) for x in (1, 2)]
    put("las/colours.las", bytes(header) + b"".join(points))
    put("off/glued.off", "CNOFF4 2 0\n0 0 0 0 0 1 255 0 0 255\n1 0 0 0 0 1 0 255 0 255\n1 1 0 0 0 1 0 0 9 255\n"
        "0 1 0 0 0 1 1 1 1 255\n# faces\n3 0 1 2\n4 0 1 2 3 255 0 0\n")
    put("obj/faces.obj", "# cube\nv 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 1 1 0.5 0 0 1\nvn 0 0 1\nvt 0 0\nf 1/1/1 2//1 -1/1/-1\n")
    put("labelled_cloud/a.txt", "# x y z red label\n0 0 0 10 0\n1 0.5 2 200 1\n2.5 1 -1 255 -1\n3 3e1 0 0 2\n")
    put("labelled_cloud/b.txt", "4\n0 0 0 1\n1 1 1 0\n2 2 2 1\n9 9 9 3\n")
    scan = numpy.arange(12, dtype="<f4") / 4
    put("semantic_kitti/a.bin", scan.tobytes() + numpy.array([252 | 9 << 16, 1, 40], "<u4").tobytes())
    compressed, plain = io.BytesIO(), io.BytesIO()
    points = numpy.arange(12, dtype="float32").reshape(4, 3)
    numpy.savez_compressed(compressed, points=points, label=numpy.arange(4, dtype="uint8"))
    numpy.savez(plain, pos=points, other=points)
    put("npz/labelled.npz", compressed.getvalue())
    put("npz/plain.npz", plain.getvalue())


def texts():
    edges = [["gat", 0], ["conv_1x1", 1], ["skip_connect", 0], ["edge_conv", 2], ["mr_conv", 1], ["sage", 3]]
    pairs = ", ".join(f"('{primitive}', {source})" for primitive, source in edges)
    put("genotype/published.txt", f"10:00 genotype = Genotype(normal=[{pairs}], normal_concat=range(1, 5), reduce=None)")
    put("genotype/point.json", json.dumps({"space": "point", "normal": edges, "normal_concat": [1, 2, 3, 4], "by": {}}))
    image = [["sep_conv_3x3", 0], ["skip_connect", 1]] * 4
    put("genotype/image.json", json.dumps({"space": "image", "normal": image, "normal_concat": [2, 3, 4, 5],
        "reduce": image, "reduce_concat": [2, 3, 4, 5], "task": "cifar10"}, indent=1))
    put("config/search.toml", "task = 'points'\nseed = 3\nprecision = 'fp32'\n[data]\npoints = 64\nfeatures = ['normals']\n"
        "[model]\nchannels = 8\ncells = 2\n[search]\nepochs = 4\nbatch = 8\n\0model.channels=16\0data.augmentation=none")
    put("config/train.toml", "task = 's3dis'\n[resgcn]\nblocks = 3\nchannels = 16\n[train]\nepochs = 2\nbatch = 2\n"
        "[weights]\nlr = 1e-3\n\0data.scenes.area=5")
    put("study_plan/criteria.toml", 'title = "a"\nnote = "b"\nseeds = 2\nscore = "top5_error"\n[search]\n'
        'config = "smoke/search-graphs"\nset = ["search.epochs=3"]\n[train]\nconfig = "smoke/train-graphs"\n[[method]]\n'
        'name = "SGAS"\nsearch = { criterion = 1 }\n[[method]]\nname = "GCN"\nsearch = false\n'
        'train = { baseline = true }\n[[published]]\nname = "c"\nscore = 99.46\nsearch_days = 0.003\n')
    put("study_plan/truth.toml", 'title = "a"\nseeds = [3, 5]\n[truth]\ntable = "t.csv"\non = "cora"\n[search]\n'
        'task = "graphs"\nspace = "nas-bench-graph"\n[[method]]\nname = "random"\nsearch = { strategy = "random" }\n')
    put("scores_table/runs.csv", "method,seed,state,search_score,score\na,1,done,71.5,80\na,2,open,,\nb,1,done,70,81.25\n")
    put("scores_table/ranks.csv", "search_rank,evaluation_rank\n1,2\n2,3\n3,1\n")
    put("node_features/a.csv", "size,weight\n1,2\n3.5,-1e3\n# no node\n0,0\n")
    put("node_features/pandas.csv", ",0,1\n0,5,6\n1,7,8\n")
    put("node_features/names.txt", "ann 0.5 1\nbea 2 3\ncem 4 5\n")
    put("node_labels/columns.csv", "id,label,train_mask\na,cat,1\nb,dog,0\nc,cat,0\nd,dog,1\n")
    put("node_labels/classes.csv", "label\ncat\ndog\ncat\n\"bird, small\"\n")
    put("node_labels/several.csv", "a;b;c\n0;1;1\n1;0;0\n")
    put("node_links/a.csv", "source,target\n0,2\n2,4\n1,3\n5,5\n")
    put("node_links/b.csv", "0\t2\t0.5\n6\t4\t1\n")
    put("node_links/pairs.csv", ",weight,dst,src\n0,0.5,2,0\n1,0.5,6,4\n")
    put("node_links/rows.txt", "0 2 1 5\n2 4 3 5\n")
    put("node_list/mask.csv", "0\n1\n0\n0\n1\n1\n0\n0\n")
    put("node_list/a.txt", "node\n0\n4 # why\n6\n")
    graph = {"directed": False, "nodes": [{"id": node, "x": [1]} for node in range(NODES)],
             "links": [{"source": 0, "target": 2}, {"source": 3, "target": 1}]}
    put("ppi_graph/a.json", json.dumps(graph))
    put("names/a.txt", "\ufeffchair\n\n# sofas\nsofa\n")
    put("names/numbered.txt", "7 tree\n2: water\n40=road\n")
    put("names/files.txt", "chair/a.off\n./sofa/a\nb\n")
    put("names/taxonomy.json", json.dumps([{"synsetId": "02691156", "name": "airplane,plane", "children": []}]))
    put("names/parts.csv", "id,modelId,split\n0,chair/a,train\n1,sofa/a.off,test\n2,b,val\n")
    put("shapenet_lists/list.json", json.dumps(["shape_data/02691156/1021a0914a7207aff9", "a/b/c"]))
    put("shapenet_lists/categories.txt", "Airplane\t02691156\nBag 02773838\n")
    put("shapenet_labels/a.seg", "1\n2\n\n-1\n4\n")
    about = {"command": "search", "task": "points", "version": "0.1.0", "data": "folder", "classes": ["a", "b"]}
    put("run_json/a.json", json.dumps(about))
    events = ['{"event":"started","command":"search","task":"points","epoch":0,"epochs":4,"parameters":9}',
              '{"event":"finished","seconds":1.5}']
    put("events/a.jsonl", "\n".join(events) + "\n")


def arrays():
    put("node_arrays/features.npy", array(numpy.arange(14, dtype="float32").reshape(7, 2)))
    put("node_arrays/labels.npy", array(numpy.arange(7, dtype="int64") % 3))
    put("node_arrays/links.npy", array(numpy.array([[0, 2], [4, 6], [1, 3]], dtype="int32")))
    sparse = io.BytesIO()
    numpy.savez(sparse, format=b"csr", shape=numpy.array([3, 4]), data=numpy.array([1.0, 2.0], dtype="float32"),
                indptr=numpy.array([0, 1, 1, 2]), indices=numpy.array([3, 0]))
    put("node_features/sparse.npz", sparse.getvalue())
    put("cifar/ten.bin", bytes(range(10)) * 308 + b"\0" * (2 * 3073 - 3080))
    put("cifar/hundred.bin", b"\x03\x63" + bytes(3072))


def hdf5(name, datasets, **options):
    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        for key, values in datasets.items():
            made.create_dataset(key, data=values, **options)
    put(name, file.getvalue())


def sets():
    clouds = numpy.arange(36, dtype="float32").reshape(3, 4, 3) / 7
    labels = numpy.array([[0], [3], [9]], dtype="uint8")
    hdf5("modelnet_hdf5/plain.h5", {"data": clouds, "label": labels, "normal": clouds})
    hdf5("modelnet_hdf5/gzip.h5", {"data": clouds, "label": labels}, compression="gzip", chunks=True, shuffle=True)
    blocks = numpy.arange(72, dtype="float32").reshape(2, 4, 9) / 7
    classes = numpy.array([[0, 1, 2, 12], [3, 3, 3, 4]], dtype="uint8")
    hdf5("s3dis_hdf5/plain.h5", {"data": blocks, "label": classes})
    hdf5("s3dis_hdf5/gzip.h5", {"data": blocks, "label": classes.astype("int32")}, compression="gzip", chunks=True)


def pictures():
    colours = numpy.arange(5 * 7 * 3, dtype="uint8").reshape(5, 7, 3)
    for kind, options in [("png", {}), ("jpeg", {"quality": 60}), ("webp", {"lossless": True})]:
        file = io.BytesIO()
        Image.fromarray(colours).save(file, kind, **options)
        put(f"{kind}/colours.{kind}", file.getvalue())
    for name, picture, kind, options in [
        ("grey.png", Image.fromarray(colours[..., 0]), "png", {}),
        ("deep.png", Image.fromarray(colours[..., 0].astype("uint16") * 257), "png", {}),
        ("palette.png", Image.fromarray(colours).quantize(4), "png", {}),
        ("progressive.jpeg", Image.fromarray(colours), "jpeg", {"progressive": True}),
        ("inks.jpeg", Image.fromarray(colours).convert("CMYK"), "jpeg", {}),
        ("turned.jpeg", Image.fromarray(colours[..., 0]), "jpeg", {"exif": turned()}),
        ("lossy.webp", Image.fromarray(colours).convert("RGBA"), "webp", {"quality": 50}),
    ]:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        put(f"{name.split('.')[1]}/{name}", file.getvalue())


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def checkpoints():
    values = numpy.arange(6, dtype="<f4").tobytes()
    header = {"__metadata__": {"state": json.dumps({"epoch": 3})},
              "a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
              "b": {"dtype": "I64", "shape": [], "data_offsets": [24, 32]}}
    text = json.dumps(header).encode()
    put("checkpoint/state.safetensors", struct.pack("<Q", len(text)) + text + values + struct.pack("<q", 5))


def pytorch():
    """As torch.save writes a state dict of two tensors, one a view of the other's storage: before PyTorch 1.6, and since."""
    def text(word):
        return b"X" + struct.pack("<I", len(word)) + word

    def tensor(first, sizes, strides, end):
        numbers = [b"(" + b"".join(b"K" + bytes([number]) for number in each) + b"t" for each in (sizes, strides)]
        return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(b"0")
                + text(b"cpu") + b"K\x06" + end + b"tQK" + bytes([first]) + b"".join(numbers)
                + b"\x89ccollections\nOrderedDict\n)RtR")

    def weights(end):
        entries = [text(b"a.weight"), tensor(0, (2, 3), (3, 1), end), text(b"a.bias"), tensor(1, (2,), (3,), end)]
        return b"ccollections\nOrderedDict\n)R(" + b"".join(entries) + b"u"

    # There a storage says also whether it is a part of another.
    whole = b"\x80\x02}(" + text(b"epoch") + b"K\x03" + text(b"state_dict") + weights(b"N") + b"u."
    values = numpy.arange(6, dtype="<f4").tobytes()
    head = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}" + text(b"little_endian") + b"\x88s."
    put("pytorch/row.pth.tar", head + whole + b"\x80\x02]" + text(b"0") + b"a." + struct.pack("<Q", 6) + values)
    for name, method in [("stored", zipfile.ZIP_STORED), ("packed", zipfile.ZIP_DEFLATED)]:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            contents = [("data.pkl", b"\x80\x02" + weights(b"") + b"."), ("byteorder", b"little"), ("data/0", values),
                        ("version", b"3\n")]
            for inner, content in contents:
                archive.writestr(zipfile.ZipInfo("w/" + inner), content, method)
        put(f"pytorch/{name}.pt", file.getvalue())


def by_hand():
    """What needs no other package."""
    put("pickle/plain0.pkl", pickle.dumps({"a": [1, True, None], "e": (2.5, -3)}, 0))
    put("pickle/plain2.pkl", pickle.dumps({"a": [1, b"x"], "shared": ["ab"] * 3, "big": 1 << 40}, 2))
    put("pickle/plain4.pkl", pickle.dumps({"a": [1, b"x"], 2: {"b": (1, 2, 3, 4)}}, 4))
    put("pickle/array.pkl", b"\x80\x02" + pickled_array(bytes([1, 2, 3, 4]), (2, 2)) + b".")
    put("pickle/collections.pkl", b"\x80\x02(ccollections\ndefaultdict\nc__builtin__\nlist\n\x85RK\x00]K\x01as"
        b"ccollections\nOrderedDict\n)RU\x01aK\x01scscipy.sparse.csr\ncsr_matrix\n)\x81}U\x06_shapeK\x02K\x03\x86sbt.")
    put("pickle/buffer.pkl", b"\x80\x05\x8c\x13numpy._core.numeric\x8c\x0b_frombuffer\x93(\x96\x03\0\0\0\0\0\0\0\x05\x06\x07"
        b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02u1\x89\x88\x87RK\x03\x85\x8c\x01CtR.")
    batch = b"U\x04data" + pickled_array(bytes(range(256)) * 24, (2, 3072))
    put("pickled_cifar/ten.pkl", b"\x80\x02}(" + batch + b"U\x06labels](K\x01K\x09eu.")
    put("pickled_cifar/hundred.pkl", b"\x80\x02}(" + batch + b"U\x0bfine_labels](K\x63K\x03eu.")
    put("planetoid/whole", b"".join(struct.pack("<H", len(part)) + part for part in planetoid()))
    plain = struct.pack(">4B3I", 0, 0, 8, 3, 2, 4, 4) + bytes(32) + struct.pack(">4BI2B", 0, 0, 8, 1, 2, 9, 1)
    put("idx/plain", plain)
    put("idx/packed.gz", gzip.compress(plain, mtime=0))
    for name, mode in [("archive/plain.tar", "w"), ("archive/packed.tar.gz", "w:gz")]:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as archive:
            for member in ["data_batch_1.bin", "test_batch.bin", "other" * 40]:
                about = tarfile.TarInfo(f"cifar-10-batches-bin/{member}")
                about.size = 700
                archive.addfile(about, io.BytesIO(bytes(700)))
        put(name, file.getvalue())
    pixels = bytes(range(0, 72, 3)) * 2
    put("bmp/colours.bmp", b"BM" + struct.pack("<IIIIiiHHIIiiII", 54 + 48, 0, 54, 40, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0) + pixels)
    put("gif/dot.gif", b"GIF89a\x02\0\x02\0\x80\0\0\0\0\0\xff\x40\x20,\0\0\0\0\x02\0\x02\0\0\x02\x03\x44\x02\x05\0;")
    tags = [(256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1),
            (278, 4, 1, 4), (279, 4, 1, 16)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    put("tiff/grey.tiff", b"II*\0" + struct.pack("<I", 24) + bytes(range(16)) + struct.pack("<H", len(tags)) + entries + bytes(4))


def planetoid():
    """Three nodes of which one is for training, and nodes 5 and 3 for testing."""

    def matrix(places):
        rows = len(places)
        parts = [(b"data", [1] * rows), (b"indices", places), (b"indptr", range(rows + 1))]
        arrays = [b"U" + bytes([len(name)]) + name + pickled_array(bytes(values), (len(values),)) for name, values in parts]
        return (b"\x80\x02cscipy.sparse.csr\ncsr_matrix\n)\x81}(U\x06_shapeK" + bytes([rows]) + b"K\x04\x86" + b"".join(arrays)
                + b"ub.")

    def labels(classes):
        ones = bytes(int(of == one) for one in classes for of in (0, 1))
        return b"\x80\x02" + pickled_array(ones, (len(classes), 2)) + b"."

    graph = pickle.dumps({0: [1], 1: [0, 4], 4: [1]}, 2)
    known, tests = matrix([0, 1, 2]), matrix([3, 0])
    return [known, tests, labels([0, 1, 1]), labels([1, 0]), labels([0]), graph, b"5\n3\n"]


def pickled_array(content, shape):
    sizes = b"".join(b"M" + struct.pack("<H", size) for size in shape)
    return (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01" + sizes
            + b"\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T"
            + struct.pack("<I", len(content)) + content + b"tb")


def benchmarks():
    """Tables of three cells whose scores are made up, and a network of one node."""
    sets = ["cifar10_test_200", "cifar100_test_200", "imagenet16_test_200", "cifar10_test_12", "cifar10_val_12",
            "cifar100_test_12", "cifar100_val_12", "imagenet_test_12", "imagenet_val_12"]
    cells = [f"|{one}~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|"
             for one in ("none", "nor_conv_3x3", "skip_connect")]
    rows = [",".join([cell] + ["12.5"] * len(sets)) for cell in cells]
    put("arch_table/three.csv", "\n".join([",".join(["cell"] + sets)] + rows) + "\n")
    put("genotype/arch.txt", cells[1] + "\n")
    put("genotype/naslib.txt", "naslib:(4, 0, 3, 1, 4, 3)\n")
    put("genotype/nni.json", json.dumps({f"{kind}/{what}_{node}_{edge}": value for kind in ("normal", "reduce")
                                         for node in range(2, 6) for edge in range(2)
                                         for what, value in (("op", "sep_conv_3x3"), ("input", [edge]))}))
    columns = ["cora_valid", "cora_test", "cora_latency_s", "cora_params_M"]
    rows = ["0 0 0 0,gat gcn fc skip", "0 1 1 2,gin cheb sage arma", "0 1 2 3,graph graph gcn gcn"]
    lines = [",".join(["inputs", "operations"] + columns)] + [row + ",0.5,0.25,0.01,1.5" for row in rows]
    put("graph_cell_table/three.csv", "\n".join(lines) + "\n")
    names = [f"{part}_{kind}_{number}" for kind in ("normal", "reduce")
             for part, numbers in (("edge", range(14)), ("inputs_node", range(3, 6))) for number in numbers]
    prefix = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
    put("surrogate_encoding/all.json", json.dumps({prefix + name: {"#na#": 0, "none": 1} for name in names}))

    def field(number, content):
        return bytes([number << 3 | 2]) + bytes([len(content)]) + content

    weight = bytes([1 << 3, 2, 1 << 3, 2, 2 << 3, 1]) + field(8, b"w") + field(9, struct.pack("<4f", 1, 2, 3, 4))
    node = field(1, b"x_cont") + field(1, b"w") + field(2, b"y") + field(4, b"Add")
    graph = field(1, node) + field(5, weight) + b"".join(field(11, field(1, name)) for name in (b"x_cat", b"x_cont"))
    put("onnx/add.onnx", field(7, graph + field(12, field(1, b"y"))))


for make in [shapes, texts, arrays, sets, pictures, checkpoints, pytorch, by_hand, benchmarks]:
    make()
