"""Undocumented parts of PyG's `HGTConv` that the layers for a GPU replace.

Importing PyG takes seconds, so only `backends.PygBackend` imports this module, when it makes a layer.
tests/hgt/test_pyg_private.py checks what each of the parts does, and says how to replace it if a newer PyG no
longer has it.
"""

import itertools
from collections.abc import Iterable

import torch
from torch import Tensor
from torch_geometric.nn import HGTConv
from torch_geometric.nn.dense import HeteroLinear

from repurpose.hgt.layer import EdgeType


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
