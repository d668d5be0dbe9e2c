"""From a classifier's margins to probabilities, and how far these can be believed."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

log = logging.getLogger(__name__)

FOLDS = 5
BINS = 10
TOP = 5  # positives that isotonic regression's highest probability rests on
Z = 1.96  # standard errors of a 95 % interval


def calibrate(
    margins: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    prevalence: float,
    trained_prevalence: float,
    seed: int,
) -> dict[str, Any]:
    """A map from margins (n,) to probabilities, fitted to pairs that no model has seen.

    Platt's sigmoid (`slope`, `intercept`), or isotonic regression (`margins` and `probabilities` between
    which it is linear) where over folds of whole groups its Brier score is lower by more than two standard
    errors: its steps give many pairs one probability. Weighted so that the positives among `labels` have
    the share `prevalence`. groups: (n,), the tail of each pair. `brier` has both scores.
    """
    weights = _weights(labels, prevalence)
    fits = {"platt": _platt(prevalence, trained_prevalence), "isotonic": _isotonic}
    names = np.random.default_rng(seed).permutation(np.unique(groups[labels == 1]))
    brier: dict[str, float] = {}
    best = "platt"
    if len(names) >= FOLDS:
        fold = np.searchsorted(np.sort(names), groups) % len(names)
        fold = np.argsort(names)[fold] % FOLDS
        errors = {name: _errors(fit, margins, labels, weights, fold) for name, fit in fits.items()}
        brier = {name: float(np.average(each, weights=weights)) for name, each in errors.items()}
        lead = weights * (errors["platt"] - errors["isotonic"])
        if lead.sum() > 2 * np.sqrt((lead**2).sum()):
            best = "isotonic"
    found = fits[best](margins, labels, weights)
    log.info("probabilities by %s; Brier scores over folds: %s", best, brier or "too few tails to compare")
    return {"method": best, **found, "brier": brier}


def probabilities(margins: np.ndarray, calibration: Mapping[str, Any]) -> np.ndarray:
    """Calibrated probabilities of margins, same shape, float64."""
    if calibration["method"] == "isotonic":
        return np.interp(margins, calibration["margins"], calibration["probabilities"])
    return expit(calibration["slope"] * margins.astype(np.float64) + calibration["intercept"])


def reliability(
    margins: np.ndarray, labels: np.ndarray, weights: np.ndarray, calibration: Mapping[str, Any]
) -> dict[str, Any]:
    """How often pairs of like probability are positives: bins of about equal expected positives, and errors.

    weights: how many pairs each stands for. Each bin has the mean probability (`predicted`), the share of
    positives (`observed`) with its 95 % interval (Wilson, JASA 1927), and how many pairs and positives.
    `ece`: mean distance of the two, bins weighted by their pairs. `brier`: mean squared error.
    """
    predicted = probabilities(margins, calibration)
    order = np.argsort(predicted, kind="stable")
    expected = np.cumsum((weights * predicted)[order])
    edges = np.searchsorted(expected, np.linspace(0, expected[-1], BINS + 1)[1:-1])
    # Pairs of one probability are in one bin.
    which, bins = np.searchsorted(np.unique(predicted[order][edges]), predicted, side="right"), []
    for part in (np.flatnonzero(which == number) for number in range(BINS)):
        if len(part):
            pairs = float(weights[part].sum())
            share = float(np.average(labels[part], weights=weights[part]))
            centre = (share + Z**2 / (2 * pairs)) / (1 + Z**2 / pairs)
            half = Z * np.sqrt(share * (1 - share) / pairs + Z**2 / (4 * pairs**2)) / (1 + Z**2 / pairs)
            bins.append(
                {
                    "predicted": float(np.average(predicted[part], weights=weights[part])),
                    "observed": share,
                    "low": max(0.0, float(centre - half)),
                    "high": float(centre + half),
                    "pairs": pairs,
                    "positives": int(labels[part].sum()),
                }
            )
    total = float(weights.sum())
    return {
        "bins": bins,
        "ece": sum(each["pairs"] * abs(each["predicted"] - each["observed"]) for each in bins) / total,
        "brier": float(np.average((predicted - labels) ** 2, weights=weights)),
    }


def _weights(labels: np.ndarray, prevalence: float) -> np.ndarray:
    """Each positive has weight 1; together the negatives weigh what the prevalence asks for."""
    count = np.bincount(labels.astype(int), minlength=2)
    return np.where(labels == 1, 1.0, count[1] * (1 - prevalence) / prevalence / max(count[0], 1))


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, Any]]


def _errors(
    fit: Fit, margins: np.ndarray, labels: np.ndarray, weights: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """The squared error of each pair's probability (n,) by a fit to the other folds."""
    found = np.zeros(len(margins))
    for number in range(FOLDS):
        out = fold == number
        rest = fit(margins[~out], labels[~out], weights[~out])
        method = "isotonic" if "margins" in rest else "platt"
        found[out] = probabilities(margins[out], {"method": method, **rest})
    return (found - labels) ** 2


def _isotonic(margins: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    fitted = IsotonicRegression(out_of_bounds="clip").fit(margins, labels, weights)
    # One lucky positive at the top would make every pair above it certain.
    first = np.sort(margins[labels == 1])[-TOP:]
    above = float(weights[(labels == 0) & (margins >= first[0])].sum())
    most = len(first) / (len(first) + above + 1)
    values = np.minimum(fitted.y_thresholds_, most)
    return {"margins": fitted.X_thresholds_.tolist(), "probabilities": values.tolist()}


def _platt(prevalence: float, trained_prevalence: float) -> Fit:
    """Platt, "Probabilistic outputs for support vector machines", 1999.

    A unit normal prior around slope 1 keeps the fit finite where few positives are separated perfectly. A
    slope that is not above 0 is replaced by 1 and a shift from `trained_prevalence` to `prevalence`.
    """

    def fit(margins: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
        slope, intercept = _fit_logistic(margins.astype(np.float64), labels, weights, prevalence)
        if slope <= 0:
            log.warning(
                "held-out positives do not score above unknown pairs (slope %.3f): probabilities are the "
                "margins shifted to the real prevalence, do not rely on them",
                slope,
            )
            slope, intercept = 1.0, float(_log_odds(prevalence) - _log_odds(trained_prevalence))
        return {"slope": slope, "intercept": intercept}

    return fit


def _fit_logistic(
    margins: np.ndarray, labels: np.ndarray, weights: np.ndarray, prevalence: float
) -> tuple[float, float]:
    """Slope and intercept that minimise the weighted log loss plus (slope - 1)^2 / 2."""
    rows = np.stack([margins, np.ones_like(margins)])

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        logits = theta @ rows
        value = weights @ (np.logaddexp(0, logits) - labels * logits) + (theta[0] - 1) ** 2 / 2
        return value, rows @ (weights * (expit(logits) - labels)) + [theta[0] - 1, 0]

    def curvature(theta: np.ndarray) -> np.ndarray:
        share = expit(theta @ rows)
        return (rows * (weights * share * (1 - share))) @ rows.T + np.diag([1.0, 0.0])

    start = np.array([1.0, _log_odds(prevalence) - float(np.average(margins, weights=weights))])
    best = minimize(loss, start, jac=True, hess=curvature, method="trust-exact")
    return float(best.x[0]), float(best.x[1])


def _log_odds(share: float) -> float:
    return float(np.log(share) - np.log1p(-share))
