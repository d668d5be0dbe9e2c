"""Votes equal those counted voter by voter, and no pair votes for itself."""

import numpy as np
import pytest
from metapath_graphs import PAIRS, random_graph, votes_for

from repurpose.metapaths import steps, votes
from repurpose.metapaths.votes import LABELS, Election, Vote

TAILS = np.arange(5)


def election(seed=0, known=None):
    kg = random_graph(seed)
    found = steps.of_graph(kg)
    known = (kg.heads[4], kg.tails[4]) if known is None else known
    return kg, Election(found, votes.kinds(found, "drug", "disease"), known, (6, 5))


@pytest.mark.parametrize("seed", range(3))
def test_votes_are_those_of_all_voters(seed):
    kg, elected = election(seed)
    counts, names = elected.counts(TAILS), elected.steps.names
    known = set(zip(*(ends.tolist() for ends in elected.known), strict=True))
    checked = 0
    for number, kind in enumerate(elected.kinds):
        if LABELS in kind:
            continue
        by_head, by_tail = (None if step is None else names[step] for step in kind)
        for pair in PAIRS:
            expected = votes_for(kg, known, by_head, by_tail, pair, steps.DAMPING)
            assert counts[number, pair[1], pair[0]] == pytest.approx(expected, rel=1e-4, abs=1e-6), kind
            checked += expected > 0
    assert checked > 30


def test_votes_by_labels_are_those_of_nodes_with_known_pairs_in_common():
    _, elected = election(1)
    treats = elected.treatments.toarray()
    counts = elected.counts(TAILS)
    alike = treats @ treats.T
    np.fill_diagonal(alike, 0)
    assert np.allclose(counts[elected.kinds.index(Vote(LABELS, None))], (alike @ treats).T, atol=1e-6)


def test_a_known_pair_has_no_vote_of_its_own():
    for head, tail in ((0, 0), (3, 2)):
        _, elected = election(2, (np.array([head], np.int32), np.array([tail], np.int32)))
        counts = elected.counts(TAILS)
        assert counts.any() and not counts[:, tail, head].any()


def test_means_and_voters_add_up_to_the_counts():
    _, elected = election(3)
    counts = elected.counts(TAILS)
    assert np.allclose(elected.means(), counts.mean(axis=(1, 2)), rtol=1e-4)
    assert np.allclose(elected.means_by_tail(), counts.mean(axis=2), rtol=1e-4, atol=1e-7)
    for number, kind in enumerate(elected.kinds):
        for head, tail in PAIRS[::7]:
            *_, weights = elected.voters(kind, head, tail)
            assert weights.sum() == pytest.approx(counts[number, tail, head], rel=1e-3, abs=1e-6), kind
            assert (np.diff(weights) <= 0).all()


def test_without_known_pairs_there_are_no_votes():
    _, elected = election(0, (np.zeros(0, np.int32), np.zeros(0, np.int32)))
    assert not elected.counts(TAILS).any() and not elected.means().any()


def test_kinds_are_named_in_words():
    _, elected = election(0)
    texts = [votes.text(kind, elected.steps, "drug", "disease") for kind in elected.kinds]
    assert len(set(texts)) == len(texts)
    assert "drugs with the same gene (binds) are known for this disease" in texts
    assert "this drug is known for diseases with the same known drug" in texts
    assert "drugs with the same known disease are known for this disease" in texts
    both = "drugs linked to this one (resembles) are known for diseases with the same gene (associates)"
    assert both in texts
