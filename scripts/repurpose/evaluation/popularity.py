"""Heads that rank high for nearly every tail, frequent flyers: how they are told, and what correcting costs.

Corrected, a pair's score is less some of its head's mean over all tails: what is left says how much better
the head fits this tail than others.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from repurpose.evaluation import evaluation, ranks
from repurpose.evaluation.ranks import Scorer, TailScorer

SAMPLE = 500  # tails that a head's mean is taken over
SHARES = (0.5, 1.0)  # of the mean, whose effect is measured
REPORTED = ("auprc", "recall_at_100", "mrr", "hits_at_10")


def means(score: TailScorer, tails: int, seed: int) -> np.ndarray:
    """The mean score of each head over a sample of the tails, float32 (heads,)."""
    sample = np.sort(np.random.default_rng(seed).permutation(tails)[:SAMPLE]).astype(np.int32)
    parts = [
        score(part).sum(axis=0, dtype=np.float64) for part in np.array_split(sample, len(sample) // 50 + 1)
    ]
    return (np.sum(parts, axis=0) / len(sample)).astype(np.float32)


def effect(
    rank: Callable[[Scorer], ranks.Ranked],
    score: Scorer,
    mean: np.ndarray,
    plain: ranks.Ranked,
    grouped_by: str | None,
    seed: int,
) -> dict[str, Any]:
    """What correction does to the metrics of a test: share -> metric -> difference with its paired interval.

    rank: ranks the test pairs by a score, as `plain` was ranked by `score` itself.
    """
    found: dict[str, Any] = {}
    for share in SHARES:
        lead = evaluation.differences(rank(corrected(score, mean, share)), plain, grouped_by, seed)
        found[f"{share:g}"] = {name: lead[name] for name in REPORTED}
    return found


def corrected(score: Scorer, mean: np.ndarray, share: float) -> Scorer:
    """Scores of pairs less `share` of their head's mean."""
    return lambda heads, tails: score(heads, tails) - np.float32(share) * mean[heads]
