"""Merged models predict the mean margin of their members."""

import numpy as np
import pytest
import xgboost
from forests import case

from repurpose.classifier import ensemble, trees


def members(count):
    """Boosters with different numbers of trees and base scores, and features to score."""
    cases = [case(40, 9, 4, seed, rounds=5 + seed) for seed in range(count)]
    rows = cases[0][0].features(np.arange(40), np.arange(40) % 9)
    return [booster for _, booster, _ in cases], rows


def margins(booster, rows):
    return booster.inplace_predict(rows, predict_type="margin")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_margin_is_the_mean_of_the_members(count):
    boosters, rows = members(count)
    merged = ensemble.merged(boosters)
    wanted = np.mean([margins(each, rows).astype(np.float64) for each in boosters], axis=0)
    assert margins(merged, rows) == pytest.approx(wanted, abs=1e-5)
    assert merged.num_boosted_rounds() == sum(each.num_boosted_rounds() for each in boosters)
    if count > 1:
        assert np.abs(margins(boosters[0], rows) - wanted).max() > 0.01


def test_a_merged_model_can_be_saved_read_and_scored_like_any_other(tmp_path):
    boosters, rows = members(3)
    merged = ensemble.merged(boosters)
    merged.save_model(tmp_path / "model.ubj")
    back = xgboost.Booster(model_file=tmp_path / "model.ubj")
    assert np.array_equal(margins(back, rows), margins(merged, rows))
    vectors = case(40, 9, 4, 0)[0]
    walked = trees.scores(trees.read(back, 4), trees.columns(vectors.heads), vectors.tails)
    heads = np.arange(40)
    assert np.array_equal(walked[heads % 9, heads], margins(back, rows))


def test_members_keep_their_order():
    boosters, rows = members(3)
    merged = ensemble.merged(boosters)
    ends = np.cumsum([0, *(each.num_boosted_rounds() for each in boosters)])
    spans = list(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
    parts = [merged.inplace_predict(rows, iteration_range=span, predict_type="margin") for span in spans]
    # The margin of each part includes the base score.
    start = trees.read(merged, 4).base
    assert sum(parts) - 2 * start == pytest.approx(margins(merged, rows), abs=1e-5)
    for part, booster in zip(parts, boosters, strict=True):
        own = (margins(booster, rows) - trees.read(booster, 4).base) / 3
        assert part - start == pytest.approx(own, abs=1e-5)


def test_a_model_of_some_columns_scores_all_columns_as_it_scored_its_own():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 30)).astype(np.float32)
    labels, columns = (rows[:, 3] + rows[:, 17] > 0).astype(int), np.delete(np.arange(30), [0, 4, 29])
    own_rows = np.ascontiguousarray(rows[:, columns])
    own = xgboost.train({"max_depth": 4}, xgboost.QuantileDMatrix(own_rows, labels), 20)
    of_all = ensemble.on_columns(own, columns, 30)
    assert np.array_equal(margins(of_all, rows), margins(own, own_rows))
    assert (of_all.num_features(), of_all.num_boosted_rounds()) == (30, 20)
    rows[:, [0, 4, 29]] += 9
    assert np.array_equal(margins(of_all, rows), margins(own, own_rows))
    rows[:, 17] += 9
    assert not np.array_equal(margins(of_all, rows), margins(own, own_rows))


def test_a_model_is_kept_as_text_and_a_changed_text_is_refused():
    (booster, *_), rows = members(1)
    text, digest = ensemble.to_text(booster)
    assert np.array_equal(margins(ensemble.of_text(text, digest), rows), margins(booster, rows))
    with pytest.raises(ValueError, match="digest"):
        ensemble.of_text(text[:-9], digest)
