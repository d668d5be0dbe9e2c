import logging

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from repurpose.calibration import calibrate, probabilities, reliability

PLATT = {"method": "platt", "slope": 0.5, "intercept": -2.0}


def planted_margins(slope, intercept, size=400_000, bend=None):
    """Margins whose true log-odds are slope * margin + intercept, or `bend` of these."""
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 2, size)
    odds = slope * margins + intercept
    labels = rng.random(size) < 1 / (1 + np.exp(-(bend(odds) if bend else odds)))
    return margins, labels.astype(int)


def calibrated(positive, negative, prevalence, trained=0.05, groups=None, seed=0):
    labels = np.repeat([1, 0], [len(positive), len(negative)])
    margins = np.concatenate([positive, negative])
    groups = np.arange(len(margins)) % 40 if groups is None else groups
    return calibrate(margins, labels, groups, prevalence, trained, seed)


def test_the_true_slope_and_intercept_are_found_from_a_sample_of_the_negatives():
    margins, labels = planted_margins(0.7, -5.0)
    negatives = np.random.default_rng(1).choice(margins[labels == 0], 20_000)
    found = calibrated(margins[labels == 1], negatives, labels.mean())
    assert found["method"] == "platt"
    assert found["slope"] == pytest.approx(0.7, abs=0.03)
    assert found["intercept"] == pytest.approx(-5.0, abs=0.1)


def test_the_mean_probability_is_the_prevalence():
    margins, labels = planted_margins(1.5, -3.0, 20_000)
    positive, negative, prevalence = margins[labels == 1], margins[labels == 0], 0.002
    found = calibrated(positive, negative, prevalence)
    means = [probabilities(part, found).mean() for part in (positive, negative)]
    assert prevalence * means[0] + (1 - prevalence) * means[1] == pytest.approx(prevalence, rel=0.01)


def test_odds_that_bend_are_followed_by_steps_and_straight_ones_by_the_sigmoid():
    """Steps have to be better for certain: they give many pairs one probability."""
    bent, straight = (planted_margins(1.0, 0.0, 60_000, bend) for bend in (lambda x: 2 * (x > 1) - 3, None))
    for (margins, labels), method in ((bent, "isotonic"), (straight, "platt")):
        found = calibrated(margins[labels == 1], margins[labels == 0], labels.mean())
        assert found["method"] == method
        gain = found["brier"]["platt"] - found["brier"]["isotonic"]
        assert (gain > 0.001) == (method == "isotonic")
    margins, labels = bent
    found = calibrated(margins[labels == 1], margins[labels == 0], labels.mean())
    assert probabilities(np.array([0.0]), found) == pytest.approx(1 / (1 + np.exp(3)), abs=0.01)
    assert probabilities(np.array([3.0]), found) == pytest.approx(1 / (1 + np.exp(1)), abs=0.05)
    assert (np.diff(probabilities(np.linspace(-9, 9, 100), found)) >= 0).all()


def test_no_pair_is_certain_because_one_positive_scored_highest():
    """Without the limit isotonic regression gives 1.0 to all that score above the highest negative."""
    margins, labels = planted_margins(1.0, 0.0, 60_000, lambda x: 2 * (x > 1) - 3)
    margins = np.append(margins, [50.0, 51.0])
    found = calibrated(
        np.append(margins[:-2][labels == 1], margins[-2:]), margins[:-2][labels == 0], labels.mean()
    )
    assert found["method"] == "isotonic"
    assert probabilities(np.array([60.0]), found)[0] <= 5 / 6


def test_folds_keep_the_pairs_of_a_tail_together():
    """Negative control: steps that learn each tail by heart are best where folds may share a tail."""
    rng = np.random.default_rng(0)
    tails = np.repeat(np.arange(40), 50)
    margins = tails + rng.normal(size=len(tails)) * 0.01
    labels = np.where(rng.random(len(tails)) < 0.9, tails % 2, 1 - tails % 2)
    whole = calibrate(margins, labels, tails, labels.mean(), 0.5, 0)["brier"]
    apart = calibrate(margins, labels, rng.permutation(tails), labels.mean(), 0.5, 0)["brier"]
    assert whole["isotonic"] > apart["isotonic"] + 0.005


def test_few_positives_that_are_separated_perfectly_have_finite_probabilities():
    positive, negative = np.array([3.0, 4, 5, 6, 7]), np.linspace(-8, 2, 500)
    found = calibrated(positive, negative, 0.001, groups=np.zeros(505, int))
    assert found["method"] == "platt" and found["brier"] == {}
    assert 0.5 < found["slope"] < 5
    assert 0 < probabilities(np.array([2.5]), found)[0] < probabilities(np.array([8.0]), found)[0] < 1


def test_margins_that_rank_backwards_are_shifted_to_the_prevalence_with_a_warning(caplog):
    margins, labels = planted_margins(-1.0, -2.0, 5000)
    with caplog.at_level(logging.WARNING):
        found = calibrated(margins[labels == 1], margins[labels == 0], 0.01, groups=np.zeros(5000, int))
    assert "do not score above" in caplog.text
    assert found["slope"] == 1.0
    assert found["intercept"] == pytest.approx(np.log(0.01 / 0.99) - np.log(0.05 / 0.95))


def test_extreme_margins_are_calibrated_without_overflow():
    rng = np.random.default_rng(0)
    with np.errstate(over="raise"):
        found = calibrated(rng.normal(300, 50, 40), rng.normal(-300, 50, 900), 1e-4)
    assert np.isfinite(probabilities(np.array([-1e4, 0, 1e4]), found)).all()


def test_a_right_calibration_has_a_small_error_and_a_wrong_one_a_large_one():
    margins, labels = planted_margins(0.5, -2.0)
    right, wrong = (
        reliability(margins, labels, np.ones(len(margins)), {**PLATT, "intercept": intercept})
        for intercept in (-2.0, -1.0)
    )
    assert right["ece"] < 0.003 < 0.05 < wrong["ece"]
    assert right["brier"] == pytest.approx(brier_score_loss(labels, probabilities(margins, PLATT)))
    assert sum(each["low"] <= each["predicted"] <= each["high"] for each in right["bins"]) >= 8
    assert sum(each["low"] <= each["predicted"] <= each["high"] for each in wrong["bins"]) <= 1


def test_bins_hold_all_pairs_and_about_equal_expected_positives():
    margins, labels = planted_margins(0.5, -2.0, 50_000)
    weights = np.where(labels == 1, 1.0, 3.0)
    found = reliability(margins, labels, weights, PLATT)["bins"]
    assert sum(each["pairs"] for each in found) == pytest.approx(weights.sum())
    assert sum(each["positives"] for each in found) == labels.sum()
    expected = [each["pairs"] * each["predicted"] for each in found]
    assert len(found) == 10 and max(expected) < 1.05 * min(expected)
    assert [each["predicted"] for each in found] == sorted(each["predicted"] for each in found)


def test_two_bins_have_the_error_computed_by_hand():
    margins = np.array([0.0, 0.0, 0.0, 0.0, 10.0])
    steps = {"method": "isotonic", "margins": [0.0, 10.0], "probabilities": [0.25, 1.0]}
    found = reliability(margins, np.array([1, 1, 0, 0, 1]), np.ones(5), steps)
    assert found["ece"] == pytest.approx((4 * abs(0.5 - 0.25) + 0) / 5)
    assert found["brier"] == pytest.approx((2 * 0.75**2 + 2 * 0.25**2) / 5)
