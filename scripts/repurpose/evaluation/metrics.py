"""Ranking metrics for any weights of the pairs, because a bootstrap needs a metric for 1000 weightings.

A pair's rank is two counts: how many other pairs score above it, and how many have the same score (ties). In
average precision, tied pairs share one threshold. A tie counts half in AUROC and in the rank of a pair. At
the cut of a list, and in discounted gains, tied pairs share their places: the metric is the mean over all
orders of the ties. Weights have the shape (k, m): k weightings of m pairs, or of m groups of pairs. A metric
is one number per weighting.
"""

from collections.abc import Callable, Sequence

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


def difference(first: Statistic, second: Statistic) -> Statistic:
    """The first statistic minus the second."""
    return lambda weights: first(weights) - second(weights)


def probability_in_top(above: np.ndarray, tied: np.ndarray, places: int) -> np.ndarray:
    """Probability that each pair is among the first `places`, if ties are broken at random.

    tied: the number of pairs with the same score, including the pair itself.
    """
    return np.clip((places - above) / tied, 0, 1)


def rank_of_first(above: np.ndarray, tied: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Mean rank of the first of some tied positives, over all orders of the ties.

    above: unknown pairs with a higher score. tied: unknown pairs with the same score. positives: number of
    positives with this score, at least 1. They cut the tied unknown pairs into positives + 1 parts of the
    same mean length; the first part is ranked above all of them.
    """
    return 1 + above + tied / (positives + 1)


def expected_gains(above: np.ndarray, tied: np.ndarray, length: int) -> np.ndarray:
    """Mean discounted gain of each pair, over all orders of the ties: 1 / log2(1 + place), 0 below `length`.

    tied: the number of pairs with the same score, including the pair itself. The treatment of ties is that of
    McSherry and Najork (ECIR 2008), as in scikit-learn's ndcg_score.
    """
    gain_of_first = _cumulated_discounts(length)
    first, last = (np.minimum(each, length).astype(np.int64) for each in (above, above + tied))
    return (gain_of_first[last] - gain_of_first[first]) / tied


def ideal_gain(positives: np.ndarray, length: int) -> np.ndarray:
    """The largest sum of the discounted gains of so many positives (at least 1) among `length` places."""
    return _cumulated_discounts(length)[np.minimum(positives, length)]


def bootstrap(statistics: Sequence[Statistic], units: np.ndarray, seed: int) -> np.ndarray:
    """Values of each statistic for the same DRAWS resamples of the units: (statistics, DRAWS).

    units: (m,), one per weight; weights of the same unit are drawn together. The draws depend only on the
    units and the seed. Two methods that rank the same pairs can therefore be compared draw by draw (paired).
    """
    rng = streams.generator(seed, "bootstrap")
    names, unit_of_weight = np.unique(units, return_inverse=True)
    shares, step = np.full(len(names), 1 / len(names)), max(1, BOOTSTRAP_VALUES // len(units))
    blocks = []
    for start in range(0, DRAWS, step):
        size = min(step, DRAWS - start)
        weights = rng.multinomial(len(names), shares, size)[:, unit_of_weight]
        blocks.append([statistic(weights) for statistic in statistics])
    return np.concatenate(blocks, axis=1)


def interval(values: np.ndarray) -> dict[str, float]:
    """The 95 % percentile interval of bootstrap values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return {"low": float(low), "high": float(high)}


def _cumulated_discounts(length: int) -> np.ndarray:
    """The sum of the discounts of the first n places, for n from 0 to `length`."""
    return np.append(0.0, np.cumsum(1 / np.log2(np.arange(2, length + 2))))
