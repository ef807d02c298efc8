"""What the published graph code takes from PyTorch Geometric 1.4.3 and today's no longer has (2.8 was tried).

Written from that version's documented behaviour, for timings: `restore` puts both where the code looks for them.
"""

import math

import torch
import torch_geometric
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter


def scatter_(name, src, index, dim_size=None):
    """Rows of `src` by `index`, (E, C) to (dim_size, C), by sum, mean or maximum; zero where there are none."""
    return scatter(src, index, dim=0, dim_size=dim_size, reduce={"add": "sum"}.get(name, name))


class SAGEConv(MessagePassing):
    """The base of the published sage and rel_sage, which give `forward`, `message` and `update` themselves."""

    def __init__(self, in_channels, out_channels, normalize=False, bias=True, **kwargs):
        super().__init__(aggr="mean", **kwargs)
        self.normalize = normalize
        bound = 1 / math.sqrt(in_channels)
        self.weight = torch.nn.Parameter(torch.empty(in_channels, out_channels).uniform_(-bound, bound))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels)) if bias else None


def restore():
    torch_geometric.utils.scatter_ = scatter_
    torch_geometric.nn.SAGEConv = SAGEConv
