"""Unknown pairs are drawn uniformly, counted, and listed in blocks."""

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
    drawn = unknown.draw(known, heads, tails, size, rng)
    pairs = set(zip(*(side.tolist() for side in drawn), strict=True))
    known_pairs = set(zip(known.heads.tolist(), known.tails.tolist(), strict=True))
    unknown_pairs = {(h, t) for h in heads.tolist() for t in tails.tolist()} - known_pairs
    assert len(pairs) == len(drawn[0]) == min(size, len(unknown_pairs))
    assert pairs <= unknown_pairs


def test_draws_from_a_large_matrix_are_uniform():
    known = Known(np.zeros(400, np.int32), np.arange(400, dtype=np.int32), np.full(400, "", object))
    heads, tails = unknown.draw(known, np.arange(300), np.arange(400), 20_000, np.random.default_rng(0))
    assert len({*zip(heads.tolist(), tails.tolist(), strict=True)}) == 20_000
    assert heads.min() > 0
    for counts, cells in ((np.bincount(heads)[1:], 299), (np.bincount(tails), 400)):
        # Chi-square per degree of freedom is about 1 for a uniform draw.
        assert ((counts - 20_000 / cells) ** 2 / (20_000 / cells)).mean() == pytest.approx(1, abs=0.4)


def test_no_pair_is_drawn_if_all_pairs_are_known():
    all_known = Known(*(grid.ravel().astype(np.int32) for grid in np.indices((3, 4))), None)
    assert len(unknown.draw(all_known, np.arange(3), np.arange(4), 5, np.random.default_rng(0))[0]) == 0


@given(seed=st.integers(0, 10_000), chunk=st.sampled_from([1, 40, 10_000]))
@settings(max_examples=20, deadline=None)
def test_the_unknown_pairs_of_some_heads_and_tails_are_listed_once_and_counted(seed, chunk):
    _, _, _, known = matrix(seed)
    heads, tails = np.arange(0, 23, 2), np.arange(3, 17)
    known_pairs = set(zip(known.heads.tolist(), known.tails.tolist(), strict=True))
    unknown_pairs = {(h, t) for h in heads.tolist() for t in tails.tolist()} - known_pairs
    blocks = unknown.blocks(known, heads, tails, chunk)
    listed = [pair for block in blocks for pair in zip(*(side.tolist() for side in block), strict=True)]
    assert len(listed) == len(unknown_pairs) == unknown.count(known, heads, tails)
    assert set(listed) == unknown_pairs


def test_known_pairs_are_distinguished_from_unknown_pairs():
    known = Known(np.array([3, 1], np.int32), np.array([0, 2], np.int32), np.array(["a", "b"], object))
    heads, tails = np.array([3, 1, 1, 3, 9], np.int32), np.array([0, 2, 0, 2, 2], np.int32)
    assert unknown.is_known(known, heads, tails).tolist() == [True, True, False, False, False]
