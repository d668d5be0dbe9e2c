"""The loss terms: their floors, their values by hand, and which tails are similar."""

import math

import communities
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from repurpose.core.errors import InputError
from repurpose.graph import holdout
from repurpose.training import losses


def test_logits_of_zero_cost_two_ln_two():
    of = torch.tensor([0, 0, 1])
    loss = losses.link_loss(torch.zeros(3), torch.zeros(3), of, of, 2)
    assert loss.item() == pytest.approx(1.386294, abs=1e-6)


def test_the_link_loss_is_the_mean_over_relations_not_over_edges():
    positive, negative = torch.tensor([2.0, 2.0, 2.0, -1.0]), torch.tensor([0.5, -3.0])
    loss = losses.link_loss(positive, negative, torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1]), 3)
    bce = functional.binary_cross_entropy_with_logits
    one = bce(positive[:3], torch.ones(3)) + bce(negative[:1], torch.zeros(1))
    two = bce(positive[3:], torch.ones(1)) + bce(negative[1:], torch.zeros(1))
    assert loss.item() == pytest.approx(((one + two) / 2).item(), rel=1e-6)


def test_a_relation_without_negatives_does_not_count():
    loss = losses.link_loss(torch.zeros(2), torch.zeros(1), torch.tensor([0, 1]), torch.tensor([0]), 2)
    assert loss.item() == pytest.approx(2 * math.log(2))


def similar(threshold):
    kg = communities.build()
    edges = holdout.split(kg, 0.0, 0).train
    return kg, losses.similar_tails(kg, edges, ["disease_gene"], "disease", threshold)


@given(st.floats(0.02, 0.6))
@settings(max_examples=15, deadline=None)
def test_similar_tails_are_those_above_the_jaccard_threshold(threshold):
    kg, similar_tails = similar(threshold)
    sets = [set(kg.tails[0][kg.heads[0] == disease]) for disease in range(kg.count("disease"))]
    for first in range(0, len(sets), 7):
        for second in range(len(sets)):
            union = len(sets[first] | sets[second])
            expected = first != second and union and len(sets[first] & sets[second]) / union > threshold
            assert bool(similar_tails.similar[first, second]) == bool(expected)


def test_an_unknown_contrastive_relation_is_refused_with_the_valid_ones():
    kg = communities.build()
    with pytest.raises(
        InputError,
        match=r"names disease_protein, which disease nodes do not have: name some of disease_gene,",
    ):
        losses.similar_tails(kg, holdout.split(kg, 0.0, 0).train, ["disease_protein"], "disease", 0.1)


def info_nce(vectors, result, size):
    """The loss of one draw of tails, and its floor."""
    drawn = losses.draw_contrast(result, size, np.random.default_rng(0))
    masked = torch.from_numpy(drawn.masked)
    return losses.info_nce(vectors[drawn.anchors], vectors[drawn.partners], masked, 0.1), drawn.floor


def test_info_nce_at_total_collapse_is_the_floor_it_reports():
    _, result = similar(0.1)
    loss, floor = info_nce(torch.ones(60, 8), result, 40)
    assert loss.item() == pytest.approx(floor, rel=1e-5)


def test_info_nce_rewards_similar_tails_that_lie_together():
    _, result = similar(0.1)
    together = functional.one_hot(torch.arange(60) % communities.COMMUNITIES, 8).float()
    low, _ = info_nce(together, result, 40)
    high, _ = info_nce(torch.eye(60), result, 40)
    assert low < 0.5 * high


def test_each_drawn_tail_has_a_similar_partner():
    _, result = similar(0.1)
    drawn = losses.draw_contrast(result, 40, np.random.default_rng(0))
    assert len(set(drawn.anchors.tolist())) == 40
    assert all(result.similar[a, p] for a, p in zip(drawn.anchors, drawn.partners, strict=True))
    assert not np.diagonal(drawn.masked).any()
    assert drawn.masked.any()


def test_other_similar_tails_are_no_negatives():
    """With one community for all, everything but an anchor's partner is masked, and the loss is zero."""
    size = 6
    everyone = losses.sp.csr_array(~np.eye(size, dtype=bool))
    loss, floor = info_nce(torch.randn(size, 4), losses.SimilarTails(everyone, np.arange(size)), size)
    assert floor == 0
    assert loss.item() == pytest.approx(0, abs=1e-6)


def ranked(z, weight, edges):
    relation, head, tail = torch.tensor(edges).T
    counts = torch.bincount(relation, minlength=len(weight)).tolist()
    return losses.ranking_loss(torch.tensor(z), torch.tensor(weight), head, tail, counts)


def test_the_ranking_loss_by_hand():
    """Two edges of one relation: the softmax over two logits, both ways."""
    z = [[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [0.0, 3.0]]
    logits = np.array([[2.0, 0.0], [1.0, 3.0]]) / np.sqrt(2)
    expected = [np.log(np.exp(rows).sum(axis=1)) - np.diag(rows) for rows in (logits, logits.T)]
    result = ranked(z, [[1.0, 1.0]], [(0, 0, 2), (0, 1, 3)])
    assert result.item() == pytest.approx(np.mean(expected) / np.log(2))


def test_a_model_with_equal_logits_has_the_floor_of_the_ranking_loss():
    alike = [[1.0, 1.0]] * 6
    result = ranked(alike, [[1.0, 1.0], [2.0, 0.5]], [(0, 0, 3), (0, 1, 4), (0, 2, 5), (1, 0, 5), (1, 1, 3)])
    assert result.item() == pytest.approx(losses.RANKING_FLOOR)


def test_edges_that_share_a_head_or_a_tail_are_not_candidates_of_each_other():
    z = [[1.0, 0.0], [0.0, 1.0], [5.0, 0.0], [9.0, 0.0]]
    # Node 0 has edges to both tails, so neither is a candidate of the other: each edge has one candidate.
    assert ranked(z, [[1.0, 1.0]], [(0, 0, 2), (0, 0, 3)]).item() == pytest.approx(0.0, abs=1e-6)


def test_a_relation_of_one_edge_does_not_count_for_the_ranking():
    z = [[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [0.0, 3.0]]
    two = [(1, 0, 2), (1, 1, 3)]
    with_one = ranked(z, [[3.0, 1.0], [1.0, 1.0]], [(0, 0, 3), *two])
    assert with_one.item() == pytest.approx(ranked(z, [[3.0, 1.0], [1.0, 1.0]], two).item())
    assert ranked(z, [[1.0, 1.0]], [(0, 0, 3)]).item() == 0
