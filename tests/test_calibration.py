import logging

import numpy as np
import pytest

from repurpose.calibration import calibrate, probabilities


def planted_margins(slope, intercept, size=400_000):
    """Margins whose true log-odds are slope * margin + intercept."""
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 2, size)
    labels = rng.random(size) < 1 / (1 + np.exp(-(slope * margins + intercept)))
    return margins, labels


def test_the_true_slope_and_intercept_are_found_from_a_sample_of_the_negatives():
    margins, labels = planted_margins(0.7, -5.0)
    negatives = np.random.default_rng(1).choice(margins[~labels], 20_000)
    found = calibrate(margins[labels], negatives, labels.mean(), 0.05)
    assert found["slope"] == pytest.approx(0.7, abs=0.03)
    assert found["intercept"] == pytest.approx(-5.0, abs=0.1)


def test_the_mean_probability_is_the_prevalence():
    margins, labels = planted_margins(1.5, -3.0, 20_000)
    positive, negative, prevalence = margins[labels], margins[~labels], 0.002
    found = calibrate(positive, negative, prevalence, 0.05)
    means = [probabilities(part, found).mean() for part in (positive, negative)]
    assert prevalence * means[0] + (1 - prevalence) * means[1] == pytest.approx(prevalence, rel=0.01)


def test_few_positives_that_are_separated_perfectly_have_finite_probabilities():
    found = calibrate(np.array([3.0, 4, 5, 6, 7]), np.linspace(-8, 2, 500), 0.001, 0.05)
    assert 0.5 < found["slope"] < 5
    assert 0 < probabilities(np.array([2.5]), found)[0] < probabilities(np.array([8.0]), found)[0] < 1


def test_margins_that_rank_backwards_are_shifted_to_the_prevalence_with_a_warning(caplog):
    margins, labels = planted_margins(-1.0, -2.0, 5000)
    with caplog.at_level(logging.WARNING):
        found = calibrate(margins[labels], margins[~labels], 0.01, 0.05)
    assert "do not score above" in caplog.text
    assert found == {"slope": 1.0, "intercept": pytest.approx(np.log(0.01 / 0.99) - np.log(0.05 / 0.95))}


def test_extreme_margins_are_calibrated_without_overflow():
    rng = np.random.default_rng(0)
    with np.errstate(over="raise"):
        found = calibrate(rng.normal(300, 50, 40), rng.normal(-300, 50, 900), 1e-4, 0.05)
    assert np.isfinite([found["slope"], found["intercept"]]).all()
