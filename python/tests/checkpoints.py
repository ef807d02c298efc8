"""Checkpoints as the published code and its like leave them: the published names of weights, in every form that trainings
save them in. Weights come from the golden files, which the published code gave with the logits that it computes by them."""

import argparse
import json
from collections import OrderedDict

import torch
from program import safetensors_header

from sgas import weights

BIAS = 0.25


def published(file):
    """The case of a golden file, its state dict with PyTorch's counters, and its tensors."""
    header, _ = safetensors_header(file)
    tensors = weights.read(file)
    state = OrderedDict()
    for prefix in ("weight:", "after:"):
        state.update((name.removeprefix(prefix), value) for name, value in tensors.items() if name.startswith(prefix))
    for name in [name for name in state if name.endswith("running_mean")]:
        state[name.replace("running_mean", "num_batches_tracked")] = torch.tensor(7)
    return json.loads(header["__metadata__"]["case"]), state, tensors


def _optimizer(state):
    """What an optimizer keeps, by its own code."""
    values = [torch.nn.Parameter(value.clone()) for value in list(state.values())[:3] if value.is_floating_point()]
    optimizer = torch.optim.SGD(values, lr=0.1, momentum=0.9)
    for value in values:
        value.grad = torch.ones_like(value)
    optimizer.step()
    return optimizer.state_dict()


def forms(state):
    """The name of each form, what is saved, and whether as the ZIP archive of PyTorch 1.6 or as before."""
    on_several = OrderedDict((f"module.{name}", value) for name, value in state.items())
    # As trainings of image networks and of ResGCN keep where they stand.
    darts = {"epoch": 600, "state_dict": state, "best_acc_top1": torch.tensor(97.3), "optimizer": _optimizer(state)}
    deep_gcns = {"epoch": 40, "state_dict": on_several, "optimizer_state_dict": _optimizer(state),
                 "scheduler_state_dict": {"last_epoch": 40, "_last_lr": [1e-4]}, "best_value": 0.526}
    options = {"args": argparse.Namespace(lr=0.001, data="ppi", seed=2), "model": state, "arch": "PPI_Best"}
    named = {"weights alone": state, "of several GPUs": on_several, "epoch and optimizer": darts,
             "scheduler, of several GPUs": deep_gcns, "options": options}
    for name, content in named.items():
        for is_zip in (True, False):
            yield f"{name}, {'zip' if is_zip else 'legacy'}", content, is_zip


def of_geometric(state, version):
    """Weights of a network on graphs under the names of a version of PyTorch Geometric, from those of 2.3 and later."""
    found = OrderedDict()
    for name, value in state.items():
        module, _, end = name.rpartition(".gconv.gconv.")
        prefix = f"{module}.gconv.gconv."
        if not module:
            found[name] = value
        elif end == "lin.weight":
            attends = f"{prefix}att_src" in state
            if version == "1.4" or (version == "1.6" and not attends):
                # A convolution without attention kept its name until 2.0.
                found[f"{prefix}weight"] = value.t().contiguous()
            elif not attends:
                found[name] = value
            else:
                for one in {"1.6": ("lin_l", "lin_r"), "2.0": ("lin_src", "lin_dst")}[version]:
                    found[f"{prefix}{one}.weight"] = value
        elif version == "1.4":
            if end == "att_src":
                found[f"{prefix}att"] = torch.cat([state[f"{prefix}att_dst"], value], 2)
        else:
            renamed = {"att_src": "att_l", "att_dst": "att_r"} if version == "1.6" else {}
            found[f"{prefix}{renamed.get(end, end)}"] = value
    for name in [name for name in state if name.endswith("gconv.weight")]:
        # Sage of the published networks adds a bias behind its norm.
        shift = name.replace("gconv.weight", "gconv.nn.body.2.bias")
        found[shift] = state[shift] - BIAS
        found[name.replace("weight", "bias")] = torch.full_like(state[shift], BIAS)
    return found
