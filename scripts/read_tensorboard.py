#!/usr/bin/env python3
"""Prints what TensorBoard's own reader finds in the event files of a folder, as JSON.

    read_tensorboard.py FOLDER

Needs the package `tensorboard`. Scalars are listed by tag as [step, value], texts likewise.
"""

import glob
import json
import sys

from tensorboard.backend.event_processing import event_file_loader
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util


def main():
    folder = sys.argv[1]
    board = EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0})
    board.Reload()
    tags = board.Tags()
    scalars = {tag: [[one.step, one.value] for one in board.Scalars(tag)] for tag in tags["scalars"]}
    texts = {}
    for tag in tags["tensors"]:
        metadata = board.SummaryMetadata(tag)
        assert metadata.plugin_data.plugin_name == "text", metadata
        texts[tag] = [[one.step, tensor_util.make_ndarray(one.tensor_proto).item().decode()] for one in board.Tensors(tag)]
    # The loader of single records checks every checksum, and would stop before a record that is wrong.
    records = sum(1 for path in glob.glob(f"{folder}/*tfevents*") for _ in event_file_loader.EventFileLoader(path).Load())
    print(json.dumps({"scalars": scalars, "texts": texts, "records": records}))


if __name__ == "__main__":
    main()
