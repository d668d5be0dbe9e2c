"""Choose a weight for each block of a vector, by which the kernel compares nodes.

Some relations tell more about treatments than others: drugs that bind the same proteins have more diseases in
common than drugs that change the expression of the same genes. The weights are chosen on known pairs.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

FACTORS = (0.0, 0.4, 2.5)  # a trial multiplies a weight by one of these
AGAIN = 0.1  # the value that a trial gives to a weight of 0
ROUNDS = 2  # of trials over all weights
GAIN = 0.005  # least gain in the objective for which a weight changes
MOST = 512  # heads, and tails, that the weights are chosen on
FOLDS = 4
FEWEST = 20  # known pairs, heads and tails that are needed to choose weights

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
Eigen = tuple[np.ndarray, np.ndarray]


class Side(NamedTuple):
    """The heads, or the tails, that weights are chosen on.

    products (blocks, n, n): inner products of the nodes' vectors, by block. squares (blocks, nodes): squared
    lengths by block of all nodes of the type, with these n first. folds (n,): nodes of one fold are left out
    together.
    """

    products: np.ndarray
    squares: np.ndarray
    folds: np.ndarray


class Solved(NamedTuple):
    """A side's kernel (n, n), its eigendecomposition, and that of the kernel without each fold."""

    kernel: np.ndarray
    whole: Eigen
    without: tuple[Eigen, ...]


def choose(
    heads: np.ndarray,
    tails: np.ndarray,
    blocks: tuple[Sequence[int], Sequence[int]],
    positives: tuple[np.ndarray, np.ndarray],
    kernel: Kernel,
    ridge: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Factors for the columns of head vectors (H, d) and tail vectors (T, e): float32 (d,) and (e,).

    blocks: column where each block of a head's and of a tail's vector ends. positives: heads and tails (P,)
    of the known pairs. kernel: function of products (n, n) and squared lengths (nodes,), these n first.

    Coordinate ascent: one weight after the other is changed as long as kernel ridge regression ranks held-out
    known pairs better: single pairs, pairs of whole heads, and pairs of whole tails. All weights are 1 if
    there are fewer than FEWEST pairs, heads or tails, or only one block.
    """
    weights = [np.ones(len(ends), np.float32) for ends in blocks]
    if max(map(len, blocks)) > 1:
        used = [rng.permutation(np.unique(ends))[:MOST] for ends in positives]
        labels = labelled(used, positives)
        if min(labels.sum(), *labels.shape) >= FEWEST:
            sides = [
                _side(rows, ends, nodes, rng)
                for rows, ends, nodes in zip((heads, tails), blocks, used, strict=True)
            ]
            # Matrices of this size are decomposed three times as fast on one thread as on two.
            with threadpool_limits(1, "blas"):
                weights = _ascend(sides, weights, labels, kernel, np.float32(ridge))
    scales = (
        np.repeat(np.sqrt(side_weights), np.diff([0, *ends]))
        for side_weights, ends in zip(weights, blocks, strict=True)
    )
    return tuple(scales)


def labelled(used: Sequence[np.ndarray], positives: Sequence[np.ndarray]) -> np.ndarray:
    """Labels float32 (n, m) of the heads and tails in `used`, in any order: 1 for known pairs, else 0."""
    kept = np.isin(positives[0], used[0]) & np.isin(positives[1], used[1])
    result = np.zeros([len(nodes) for nodes in used], np.float32)
    orders = [np.argsort(nodes) for nodes in used]
    result[
        tuple(
            order[np.searchsorted(nodes[order], ends[kept])]
            for nodes, order, ends in zip(used, orders, positives, strict=True)
        )
    ] = 1
    return result


def _side(rows: np.ndarray, ends: Sequence[int], used: np.ndarray, rng: np.random.Generator) -> Side:
    blocks = [rows[:, first:last] for first, last in pairwise([0, *ends])]
    order = np.concatenate([used, np.setdiff1d(np.arange(len(rows)), used)])
    products = np.stack([block[used] @ block[used].T for block in blocks])
    squares = np.stack([(block[order] ** 2).sum(axis=1) for block in blocks])
    return Side(products, squares, rng.permutation(np.arange(len(used)) % FOLDS))


def _ascend(
    sides: Sequence[Side], weights: list[np.ndarray], labels: np.ndarray, kernel: Kernel, ridge: np.float32
) -> list[np.ndarray]:
    solved = [_solve(side, side_weights, kernel) for side, side_weights in zip(sides, weights, strict=True)]
    best = _objective(solved, sides, labels, ridge)
    blocks = [(number, block) for number, side in enumerate(sides) for block in range(len(side.products))]
    for _ in range(ROUNDS):
        before = best
        for (number, block), factor in product(blocks, FACTORS):
            tried = weights[number].copy()
            tried[block] = tried[block] * factor if tried[block] else AGAIN * (factor > 1)
            if np.array_equal(tried, weights[number]) or not tried.any():
                continue
            changed = list(solved)
            changed[number] = _solve(sides[number], tried, kernel)
            if (value := _objective(changed, sides, labels, ridge)) > best + GAIN:
                best, solved, weights[number] = value, changed, tried
        if best == before:
            break
    return weights


def _solve(side: Side, weights: np.ndarray, kernel: Kernel) -> Solved:
    whole = kernel(np.tensordot(weights, side.products, 1), weights @ side.squares)
    without = tuple(eigen(whole[np.ix_(kept, kept)]) for kept in _nodes_kept(side))
    return Solved(whole, eigen(whole), without)


def _nodes_kept(side: Side) -> list[np.ndarray]:
    return [np.flatnonzero(side.folds != fold) for fold in range(FOLDS)]


def eigen(kernel: np.ndarray, overwrite: bool = False) -> Eigen:
    """Eigenvalues (n,), none below 0, and eigenvectors (n, n) of a kernel; `overwrite` destroys it."""
    values, vectors = linalg.eigh(kernel, driver="evd", overwrite_a=overwrite)
    # A kernel is positive semi-definite: negative eigenvalues come from rounding.
    return np.maximum(values, 0), vectors


def _objective(
    solved: Sequence[Solved], sides: Sequence[Side], labels: np.ndarray, ridge: np.float32
) -> float:
    """The objective: mean logarithm of the average precision of held-out pairs, heads and tails."""
    heads, tails = solved
    scores = [
        _pairs_out(heads.whole, tails.whole, labels, ridge),
        _nodes_out(heads, tails, sides[0], labels, ridge),
        _nodes_out(tails, heads, sides[1], labels.T, ridge).T,
    ]
    return float(np.mean([np.log(average_precision(predicted, labels)) for predicted in scores]))


def _pairs_out(heads: Eigen, tails: Eigen, labels: np.ndarray, ridge: np.float32) -> np.ndarray:
    """Scores (n, m), each as if its own label were 0: the label's contribution is subtracted."""
    (a, u), (b, v) = heads, tails
    shrunk = np.outer(a, b)
    shrunk /= shrunk + ridge
    return u @ ((u.T @ labels @ v) * shrunk) @ v.T - labels * (u**2 @ shrunk @ (v**2).T)


def _nodes_out(
    this_side: Solved, other_side: Solved, side: Side, labels: np.ndarray, ridge: np.float32
) -> np.ndarray:
    """Scores (n, m) of each node of a side, by a model fitted to the nodes of the other folds."""
    result, (b, v) = np.empty_like(labels), other_side.whole
    projected = v.T @ other_side.kernel
    for fold, (kept, (a, u)) in enumerate(zip(_nodes_kept(side), this_side.without, strict=True)):
        left_out = np.flatnonzero(side.folds == fold)
        inner = (u.T @ labels[kept] @ v) / (np.outer(a, b) + ridge)
        result[left_out] = this_side.kernel[np.ix_(left_out, kept)] @ u @ inner @ projected
    return result


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Average precision for labels 0 and 1 (n, m); among equal scores, label 0 ranks first."""
    positive = np.sort(scores[labels == 1])[::-1]
    above = len(labels.ravel()) - len(positive) - np.searchsorted(np.sort(scores[labels == 0]), positive)
    rank_among_positives = np.arange(1, len(positive) + 1)
    return float(np.mean(rank_among_positives / (rank_among_positives + above)))
