"""Scores of all pairs of a block equal XGBoost's scores to the last bit."""

import numpy as np
import pytest
import xgboost
from forests import case, scored
from hypothesis import given, settings
from hypothesis import strategies as st

from repurpose.classifier import trees


@given(
    seed=st.integers(0, 10_000),
    heads=st.sampled_from([1, 31, 32, trees.TILE, trees.TILE + 5]),
    dim=st.integers(1, 9),
    depth=st.integers(1, 9),
    coarse=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_scores_are_xgboosts_to_the_last_bit(seed, heads, dim, depth, coarse):
    vectors, booster, margins = case(heads, 7, dim, seed, coarse, max_depth=depth)
    assert np.array_equal(scored(vectors, trees.read(booster, dim)), margins)


def test_a_threshold_is_compared_with_the_rounded_product():
    """Negative control: the tempting rule t < threshold / h chooses other leaves."""
    vectors, booster, margins = case(200, 40, 6, 3, coarse=True, rounds=30)
    forest = trees.read(booster, 6)
    splits = np.flatnonzero(forest.kind == trees.OF_BOTH)
    left, right = vectors.heads[:, forest.column[splits]], vectors.tails[:, forest.column[splits]]
    product = left[:, None] * right < forest.value[splits]
    with np.errstate(divide="ignore", invalid="ignore"):
        divided = np.where(left[:, None] > 0, right < forest.value[splits] / left[:, None], product)
    assert (product != divided).any()
    assert np.array_equal(scored(vectors, forest), margins)


def test_other_leaves_thresholds_children_or_columns_give_other_scores():
    vectors, booster, margins = case(100, 9, 5, 1)
    forest = trees.read(booster, 5)
    for changed in (
        forest._replace(value=np.nextafter(forest.value, np.float32(9))),
        forest._replace(left=forest.right, right=forest.left),
        forest._replace(kind=np.where(forest.kind == trees.OF_BOTH, trees.OF_HEAD, forest.kind)),
        forest._replace(base=forest.base + np.float32(1e-6)),
    ):
        assert not np.array_equal(scored(vectors, changed), margins)


def test_scores_do_not_depend_on_the_pieces_of_work(monkeypatch):
    vectors, booster, margins = case(90, 64, 4, 5)
    forest = trees.read(booster, 4)
    for pieces in (1, 64):
        monkeypatch.setattr(trees.parallel, "_pieces", lambda work, pieces=pieces: pieces)
        assert np.array_equal(scored(vectors, forest), margins)


def test_trees_of_other_features_are_refused():
    _, booster, _ = case(20, 3, 4, 0)
    with pytest.raises(ValueError, match="with 5 numbers each"):
        trees.read(booster, 5)


def test_a_model_without_trees_is_refused():
    data = xgboost.DMatrix(np.zeros((2, 12), np.float32), [0, 1])
    with pytest.raises(ValueError, match="no trees"):
        trees.read(xgboost.train({"objective": "binary:logistic"}, data, 0), 4)


@given(seed=st.integers(0, 10_000), heads=st.sampled_from([1, 32, trees.TILE + 5]), coarse=st.booleans())
@settings(max_examples=10, deadline=None)
def test_scores_of_any_features_of_pairs_are_xgboosts_to_the_last_bit(seed, heads, coarse):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(5, 4, heads)).astype(np.float32)
    values = np.round(values, 1) if coarse else values
    rows = values.reshape(5, -1).T
    labels = rows[:, 0] + rows[:, 3] * rows[:, 4] > 0
    if labels.all() or not labels.any():
        labels[0] = not labels[0]
    booster = xgboost.train({"max_depth": 4, "nthread": 1}, xgboost.QuantileDMatrix(rows, labels), 9)
    margins = booster.inplace_predict(rows, predict_type="margin")
    forest = trees.read_columns(booster)
    assert np.array_equal(trees.column_scores(forest, values), margins.reshape(4, heads))
    other = forest._replace(value=np.nextafter(forest.value, np.float32(9)))
    assert not np.array_equal(trees.column_scores(other, values), margins.reshape(4, heads))
