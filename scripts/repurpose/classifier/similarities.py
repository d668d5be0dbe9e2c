"""Which parts of a vector should count, and how much, where pairs are compared by the kernel.

That two drugs bind the same proteins says more of what they treat than that they change the expression of
the same genes: each part gets a weight, chosen by pairs that are known.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from scipy import linalg

FACTORS = (0.0, 0.4, 2.5)  # that a weight is tried with
AGAIN = 0.1  # what a weight of 0 is tried with
ROUNDS = 2
GAIN = 0.005  # of the mean logarithm of the average precisions, for which a weight changes
MOST = 512  # heads, and tails, to choose by
FOLDS = 4
FEWEST = 20  # known pairs, heads and tails to choose by

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
Eigen = tuple[np.ndarray, np.ndarray]


class Side(NamedTuple):
    """Heads or tails: products (blocks, n, n) of their vectors' parts, and squared lengths (blocks, nodes).

    The lengths are those of all nodes, of which the n are the first. folds (n,): what is left out together.
    """

    products: np.ndarray
    squares: np.ndarray
    folds: np.ndarray


class Solved(NamedTuple):
    """A side's kernel (n, n), its eigenvalues and -vectors, and those of the kernel without each fold."""

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
    """What the columns of vectors (H, d) and (T, e) are multiplied by: float32 (d,) and (e,).

    blocks: where the parts of a head's and of a tail's vector end. positives: known pairs, their heads and
    tails (P,). kernel: from products (n, n) and squared lengths (nodes,), of which the n are the first.

    One weight after the other is changed for as long as kernel ridge regression finds known pairs better
    that it has not seen: pairs, as if unknown, whole heads, and whole tails. All weights are 1 where there
    are too few to choose by, or one part.
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
            weights = _ascend(sides, weights, labels, kernel, np.float32(ridge))
    scales = (np.repeat(np.sqrt(own), np.diff([0, *ends])) for own, ends in zip(weights, blocks, strict=True))
    return tuple(scales)


def labelled(used: Sequence[np.ndarray], positives: Sequence[np.ndarray]) -> np.ndarray:
    """1 at the known pairs of the used heads (n,) and tails (m,), which are in any order: float32 (n, m)."""
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
    parts = [rows[:, first:last] for first, last in pairwise([0, *ends])]
    order = np.concatenate([used, np.setdiff1d(np.arange(len(rows)), used)])
    products = np.stack([part[used] @ part[used].T for part in parts])
    squares = np.stack([(part[order] ** 2).sum(axis=1) for part in parts])
    return Side(products, squares, rng.permutation(np.arange(len(used)) % FOLDS))


def _ascend(
    sides: Sequence[Side], weights: list[np.ndarray], labels: np.ndarray, kernel: Kernel, ridge: np.float32
) -> list[np.ndarray]:
    solved = [_solve(side, own, kernel) for side, own in zip(sides, weights, strict=True)]
    best = _found(solved, sides, labels, ridge)
    parts = [(number, part) for number, side in enumerate(sides) for part in range(len(side.products))]
    for _ in range(ROUNDS):
        before = best
        for (number, part), factor in product(parts, FACTORS):
            tried = weights[number].copy()
            tried[part] = tried[part] * factor if tried[part] else AGAIN * (factor > 1)
            if np.array_equal(tried, weights[number]) or not tried.any():
                continue
            other = list(solved)
            other[number] = _solve(sides[number], tried, kernel)
            if (found := _found(other, sides, labels, ridge)) > best + GAIN:
                best, solved, weights[number] = found, other, tried
        if best == before:
            break
    return weights


def _solve(side: Side, weights: np.ndarray, kernel: Kernel) -> Solved:
    whole = kernel(np.tensordot(weights, side.products, 1), weights @ side.squares)
    without = tuple(eigen(whole[np.ix_(kept, kept)]) for kept in _kept(side))
    return Solved(whole, eigen(whole), without)


def _kept(side: Side) -> list[np.ndarray]:
    return [np.flatnonzero(side.folds != fold) for fold in range(FOLDS)]


def eigen(kernel: np.ndarray, overwrite: bool = False) -> Eigen:
    """Eigenvalues (n,), 0 at least, and eigenvectors (n, n) of a kernel, which is lost to `overwrite`."""
    values, vectors = linalg.eigh(kernel, driver="evd", overwrite_a=overwrite)
    # A kernel has no negative eigenvalue but for rounding.
    return np.maximum(values, 0), vectors


def _found(solved: Sequence[Solved], sides: Sequence[Side], labels: np.ndarray, ridge: np.float32) -> float:
    """Mean logarithm of the average precision of pairs, of heads and of tails that are left out."""
    heads, tails = solved
    scores = [
        _pairs_out(heads.whole, tails.whole, labels, ridge),
        _nodes_out(heads, tails, sides[0], labels, ridge),
        _nodes_out(tails, heads, sides[1], labels.T, ridge).T,
    ]
    return float(np.mean([np.log(average_precision(each, labels)) for each in scores]))


def _pairs_out(heads: Eigen, tails: Eigen, labels: np.ndarray, ridge: np.float32) -> np.ndarray:
    """Scores (n, m), each as if its own label were 0: the label times its own weight is taken off."""
    (a, u), (b, v) = heads, tails
    shrunk = np.outer(a, b)
    shrunk /= shrunk + ridge
    return u @ ((u.T @ labels @ v) * shrunk) @ v.T - labels * (u**2 @ shrunk @ (v**2).T)


def _nodes_out(own: Solved, other: Solved, side: Side, labels: np.ndarray, ridge: np.float32) -> np.ndarray:
    """Scores (n, m) of each node of a side from the nodes of the other folds."""
    result, (b, v) = np.empty_like(labels), other.whole
    told = v.T @ other.kernel
    for fold, (kept, (a, u)) in enumerate(zip(_kept(side), own.without, strict=True)):
        out = np.flatnonzero(side.folds == fold)
        inner = (u.T @ labels[kept] @ v) / (np.outer(a, b) + ridge)
        result[out] = own.kernel[np.ix_(out, kept)] @ u @ inner @ told
    return result


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Of labels 0 and 1 (n, m); of those that score the same, the ones labelled 0 come first."""
    positive = np.sort(scores[labels == 1])[::-1]
    above = len(labels.ravel()) - len(positive) - np.searchsorted(np.sort(scores[labels == 0]), positive)
    found = np.arange(1, len(positive) + 1)
    return float(np.mean(found / (found + above)))
