"""What the program `sgas` found and trained, for PyTorch.

    network = sgas.load("runs/my-training")     a torch.nn.Module in evaluation mode, logits as the program's
    cell = sgas.genotype("runs/my-search")      the found cell as plain data
    log = sgas.events("runs/my-search")         what the run logged, a list of dicts

Inputs are plain tensors: points (B, N, C), images (B, 3, H, W), or features (N, C) with links (2, E).
"""

from __future__ import annotations

from .errors import RunError
from .genotypes import Cell, Edge, Genotype
from .genotypes import read as genotype
from .runs import About, events, load

__all__ = ["About", "Cell", "Edge", "Genotype", "RunError", "events", "genotype", "load"]
