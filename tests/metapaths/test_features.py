"""Features of pairs, and the folds that hide known pairs."""

import numpy as np
from metapath_graphs import random_graph

from repurpose.metapaths import features, steps, votes, walks
from repurpose.metapaths.features import PairFeatures

TAILS = np.arange(5)


def pair_features(seed=0):
    kg = random_graph(seed)
    found = steps.of_graph(kg)
    metapaths = tuple(steps.metapaths(found, "drug", "disease", 3, 1000))
    known = kg.heads[4], kg.tails[4]
    return PairFeatures(found, metapaths, votes.kinds(found, "drug", "disease"), known, (6, 5))


def test_a_feature_is_the_scaled_count_less_the_mean_of_its_tail():
    made = pair_features()
    block = made.block(TAILS)
    counts = walks.counts(made.steps, made.metapaths, TAILS, 6)
    scaled = np.arcsinh(counts / counts.mean(axis=(1, 2), keepdims=True))
    assert np.allclose(block[: len(counts)], scaled - scaled.mean(axis=2, keepdims=True), atol=1e-5)
    assert np.allclose(block.mean(axis=2), 0, atol=1e-5)
    assert block.shape == (made.count, 5, 6)


def test_features_of_pairs_lack_the_votes_that_their_fold_hides():
    made = pair_features(1)
    rng = np.random.default_rng(0)
    heads, tails, fold = rng.integers(0, 6, 40), rng.integers(0, 5, 40), rng.integers(0, 3, 40)
    hidden = [np.arange(len(made.known[0])) % 3 == number for number in range(3)]
    rows = features.of_pairs(made, (heads, tails), hidden, fold)
    differs = 0
    for number in range(3):
        left = made.voted_by(tuple(ends[~hidden[number]] for ends in made.known))
        expected = left.block(TAILS)[:, tails, heads].T
        assert np.array_equal(rows[fold == number], expected[fold == number])
        differs += not np.array_equal(rows[fold != number], expected[fold != number])
    assert differs == 3


def test_the_support_of_a_tail_is_its_strongest_kind_of_vote():
    made = pair_features(3)
    votes_of_tails = made.election.counts(TAILS) / made.scales[len(made.metapaths) :][:, None, None]
    expected = np.log(features.SUPPORT_FLOOR + votes_of_tails.mean(axis=2).max(axis=0))
    assert np.allclose(made.support(), expected, atol=1e-5) and np.ptp(expected) > 0
    heads, tails = made.known
    nothing = made.voted_by((heads[:0], tails[:0])).support()
    assert np.allclose(nothing, np.log(features.SUPPORT_FLOOR))
    assert not PairFeatures(made.steps, made.metapaths, (), made.known, made.sizes).support().any()


def test_hiding_known_pairs_does_not_change_the_scale():
    made = pair_features(2)
    left = made.voted_by(tuple(ends[:3] for ends in made.known))
    assert np.array_equal(left.scales, made.scales)
    fewer = PairFeatures(made.steps, made.metapaths, made.kinds, left.known, made.sizes)
    assert not np.array_equal(fewer.scales, made.scales)


def test_blocks_are_all_tails_and_fit_into_memory(monkeypatch):
    made = pair_features()
    monkeypatch.setattr(features, "BLOCK_VALUES", made.count * 6 * 2)
    blocks = made.over_blocks(lambda block: block, TAILS)
    assert [len(block) for block in blocks] == [2, 2, 1] and np.array_equal(np.concatenate(blocks), TAILS)
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 6, 30), rng.integers(0, 5, 30)
    nothing = [np.zeros(len(made.known[0]), bool)]
    rows = features.of_pairs(made, pairs, nothing, np.zeros(30, np.int64))
    assert np.array_equal(rows, made.block(TAILS)[:, pairs[1], pairs[0]].T)


def test_the_known_pairs_of_a_tail_are_spread_over_the_folds():
    tails = np.repeat(np.arange(4), (9, 3, 1, 2))
    folds = features.folds_of_pairs((np.arange(15), tails), 3, np.random.default_rng(0))
    counts = np.array([np.bincount(folds[tails == tail], minlength=3) for tail in range(4)])
    assert np.ptp(counts, axis=1).max() <= 1 and np.ptp(counts.sum(axis=0)) <= 1


def test_folds_of_tails_have_about_as_many_known_pairs():
    tails = np.repeat(np.arange(12), np.arange(12))
    folds = features.folds_of_nodes(tails, 14, 4, np.random.default_rng(0))
    assert len(folds) == 14 and np.ptp(np.bincount(folds[tails])) <= 12
