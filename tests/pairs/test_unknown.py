"""Unknown pairs: drawn uniformly, counted, listed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranked_matrices import matrix

from repurpose.pairs import unknown
from repurpose.pairs.pairs import Known


@given(seed=st.integers(0, 10_000), size=st.integers(0, 600))
@settings(max_examples=30, deadline=None)
def test_drawn_pairs_are_unknown_distinct_and_of_the_pools(seed, size):
    _, _, _, known = matrix(seed)
    rng = np.random.default_rng(seed)
    heads, tails = np.arange(0, 23, 2), np.arange(3, 17)
    found = unknown.draw(known, heads, tails, size, rng)
    pairs = set(zip(*(side.tolist() for side in found), strict=True))
    taken = set(zip(known.heads.tolist(), known.tails.tolist(), strict=True))
    free = {(h, t) for h in heads.tolist() for t in tails.tolist()} - taken
    assert len(pairs) == len(found[0]) == min(size, len(free))
    assert pairs <= free


def test_draws_from_a_large_matrix_are_uniform():
    known = Known(np.zeros(400, np.int32), np.arange(400, dtype=np.int32), np.full(400, "", object))
    heads, tails = unknown.draw(known, np.arange(300), np.arange(400), 20_000, np.random.default_rng(0))
    assert len({*zip(heads.tolist(), tails.tolist(), strict=True)}) == 20_000
    assert heads.min() > 0
    for counts, cells in ((np.bincount(heads)[1:], 299), (np.bincount(tails), 400)):
        # A chi-square per degree of freedom is 1 for a uniform draw.
        assert ((counts - 20_000 / cells) ** 2 / (20_000 / cells)).mean() == pytest.approx(1, abs=0.4)


def test_nothing_is_drawn_where_all_is_known():
    whole = Known(*(grid.ravel().astype(np.int32) for grid in np.indices((3, 4))), None)
    assert len(unknown.draw(whole, np.arange(3), np.arange(4), 5, np.random.default_rng(0))[0]) == 0


@given(seed=st.integers(0, 10_000), chunk=st.sampled_from([1, 40, 10_000]))
@settings(max_examples=20, deadline=None)
def test_the_unknown_pairs_of_some_heads_and_tails_are_listed_once_and_counted(seed, chunk):
    _, _, _, known = matrix(seed)
    heads, tails = np.arange(0, 23, 2), np.arange(3, 17)
    taken = set(zip(known.heads.tolist(), known.tails.tolist(), strict=True))
    free = {(h, t) for h in heads.tolist() for t in tails.tolist()} - taken
    blocks = unknown.blocks(known, heads, tails, chunk)
    listed = [pair for block in blocks for pair in zip(*(side.tolist() for side in block), strict=True)]
    assert len(listed) == len(free) == unknown.count(known, heads, tails)
    assert set(listed) == free


def test_known_pairs_are_told_from_others():
    known = Known(np.array([3, 1], np.int32), np.array([0, 2], np.int32), np.array(["a", "b"], object))
    heads, tails = np.array([3, 1, 1, 3, 9], np.int32), np.array([0, 2, 0, 2, 2], np.int32)
    assert unknown.is_known(known, heads, tails).tolist() == [True, True, False, False, False]
