"""Popularity bias: frequent flyers are heads (drugs) that rank high for nearly every tail (disease).

The correction subtracts a share of a head's mean score over all tails from each of its scores. The rest says
how much better the head fits this tail than other tails.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from repurpose.core import streams
from repurpose.evaluation import evaluation, ranks
from repurpose.evaluation.ranks import Scorer, TailScorer

SAMPLE = 500  # number of tails in the sample for a head's mean score
SHARES = (0.5, 1.0)  # shares of the mean score whose subtraction is measured
REPORTED = ("ap", "mrr_of_first", "recall_at_10", "recall_at_50", "ndcg_at_10", "auprc")


def means(score: TailScorer, tails: int, seed: int) -> np.ndarray:
    """The mean score of each head over a random sample of SAMPLE tails, float32 (heads,).

    If `score` returns several scores of each pair, (k, m, heads), there are several means: (k, heads).
    """
    sample = np.sort(streams.generator(seed, "tails of the popularity").permutation(tails)[:SAMPLE]).astype(
        np.int32
    )
    sums = [
        score(block).sum(axis=-2, dtype=np.float64) for block in np.array_split(sample, len(sample) // 50 + 1)
    ]
    return (np.sum(sums, axis=0) / len(sample)).astype(np.float32)


def effect(
    rank: Callable[[Scorer], ranks.Ranked],
    score: Scorer,
    mean: np.ndarray,
    plain: ranks.Ranked,
    grouped_by: str | None,
    seed: int,
) -> dict[str, Any]:
    """Measure how the correction changes the metrics of a test.

    The result is share -> metric -> difference with its paired interval. rank: ranks the test pairs by a
    given score. plain: the ranks by `score` itself, without correction.
    """
    difference_by_share: dict[str, Any] = {}
    for share in SHARES:
        difference = evaluation.differences(rank(corrected(score, mean, share)), plain, grouped_by, seed)
        difference_by_share[f"{share:g}"] = {name: difference[name] for name in REPORTED}
    return difference_by_share


def corrected(score: Scorer, mean: np.ndarray, share: float) -> Scorer:
    """The score of pairs minus `share` of the mean score of their head."""
    return lambda heads, tails: score(heads, tails) - np.float32(share) * mean[heads]
