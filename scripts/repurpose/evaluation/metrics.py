"""Metrics of ranked pairs under any weights of the pairs, as a bootstrap needs them a thousand times.

A pair's rank is two counts: how many other pairs score above it, and how many the same. Ties count half in
an order, and share the places where a list is cut. Weights have the shape (k, m): k weightings of m pairs,
or of m groups of pairs. A metric is one number per weighting.
"""

from collections.abc import Callable

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]  # weights (k, m) to (k,)

DRAWS = 1000
# Values of a bootstrap matrix held at once: 16 MB of float64.
BOOTSTRAP_VALUES = 1 << 21


def auroc(above: np.ndarray, tied: np.ndarray, total: float) -> Statistic:
    """Mean over positives of the share of `total` negatives that score below."""
    won = 1 - (above + tied / 2) / total
    return lambda weights: weights @ won / weights.sum(axis=1)


def average_precision(
    scores: np.ndarray, above: np.ndarray, tied: np.ndarray, scale: float = 1.0
) -> Statistic:
    """Mean over positives of the precision at their score; each negative counts `scale` times.

    As in scikit-learn, all pairs of one score share one threshold.
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
    """The mean over pairs."""
    return lambda weights: weights @ values / weights.sum(axis=1)


def mean_of_means(values: np.ndarray, groups: np.ndarray) -> tuple[Statistic, np.ndarray]:
    """The mean over groups of the mean within each group, and the groups (m,) that its weights belong to."""
    names, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return mean(np.bincount(which, values, len(names)) / sizes), names


def listed(above: np.ndarray, tied: np.ndarray, places: int) -> np.ndarray:
    """Probability that a pair is among the first `places`, ties in random order; `tied` counts it too."""
    return np.clip((places - above) / tied, 0, 1)


def bootstrap(statistic: Statistic, units: np.ndarray, seed: int) -> np.ndarray:
    """A statistic of DRAWS resamples of the units that its m weights belong to: (DRAWS,).

    units: (m,), equal for pairs that are drawn together. The draws depend on the units and the seed alone:
    two methods with ranks of the same pairs are compared draw by draw.
    """
    rng = np.random.default_rng(seed)
    names, which = np.unique(units, return_inverse=True)
    shares, step = np.full(len(names), 1 / len(names)), max(1, BOOTSTRAP_VALUES // len(units))
    parts = [min(step, DRAWS - start) for start in range(0, DRAWS, step)]
    return np.concatenate([statistic(rng.multinomial(len(names), shares, part)[:, which]) for part in parts])


def interval(values: np.ndarray) -> dict[str, float]:
    """The middle 95 % of a statistic's resamples."""
    low, high = np.percentile(values, [2.5, 97.5])
    return {"low": float(low), "high": float(high)}
