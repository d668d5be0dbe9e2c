"""Scores of many pairs of embeddings on the CPU, with a backward pass that writes each row once.

torch's backward pass of `z[index]` fills a tensor as large as z for each use, and adds the rows up in an
order that changes from run to run.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repurpose.hgt import workspace
from repurpose.kernels import parallel
from repurpose.kernels.compiled import loop
from repurpose.kernels.csr import csr

BLOCK = 256  # pairs of one relation whose weight gradients are summed together


def score(
    z: Tensor, weight: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Sums over d of z[head] weight[relation] z[tail], (P,), and the rows z[rows], (K, d).

    relation, head, tail (P,): int64, with pairs of one relation in long runs. z (N, d), weight (R, d).
    """
    return _Score.apply(z, weight, relation, head, tail, rows)


class _Score(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z: Tensor, weight: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        scores = torch.empty(len(head))
        pieces = parallel.even(len(head), z.shape[1])
        arrays = (each.detach().numpy() for each in (z, weight, relation, head, tail, scores))
        parallel.run(_scores, pieces, *arrays)
        ctx.save_for_backward(z, weight, relation, head, tail, rows)
        return scores, z.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, dscores: Tensor, dvectors: Tensor) -> tuple[Any, ...]:
        z, weight, relation, head, tail, rows = ctx.saved_tensors
        dz = workspace.empty(*z.shape)
        x, w, of_pair, g, result = (
            each.detach().numpy() for each in (z, weight, relation, dscores.contiguous(), dz)
        )
        heads, tails = head.numpy(), tail.numpy()
        # Each pair twice: at its head with its tail as the other end, and the other way round.
        indptr, entries = csr(np.concatenate([heads, tails]), np.arange(2 * len(heads)), len(x))
        other = np.concatenate([tails, heads])
        parallel.run(_score_back, parallel.balanced(indptr), indptr, entries, other, of_pair, g, x, w, result)
        dz.index_add_(0, rows, dvectors)
        trained = ctx.needs_input_grad[1]
        dweight = _weight_gradient(x, w, of_pair, heads, tails, g) if trained else None
        return dz, dweight, None, None, None, None


def _weight_gradient(
    z: np.ndarray,
    weight: np.ndarray,
    relation: np.ndarray,
    head: np.ndarray,
    tail: np.ndarray,
    slope: np.ndarray,
) -> Tensor:
    """Sum over the pairs of each relation of slope z[head] z[tail], (R, d), in a fixed order."""
    blocks = []
    runs = np.flatnonzero(np.diff(relation, prepend=-1)).tolist()
    for first, last in pairwise([*runs, len(relation)]):
        starts = np.arange(first, last, BLOCK)
        blocks.append(np.stack([starts, np.minimum(starts + BLOCK, last)], axis=1))
    bounds = np.concatenate([np.zeros((0, 2), np.int64), *blocks])
    block_sums = np.empty((len(bounds), weight.shape[1]), np.float32)
    pieces = parallel.even(len(bounds), BLOCK * weight.shape[1])
    parallel.run(_pair_products, pieces, bounds, head, tail, slope, z, block_sums)
    gradient = torch.zeros(weight.shape)
    return gradient.index_add_(0, torch.from_numpy(relation[bounds[:, 0]]), torch.from_numpy(block_sums))


@loop()
def _scores(first, last, z, weight, relation, head, tail, scores):
    for p in range(first, last):
        a, b, w = z[head[p]], z[tail[p]], weight[relation[p]]
        total = np.float32(0)
        for d in range(len(a)):
            total += a[d] * w[d] * b[d]
        scores[p] = total


@loop()
def _score_back(first, last, indptr, entries, other, relation, slope, z, weight, dz):
    """dz[i] = sum over i's pairs of slope weight[relation] z[other end]."""
    for i in range(first, last):
        row = dz[i]
        for d in range(len(row)):
            row[d] = np.float32(0)
        for at in range(indptr[i], indptr[i + 1]):
            entry = entries[at]
            p = entry % len(slope)
            x, w, g = z[other[entry]], weight[relation[p]], slope[p]
            for d in range(len(row)):
                row[d] += g * w[d] * x[d]


@loop()
def _pair_products(first, last, bounds, head, tail, slope, z, parts):
    """parts[block] = sum over the block's pairs of slope z[head] z[tail]."""
    for block in range(first, last):
        row = parts[block]
        for d in range(len(row)):
            row[d] = np.float32(0)
        for p in range(bounds[block, 0], bounds[block, 1]):
            a, b, g = z[head[p]], z[tail[p]], slope[p]
            for d in range(len(row)):
                row[d] += g * a[d] * b[d]
