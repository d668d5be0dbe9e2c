"""Calibration: from a classifier's margins to probabilities, and how well these fit the observed shares."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from repurpose.core import files
from repurpose.core.errors import InputError

KNOTS = 5  # margins where the slope may change: quantiles of the positives' margins
STIFFNESS = 1.0  # weight of the penalty: half the squared difference of the logarithms of neighbouring slopes
SLOPES = 0.01, 100.0  # smallest and largest slope, in log-odds per standard deviation of the margins
CELLS = 4096  # bins of equal width; the pairs in one bin are fitted as one point
LEVELS = 16  # bins of the support
LEAST, MOST = np.finfo(np.float64).tiny, float(np.nextafter(1, 0))  # smallest and largest probability
BINS = 10
Z = 1.96  # half width of a 95 % interval, in standard errors


def fit(
    margins: np.ndarray, labels: np.ndarray, weights: np.ndarray, support: np.ndarray | None = None
) -> dict[str, Any]:
    """Fit a strictly increasing, piecewise linear curve from margins (n,) to log-odds.

    The result has the points of the curve as the lists `margins` and `log_odds`, `is_flat`, and `support`.
    labels (n,): 1 for positives, 0 for negatives. weights (n,): how many pairs each row represents.

    support (n,): how much is known that speaks of each pair's tail, None to leave it out. Log-odds rise with
    it: the points are for pairs of mean support. The result's `support` has the rise per unit (`slope`), the
    mean (`typical`), and the smallest and largest support of the pairs (`low`, `high`), beyond which nothing
    changes (see `raised`).

    The method is Platt's logistic regression ("Probabilistic outputs for support vector machines", 1999),
    with a slope that may change at KNOTS margins. The slopes stay within SLOPES, and a penalty keeps
    neighbouring slopes similar. Targets are shrunk as in Platt's paper, so that perfectly separated positives
    have finite log-odds: with P positives, their target is (P + 1) / (P + 2). All negatives get the same
    small target, chosen so that the mean target is the share of positives. Margins on another scale give the
    same probabilities.

    If positives do not score above negatives, all slopes are the smallest allowed (`is_flat`). Every pair
    then has about the share of positives as its probability, in the order of the margins.
    """
    x = margins.astype(np.float64)
    mean = float(np.average(x, weights=weights))
    deviation = float(np.sqrt(np.average((x - mean) ** 2, weights=weights))) or 1.0
    z, is_positive = (x - mean) / deviation, labels == 1
    knots = np.unique(np.quantile(z[is_positive], np.arange(1, KNOTS + 1) / (KNOTS + 1)))
    positive_weight, count = float(weights[is_positive].sum()), int(is_positive.sum())
    negative_weight = float(weights[~is_positive].sum())
    negative_target = positive_weight / (negative_weight * (count + 2)) if negative_weight else 0.0
    targets = np.where(is_positive, (count + 1) / (count + 2), negative_target)
    # Rescaled so that a positive weighs 1: the number of positives decides how strong the penalty is.
    level, described = _standardised(support, weights)
    z, targets, level, weights = _cells(z, targets, level, weights * count / positive_weight)
    slopes, middle, rise = _slopes(_segments(z, knots), level, targets, weights)
    if described:
        described["slope"] = rise / described.pop("deviation")
    nodes = np.concatenate([[knots[0] - 1], knots, [knots[-1] + 1]])
    odds = slopes @ _segments(nodes, knots) + middle
    is_flat = bool(slopes.max() < 1.01 * SLOPES[0])
    return {
        "margins": (mean + deviation * nodes).tolist(),
        "log_odds": odds.tolist(),
        "is_flat": is_flat,
        "support": described,
    }


def raised(support: np.ndarray, curve: Mapping[str, Any]) -> np.ndarray:
    """How much the log-odds of pairs of this support are above those of the curve's points."""
    described = curve.get("support")
    if not described:
        return np.zeros(support.shape)
    within = np.clip(support.astype(np.float64), described["low"], described["high"])
    return described["slope"] * (within - described["typical"])


def log_odds(margins: np.ndarray, curve: Mapping[str, Any], support: np.ndarray | None = None) -> np.ndarray:
    """Log-odds of margins of any shape, float64.

    Beyond the first and the last point the curve continues as a straight line. support: raises the log-odds
    (see `raised`); of each margin, or of a shape that fits.
    """
    x, nodes, odds = margins.astype(np.float64), *(np.array(curve[key]) for key in ("margins", "log_odds"))
    first, last = (odds[1] - odds[0]) / (nodes[1] - nodes[0]), (odds[-1] - odds[-2]) / (nodes[-1] - nodes[-2])
    beyond = np.minimum(x - nodes[0], 0) * first + np.maximum(x - nodes[-1], 0) * last
    result = np.interp(x, nodes, odds) + beyond
    return result if support is None else result + raised(support, curve)


def probabilities(margins: np.ndarray, curve: Mapping[str, Any]) -> np.ndarray:
    """Calibrated probabilities of margins, same shape, float64: in (0, 1), in the order of the margins."""
    return probabilities_of(log_odds(margins, curve))


def probabilities_of(odds: np.ndarray) -> np.ndarray:
    """Probabilities of log-odds, same shape, float64: in (0, 1), in their order."""
    return np.clip(expit(odds), LEAST, MOST)


def select_curve(calibration: Mapping[str, Any], share: float, path: object) -> dict[str, Any]:
    """Return the calibration curve for scores from which `share` of their head's mean score is subtracted.

    calibration: the section of the metrics file `path`, with one curve per measured share (see
    `out_of_fold`). Between two measured shares, the points of their curves are interpolated linearly; if the
    two curves have different numbers of points, the nearer curve is taken. `reliability` and `best` are those
    of the nearer curve, whose share is `measured_share`. `treated` is the curve for lists of treated tails,
    selected in the same way, or None. Raises InputError that names the file if an earlier
    version of the workflow wrote it, without such curves.
    """
    curves = calibration.get("curves")
    if not curves:
        raise InputError(
            f"{path} is of an earlier version: its probabilities belong to another model than the one that "
            f"ranks; {files.rebuild_hint(path)}"
        )
    shares = [each["share"] for each in curves]
    below = max(int(np.searchsorted(shares, share, side="right")) - 1, 0)
    above = min(int(np.searchsorted(shares, share)), len(shares) - 1)
    nearest = min((below, above), key=lambda index: abs(shares[index] - share))
    curve = {key: value for key, value in calibration.items() if key != "curves"}
    curve["treated"] = select_curve(curve["treated"], share, path) if curve.get("treated") else None
    curve |= {**curves[nearest], "share": share, "measured_share": shares[nearest]}
    if below == above or len(curves[below]["margins"]) != len(curves[above]["margins"]):
        return curve
    fraction = (share - shares[below]) / (shares[above] - shares[below])
    keys = ("margins", "log_odds")
    low, high = (np.array([curves[index][key] for key in keys]) for index in (below, above))
    curve |= dict(zip(keys, ((1 - fraction) * low + fraction * high).tolist(), strict=True))
    if curve.get("support"):
        low, high = (curves[index]["support"]["slope"] for index in (below, above))
        curve["support"] = {**curve["support"], "slope": (1 - fraction) * low + fraction * high}
    return curve


def reliability(predicted: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """Compare predicted probabilities with observed shares of positives: reliability bins and two errors.

    weights: how many pairs each row represents. Bins have about equal expected numbers of positives. Each bin
    has the mean probability (`predicted`), the share of positives (`observed`) with its 95 % interval
    (Wilson, JASA 1927, for the number of positives that were counted), and its numbers of pairs and
    positives. `ece`: expected calibration error, the mean of |predicted - observed|, bins weighted by their
    pairs. `brier`: mean squared error.
    """
    order = np.argsort(predicted, kind="stable")
    expected = np.cumsum((weights * predicted)[order])
    edges = np.searchsorted(expected, np.linspace(0, expected[-1], BINS + 1)[1:-1])
    # Pairs with the same probability fall into the same bin.
    bin_of_pair, bins = np.searchsorted(np.unique(predicted[order][edges]), predicted, side="right"), []
    for rows in (np.flatnonzero(bin_of_pair == number) for number in range(BINS)):
        if len(rows):
            share, positives = float(np.average(labels[rows], weights=weights[rows])), int(labels[rows].sum())
            low, high = _interval(share, positives / share if positives else len(rows))
            bins.append(
                {
                    "predicted": float(np.average(predicted[rows], weights=weights[rows])),
                    "observed": share,
                    "low": low,
                    "high": high,
                    "pairs": float(weights[rows].sum()),
                    "positives": positives,
                }
            )
    return {
        "bins": bins,
        "ece": sum(each["pairs"] * abs(each["predicted"] - each["observed"]) for each in bins)
        / float(weights.sum()),
        "brier": float(np.average((predicted - labels) ** 2, weights=weights)),
    }


def summarise_top_pairs(
    predicted: np.ndarray, labels: np.ndarray, groups: np.ndarray, weights: np.ndarray
) -> dict[str, Any]:
    """How often the pair with the highest probability of each group (tail) is a positive.

    The result has `all` (all groups) and, if there are such, `treated` (groups with at least one positive;
    their share is higher, because it is 0 in the other groups as far as is known). Each has `predicted`, the
    mean probability;
    `found`, the share of positives with its 95 % interval; `count` and `positives`, the number of top pairs
    and of positives among them. weights: of each pair, the same within a group.
    """
    order = np.lexsort((-predicted, groups))
    names, starts = np.unique(groups[order], return_index=True)
    top_rows = order[starts]
    is_treated = np.isin(names, groups[labels == 1])
    return {
        name: _share_of_positives(predicted[rows], labels[rows], weights[rows])
        for name, rows in (("all", top_rows), ("treated", top_rows[is_treated]))
        if len(rows)
    }


def _share_of_positives(predicted: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
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
    """Wilson's 95 % interval of a share that was observed in `count` trials; it holds the share.

    Without the last lines, rounding would put the end for a share of 1 just below 1.
    """
    centre = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half_width = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    low, high = float(centre - half_width), float(centre + half_width)
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def _standardised(
    support: np.ndarray | None, weights: np.ndarray
) -> tuple[np.ndarray, dict[str, float] | None]:
    """Support with mean 0 and deviation 1, and its mean, deviation and range.

    Without it, or if that of all pairs is equal, zeros and None.
    """
    if support is None or np.ptp(support) == 0:
        return np.zeros(len(weights)), None
    x = support.astype(np.float64)
    mean = float(np.average(x, weights=weights))
    deviation = float(np.sqrt(np.average((x - mean) ** 2, weights=weights)))
    described = {"typical": mean, "deviation": deviation, "low": float(x.min()), "high": float(x.max())}
    return (x - mean) / deviation, described


def _cells(
    z: np.ndarray, targets: np.ndarray, level: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean z, target and support, and total weight of each non-empty bin of z and support."""
    cell = _bins(z, CELLS) * LEVELS + _bins(level, LEVELS)
    total = np.bincount(cell, weights, CELLS * LEVELS)
    is_filled = total > 0
    means = (
        np.bincount(cell, weights * column, CELLS * LEVELS)[is_filled] / total[is_filled]
        for column in (z, targets, level)
    )
    return *means, total[is_filled]


def _bins(values: np.ndarray, count: int) -> np.ndarray:
    """The number of each value's bin, of `count` bins of equal width."""
    low, high = values.min(), values.max()
    return np.minimum(((values - low) * (count / ((high - low) or 1.0))).astype(np.int64), count - 1)


def _segments(z: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Split the distance of each z (n,) from the middle knot at the knots (k,): float (k + 1, n).

    Row s is the part of the distance that lies in segment s.
    """
    middle, ends = knots[len(knots) // 2], np.concatenate([[-np.inf], knots, [np.inf]])
    return np.stack([np.clip(z, *span) - np.clip(middle, *span) for span in pairwise(ends)])


def _slopes(
    segments: np.ndarray, level: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """What minimises the loss.

    That is the slope of each segment, the log-odds at the middle knot, and their rise per deviation of the
    support, which is never negative.
    """

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        slopes, steps, (middle, rise) = np.exp(theta[:-2]), np.diff(theta[:-2]), theta[-2:]
        odds = slopes @ segments + middle + rise * level
        value = weights @ (np.logaddexp(0, odds) - targets * odds)
        value += STIFFNESS / 2 * (steps @ steps + rise**2)
        errors = weights * (expit(odds) - targets)
        penalty = STIFFNESS * (np.append(0.0, steps) - np.append(steps, 0.0))
        of_ends = errors.sum(), STIFFNESS * rise + errors @ level
        return value, np.append((segments @ errors) * slopes + penalty, of_ends)

    share = np.clip(np.average(targets, weights=weights), 1e-9, 0.5)
    start = np.concatenate([np.zeros(len(segments)), [logit(share), 0.0]])
    bounds = [tuple(np.log(SLOPES))] * len(segments) + [(None, None), (0.0, None)]
    options = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-7}
    optimum = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.exp(optimum.x[:-2]), float(optimum.x[-2]), float(optimum.x[-1])
