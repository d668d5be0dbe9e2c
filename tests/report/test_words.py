"""Shares and probabilities are told as so many in a power of ten."""

import pytest

from repurpose.report import words

BINS = [
    {"predicted": 0.001, "observed": 0.002, "low": 0.0015, "high": 0.004, "pairs": 9.0, "positives": 1},
    {"predicted": 0.02, "observed": 0.0, "low": 0.0, "high": 0.05, "pairs": 9.0, "positives": 0},
    {"predicted": 0.6, "observed": 0.52, "low": 0.433, "high": 0.605, "pairs": 9.0, "positives": 5},
]
CALIBRATION = {
    "reliability": {"bins": BINS},
    "treated": {"reliability": {"bins": [BINS[2] | {"observed": 0.9, "low": 0.81, "high": 1.0}]}},
}


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.9999, "more than 99 in 100"),
        (0.5, "about 50 in 100"),
        (0.0263, "about 3 in 100"),
        (0.0096, "about 1 in 100"),
        (0.004, "about 4 in 1,000"),
        (2e-6, "about 2 in 1,000,000"),
        (1e-8, "fewer than 1 in 1,000,000"),
    ],
)
def test_shares_are_told_as_so_many_in_a_power_of_ten(share, said):
    assert words.in_words(share) == said


@pytest.mark.parametrize(
    ("probability", "is_treated", "said"),
    [
        (0.7, False, ("about 52 in 100", "43 to 60 in 100")),
        (0.7, True, ("about 90 in 100", "81 to 100 in 100")),
        (0.0012, False, ("about 2 in 1,000", "1.5 to 4 in 1,000")),
        (1e-5, False, ("fewer than 4 in 1,000", "1.5 to 4 in 1,000")),
        (0.03, False, ("fewer than 5 in 100", "0 to 5 in 100")),
    ],
)
def test_a_probability_is_told_by_what_was_found_in_its_bin(probability, is_treated, said):
    assert words.observed(CALIBRATION, is_treated, probability) == said


def test_without_a_test_the_probability_itself_is_told():
    for calibration in (None, {}, {"reliability": {"bins": []}}):
        assert words.observed(calibration, False, 0.03) == ("about 3 in 100", "")
