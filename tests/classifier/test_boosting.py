"""The members of the boosted trees share the columns of the pair features."""

import json
from dataclasses import replace

import numpy as np
import pair_models
import pytest
from pair_models import SETTINGS

from repurpose.classifier import boosting
from repurpose.classifier.examples import split_examples


@pytest.fixture(name="fitted", scope="module")
def fitted_members():
    """Vectors, settings of three draws, and the three members."""
    vectors, labelled, known = pair_models.make(shuffled=False)
    settings = replace(SETTINGS, draws=3)
    train, valid = split_examples(labelled, "random", known, 90, 70, settings, 0)
    members = [
        boosting.fit(vectors, train.of_draw(number), valid, settings, 0, 1, number) for number in range(3)
    ]
    return vectors, settings, members


def split_columns(booster):
    """The columns that the trees of a model split on."""
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
    return {
        column
        for tree in model["trees"]
        for column, left in zip(tree["split_indices"], tree["left_children"], strict=True)
        if left != -1
    }


@pytest.mark.parametrize("draws", [1, 2, 3, 500])
def test_each_column_belongs_to_one_member(draws):
    vectors, _, _ = pair_models.make(shuffled=False)
    members = [boosting.member_columns(vectors, draws, 7, number) for number in range(draws)]
    assert all(len(columns) for columns in members)
    sizes = [len(columns) for columns in members]
    assert draws > vectors.width or max(sizes) - min(sizes) <= 1
    assert np.array_equal(np.unique(np.concatenate(members)), np.arange(vectors.width))
    if draws <= vectors.width:
        assert sum(sizes) == vectors.width
    others = boosting.member_columns(vectors, draws, 8, 0)
    assert draws == 1 or not np.array_equal(others, members[0])


def test_a_member_splits_on_its_own_columns_and_scores_rows_with_all_columns(fitted):
    vectors, settings, members = fitted
    for number, booster in enumerate(members):
        columns = set(boosting.member_columns(vectors, settings.draws, 0, number).tolist())
        assert split_columns(booster) and split_columns(booster) <= columns
        assert booster.num_features() == vectors.width
    assert len({frozenset(split_columns(booster)) for booster in members}) == 3


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_members_that_are_fitted_at_the_same_time_are_the_same(fitted, threads):
    vectors, settings, members = fitted
    _, labelled, known = pair_models.make(shuffled=False)
    train, valid = split_examples(labelled, "random", known, 90, 70, settings, 0)
    used = []

    def fit(number, threads_of_member):
        used.append(threads_of_member)
        return boosting.fit(vectors, train.of_draw(number), valid, settings, 0, threads_of_member, number)

    together = boosting.of_members(fit, 3, threads)
    assert [each.save_raw("json") for each in together] == [each.save_raw("json") for each in members]
    assert used == [max(1, threads // 3)] * 3


def test_a_fixed_number_of_rounds_gives_the_trees_of_the_same_columns(fitted):
    vectors, settings, members = fitted
    _, labelled, known = pair_models.make(shuffled=False)
    train, _ = split_examples(labelled, "random", known, 90, 70, settings, 0)
    rounds = members[1].num_boosted_rounds()
    again = boosting.boost(vectors, train.of_draw(1), rounds, settings, 0, 1, 1)
    assert again.save_raw("json") == members[1].save_raw("json")
