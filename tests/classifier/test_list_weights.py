"""Weights of the parts, chosen within lists and applied to each kind of list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from repurpose.classifier import list_weights
from repurpose.classifier.list_weights import EMBEDDED, KINDS, PARTS, ListWeights


def lists(weights, count=300, seed=0):
    """Lists whose known pair is drawn in proportion to exp(weights . part scores)."""
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(count):
        scores = rng.normal(size=(len(weights), 50)).astype(np.float32)
        known = rng.choice(50, p=softmax(weights @ scores))
        result.append((scores[:, [known]], np.delete(scores, known, axis=1)))
    return result


def test_many_lists_choose_the_weights_that_they_were_drawn_by():
    planted = np.array([0.8, 0.1])
    found = list_weights.choose(lists(planted, 3000), ("trees", "specificity"))
    assert found == pytest.approx(planted, abs=0.1)


def test_few_lists_stay_near_the_prior_and_none_are_the_prior():
    prior = list_weights.prior(PARTS)
    few = list_weights.choose(lists(np.array([0.0, 2.0, 0.0, 2.0]), 4), PARTS)
    assert np.abs(few / prior - 1).max() < 0.5 and not np.array_equal(few, prior)
    assert np.array_equal(list_weights.choose([], PARTS), prior)


def test_no_weight_is_negative_and_a_single_part_has_weight_one():
    found = list_weights.choose(lists(np.array([-3.0, 1.0]), 500), EMBEDDED)
    assert found.min() == 0 and found[1] > 0
    assert list_weights.choose(lists(np.array([1.0])), ["trees"]).tolist() == [1]


def test_the_gradient_is_that_of_the_objective(monkeypatch):
    from scipy.optimize import check_grad

    seen = []

    def recorded(loss, start, **options):
        seen.append(loss)
        return type("Optimum", (), {"x": start})

    monkeypatch.setattr(list_weights, "minimize", recorded)
    list_weights.choose(lists(np.ones(4), 5), PARTS)
    (loss,) = seen
    for point in (np.ones(4), np.array([0.3, 2.0, 0.0, 1.1])):
        error = check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], point)
        assert error < 1e-3 * np.linalg.norm(loss(point)[1])


def made(seed=0):
    rng = np.random.default_rng(seed)
    by_kind = {kind: rng.random(4).astype(np.float32) for kind in KINDS}
    return ListWeights(PARTS, by_kind, (rng.random(7) < 0.5, rng.random(5) < 0.5))


@given(st.integers(0, 100))
def test_a_pair_has_the_same_scores_in_a_matrix_and_alone(seed):
    weights = made(seed)
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(4, 5, 7)).astype(np.float32)
    tails = np.arange(5)
    matrix = weights.combined(parts, None, tails)
    head, tail = rng.integers(0, 7, 30), rng.integers(0, 5, 30)
    assert np.array_equal(weights.combined(parts[:, tail, head], head, tail), matrix[:, tail, head])
    for at in (0, 1):
        kinds = ("tail", tail) if at == 0 else ("head", head)
        treated = weights.treated[1 - at][kinds[1]]
        for pair in range(30):
            name = f"{'treated' if treated[pair] else 'untreated'}_{kinds[0]}"
            expected = weights.by_kind[name] @ parts[:, tail[pair], head[pair]]
            assert matrix[at, tail[pair], head[pair]] == pytest.approx(expected, abs=1e-5)


def test_weights_survive_json_and_a_missing_part_has_none():
    weights = made()
    back = ListWeights.read(weights.described(), weights.treated)
    assert back.parts == PARTS
    assert all(np.array_equal(back.by_kind[kind], weights.by_kind[kind]) for kind in KINDS)
    few = ListWeights.of_lists(["trees"], np.ones(1, np.float32), np.ones(1, np.float32), (7, 5))
    assert few.of_tails("kernel", np.arange(5)).tolist() == [0] * 5
    assert few.of_tails("trees", np.arange(5)).tolist() == [1] * 5


def test_only_lists_of_untreated_tails_are_without_the_offset_of_their_heads():
    rng = np.random.default_rng(0)
    tails, heads = np.array([3, 0, 2], np.int32), np.arange(6)
    treated = np.ones(6, bool), np.array([True, False, False, True])
    by_kind = {kind: rng.random(2).astype(np.float32) for kind in KINDS}
    plain = ListWeights(EMBEDDED, by_kind, treated)
    means = rng.normal(size=(2, 6)).astype(np.float32)
    less = plain.less_means(means)
    assert less.offsets == pytest.approx(list_weights.SHARE * by_kind["untreated_tail"] @ means)
    parts = rng.normal(size=(2, 3, 6)).astype(np.float32)
    before, after = (weights.combined(parts, None, tails) for weights in (plain, less))
    assert np.array_equal(after[1], before[1])
    assert np.array_equal(after[0], before[0] - np.outer([0, 0, 1], less.offsets).astype(np.float32))
    # The same bits for single pairs.
    pair_tails, pair_heads = np.repeat(tails, 6), np.tile(heads, 3)
    singly = less.combined(parts.reshape(2, 18), pair_heads, pair_tails)
    assert np.array_equal(singly, after.reshape(2, 18))


def test_lists_of_heads_take_the_last_row_as_the_part_metapaths():
    rng = np.random.default_rng(1)
    parts, by_kind = ("trees", "metapaths"), {kind: rng.random(2).astype(np.float32) for kind in KINDS}
    weights = ListWeights(parts, by_kind, (np.ones(6, bool), np.ones(3, bool)))
    tails, scores = np.arange(3, dtype=np.int32), rng.normal(size=(3, 3, 6)).astype(np.float32)
    combined = weights.combined(scores, None, tails)
    assert np.array_equal(combined[0], weights.combined(scores[:2], None, tails)[0])
    assert np.array_equal(combined[1], weights.combined(scores[[0, 2]], None, tails)[1])
    assert not np.array_equal(combined[1], weights.combined(scores[:2], None, tails)[1])
