"""Held-out message edges are disjoint and repeatable from the seed; keys distinguish pairs."""

import communities
import numpy as np
import pytest

from repurpose.graph import holdout


def test_parts_are_disjoint_and_together_all_edges():
    kg = communities.build()
    held = holdout.split(kg, 0.1, 5)
    for index, train, valid, check in zip(
        kg.of_role("message"), held.train, held.valid, held.check, strict=True
    ):
        parts = [{tuple(edge) for edge in part.T.tolist()} for part in (train, valid, check)]
        assert sum(map(len, parts)) == len(set().union(*parts)) == kg.relations[index].edges
        assert len(parts[1]) == len(parts[2]) == int(0.1 * kg.relations[index].edges)


def test_the_seed_decides_the_draw():
    kg = communities.build()
    first, repeated, other = (holdout.split(kg, 0.1, seed).valid[0] for seed in (5, 5, 6))
    assert np.array_equal(first, repeated)
    assert not np.array_equal(first, other)


def test_no_target_edge_is_in_any_part():
    kg = communities.build()
    assert len(holdout.split(kg, 0.1, 5).train) == len(kg.relations) - 1


@pytest.mark.parametrize(("symmetric", "same"), [(True, True), (False, False)])
def test_symmetric_keys_ignore_the_orientation(symmetric, same):
    forward = holdout.pair_keys(np.array([3]), np.array([7]), 10, symmetric)
    backward = holdout.pair_keys(np.array([7]), np.array([3]), 10, symmetric)
    assert (forward == backward).all() == same


def test_contains_is_true_for_exactly_the_given_keys():
    keys = np.array([2, 5, 9])
    assert holdout.contains(keys, np.array([5, 6, 9, 10, 1])).tolist() == [True, False, True, False, False]
    assert holdout.contains(np.empty(0, np.int64), np.array([1])).tolist() == [False]
