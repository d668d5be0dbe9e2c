"""Negatives have the right types, are no edges, and the requested share is matched to degree."""

import communities
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from repurpose.graph import holdout, negatives


@given(st.integers(0, 1000), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_negatives_are_no_edges_and_keep_one_end(seed, matched):
    kg = communities.build()
    held = holdout.split(kg, 0.0, 0)
    for source, edges, index in zip(
        negatives.candidates(kg, held.train, held.train), held.train, kg.of_role("message"), strict=True
    ):
        drawn = negatives.corrupt(source, edges, matched, np.random.default_rng(seed))
        known = {tuple(edge) for edge in edges.T.tolist()}
        if source.symmetric:
            known |= {(tail, head) for head, tail in known}
            assert (drawn[0] != drawn[1]).all()
        assert not known & {tuple(edge) for edge in drawn.T.tolist()}
        relation = kg.relations[index]
        assert drawn.min() >= 0
        assert drawn[0].max() < kg.count(relation.head_type)
        assert drawn[1].max() < kg.count(relation.tail_type)
        assert drawn.shape == edges.shape
        assert ((drawn == edges).sum(axis=0) >= 1).all()


def test_a_complete_relation_has_no_negatives():
    edges = np.stack([np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3)])
    source = negatives.Candidates(edges, holdout.keys(edges, 4, False), 3, 4, False)
    assert negatives.corrupt(source, edges, 0.5, np.random.default_rng(0)).shape == (2, 0)


def test_matched_negatives_follow_degree_and_uniform_ones_do_not():
    hub = np.stack([np.arange(200), np.where(np.arange(200) < 150, 0, np.arange(200))])
    source = negatives.Candidates(hub, np.empty(0, np.int64), 400, 400, False)
    shares = {}
    for matched in (0.0, 1.0):
        drawn = negatives.corrupt(source, hub[:, 150:].repeat(20, axis=1), matched, np.random.default_rng(1))
        shares[matched] = (drawn[1] == 0).mean()
    assert shares[1.0] > 0.25
    assert shares[0.0] < 0.02
