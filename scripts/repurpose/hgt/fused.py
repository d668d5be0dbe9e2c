"""The dense parts of an HGT layer on the CPU, without autograd's temporary copies.

The formulas and parameters are those of PyG's `HGTConv`. Large results are in `workspace` memory. Nodes are
numbered over all types: type t has the rows bounds[t] to bounds[t + 1] of every (N, width) tensor.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repurpose.hgt import attention, torch_private, workspace
from repurpose.hgt.layer import Layer
from repurpose.hgt.messages import Messages
from repurpose.kernels import parallel
from repurpose.kernels.compiled import loop


def layer(conv: Layer, x: Tensor, messages: Messages, bounds: Sequence[int]) -> Tensor:
    """Output (N, F) of `conv`, all node types at once; types that receive no messages keep their x."""
    parameters = torch_private.parameters(conv)
    kvq = typed_linear(x, parameters.kvq, parameters.kvq_bias, bounds)
    out = attention.attend(kvq, parameters.relations, messages)
    is_receiving = torch_private.receiving(conv)
    return _Update.apply(x, out, parameters.out, parameters.out_bias, parameters.share, is_receiving, bounds)


def typed_linear(x: Tensor, weight: Tensor, bias: Tensor, bounds: Sequence[int]) -> Tensor:
    """x @ weight[t].T + bias[t] for the nodes of each type t; weight (T, out, in), bias (T, out)."""
    return _TypedLinear.apply(x, weight, bias, bounds)


def standardise(z: Tensor) -> Tensor:
    """Rows with mean 0 and variance 1, in place; `layer_norm` without parameters."""
    return _Standardise.apply(z)


class _TypedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, bounds: Sequence[int]) -> Tensor:
        y = workspace.empty(x.shape[0], weight.shape[1])
        for t, rows in _spans(bounds):
            torch.addmm(bias[t], x[rows], weight[t].T, out=y[rows])
        ctx.save_for_backward(x, weight)
        ctx.bounds = bounds
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        dx, dweight = workspace.empty(*x.shape), torch.empty_like(weight)
        dbias = torch.empty(weight.shape[:2])
        for t, rows in _spans(ctx.bounds):
            torch.mm(gradient[rows], weight[t], out=dx[rows])
            torch.mm(gradient[rows].T, x[rows], out=dweight[t])
            torch.sum(gradient[rows], 0, out=dbias[t])
        return dx, dweight, dbias, None


class _Update(torch.autograd.Function):
    """(1 - share) x + share (gelu(out) @ weight.T + bias), per type; x for types without messages."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        out: Tensor,
        weight: Tensor,
        bias: Tensor,
        share: Tensor,
        receiving: Sequence[bool],
        bounds: Sequence[int],
    ) -> Tensor:
        share = share * torch.tensor(receiving)
        y, active = workspace.empty(*x.shape), torch_private.gelu(out, workspace.empty(*out.shape))
        for t, rows in _spans(bounds):
            torch.mm(active[rows], weight[t].T, out=y[rows])
        pieces = parallel.even(len(x), x.shape[1])
        parallel.run(_blend, pieces, *_arrays(x, bias, share), np.array(bounds), _arrays(y)[0])
        ctx.save_for_backward(x, out, weight, bias, share)
        ctx.bounds = bounds
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        x, out, weight, bias, share = ctx.saved_tensors
        gradient = gradient.contiguous()
        dx, dout = workspace.empty(*x.shape), workspace.empty(*out.shape)
        along = torch.empty(len(x), dtype=torch.float64)
        pieces = parallel.even(len(x), x.shape[1])
        bounds = np.array(ctx.bounds)
        parallel.run(_blend_back, pieces, *_arrays(gradient, x, share), bounds, *_arrays(dx, along))
        active = torch_private.gelu(out, workspace.empty(*out.shape))
        dweight, dbias, dshare = torch.empty_like(weight), torch.empty_like(bias), torch.empty_like(share)
        for t, rows in _spans(ctx.bounds):
            g = gradient[rows]
            torch.mm(g, weight[t], out=dout[rows]).mul_(share[t])
            torch.mm(g.T, active[rows], out=dweight[t])
            torch.sum(g, 0, out=dbias[t])
            # The linear map's output is not kept: its product with g follows from the gradients. float64,
            # because dshare is the difference of two large sums.
            pairs = (dweight[t], weight[t]), (dbias[t], bias[t])
            mapped = sum((a.double() * b).sum() for a, b in pairs)
            dshare[t] = mapped - along[rows].sum()
        received = share > 0
        torch_private.gelu_backward(dout, out)
        return dx, dout, dweight * share[:, None, None], dbias * share[:, None], dshare * received, None, None


class _Standardise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.mark_dirty(z)
        scale = torch.empty(len(z))
        pieces = parallel.even(len(z), z.shape[1])
        parallel.run(_standardise, pieces, *_arrays(z, scale))
        ctx.save_for_backward(z, scale)
        return z

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        z, scale = ctx.saved_tensors
        dz = workspace.empty(*z.shape)
        arrays = _arrays(gradient.contiguous(), z, scale, dz)
        parallel.run(_standardise_back, parallel.even(len(z), z.shape[1]), *arrays)
        return dz


@loop()
def _blend(first, last, x, bias, share, bounds, y):
    """y[i] = (1 - share) x[i] + share (y[i] + bias), share and bias of i's type."""
    t = 0
    for i in range(first, last):
        while i >= bounds[t + 1]:
            t += 1
        s = share[t]
        for d in range(x.shape[1]):
            y[i, d] = (np.float32(1) - s) * x[i, d] + s * (y[i, d] + bias[t, d])


@loop()
def _blend_back(first, last, gradient, x, share, bounds, dx, along):
    """dx[i] = (1 - share) gradient[i], along[i] = gradient[i] . x[i]."""
    t = 0
    for i in range(first, last):
        while i >= bounds[t + 1]:
            t += 1
        kept_share, product = np.float32(1) - share[t], np.float32(0)
        for d in range(x.shape[1]):
            dx[i, d] = kept_share * gradient[i, d]
            product += gradient[i, d] * x[i, d]
        along[i] = product


@loop()
def _standardise(first, last, z, scale):
    """z[i] = (z[i] - mean) * scale[i], scale[i] = 1 / sqrt(variance + 1e-5)."""
    width = z.shape[1]
    for i in range(first, last):
        mean = variance = np.float32(0)
        for d in range(width):
            mean += z[i, d]
        mean /= np.float32(width)
        for d in range(width):
            variance += (z[i, d] - mean) * (z[i, d] - mean)
        factor = np.float32(1) / np.sqrt(variance / np.float32(width) + np.float32(1e-5))
        for d in range(width):
            z[i, d] = (z[i, d] - mean) * factor
        scale[i] = factor


@loop()
def _standardise_back(first, last, gradient, z, scale, dz):
    """dz[i] = scale[i] (g - mean(g) - z mean(g z)), g = gradient[i] and z the standardised row."""
    width = z.shape[1]
    for i in range(first, last):
        mean = along = np.float32(0)
        for d in range(width):
            mean += gradient[i, d]
            along += gradient[i, d] * z[i, d]
        mean /= np.float32(width)
        along /= np.float32(width)
        for d in range(width):
            dz[i, d] = scale[i] * (gradient[i, d] - mean - along * z[i, d])


def _arrays(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    return tuple(tensor.detach().numpy() for tensor in tensors)


def _spans(bounds: Sequence[int]) -> Iterator[tuple[int, slice]]:
    return ((t, slice(first, last)) for t, (first, last) in enumerate(pairwise(bounds)))
