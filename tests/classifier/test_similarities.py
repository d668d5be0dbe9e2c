"""Weights of a vector's blocks follow the known pairs, and held-out pairs and nodes have no influence."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from repurpose.classifier import kernel, similarities

RNG = np.random.default_rng(3)
GROUPS = 6
OF_HEAD, OF_TAIL = np.arange(90) % GROUPS, np.arange(48) % GROUPS


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def informative(groups):
    """Noisy vectors that show the group of a node."""
    return unit(np.eye(GROUPS)[groups] + 0.2 * RNG.normal(size=(len(groups), GROUPS)))


def noise(count):
    return 5 * unit(RNG.normal(size=(count, 4)))


HEADS = np.concatenate([informative(OF_HEAD), noise(90)], axis=1)
TAILS = np.concatenate([noise(48), informative(OF_TAIL)], axis=1)
BLOCKS = (GROUPS, GROUPS + 4), (4, 4 + GROUPS)
# Four in ten pairs of a head and a tail of the same group are known.
POSITIVES = np.nonzero((OF_HEAD[:, None] == OF_TAIL) & (RNG.random((90, 48)) < 0.4))


def choose(heads=HEADS, tails=TAILS, blocks=BLOCKS, positives=POSITIVES):
    rng = np.random.default_rng(0)
    return similarities.choose(heads, tails, blocks, positives, kernel._of_products, kernel.RIDGE, rng)


def test_an_informative_block_gets_more_weight_than_a_block_of_noise():
    heads, tails = choose()
    assert heads.shape == (GROUPS + 4,) and tails.shape == (4 + GROUPS,)
    assert heads.dtype == tails.dtype == np.float32
    assert len(set(heads[:GROUPS])) == len(set(heads[GROUPS:])) == 1
    assert heads[0] > heads[-1] and tails[-1] > tails[0]


def test_weights_do_not_depend_on_the_position_of_a_block():
    swapped = np.concatenate([HEADS[:, GROUPS:], HEADS[:, :GROUPS]], axis=1)
    heads, _ = choose(heads=swapped, blocks=((4, 4 + GROUPS), BLOCKS[1]))
    assert heads[-1] > heads[0]


def test_weights_improve_the_ranking_of_held_out_pairs():
    shown = np.arange(len(POSITIVES[0])) % 4 > 0
    pairs = POSITIVES[0][shown], POSITIVES[1][shown]
    labels = np.zeros((90, 48))
    labels[POSITIVES] = 1
    is_asked = np.ones_like(labels, bool)
    is_asked[pairs] = False
    auprc_by_blocks = {}
    for blocks in (None, BLOCKS):
        ridge = kernel.fit(HEADS, TAILS, pairs, np.random.default_rng(0), blocks)
        scores = kernel.matrix(ridge, HEADS, TAILS)(np.arange(48)).T
        auprc_by_blocks[blocks] = average_precision_score(labels[is_asked], scores[is_asked])
    assert auprc_by_blocks[BLOCKS] > 1.1 * auprc_by_blocks[None]


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": ((GROUPS + 4,), (4 + GROUPS,))},
        {"positives": tuple(ends[:15] for ends in POSITIVES)},
        {"positives": tuple(ends[POSITIVES[1] < 5] for ends in POSITIVES)},
    ],
    ids=["one part", "few pairs", "few tails"],
)
def test_all_weights_are_1_with_one_block_or_too_few_pairs(change):
    assert all((scale == 1).all() for scale in choose(**change))


def test_a_block_of_zeros_gives_finite_weights():
    empty = np.zeros((90, 3), np.float32)
    heads, _ = choose(
        heads=np.concatenate([HEADS, empty], axis=1), blocks=((*BLOCKS[0], GROUPS + 7), BLOCKS[1])
    )
    assert np.isfinite(heads).all() and heads[0] > heads[GROUPS]
    alone = np.concatenate([HEADS[:, :GROUPS], empty], axis=1)
    heads, _ = choose(heads=alone, blocks=((GROUPS, GROUPS + 3), BLOCKS[1]))
    assert heads[0] > 0


def test_too_many_heads_are_sampled_and_keep_their_pairs(monkeypatch):
    used = [np.array([7, 2, 5]), np.array([1, 0])]
    labels = similarities.labelled(used, (np.array([2, 7, 9, 5]), np.array([0, 1, 1, 4])))
    assert labels.tolist() == [[1, 0], [0, 1], [0, 0]]
    monkeypatch.setattr(similarities, "MOST", 40)
    heads, tails = choose()
    assert heads[0] > heads[-1] and tails[-1] > tails[0]


def solved_sides():
    """Two sides of 8 heads and 6 tails, their eigendecompositions, and labels (8, 6)."""
    rng = np.random.default_rng(1)
    labels = (rng.random((8, 6)) < 0.3).astype(np.float32)
    sides = [
        similarities._side(unit(rng.normal(size=(n, 3))), (1, 3), np.arange(n), rng) for n in labels.shape
    ]
    return sides, [similarities._solve(side, np.ones(2), kernel._of_products) for side in sides], labels


def fitted(of_heads, of_tails, labels):
    """Coefficients (n, m) of kernel ridge regression, by one linear system over all pairs."""
    of_pairs = np.kron(of_heads, of_tails) + 0.3 * np.eye(labels.size)
    return np.linalg.solve(of_pairs, labels.ravel()).reshape(labels.shape)


def test_a_pair_is_scored_as_if_it_were_unknown():
    _, (heads, tails), labels = solved_sides()
    scores = similarities._pairs_out(heads.whole, tails.whole, labels, np.float32(0.3))
    for position in np.ndindex(*labels.shape):
        without = labels.copy()
        without[position] = 0
        expected = heads.kernel @ fitted(heads.kernel, tails.kernel, without) @ tails.kernel
        assert scores[position] == pytest.approx(expected[position], abs=1e-4)


def test_a_head_is_scored_by_the_heads_of_other_folds():
    (side, _), (heads, tails), labels = solved_sides()
    found = similarities._nodes_out(heads, tails, side, labels, np.float32(0.3))
    assert len(set(side.folds)) == similarities.FOLDS
    for fold in range(similarities.FOLDS):
        kept, out = side.folds != fold, side.folds == fold
        weights = fitted(heads.kernel[np.ix_(kept, kept)], tails.kernel, labels[kept])
        expected = heads.kernel[np.ix_(out, kept)] @ weights @ tails.kernel
        assert found[out] == pytest.approx(expected, abs=1e-4)


def test_products_and_lengths_give_the_kernel_of_the_vectors():
    used, rows = np.array([4, 0, 17]), unit(RNG.normal(size=(30, 3))) * RNG.random((30, 1)).astype(np.float32)
    order = np.concatenate([used, np.setdiff1d(np.arange(30), used)])
    found = kernel._of_products(rows[used] @ rows[used].T, (rows[order] ** 2).sum(axis=1))
    assert found == pytest.approx(kernel.similarity(kernel.shortened(rows), used, used), abs=1e-5)


def test_average_precision_is_sklearns_and_the_worst_case_for_equal_scores():
    labels = (RNG.random((20, 10)) < 0.2).astype(np.float32)
    scores = RNG.normal(size=labels.shape).astype(np.float32)
    expected = average_precision_score(labels.ravel(), scores.ravel())
    assert similarities.average_precision(scores, labels) == pytest.approx(expected)
    assert similarities.average_precision(np.zeros((1, 4)), np.array([[1, 0, 0, 0]])) == pytest.approx(0.25)
