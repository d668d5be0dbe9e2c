"""From a classifier's margins to probabilities."""

import logging

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

log = logging.getLogger(__name__)


def calibrate(
    positive: np.ndarray, negative: np.ndarray, prevalence: float, trained_prevalence: float
) -> dict[str, float]:
    """Slope and intercept of probability = sigmoid(slope margin + intercept).

    A logistic fit of held-out margins, weighted so that positives have the share `prevalence` of the
    whole (Platt, "Probabilistic outputs for support vector machines", 1999). A unit normal prior
    around slope 1 keeps the fit finite where few positives are separated perfectly. A slope that is
    not above 0 is replaced by 1 and a shift from `trained_prevalence` to `prevalence`.
    """
    slope, intercept = _fit_logistic(positive, negative, prevalence)
    if slope <= 0:
        log.warning(
            "held-out positives do not score above unknown pairs (slope %.3f): probabilities are the margins "
            "shifted to the real prevalence, do not rely on them",
            slope,
        )
        slope, intercept = 1.0, float(_log_odds(prevalence) - _log_odds(trained_prevalence))
    return {"slope": slope, "intercept": intercept}


def probabilities(margins: np.ndarray, calibration: dict[str, float]) -> np.ndarray:
    """Calibrated probabilities of margins, same shape, float64."""
    return expit(calibration["slope"] * margins.astype(np.float64) + calibration["intercept"])


def _fit_logistic(positive: np.ndarray, negative: np.ndarray, prevalence: float) -> tuple[float, float]:
    """Slope and intercept that minimise the weighted log loss plus (slope - 1)^2 / 2.

    Each positive has weight 1; together the negatives weigh what the prevalence asks for.
    """
    total = len(positive) * (1 - prevalence) / prevalence
    labels = np.repeat([1.0, 0.0], [len(positive), len(negative)])
    weights = np.repeat([1.0, total / len(negative)], [len(positive), len(negative)])
    margins = np.concatenate([positive, negative]).astype(np.float64)
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
