"""Metrics of ranked pairs, for any weights of the pairs: what a bootstrap asks for a thousand times.

Each pair comes with how many others score above it and how many the same. Others of the same score count
half where an order is asked for, and share the places where a list is cut. Weights are (k, m): k times
that m pairs, or groups of pairs, are counted; every metric is one number for each line.
"""

from collections.abc import Callable

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]  # weights (k, m) to (k,)

DRAWS = 1000
# Values of a bootstrap matrix held at once: 16 MB of float64.
BOOTSTRAP_VALUES = 1 << 21


def auroc(above: np.ndarray, tied: np.ndarray, total: float) -> Statistic:
    """The share of `total` negatives that a positive scores above, mean over positives."""
    won = 1 - (above + tied / 2) / total
    return lambda weights: weights @ won / weights.sum(axis=1)


def average_precision(
    scores: np.ndarray, above: np.ndarray, tied: np.ndarray, scale: float = 1.0
) -> Statistic:
    """Precision at each positive's score, mean over positives; each negative counts `scale` times.

    As in scikit-learn, all pairs of one score are called together.
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
    """The mean over groups of the mean within each, and the groups (G,) that its weights are of."""
    names, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return mean(np.bincount(which, values, len(names)) / sizes), names


def listed(above: np.ndarray, tied: np.ndarray, places: int) -> np.ndarray:
    """How likely each pair is among the first `places`; `tied` counts itself too, and ties go by lot."""
    return np.clip((places - above) / tied, 0, 1)


def beating(
    groups: np.ndarray, scores: np.ndarray, own_groups: np.ndarray, own_scores: np.ndarray
) -> np.ndarray:
    """How many pairs of its own group score above each of some pairs (row 0), and the same (row 1)."""
    ranks = np.unique(np.concatenate([own_scores, scores]), return_inverse=True)[1]
    width = np.int64(len(ranks) + 1)
    keys = np.sort(groups * width + ranks[len(own_scores) :])
    own = own_groups * width + ranks[: len(own_scores)]
    first, last = np.searchsorted(keys, own), np.searchsorted(keys, own, side="right")
    return np.stack([np.searchsorted(keys, (own_groups + 1) * width) - last, last - first])


def bootstrap(statistic: Statistic, units: np.ndarray, seed: int) -> np.ndarray:
    """A statistic of DRAWS resamples of the units that its m weights belong to: (DRAWS,).

    units: (m,), equal for what is drawn together. The draws depend on the units and the seed alone, so two
    methods that are asked about the same pairs are compared draw by draw.
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
