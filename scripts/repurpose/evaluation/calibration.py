"""From a classifier's margins to probabilities, and how far these can be believed."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from repurpose.core import files
from repurpose.core.errors import InputError

KNOTS = 5  # margins where the curve may bend: quantiles of the positives'
STIFFNESS = 1.0  # of the penalty on unlike slopes: half their squared difference in logarithm
SLOPES = 0.01, 100.0  # least and most, in log-odds per standard deviation of the margins
CELLS = 4096  # of equal width, in which pairs are fitted together
LEAST, MOST = np.finfo(np.float64).tiny, float(np.nextafter(1, 0))  # probability
BINS = 10
Z = 1.96  # standard errors of a 95 % interval


def fit(margins: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """A strictly increasing curve from margins (n,) to log-odds, linear between `margins`, `log_odds`.

    Logistic regression as Platt's ("Probabilistic outputs for support vector machines", 1999), but on a line
    that bends at KNOTS margins, with slopes that are within SLOPES and like their neighbours'. weights (n,):
    how many pairs each stands for. Targets are shrunk as Platt's are, so that perfectly separated positives
    have finite log-odds: (P + 1) / (P + 2) for P positives; what is taken off them is given to all others
    alike, so that the mean probability is the share of positives. Margins on another scale give the same
    probabilities. Where positives do not score above others, all slopes are the least (`is_flat`): every pair
    then has about the share of positives as its probability, in the order of the margins.
    """
    x = margins.astype(np.float64)
    mean = float(np.average(x, weights=weights))
    spread = float(np.sqrt(np.average((x - mean) ** 2, weights=weights))) or 1.0
    z, is_positive = (x - mean) / spread, labels == 1
    knots = np.unique(np.quantile(z[is_positive], np.arange(1, KNOTS + 1) / (KNOTS + 1)))
    of_positives, count = float(weights[is_positive].sum()), int(is_positive.sum())
    others = float(weights[~is_positive].sum())
    low = of_positives / (others * (count + 2)) if others else 0.0
    targets = np.where(is_positive, (count + 1) / (count + 2), low)
    # A positive counts once, however many it stands for: they are what the fit rests on.
    z, targets, weights = _cells(z, targets, weights * count / of_positives)
    slopes, level = _slopes(_segments(z, knots), targets, weights)
    nodes = np.concatenate([[knots[0] - 1], knots, [knots[-1] + 1]])
    odds = slopes @ _segments(nodes, knots) + level
    is_flat = bool(slopes.max() < 1.01 * SLOPES[0])
    return {"margins": (mean + spread * nodes).tolist(), "log_odds": odds.tolist(), "is_flat": is_flat}


def log_odds(margins: np.ndarray, curve: Mapping[str, Any]) -> np.ndarray:
    """The curve at margins of any shape, float64; beyond its ends it goes on as straight as there."""
    x, nodes, odds = margins.astype(np.float64), *(np.array(curve[key]) for key in ("margins", "log_odds"))
    first, last = (odds[1] - odds[0]) / (nodes[1] - nodes[0]), (odds[-1] - odds[-2]) / (nodes[-1] - nodes[-2])
    beyond = np.minimum(x - nodes[0], 0) * first + np.maximum(x - nodes[-1], 0) * last
    return np.interp(x, nodes, odds) + beyond


def probabilities(margins: np.ndarray, curve: Mapping[str, Any]) -> np.ndarray:
    """Calibrated probabilities of margins, same shape, float64: above 0 and below 1, in their order."""
    return np.clip(expit(log_odds(margins, curve)), LEAST, MOST)


def chosen(calibration: Mapping[str, Any], share: float, path: object) -> dict[str, Any]:
    """The curve for scores less `share` of their head's mean, of a file's `calibration` (see `out_of_fold`).

    Between two shares that were measured the ends of their curves' segments are mixed (the nearest curve is
    taken where one has fewer of them); `reliability` and `best` are those of the nearest, whose share is
    `measured_share`. Raises InputError that names the file where
    it was written before there were such curves.
    """
    curves = calibration.get("curves")
    if not curves:
        raise InputError(
            f"{path} is of an earlier version: its probabilities belong to another model than the one that "
            f"ranks; {files.rebuild_hint(path)}"
        )
    shares = [curve["share"] for curve in curves]
    below = max(int(np.searchsorted(shares, share, side="right")) - 1, 0)
    above = min(int(np.searchsorted(shares, share)), len(shares) - 1)
    nearest = min((below, above), key=lambda at: abs(shares[at] - share))
    found = {key: value for key, value in calibration.items() if key != "curves"}
    found |= {**curves[nearest], "share": share, "measured_share": shares[nearest]}
    if below == above or len(curves[below]["margins"]) != len(curves[above]["margins"]):
        return found
    part = (share - shares[below]) / (shares[above] - shares[below])
    ends = ("margins", "log_odds")
    low, high = (np.array([curves[at][key] for key in ends]) for at in (below, above))
    return found | dict(zip(ends, ((1 - part) * low + part * high).tolist(), strict=True))


def reliability(predicted: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """How often pairs of like probability are positives: bins of about equal expected positives, and errors.

    weights: how many pairs each stands for. Each bin has the mean probability (`predicted`), the share of
    positives (`observed`) with its 95 % interval (Wilson, JASA 1927, by the number of positives that were
    counted), and how many pairs and positives. `ece`: mean distance of the two, bins weighted by their pairs.
    `brier`: mean squared error.
    """
    order = np.argsort(predicted, kind="stable")
    expected = np.cumsum((weights * predicted)[order])
    edges = np.searchsorted(expected, np.linspace(0, expected[-1], BINS + 1)[1:-1])
    # Pairs of one probability are in one bin.
    which, bins = np.searchsorted(np.unique(predicted[order][edges]), predicted, side="right"), []
    for part in (np.flatnonzero(which == number) for number in range(BINS)):
        if len(part):
            share, positives = float(np.average(labels[part], weights=weights[part])), int(labels[part].sum())
            low, high = _interval(share, positives / share if positives else len(part))
            bins.append(
                {
                    "predicted": float(np.average(predicted[part], weights=weights[part])),
                    "observed": share,
                    "low": low,
                    "high": high,
                    "pairs": float(weights[part].sum()),
                    "positives": positives,
                }
            )
    return {
        "bins": bins,
        "ece": sum(each["pairs"] * abs(each["predicted"] - each["observed"]) for each in bins)
        / float(weights.sum()),
        "brier": float(np.average((predicted - labels) ** 2, weights=weights)),
    }


def best(
    predicted: np.ndarray, labels: np.ndarray, groups: np.ndarray, weights: np.ndarray
) -> dict[str, Any]:
    """The pair of the highest probability of each group (tail), and how often it is a positive.

    `predicted`: their mean probability; `found`: the share of positives among them, with its 95 % interval;
    `count` and `positives`: how many they are. Of all groups, and of those with a positive (`treated`), whose
    share is higher: of the others it is 0, as far as is known. weights: of each pair, the same in a group.
    """
    order = np.lexsort((-predicted, groups))
    names, begun = np.unique(groups[order], return_index=True)
    first = order[begun]
    is_treated = np.isin(names, groups[labels == 1])
    return {
        name: _best(predicted[rows], labels[rows], weights[rows])
        for name, rows in (("all", first), ("treated", first[is_treated]))
    }


def _best(predicted: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    share, positives = float(np.average(labels, weights=weights)), int(labels.sum())
    low, high = _interval(share, positives / share if positives else len(labels))
    mean = float(np.average(predicted, weights=weights))
    return {
        "predicted": mean,
        "found": share,
        "low": low,
        "high": high,
        "count": len(labels),
        "positives": positives,
    }


def _interval(share: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `count`."""
    centre = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def _cells(
    z: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean z, mean target and weight of each cell that has a pair."""
    low, high = z.min(), z.max()
    cell = np.minimum(((z - low) * (CELLS / ((high - low) or 1.0))).astype(np.int64), CELLS - 1)
    total = np.bincount(cell, weights, CELLS)
    kept = total > 0
    means = (np.bincount(cell, weights * each, CELLS)[kept] / total[kept] for each in (z, targets))
    return *means, total[kept]


def _segments(z: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """How far each z (n,) is from the middle knot, segment by segment between knots (k,): (k + 1, n)."""
    middle, ends = knots[len(knots) // 2], np.concatenate([[-np.inf], knots, [np.inf]])
    return np.stack([np.clip(z, *span) - np.clip(middle, *span) for span in pairwise(ends)])


def _slopes(segments: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """The slope of each segment and the log-odds at the middle knot that have the least loss."""

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        slopes, steps = np.exp(theta[:-1]), np.diff(theta[:-1])
        odds = slopes @ segments + theta[-1]
        value = weights @ (np.logaddexp(0, odds) - targets * odds) + STIFFNESS / 2 * (steps @ steps)
        errors = weights * (expit(odds) - targets)
        stiff = STIFFNESS * (np.append(0.0, steps) - np.append(steps, 0.0))
        return value, np.append((segments @ errors) * slopes + stiff, errors.sum())

    share = np.clip(np.average(targets, weights=weights), 1e-9, 0.5)
    start = np.append(np.zeros(len(segments)), logit(share))
    bounds = [tuple(np.log(SLOPES))] * len(segments) + [(None, None)]
    options = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-7}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.exp(found.x[:-1]), float(found.x[-1])
