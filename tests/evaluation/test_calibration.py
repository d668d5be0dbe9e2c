"""The calibration curve recovers planted log-odds, never ties two margins and never reverses their order."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss

from repurpose.core.errors import InputError
from repurpose.evaluation.calibration import (
    fit,
    log_odds,
    probabilities,
    probabilities_of,
    raised,
    reliability,
    select_curve,
    summarise_top_pairs,
)
from repurpose.report import charts

LINE = {"margins": [0.0, 1.0], "log_odds": [-2.0, -1.5]}


def planted_margins(slope, intercept, size=400_000, bend=None):
    """Margins with labels; the true log-odds are slope * margin + intercept, or `bend` of these."""
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 2, size)
    odds = slope * margins + intercept
    labels = rng.random(size) < 1 / (1 + np.exp(-(bend(odds) if bend else odds)))
    return margins, labels.astype(int)


def fitted(margins, labels, weights=None):
    return fit(margins, labels, np.ones(len(margins)) if weights is None else weights)


def test_straight_log_odds_are_recovered_from_a_sample_of_the_negatives():
    margins, labels = planted_margins(0.7, -5.0)
    drawn = np.random.default_rng(1).random(len(labels)) < 0.1
    kept = (labels == 1) | drawn
    weights = np.where(labels == 1, 1.0, 10.0)
    curve = fit(margins[kept], labels[kept], weights[kept])
    new_margins = np.array([-3.0, 0.0, 2.0, 4.0])
    assert log_odds(new_margins, curve) == pytest.approx(0.7 * new_margins - 5.0, abs=0.15)
    assert not curve["is_flat"]


def test_the_mean_probability_is_the_share_of_positives():
    margins, labels = planted_margins(1.5, -3.0, 20_000)
    weights = np.where(labels == 1, 1.0, 40.0)
    curve = fit(margins, labels, weights)
    share = np.average(labels, weights=weights)
    assert np.average(probabilities(margins, curve), weights=weights) == pytest.approx(share, rel=1e-3)


def test_log_odds_that_bend_are_followed():
    """Log-odds are -3, and -1 from a margin of 1 on: no straight line is near both."""
    margins, labels = planted_margins(1.0, 0.0, 60_000, lambda x: 2 * (x > 1) - 3)
    curve = fitted(margins, labels)
    predicted = probabilities(np.array([-1.0, 3.0]), curve)
    assert predicted == pytest.approx([1 / (1 + np.exp(3)), 1 / (1 + np.exp(1))], abs=0.03)


@pytest.mark.parametrize("size", [40, 3000, 60_000])
def test_probabilities_rise_with_every_step_of_a_float32_margin(size):
    """Isotonic regression gives ties, and so does a sigmoid in float32."""
    margins, labels = planted_margins(1.0, -3.0, size, lambda x: 2 * (x > -2) - 3)
    curve = fitted(margins.astype(np.float32), labels)
    new_margins = np.arange(-20, 20, 0.37, dtype=np.float32)
    new_margins = np.sort(np.concatenate([new_margins, np.nextafter(new_margins, np.float32(99))]))
    steps = np.diff(probabilities(new_margins, curve))
    assert (steps > 0).all()
    ends = probabilities(np.array([-1e30, -1e4, 1e4, 1e30]), curve)
    assert 0 < ends[0] <= ends[1] < ends[2] <= ends[3] < 1


def test_no_pair_is_certain_because_one_positive_scored_highest():
    margins, labels = planted_margins(1.0, 0.0, 60_000, lambda x: 2 * (x > 1) - 3)
    curve = fitted(np.append(margins, [12.0, 12.5]), np.append(labels, [1, 1]))
    assert probabilities(np.array([13.0]), curve)[0] < 0.9


def test_few_positives_that_are_separated_perfectly_have_finite_log_odds():
    margins = np.concatenate([[3.0, 4, 5, 6, 7], np.linspace(-8, 2, 500)])
    curve = fitted(margins, (margins > 2.5).astype(int))
    assert np.abs(curve["log_odds"]).max() < 30
    assert 0.001 < probabilities(np.array([2.5]), curve)[0] < probabilities(np.array([8.0]), curve)[0] < 1


@pytest.mark.parametrize("size", [200, 5000])
def test_if_positives_score_lower_all_pairs_get_the_share_of_positives_in_the_order_of_margins(size):
    margins, labels = planted_margins(-1.0, -2.0, size)
    curve = fitted(margins, labels)
    assert curve["is_flat"]
    predicted = probabilities(np.array([-6.0, 0.0, 6.0]), curve)
    assert predicted == pytest.approx(labels.mean(), rel=0.1) and (np.diff(predicted) > 0).all()


def test_shuffled_labels_give_every_pair_about_the_share_of_positives():
    margins, labels = planted_margins(1.0, -3.0, 60_000)
    share = labels.mean()
    predicted = probabilities(margins, fitted(margins, np.random.default_rng(2).permutation(labels)))
    assert np.quantile(predicted, [0.01, 0.99]) == pytest.approx(share, rel=0.2)
    # With the true labels, probabilities differ widely.
    assert np.quantile(probabilities(margins, fitted(margins, labels)), 0.99) > 4 * share


def test_margins_on_another_scale_give_the_same_probabilities():
    margins, labels = planted_margins(0.8, -4.0, 30_000)
    plain = probabilities(margins, fitted(margins, labels))
    for scale, shift in ((10.0, 0.0), (0.01, 3.0), (1.0, -50.0)):
        other = scale * margins + shift
        assert probabilities(other, fitted(other, labels)) == pytest.approx(plain, rel=1e-3)


def test_margins_that_are_all_the_same_have_the_share_of_positives():
    curve = fitted(np.full(50, -4.0), np.repeat([1, 0], [5, 45]))
    assert probabilities(np.array([-4.0]), curve)[0] == pytest.approx(0.1, rel=1e-3)


def test_a_curve_between_two_measured_shares_is_between_theirs_and_rises():
    curves = [
        {"share": 0.0, "margins": [0.0, 1.0, 3.0], "log_odds": [-5.0, -4.0, -1.0], "best": "a"},
        {"share": 0.5, "margins": [-5.0, 1.0, 2.0], "log_odds": [-6.0, -5.0, 0.0], "best": "b"},
        {"share": 1.0, "margins": [-1.0, 2.0], "log_odds": [-3.0, 0.0], "best": "c"},
    ]
    content, new_margins = {"folds": 4, "curves": curves}, np.linspace(-9, 9, 50)
    for share, index in ((0.0, 0), (0.5, 1), (1.0, 2)):
        assert np.array_equal(
            log_odds(new_margins, select_curve(content, share, "")), log_odds(new_margins, curves[index])
        )
    curve = select_curve(content, 0.2, "m.json")
    assert curve["margins"] == pytest.approx([-2.0, 1.0, 2.6])
    assert curve["log_odds"] == pytest.approx([-5.4, -4.4, -0.6])
    # The other curve has fewer points: the nearer curve is taken unchanged.
    assert select_curve(content, 0.8, "")["margins"] == curves[2]["margins"]
    assert (curve["share"], curve["measured_share"], curve["best"], curve["folds"]) == (0.2, 0.0, "a", 4)
    assert select_curve({"curves": curves[:1]}, 0.7, "")["measured_share"] == 0.0


def test_of_a_curve_between_two_shares_the_rise_with_support_is_between_theirs():
    points = {"margins": [0.0, 1.0], "log_odds": [-5.0, -4.0]}
    curves = [
        {**points, "share": share, "support": {"slope": slope, "typical": 0.4, "low": 0.1, "high": 0.9}}
        for share, slope in ((0.0, 2.0), (0.5, 4.0))
    ]
    curve = select_curve({"curves": curves}, 0.125, "")
    assert curve["support"] == {"slope": 2.5, "typical": 0.4, "low": 0.1, "high": 0.9}
    # Below the lowest and above the highest support that the curve was fitted to: no further.
    assert raised(np.array([0.0, 0.1, 0.4, 0.9, 1.9]), curve) == pytest.approx([-0.75, -0.75, 0, 1.25, 1.25])
    assert not raised(np.array([0.1, 0.9]), {**points, "support": None}).any()


def groups(rise, count=300, size=200):
    """Margins, labels, weights and support of pairs; log-odds rise by `rise` per unit of support."""
    rng = np.random.default_rng(0)
    margins, group = rng.normal(size=count * size), np.repeat(np.arange(count), size)
    support = rng.uniform(0, 2, count)[group].astype(np.float32)
    labels = (rng.random(count * size) < expit(2 * margins - 5 + rise * (support - 1))).astype(np.int8)
    return margins, labels, np.ones(len(labels)), support


@pytest.mark.parametrize("rise", [0.0, 1.5])
def test_the_rise_of_log_odds_with_support_is_recovered(rise):
    margins, labels, weights, support = groups(rise)
    curve = fit(margins, labels, weights, support)
    assert curve["support"]["slope"] == pytest.approx(rise, abs=0.15)
    asked, typical = np.linspace(-1, 3, 9), curve["support"]["typical"]
    assert log_odds(asked, curve) == pytest.approx(2 * asked - 5 + rise * (typical - 1), abs=0.25)
    is_low = support < 0.5
    odds = log_odds(margins, curve) + raised(support, curve)
    expected = labels[is_low].mean()
    assert probabilities_of(odds[is_low]).mean() == pytest.approx(expected, rel=0.1)
    if rise:
        # Negative control: a curve that does not know the support expects too much where it is low.
        blind = fit(margins, labels, weights)
        assert blind["support"] is None and probabilities(margins[is_low], blind).mean() > 1.5 * expected


def test_pairs_that_are_positive_more_often_with_little_support_are_not_raised():
    margins, labels, weights, support = groups(-1.5)
    assert fit(margins, labels, weights, support)["support"]["slope"] == 0


@pytest.mark.parametrize("earlier", [{"method": "platt", "slope": 1.0, "intercept": 0.0}, {}])
def test_a_file_of_an_earlier_version_gets_one_sentence(earlier):
    with pytest.raises(InputError, match=r"metrics\.json is of an earlier version.* --forcerun"):
        select_curve(earlier, 0.0, "results/classifier/cpu/metrics.json")


def test_a_right_calibration_has_a_small_error_and_a_wrong_one_a_large_one():
    margins, labels = planted_margins(0.5, -2.0)
    right, wrong = (
        reliability(probabilities(margins + shift, LINE), labels, np.ones(len(margins))) for shift in (0, 2)
    )
    assert right["ece"] < 0.003 < 0.05 < wrong["ece"]
    assert right["brier"] == pytest.approx(brier_score_loss(labels, probabilities(margins, LINE)))
    assert sum(each["low"] <= each["predicted"] <= each["high"] for each in right["bins"]) >= 8
    assert sum(each["low"] <= each["predicted"] <= each["high"] for each in wrong["bins"]) <= 1


def test_bins_hold_all_pairs_and_about_equal_expected_positives():
    margins, labels = planted_margins(0.5, -2.0, 50_000)
    weights = np.where(labels == 1, 1.0, 3.0)
    bins = reliability(probabilities(margins, LINE), labels, weights)["bins"]
    assert sum(each["pairs"] for each in bins) == pytest.approx(weights.sum())
    assert sum(each["positives"] for each in bins) == labels.sum()
    expected = [each["pairs"] * each["predicted"] for each in bins]
    assert len(bins) == 10 and max(expected) < 1.05 * min(expected)
    assert [each["predicted"] for each in bins] == sorted(each["predicted"] for each in bins)


def test_intervals_depend_on_the_counted_pairs_and_not_on_their_weights():
    predicted, labels = np.full(400, 0.1), np.repeat([1, 0], [40, 360])
    (unweighted,), (weighted,) = (
        reliability(predicted, labels, np.full(400, weight))["bins"] for weight in (1.0, 9.0)
    )
    assert weighted["pairs"] == 9 * unweighted["pairs"]
    assert (weighted["low"], weighted["high"]) == pytest.approx((unweighted["low"], unweighted["high"]))


def test_two_bins_have_the_error_computed_by_hand():
    predicted, labels = np.array([0.25, 0.25, 0.25, 0.25, 1.0]), np.array([1, 1, 0, 0, 1])
    errors = reliability(predicted, labels, np.ones(5))
    assert errors["ece"] == pytest.approx((4 * abs(0.5 - 0.25) + 0) / 5)
    assert errors["brier"] == pytest.approx((2 * 0.75**2 + 2 * 0.25**2) / 5)


def test_the_top_pair_of_each_group_is_counted_once_by_its_weight():
    predicted = np.array([0.2, 0.6, 0.3, 0.1, 0.5])
    labels, groups = np.array([1, 0, 1, 0, 0]), np.array([0, 0, 1, 1, 2])
    summary = summarise_top_pairs(predicted, labels, groups, np.array([1.0, 1, 1, 1, 2]))
    assert summary["all"]["predicted"] == pytest.approx((0.6 + 0.3 + 2 * 0.5) / 4)
    assert summary["all"]["found"] == pytest.approx(1 / 4)
    assert (summary["all"]["count"], summary["all"]["positives"]) == (3, 1)
    assert summary["treated"]["predicted"] == pytest.approx(0.45)
    assert (summary["treated"]["found"], summary["treated"]["count"]) == (0.5, 2)


@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize("count", range(1, 40))
def test_the_interval_of_an_observed_share_holds_it_although_numbers_are_rounded(count, share):
    """A bin in which all pairs are treatments once ended a run, at the chart of the report."""
    labels, ones = np.full(count, share, np.int8), np.ones(count)
    found = reliability(np.full(count, 0.9), labels, ones)
    (row,) = found["bins"]
    assert 0 <= row["low"] <= row["observed"] == share <= row["high"] <= 1
    assert bool(charts.reliability_diagram(found)) == bool(share)
