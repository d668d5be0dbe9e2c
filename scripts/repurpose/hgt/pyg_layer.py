"""PyG's HGT layer with less memory on large graphs; it runs wherever the fused layer does not."""

import math

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch_geometric.utils import softmax

from repurpose.hgt.pyg_private import Conv

# Per-edge activations above this many bytes are recomputed in the backward pass, head by head.
KEPT_ACTIVATIONS = 1 << 31


class Layer(Conv):
    """One HGT layer with HGTConv's parameters; `propagate`, the attention, is replaced."""

    def propagate(self, edge_index: Tensor, k: Tensor, q: Tensor, v: Tensor, edge_attr: Tensor) -> Tensor:
        """Attention over edges, returns (N, H * D).

        edge_index (2, E): row of k and v, and row of q. q (N, H, D). k, v (rows, H, D). edge_attr (E, H):
        the relation's prior. PyG's own `propagate` runs while its activations per edge (it keeps four of
        width H * D) are small; otherwise heads are computed one by one, and again in the backward pass.
        """
        if not torch.is_grad_enabled() or 4 * 4 * edge_index.size(1) * q[0].numel() <= KEPT_ACTIVATIONS:
            return super().propagate(edge_index, k=k, q=q, v=v, edge_attr=edge_attr)
        inputs = ((q[:, h], k[:, h], v[:, h], edge_attr[:, h], *edge_index) for h in range(q.size(1)))
        return torch.cat([checkpoint(_attend, *head, use_reentrant=False) for head in inputs], dim=1)


def _attend(q: Tensor, k: Tensor, v: Tensor, prior: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """One head: softmax over each node's incoming edges of prior * q.k / sqrt(D), then the mean of v.

    q (N, D), k and v (rows, D), prior (E,); returns (N, D).
    """
    score = (q.index_select(0, target) * k.index_select(0, source)).sum(-1) * prior / math.sqrt(q.size(1))
    weight = softmax(score, target, num_nodes=len(q))
    return torch.zeros_like(q).index_add(0, target, v.index_select(0, source) * weight.unsqueeze(1))
