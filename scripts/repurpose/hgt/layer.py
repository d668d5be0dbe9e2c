"""The parameters of one HGT layer: names, shapes and first values of PyG's `HGTConv`, without importing PyG.

The fused kernels compute with these. PyG takes five seconds to import and to unload, in every job.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

EdgeType = tuple[str, str, str]
Metadata = tuple[list[str], list[EdgeType]]  # node types and edge types, as PyG wants them


class Layer(nn.Module):
    """Parameters of a layer of one width; state dicts of this class and of `HGTConv` fit each other."""

    def __init__(self, width: int, metadata: Metadata, heads: int) -> None:
        super().__init__()
        self.in_channels = self.out_channels = width
        self.heads = heads
        self.node_types, self.edge_types = metadata
        self.dst_node_types = {target for _, _, target in self.edge_types}
        count, per_head = heads * len(self.edge_types), width // heads
        self.kqv_lin = _Linears(self.node_types, width, 3 * width)
        self.out_lin = _Linears(self.node_types, width, width)
        self.k_rel = _Matrices(count, per_head)
        self.v_rel = _Matrices(count, per_head)
        self.skip = nn.ParameterDict({name: nn.Parameter(torch.ones(1)) for name in self.node_types})
        self.p_rel = nn.ParameterDict()
        for edge_type in self.edge_types:  # one by one: a dictionary would be sorted
            self.p_rel["__".join(edge_type)] = nn.Parameter(torch.ones(1, heads))
        # PyG draws the parts several times, in this order; with the same draws, a seed means the same model.
        parts = self.kqv_lin, self.out_lin, self.k_rel, self.v_rel
        for part in (self.kqv_lin, self.kqv_lin, self.out_lin, self.out_lin, self.k_rel, self.v_rel, *parts):
            part.draw()


class _Linears(nn.Module):
    """A linear map per node type."""

    def __init__(self, names: Sequence[str], width: int, out: int) -> None:
        super().__init__()
        # The state of the generator is kept: only `draw` may draw. torch.nn.utils.skip_init goes through the
        # meta device, whose first use costs a second.
        with torch.random.fork_rng(devices=[]):
            self.lins = nn.ModuleDict({name: nn.Linear(width, out) for name in names})

    def draw(self) -> None:
        for linear in self.lins.values():
            _draw(linear.weight, linear.in_features)
            bound = 1 / math.sqrt(linear.in_features)
            nn.init.uniform_(linear.bias, -bound, bound)


class _Matrices(nn.Module):
    """Square matrices (count, width, width)."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, width, width))

    def draw(self) -> None:
        _draw(self.weight, self.weight.shape[-1])


def _draw(weight: Tensor, fan: int) -> None:
    """Kaiming's uniform distribution with a = sqrt(5), as in PyG, whose rounding differs from PyTorch's."""
    bound = math.sqrt(6 / ((1 + math.sqrt(5) ** 2) * fan))
    nn.init.uniform_(weight, -bound, bound)
