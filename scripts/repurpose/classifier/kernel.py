"""Kernel ridge regression on pairs: what similar heads have with similar tails, every pair at once.

Trees cut a vector along its axes, one number at a time, and can hardly use a similarity that is spread
over hundreds of them; a kernel can do nothing else. The kernel of two pairs is the product of their heads'
and their tails' kernels (Stock et al., "A comparative study of pairwise learning methods based on kernel
ridge regression", Neural Computation 2018). It learns from the heads and tails that have a known pair;
all other pairs of these count as 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from repurpose.classifier import similarities
from repurpose.evaluation.ranks import Scorer, TailScorer

SHARPNESS = 2.0  # of the similarity
RIDGE = 0.3  # shrinks what few neighbours say
LONGEST = 1.5  # times what 95 % of the vectors do not exceed: longer ones count as no longer
UNTREATED = 0.3  # what a score is worth at a head, or a tail, that has no known pair
MOST = 8192  # heads, and tails, to learn from; the time grows with the third power
FLOOR = 0.01  # of a score, before its logarithm
BLOCK_VALUES = 1 << 25  # of scores held at once: 128 MB of float32


class Ridge(NamedTuple):
    """A fitted model: the heads (n,) and tails (m,) it learned from, and coefficients (n, m), float32.

    head_scale (d,), tail_scale (e,): what the columns of vectors are multiplied by first.
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

    blocks: where the parts of a head's and of a tail's vector end, each of which gets a weight of its own
    (see `similarities`); not given: all count as they are.

    With the kernels Kh = U diag(a) U' of the heads that are learned from, Kt = V diag(b) V' of the tails and
    the labels Y, the coefficients are U [(U' Y V) / (a b' + RIDGE)] V'. Of more than MOST heads (or tails)
    with a known pair, that many are drawn.
    """
    ends = blocks or ((heads.shape[1],), (tails.shape[1],))
    scales = similarities.choose(heads, tails, ends, positives, _of_products, RIDGE, rng)
    heads, tails = heads * scales[0], tails * scales[1]
    used = [np.sort(rng.permutation(np.unique(ends))[:MOST]) for ends in positives]
    labels = similarities.labelled(used, positives)
    similar = [similarity(shortened(rows), n, n) for rows, n in zip((heads, tails), used, strict=True)]
    (a, u), (b, v) = (similarities.eigen(each, overwrite=True) for each in similar)
    inner = (u.T @ labels @ v) / (np.outer(a, b) + np.float32(RIDGE))
    return Ridge(*used, np.ascontiguousarray(u @ inner @ v.T), *scales)


def similarity(
    rows: np.ndarray, nodes: np.ndarray, learned: np.ndarray, own: np.ndarray | None = None
) -> np.ndarray:
    """Kernel float32 (m, n) of `nodes` (m,) with `learned` (n,), positions of rows of length 1 at most.

    exp(SHARPNESS (x . y - 1)), and 1 of a node with itself: a short vector, of a node of which little is
    known, is like no other. own: rows (m, d) of `nodes` in place of theirs.
    """
    result = _sharpened((rows[nodes] if own is None else own) @ rows[learned].T)
    result[nodes[:, None] == learned] = 1
    return result


def _sharpened(products: np.ndarray) -> np.ndarray:
    products -= 1
    products *= SHARPNESS
    return np.exp(products, out=products)


def _of_products(products: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """`similarity` of nodes with each other from products (n, n) and squared lengths, theirs first."""
    length = np.sqrt(squares)
    scale = 1 / np.maximum(length, _full(length))[: len(products)]
    result = _sharpened(products * scale[:, None] * scale)
    np.fill_diagonal(result, 1)
    return result


def shortened(rows: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Rows scaled so that the longest has length 1, but for outliers, which are cut to it; zeros stay.

    others: rows whose longest is meant, where it is not these.
    """
    length = np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float32)
    of_all = length if others is None else np.linalg.norm(others, axis=1).astype(np.float32)
    return rows / np.maximum(length, _full(of_all))


def _full(lengths: np.ndarray) -> np.float32:
    """The length that counts as 1: the longest, but for outliers; 1 where there is none."""
    if not lengths.any():
        return np.float32(1)
    return min(lengths.max(), np.float32(LONGEST * np.quantile(lengths[lengths > 0], 0.95)))


def matrix(ridge: Ridge, heads: np.ndarray, tails: np.ndarray) -> TailScorer:
    """What scores some tails with all heads, float32.

    Near 1 is what is like known pairs on both sides, near 0 what is not. The unknown pairs of heads and
    tails that were learned from pulled their scores down, nothing pulled at the others': at a head, or a
    tail, without a known pair a score counts UNTREATED times.
    """
    heads, tails = shortened(heads * ridge.head_scale), shortened(tails * ridge.tail_scale)
    worth = [_worth(len(rows), used) for rows, used in ((heads, ridge.heads), (tails, ridge.tails))]
    left = np.concatenate(
        [
            similarity(heads, part, ridge.heads) @ ridge.coefficients * worth[0][part, None]
            for part in _blocks(np.arange(len(heads)), len(ridge.heads))
        ]
    )

    def score(part: np.ndarray) -> np.ndarray:
        return (similarity(tails, part, ridge.tails) * worth[1][part, None]) @ left.T

    return score


def scorer(ridge: Ridge, heads: np.ndarray, tails: np.ndarray) -> Scorer:
    """The same scores of single pairs."""
    of_tails = matrix(ridge, heads, tails)

    def score(head: np.ndarray, tail: np.ndarray) -> np.ndarray:
        result = np.empty(len(head), np.float32)
        order = np.argsort(tail, kind="stable")
        names, begun = np.unique(tail[order], return_index=True)
        ends, first = np.append(begun, len(tail)), 0
        for part in _blocks(names, len(heads)):
            pairs = order[ends[first] : ends[first + len(part)]]
            result[pairs] = of_tails(part)[np.searchsorted(part, tail[pairs]), head[pairs]]
            first += len(part)
        return result

    return score


def replaced(
    ridge: Ridge,
    vectors: tuple[np.ndarray, np.ndarray],
    ends: tuple[np.ndarray, np.ndarray],
    rows: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """The scores (n,) of pairs if their two ends (n,) had `rows` (n, d) in place of their own vectors."""
    sides, scales = [], (ridge.head_scale, ridge.tail_scale)
    for whole, learned, nodes, own, scale in zip(
        vectors, (ridge.heads, ridge.tails), ends, rows, scales, strict=True
    ):
        whole, own = whole * scale, own * scale
        similar = similarity(shortened(whole), nodes, learned, shortened(own, whole))
        sides.append(similar * _worth(len(whole), learned)[nodes, None])
    return ((sides[0] @ ridge.coefficients) * sides[1]).sum(axis=1)


def logarithm(scores: np.ndarray) -> np.ndarray:
    """log(score + FLOOR) of scores, negative ones counted as 0: what can be added to log-odds."""
    return np.log(np.maximum(scores, 0) + np.float32(FLOOR))


def _worth(count: int, used: np.ndarray) -> np.ndarray:
    worth = np.full(count, UNTREATED, np.float32)
    worth[used] = 1
    return worth


def _blocks(nodes: np.ndarray, width: int) -> list[np.ndarray]:
    """`nodes` in blocks whose matrix of `width` columns stays bounded."""
    step = max(1, BLOCK_VALUES // max(width, 1))
    return [nodes[start : start + step] for start in range(0, len(nodes), step)]
