"""Kernel ridge regression on pairs: a pair scores high if similar heads and tails have known pairs.

It complements the trees: a tree splits on one column at a time and can hardly use a similarity that is spread
over hundreds of columns. The kernel of two pairs is the product of their heads' and their tails' kernels
(Stock et al., "A comparative study of pairwise learning methods based on kernel ridge regression", Neural
Computation 2018). The model is trained on all pairs of the heads and the tails that have a known pair: known
pairs have label 1, all others 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from repurpose.classifier import similarities
from repurpose.evaluation.ranks import Scorer, TailScorer

SHARPNESS = 2.0  # factor in the exponent of the similarity
RIDGE = 0.3  # regularisation: shrinks scores that rest on few similar nodes
LONGEST = 1.5  # times the 95 % quantile of vector lengths: longer vectors are cut to it
UNTREATED = 0.3  # factor of a score for a head, and for a tail, without a known pair
MOST = 8192  # heads, and tails, to train on; the time grows with the third power
FLOOR = 0.01  # added to a score before its logarithm
SIZE = 64  # rows of a matrix product
BLOCK_VALUES = 1 << 25  # scores in memory at once: 128 MB of float32


class Ridge(NamedTuple):
    """A fitted model: the heads (n,) and tails (m,) it was trained on, and coefficients (n, m), float32.

    head_scale (d,), tail_scale (e,): factors of the columns of head and tail vectors.
    """

    heads: np.ndarray
    tails: np.ndarray
    coefficients: np.ndarray
    head_scale: np.ndarray
    tail_scale: np.ndarray


def fit(
    heads: np.ndarray,
    tails: np.ndarray,
    positives: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    blocks: tuple[Sequence[int], Sequence[int]] | None = None,
) -> Ridge:
    """Fit vectors heads (H, d) and tails (T, e) to known pairs, given as their heads and tails, both (P,).

    blocks: column where each block of a head's and of a tail's vector ends; each block gets a weight (see
    `similarities`). None: all columns have weight 1.

    With the kernels Kh = U diag(a) U' of the training heads, Kt = V diag(b) V' of the training tails and the
    labels Y, the coefficients are U [(U' Y V) / (a b' + RIDGE)] V'. If more than MOST heads (or tails) have a
    known pair, MOST of them are drawn at random.
    """
    ends = blocks or ((heads.shape[1],), (tails.shape[1],))
    scales = similarities.choose(heads, tails, ends, positives, _of_products, RIDGE, rng)
    heads, tails = heads * scales[0], tails * scales[1]
    used = [np.sort(rng.permutation(np.unique(ends))[:MOST]) for ends in positives]
    labels = similarities.labelled(used, positives)
    kernels = [similarity(shortened(rows), n, n) for rows, n in zip((heads, tails), used, strict=True)]
    (a, u), (b, v) = (similarities.eigen(kernel, overwrite=True) for kernel in kernels)
    inner = (u.T @ labels @ v) / (np.outer(a, b) + np.float32(RIDGE))
    return Ridge(*used, np.ascontiguousarray(u @ inner @ v.T), *scales)


def similarity(
    rows: np.ndarray, nodes: np.ndarray, learned: np.ndarray, node_rows: np.ndarray | None = None
) -> np.ndarray:
    """Kernel matrix float32 (m, n) of `nodes` (m,) and training nodes `learned` (n,), indices into `rows`.

    The kernel is exp(SHARPNESS (x . y - 1)) for rows x, y of length 1 at most, and 1 of a node with itself. A
    node with few edges has a short vector, which is similar to no other. node_rows: (m, d), replace the rows
    of `nodes`.
    """
    result = _sharpened(_times(rows[nodes] if node_rows is None else node_rows, rows[learned].T, nodes))
    result[nodes[:, None] == learned] = 1
    return result


def _sharpened(products: np.ndarray) -> np.ndarray:
    products -= 1
    products *= SHARPNESS
    return np.exp(products, out=products)


def _of_products(products: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """`similarity` (n, n) among nodes, from the products (n, n) of their vectors and squared lengths.

    squares: of all nodes of the side, with these n first.
    """
    length = np.sqrt(squares)
    scale = 1 / np.maximum(length, _unit_length(length))[: len(products)]
    result = _sharpened(products * scale[:, None] * scale)
    np.fill_diagonal(result, 1)
    return result


def shortened(rows: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Rows divided by the longest row's length; outliers are cut to length 1, rows of zeros stay.

    others: rows whose longest counts, if it is not among `rows`.
    """
    length = np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float32)
    of_all = length if others is None else np.linalg.norm(others, axis=1).astype(np.float32)
    return rows / np.maximum(length, _unit_length(of_all))


def _unit_length(lengths: np.ndarray) -> np.float32:
    """The length that is scaled to 1: the longest one without outliers; 1 if all are 0."""
    if not lengths.any():
        return np.float32(1)
    return min(lengths.max(), np.float32(LONGEST * np.quantile(lengths[lengths > 0], 0.95)))


def matrix(ridge: Ridge, heads: np.ndarray, tails: np.ndarray) -> TailScorer:
    """A function that scores some tails with all heads, float32.

    A score is near 1 if head and tail are both similar to those of known pairs, and near 0 if not. The score
    of a head, or a tail, without a known pair is multiplied by UNTREATED: such nodes have no training pairs
    with label 0, which lower the scores of the others.
    """
    heads, tails = shortened(heads * ridge.head_scale), shortened(tails * ridge.tail_scale)
    factors = [_node_factors(len(rows), used) for rows, used in ((heads, ridge.heads), (tails, ridge.tails))]
    head_products = np.concatenate(
        [
            _times(similarity(heads, block, ridge.heads), ridge.coefficients, block) * factors[0][block, None]
            for block in _blocks(np.arange(len(heads)), len(ridge.heads))
        ]
    )

    def score(block: np.ndarray) -> np.ndarray:
        of_tails = similarity(tails, block, ridge.tails) * factors[1][block, None]
        return _times(of_tails, head_products.T, block)

    return score


def scorer(ridge: Ridge, heads: np.ndarray, tails: np.ndarray) -> Scorer:
    """A function that scores single pairs; the scores are those of `matrix`."""
    of_tails = matrix(ridge, heads, tails)

    def score(head: np.ndarray, tail: np.ndarray) -> np.ndarray:
        result = np.empty(len(head), np.float32)
        order = np.argsort(tail, kind="stable")
        unique_tails, starts = np.unique(tail[order], return_index=True)
        ends, first = np.append(starts, len(tail)), 0
        for block in _blocks(unique_tails, len(heads)):
            pairs = order[ends[first] : ends[first + len(block)]]
            result[pairs] = of_tails(block)[np.searchsorted(block, tail[pairs]), head[pairs]]
            first += len(block)
        return result

    return score


def replaced(
    ridge: Ridge,
    vectors: tuple[np.ndarray, np.ndarray],
    ends: tuple[np.ndarray, np.ndarray],
    rows: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """The scores (n,) of pairs if `rows` (n, d) replace the vectors of their two ends (n,)."""
    sides, scales = [], (ridge.head_scale, ridge.tail_scale)
    for side_vectors, learned, nodes, new_rows, scale in zip(
        vectors, (ridge.heads, ridge.tails), ends, rows, scales, strict=True
    ):
        side_vectors, new_rows = side_vectors * scale, new_rows * scale
        kernel_rows = similarity(shortened(side_vectors), nodes, learned, shortened(new_rows, side_vectors))
        sides.append(kernel_rows * _node_factors(len(side_vectors), learned)[nodes, None])
    return ((sides[0] @ ridge.coefficients) * sides[1]).sum(axis=1)


def logarithm(scores: np.ndarray) -> np.ndarray:
    """log(score + FLOOR), with negative scores set to 0 first; it can be added to log-odds."""
    return np.log(np.maximum(scores, 0) + np.float32(FLOOR))


def _times(left: np.ndarray, right: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """A matrix product (m, n) whose rows do not depend on one another; nodes (m,): of the rows.

    The order in which a product adds depends on its size and on a row's place in it. So all products have
    SIZE rows, and a node always has the same place. Then a looked-up pair has the score of the file.
    """
    result = np.empty((len(left), right.shape[1]), np.result_type(left, right))
    padded = np.zeros((SIZE, left.shape[1]), left.dtype)
    places = nodes % SIZE
    order = np.argsort(places, kind="stable")
    # Of the nodes with the same place, the first are in the first product, and so on.
    turn = np.empty(len(nodes), np.int64)
    turn[order] = np.arange(len(nodes)) - np.searchsorted(places[order], places[order])
    for number in range(turn.max(initial=-1) + 1):
        rows = np.flatnonzero(turn == number)
        padded[places[rows]] = left[rows]
        result[rows] = (padded @ right)[places[rows]]
    return result


def _node_factors(count: int, used: np.ndarray) -> np.ndarray:
    factors = np.full(count, UNTREATED, np.float32)
    factors[used] = 1
    return factors


def _blocks(nodes: np.ndarray, width: int) -> list[np.ndarray]:
    """Split `nodes` into blocks, so that a score matrix of a block and `width` columns fits into memory."""
    step = max(1, BLOCK_VALUES // max(width, 1))
    return [nodes[start : start + step] for start in range(0, len(nodes), step)]
