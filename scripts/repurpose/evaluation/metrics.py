"""Ranking metrics for any weights of the pairs, because a bootstrap needs a metric for 1000 weightings.

A pair's rank is two counts: how many other pairs score above it, and how many have the same score (ties). A
tie counts half in AUROC and MRR; at the cut of a list, tied pairs share the remaining places. Weights have
the shape (k, m): k weightings of m pairs, or of m groups of pairs. A metric is one number per weighting.
"""

from collections.abc import Callable

import numpy as np

from repurpose.core import streams

Statistic = Callable[[np.ndarray], np.ndarray]  # weights (k, m) -> values (k,)

DRAWS = 1000  # resamples of a bootstrap
# Weights held in memory at once: 16 MB of float64.
BOOTSTRAP_VALUES = 1 << 21


def auroc(above: np.ndarray, tied: np.ndarray, total: float) -> Statistic:
    """AUROC: the mean over positives of the share of the `total` negatives that score below them."""
    won = 1 - (above + tied / 2) / total
    return lambda weights: weights @ won / weights.sum(axis=1)


def average_precision(
    scores: np.ndarray, above: np.ndarray, tied: np.ndarray, scale: float = 1.0
) -> Statistic:
    """Average precision: the mean over positives of the precision at their score.

    Each negative counts `scale` times. As in scikit-learn, all pairs with the same score share one threshold.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.searchsorted(-scores[order], -scores[order], side="right") - 1
    false_positives = scale * (above + tied)[order]

    def statistic(weights: np.ndarray) -> np.ndarray:
        sorted_weights = weights[:, order]
        true_positives = np.cumsum(sorted_weights, axis=1)[:, last]
        called = np.maximum(true_positives + false_positives, 1e-300)
        return (sorted_weights * true_positives / called).sum(axis=1) / sorted_weights.sum(axis=1)

    return statistic


def mean(values: np.ndarray) -> Statistic:
    """The weighted mean of one value per pair."""
    return lambda weights: weights @ values / weights.sum(axis=1)


def mean_of_means(values: np.ndarray, groups: np.ndarray) -> tuple[Statistic, np.ndarray]:
    """The mean over groups of the mean within each group.

    Also returns the groups (m,), in the order of the statistic's weights.
    """
    names, group_of_value, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return mean(np.bincount(group_of_value, values, len(names)) / sizes), names


def probability_in_top(above: np.ndarray, tied: np.ndarray, places: int) -> np.ndarray:
    """Probability that each pair is among the first `places`, if ties are broken at random.

    tied: the number of pairs with the same score, including the pair itself.
    """
    return np.clip((places - above) / tied, 0, 1)


def bootstrap(statistic: Statistic, units: np.ndarray, seed: int) -> np.ndarray:
    """Values of a statistic for DRAWS resamples of the units: (DRAWS,).

    units: (m,), one per weight; weights of the same unit are drawn together. The draws depend only on the
    units and the seed. Two methods that rank the same pairs can therefore be compared draw by draw (paired).
    """
    rng = streams.generator(seed, "bootstrap")
    names, unit_of_weight = np.unique(units, return_inverse=True)
    shares, step = np.full(len(names), 1 / len(names)), max(1, BOOTSTRAP_VALUES // len(units))
    sizes = [min(step, DRAWS - start) for start in range(0, DRAWS, step)]
    return np.concatenate(
        [statistic(rng.multinomial(len(names), shares, size)[:, unit_of_weight]) for size in sizes]
    )


def interval(values: np.ndarray) -> dict[str, float]:
    """The 95 % percentile interval of bootstrap values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return {"low": float(low), "high": float(high)}
