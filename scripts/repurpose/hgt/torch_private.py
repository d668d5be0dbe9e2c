"""Undocumented parts of PyTorch and of PyG's `HGTConv` that the layers use.

tests/hgt/test_torch_private.py checks what each of them does, and says how to replace it if a newer PyTorch
or PyG no longer has it.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.nn import HGTConv
from torch_geometric.nn.dense import HeteroLinear

from repurpose.hgt.trained import Parameters

EdgeType = tuple[str, str, str]


def gelu(x: Tensor, out: Tensor) -> Tensor:
    """Write gelu(x) into `out` and return it."""
    return functional.gelu(x, out=out)


def gelu_backward(gradient: Tensor, x: Tensor) -> None:
    """Turn the gradient of gelu(x) into that of x, in place."""
    torch.ops.aten.gelu_backward.grad_input(gradient, x, grad_input=gradient)


class Conv(HGTConv):
    """HGTConv of one width, with one product per edge type in place of one per edge type and head."""

    def __init__(self, width: int, metadata: tuple[list[str], list[EdgeType]], heads: int) -> None:
        super().__init__(width, width, metadata, heads=heads)

    def _construct_src_node_feat(
        self, k_dict: dict[str, Tensor], v_dict: dict[str, Tensor], edge_index_dict: dict[EdgeType, Tensor]
    ) -> tuple[Tensor, Tensor, dict[EdgeType, int]]:
        """Keys and values (rows, H, D) of each edge type's source nodes, and the first row of each edge type.

        One product per edge type covers all heads. PyG computes one per edge type and head and, without
        pyg-lib, writes each into a slice, which makes autograd touch all rows again. On a GPU each product is
        a kernel launch; with many relations, launches take most of the time.
        """
        counts = [len(k_dict[source]) for source, _, _ in edge_index_dict]
        starts = dict(zip(edge_index_dict, itertools.accumulate([0, *counts]), strict=False))
        products = (self._products(self.k_rel, k_dict, starts), self._products(self.v_rel, v_dict, starts))
        return *products, starts

    def _products(
        self, linear: HeteroLinear, nodes: dict[str, Tensor], edge_types: Iterable[EdgeType]
    ) -> Tensor:
        """Source nodes (n, H, D) times the matrix of each edge type, in the given order: (rows, H, D)."""
        weight = linear.weight.unflatten(0, (self.heads, len(self.edge_types)))
        rows_by_edge_type = [
            torch.bmm(nodes[edge_type[0]].transpose(0, 1), weight[:, self.edge_types_map[edge_type]])
            for edge_type in edge_types
        ]
        return torch.cat(rows_by_edge_type, dim=1).transpose(0, 1)


def parameters(conv: HGTConv) -> Parameters:
    """The parameters of `conv`, as tensors, in the form that the fused layer computes with."""
    share = torch.stack([conv.skip[name][0].sigmoid() for name in conv.node_types])
    out = _stacked(conv.out_lin.lins, conv.node_types)
    return Parameters(*_head_by_head(conv), _relation_matrices(conv), *out, share)


def receiving(conv: HGTConv) -> list[bool]:
    """Whether each node type receives messages."""
    return [name in conv.dst_node_types for name in conv.node_types]


def _stacked(lins: Any, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Weights (T, out, in) and biases (T, out) of one linear map per type."""
    return torch.stack([lins[n].weight for n in names]), torch.stack([lins[n].bias for n in names])


def _head_by_head(conv: HGTConv) -> tuple[Tensor, Tensor]:
    """Weight (T, 3 F, in) and bias (T, 3 F) of key, value and query, head by head.

    PyG's columns are all heads' keys, then all queries, then all values.
    """
    weight, bias = _stacked(conv.kqv_lin.lins, conv.node_types)
    order = torch.arange(weight.shape[1]).view(3, conv.heads, -1)[[0, 2, 1]].transpose(0, 1).reshape(-1)
    return weight.index_select(1, order), bias.index_select(1, order)


def _relation_matrices(conv: HGTConv) -> Tensor:
    """The matrices for keys, times prior / sqrt(D), and those for values, (2, H, R, D, D)."""
    prior = torch.stack([conv.p_rel["__".join(each)][0] for each in conv.edge_types], dim=1)
    width = conv.out_channels // conv.heads
    shape = conv.heads, len(conv.edge_types), width, width
    keys, values = conv.k_rel.weight.view(shape), conv.v_rel.weight.view(shape)
    return torch.stack([keys * (prior / math.sqrt(width))[:, :, None, None], values])
