"""Undocumented parts of PyTorch, and of the parameters of PyG's `HGTConv`, that the layers use.

tests/hgt/test_torch_private.py checks what each of them does, and says how to replace it if a newer PyTorch
or PyG no longer has it.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from repurpose.hgt.layer import Layer
from repurpose.hgt.trained import Parameters


def gelu(x: Tensor, out: Tensor) -> Tensor:
    """Write gelu(x) into `out` and return it."""
    return functional.gelu(x, out=out)


def gelu_backward(gradient: Tensor, x: Tensor) -> None:
    """Turn the gradient of gelu(x) into that of x, in place."""
    torch.ops.aten.gelu_backward.grad_input(gradient, x, grad_input=gradient)


def parameters(conv: Layer) -> Parameters:
    """The parameters of `conv`, as tensors, in the form that the fused layer computes with."""
    share = torch.stack([conv.skip[name][0].sigmoid() for name in conv.node_types])
    out = _stacked(conv.out_lin.lins, conv.node_types)
    return Parameters(*_head_by_head(conv), _relation_matrices(conv), *out, share)


def receiving(conv: Layer) -> list[bool]:
    """Whether each node type receives messages."""
    return [name in conv.dst_node_types for name in conv.node_types]


def _stacked(lins: Any, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Weights (T, out, in) and biases (T, out) of one linear map per type."""
    return torch.stack([lins[n].weight for n in names]), torch.stack([lins[n].bias for n in names])


def _head_by_head(conv: Layer) -> tuple[Tensor, Tensor]:
    """Weight (T, 3 F, in) and bias (T, 3 F) of key, value and query, head by head.

    PyG's columns are all heads' keys, then all queries, then all values.
    """
    weight, bias = _stacked(conv.kqv_lin.lins, conv.node_types)
    order = torch.arange(weight.shape[1]).view(3, conv.heads, -1)[[0, 2, 1]].transpose(0, 1).reshape(-1)
    return weight.index_select(1, order), bias.index_select(1, order)


def _relation_matrices(conv: Layer) -> Tensor:
    """The matrices for keys, times prior / sqrt(D), and those for values, (2, H, R, D, D)."""
    prior = torch.stack([conv.p_rel["__".join(each)][0] for each in conv.edge_types], dim=1)
    width = conv.out_channels // conv.heads
    shape = conv.heads, len(conv.edge_types), width, width
    keys, values = conv.k_rel.weight.view(shape), conv.v_rel.weight.view(shape)
    return torch.stack([keys * (prior / math.sqrt(width))[:, :, None, None], values])
