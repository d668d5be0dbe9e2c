"""Metrics over all pairs of some heads and tails, exact, in memory that does not grow with their number.

Positives are the test positives of a scheme, negatives all pairs that no relation joins. Scores
are streamed: what is kept of the negatives is how many lie below, at and between the positives.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from repurpose.pairs import Known

# heads and tails (int32, one per pair) to one finite score per pair, higher is better.
Scorer = Callable[[np.ndarray, np.ndarray], np.ndarray]

DRAWS = 1000
CHUNK = 200_000
TOP = 100
METRICS = ("auroc", "auprc", "recall_at_100", "mrr")
# Values of a bootstrap matrix held at once: 16 MB of float64.
BOOTSTRAP_VALUES = 1 << 21


def evaluate(
    score: Scorer,
    test_heads: np.ndarray,
    test_tails: np.ndarray,
    known: Known,
    heads: np.ndarray,
    tails: np.ndarray,
    *,
    limit: int,
    seed: int,
    chunk: int = CHUNK,
) -> dict[str, Any]:
    """AUROC, AUPRC, Recall@100 and MRR of the test positives against all unknown pairs of heads x tails.

    `heads` and `tails` are sorted and distinct, and hold those of the positives. Where whole tails (heads)
    are held out they should be these alone: of all others a model has seen which pairs are unknown.
    Each metric is {"value", "low", "high"} with a 95 % bootstrap interval (over positives for AUROC
    and AUPRC, over tails for the others), or None where it is undefined. AUPRC is the average
    precision. Recall@100 and MRR rank each positive within its tail, known pairs left out, and are
    means over tails. Where the matrix has more than `limit` pairs, about `limit` are scored: a
    uniform sample of the negatives for AUROC and AUPRC, a sample of the test tails for the others
    ("sampled": true). Raises ValueError if a score is not finite.
    """
    ranked, sampled = np.unique(test_tails), len(heads) * len(tails) > limit
    rng = np.random.default_rng(seed)
    if sampled:
        ranked = np.sort(rng.permutation(ranked)[: max(1, limit // 2 // len(heads))])
    negatives = len(heads) * len(tails) - len(_inside(known, heads, tails)[0])
    metrics: dict[str, Any] = dict.fromkeys(METRICS)
    if len(test_heads) and negatives:
        drawn = draw_unknown(known, heads, tails, limit // 2, rng) if sampled else None
        blocks = _blocks(known, heads, ranked if sampled else tails, drawn, chunk)
        metrics = _measure(score, test_heads, test_tails, ranked, blocks, negatives, rng)
    return metrics | {
        "positives": len(test_heads),
        "negatives": negatives,
        "prevalence": len(test_heads) / max(len(test_heads) + negatives, 1),
        "tails": len(ranked),
        "sampled": sampled,
    }


def draw_unknown(
    known: Known, heads: np.ndarray, tails: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `size` distinct unknown pairs of heads x tails uniformly, or all where there are fewer.

    `heads` and `tails` are sorted and distinct. Takes memory in proportion to `size` and the number
    of known pairs, never to heads x tails.
    """
    at_head, at_tail = _inside(known, heads, tails)
    taken = np.unique(at_tail * len(heads) + at_head)
    ranks = _draw_distinct(len(heads) * len(tails) - len(taken), size, rng)
    # taken[i] - i unknown pairs lie before the i-th known one: this turns a rank into a position.
    places = ranks + np.searchsorted(taken - np.arange(len(taken)), ranks, side="right")
    tail, head = np.divmod(places, max(len(heads), 1))
    return heads[head].astype(np.int32), tails[tail].astype(np.int32)


def _inside(known: Known, heads: np.ndarray, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in sorted heads and tails of the known pairs that have both ends there."""
    at_head, at_tail = _positions(heads, known.heads), _positions(tails, known.tails)
    inside = (at_head >= 0) & (at_tail >= 0)
    return at_head[inside], at_tail[inside]


def _draw_distinct(population: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` distinct integers below `population`, or all of them where there are fewer."""
    if population <= max(4 * size, 10_000):
        return rng.permutation(population)[:size]
    # Twice as many draws as needed hold `size` distinct ones: at most one in four repeats another.
    distinct = np.unique(rng.integers(population, size=2 * size))
    return rng.permutation(distinct)[:size]


def _positions(pool: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Position of each value in the sorted `pool`, -1 where it is not in it."""
    if not len(pool):
        return np.full(len(values), -1)
    place = np.minimum(np.searchsorted(pool, values), len(pool) - 1)
    return np.where(pool[place] == values, place, -1)


def _unknown_blocks(
    known: Known, heads: np.ndarray, tails: np.ndarray, chunk: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All unknown pairs of sorted heads and tails, some `chunk` (at least one tail's) at a time."""
    step = max(1, chunk // len(heads))
    at_head, at_tail = _inside(known, heads, tails)
    for start in range(0, len(tails), step):
        part = tails[start : start + step]
        free = np.ones((len(part), len(heads)), bool)
        here = (at_tail >= start) & (at_tail < start + step)
        free[at_tail[here] - start, at_head[here]] = False
        row, head = np.nonzero(free)
        yield heads[head].astype(np.int32), part[row].astype(np.int32)


def _blocks(
    known: Known,
    heads: np.ndarray,
    tails: np.ndarray,
    drawn: tuple[np.ndarray, np.ndarray] | None,
    chunk: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, bool, bool]]:
    """Unknown pairs to score, and whether they stand for the whole matrix and for their own tails.

    All pairs of the tails stand for both, unless a uniform sample `drawn` stands for the matrix.
    """
    if drawn is not None:
        for start in range(0, len(drawn[0]), chunk):
            yield drawn[0][start : start + chunk], drawn[1][start : start + chunk], True, False
    for block_heads, block_tails in _unknown_blocks(known, heads, tails, chunk):
        yield block_heads, block_tails, drawn is None, True


def _measure(
    score: Scorer,
    test_heads: np.ndarray,
    test_tails: np.ndarray,
    ranked_tails: np.ndarray,
    blocks: Iterator[tuple[np.ndarray, np.ndarray, bool, bool]],
    negatives: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The metrics, from one pass over the blocks of unknown pairs; only `ranked_tails` are ranked within."""
    scores = _finite(score(test_heads, test_tails))
    levels, tied = np.unique(scores, return_counts=True)
    histogram = np.zeros(2 * len(levels) + 1, np.int64)
    is_ranked = np.isin(test_tails, ranked_tails)
    tails, own = test_tails[is_ranked], scores[is_ranked]
    beaten_by = np.zeros((2, len(own)), np.int64)
    for heads, block_tails, is_uniform, is_whole in blocks:
        found = _finite(score(heads, block_tails))
        if is_uniform:
            histogram += _histogram(levels, found)
        if is_whole:
            beaten_by += _count_beating(block_tails, found, tails, own)
    return _threshold_metrics(tied, histogram, negatives, rng) | _tail_metrics(tails, own, beaten_by, rng)


def _finite(scores: np.ndarray) -> np.ndarray:
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite numbers")
    return scores


def _histogram(levels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Counts in 2 m + 1 bins: below the first of m levels, at it, between it and the second, ..."""
    place = np.searchsorted(levels, scores)
    at_level = levels[np.minimum(place, len(levels) - 1)] == scores
    return np.bincount(2 * place + at_level, minlength=2 * len(levels) + 1)


def _count_beating(
    other_tails: np.ndarray, other_scores: np.ndarray, tails: np.ndarray, scores: np.ndarray
) -> np.ndarray:
    """How many others of a pair's own tail score higher (row 0) and the same (row 1): (2, pairs)."""
    ranks = np.unique(np.concatenate([scores, other_scores]), return_inverse=True)[1]
    width = np.int64(len(ranks))
    keys = np.sort(other_tails * width + ranks[len(scores) :])
    own = tails * width + ranks[: len(scores)]
    first, last = np.searchsorted(keys, own), np.searchsorted(keys, own, side="right")
    return np.stack([np.searchsorted(keys, (tails + 1) * width) - last, last - first])


def _threshold_metrics(
    tied: np.ndarray, histogram: np.ndarray, negatives: int, rng: np.random.Generator
) -> dict[str, Any]:
    """AUROC and average precision; `tied` (m,) positives per level, `histogram` of the negatives."""
    below, at_level = np.cumsum(histogram)[:-1:2], histogram[1::2]
    won = (below + 0.5 * at_level) / histogram.sum()
    false_positives = (histogram.sum() - below) * (negatives / histogram.sum())

    def average_precision(weights: np.ndarray) -> np.ndarray:
        true_positives = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
        called = np.maximum(true_positives + false_positives, 1)
        return (weights * true_positives / called).sum(axis=1) / weights.sum(axis=1)

    return {
        "auroc": _interval(lambda weights: weights @ won / weights.sum(axis=1), tied, rng),
        "auprc": _interval(average_precision, tied, rng),
    }


def _tail_metrics(
    tails: np.ndarray, scores: np.ndarray, beaten_by: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    """Recall@100 and MRR; tied pairs share the mean rank, and the top 100 in equal parts."""
    distinct, which, sizes = np.unique(tails, return_inverse=True, return_counts=True)
    reciprocal = 1 / (1 + beaten_by[0] + beaten_by[1] / 2)
    above, tied = beaten_by + _count_beating(tails, scores, tails, scores)
    recalled = np.clip((TOP - above) / tied, 0, 1)

    def mean_over_tails(values: np.ndarray) -> dict[str, float]:
        per_tail = np.bincount(which, values) / sizes
        once = np.ones(len(distinct), np.int64)
        return _interval(lambda weights: weights @ per_tail / len(distinct), once, rng)

    return {"recall_at_100": mean_over_tails(recalled), "mrr": mean_over_tails(reciprocal)}


def _interval(
    statistic: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """Value and 95 % percentile bootstrap interval of `statistic`, which maps weights (k, m) to (k,).

    `counts` (m,) says how often each of m distinct observations was seen.
    """
    total = counts.sum()
    step = max(1, BOOTSTRAP_VALUES // len(counts))
    drawn = [
        statistic(rng.multinomial(total, counts / total, size=min(step, DRAWS - start)))
        for start in range(0, DRAWS, step)
    ]
    low, high = np.percentile(np.concatenate(drawn), [2.5, 97.5])
    return {"value": float(statistic(counts[None])[0]), "low": float(low), "high": float(high)}
