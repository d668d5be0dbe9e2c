"""The models on metapaths and votes."""

from dataclasses import replace

import numpy as np
import planted
import pytest
from sklearn.metrics import roc_auc_score

from repurpose.classifier import metapath_model
from repurpose.classifier.metapath_model import (
    KNOWN,
    MATCHED_HEAD,
    NEGATIVES,
    OTHER_HEAD,
    OTHER_TAIL,
    FittedMetapaths,
)
from repurpose.metapaths import features, steps, votes
from repurpose.metapaths.features import PairFeatures
from repurpose.pairs.pairs import Known

SIZES = 60, 40


def case(seed, planted_by_genes):
    """Features of a graph whose known pairs share genes, or are drawn at random."""
    rng = np.random.default_rng(seed)
    of_drug, of_disease = (rng.random((size, 30)) < 0.12 for size in SIZES)
    shared = of_drug.astype(int) @ of_disease.T
    order = rng.random(SIZES) + (10 * (shared >= 2) if planted_by_genes else 0)
    known = np.unravel_index(np.argsort(-order, axis=None)[:160], SIZES)
    edges = [
        ("drug", "binds", "gene", "message", np.argwhere(of_drug)),
        ("disease", "associates", "gene", "message", np.argwhere(of_disease)),
    ]
    kg = planted.graph({"drug": SIZES[0], "disease": SIZES[1], "gene": 30}, edges)
    found = steps.of_graph(kg)
    metapaths = tuple(steps.metapaths(found, "drug", "disease", 4, 1000))
    made = PairFeatures(found, metapaths, votes.kinds(found, "drug", "disease"), known, SIZES)
    return made, Known(*known, np.full(160, "treats", object))


def within_tails(scores, labels, tails):
    """The mean AUROC within tails."""
    return np.mean(
        [
            roc_auc_score(labels[tails == tail], scores[tails == tail])
            for tail in np.unique(tails)
            if 0 < labels[tails == tail].mean() < 1
        ]
    )


@pytest.mark.parametrize("planted_by_genes", [True, False])
def test_both_models_find_what_is_planted_and_nothing_else(planted_by_genes):
    made, taken = case(0, planted_by_genes)
    rng = np.random.default_rng(0)
    is_hidden = rng.random(160) < 0.3
    left = made.voted_by(tuple(ends[~is_hidden] for ends in made.known))
    model = metapath_model.fit(left, taken, rng, 1)
    scores = FittedMetapaths(left, model).scores(np.arange(SIZES[1]))
    labels = np.zeros((SIZES[1], SIZES[0]), int)
    labels[made.known[1][is_hidden], made.known[0][is_hidden]] = 1
    is_used = np.ones_like(labels, bool)
    is_used[left.known[1], left.known[0]] = False
    tails = np.nonzero(is_used)[0]
    aurocs = [within_tails(part[is_used], labels[is_used], tails) for part in scores]
    assert min(aurocs) > 0.8 if planted_by_genes else max(aurocs) < 0.65


def test_labels_drawn_at_random_are_read_from_no_feature():
    """The model reads labels of other graphs; with its own votes hidden from no pair, it would."""

    def read_from(hides):
        sample = []
        for seed in range(6):
            made, taken = case(seed, planted_by_genes=False)
            rng = np.random.default_rng(seed)
            examples = metapath_model.draw(made.known, taken, SIZES[0], rng)
            if not hides:
                nothing = [np.zeros(160, bool)]
                pairs = np.tile(examples.heads, 2), np.tile(examples.tails, 2)
                rows = features.of_pairs(made, pairs, nothing, np.zeros(2 * len(examples.heads), int))
            else:
                rows = metapath_model.rows(made, examples, rng)
            is_used = np.tile(np.isin(examples.kind, (KNOWN, OTHER_HEAD)), 2)
            kept = *examples.labelled(rows, OTHER_HEAD), np.tile(examples.tails, 2)[is_used]
            sample.append(kept)
        aurocs = []
        for group, others in ((sample[:3], sample[3:]), (sample[3:], sample[:3])):
            booster = metapath_model.boost(
                np.concatenate([rows for rows, _, _ in others]),
                np.concatenate([labels for _, labels, _ in others]),
                np.random.default_rng(0),
                1,
            )
            model = metapath_model.MetapathModel(booster, None, *[np.zeros(1, np.float32)] * 3)
            for rows, labels, tails in group:
                scores = model.booster.inplace_predict(rows, predict_type="margin")
                aurocs.append(within_tails(scores, labels, tails))
        return np.mean(aurocs)

    assert read_from(hides=False) > 0.75
    assert 0.45 < read_from(hides=True) < 0.55


def test_negatives_are_unknown_pairs_with_an_end_of_the_known_pair():
    made, taken = case(1, planted_by_genes=True)
    examples = metapath_model.draw(made.known, taken, SIZES[0], np.random.default_rng(0))
    known = set(zip(*(ends.tolist() for ends in made.known), strict=True))
    pairs = list(zip(examples.heads.tolist(), examples.tails.tolist(), strict=True))
    assert [pair in known for pair in pairs] == (examples.kind == KNOWN).tolist()
    has_tail, has_head = (
        ends == known_ends[examples.source]
        for ends, known_ends in ((examples.tails, made.known[1]), (examples.heads, made.known[0]))
    )
    of_kind = {kind: examples.kind == kind for kind in range(4)}
    assert has_tail[of_kind[OTHER_HEAD] | of_kind[MATCHED_HEAD]].all() and has_head[of_kind[OTHER_TAIL]].all()
    assert not has_head[of_kind[OTHER_HEAD]].any() and not has_tail[of_kind[OTHER_TAIL]].any()
    assert set(examples.tails) == set(made.known[1])
    counts = [int(mask.sum()) for mask in of_kind.values()]
    assert counts[0] == 160 and all(0.6 < counts[kind] / (160 * NEGATIVES[kind]) <= 1 for kind in NEGATIVES)
    popularity = np.bincount(made.known[0], minlength=SIZES[0])
    means = [popularity[examples.heads[of_kind[kind]]].mean() for kind in (MATCHED_HEAD, OTHER_HEAD)]
    assert means[0] > popularity.mean() + 0.1 > means[1] - 2


def test_labels_of_one_kind_of_negatives_are_those_of_both_views():
    made, taken = case(1, planted_by_genes=True)
    rng = np.random.default_rng(0)
    examples = metapath_model.draw(made.known, taken, SIZES[0], rng)
    values = np.arange(2 * len(examples.heads))
    rows, labels = examples.labelled(values, OTHER_TAIL)
    assert np.array_equal(np.tile(examples.kind, 2)[rows] == KNOWN, labels == 1)
    assert set(np.tile(examples.kind, 2)[rows]) == {KNOWN, OTHER_TAIL}
    assert labels.sum() == 2 * 160 and len(rows) == 2 * np.isin(examples.kind, (KNOWN, OTHER_TAIL)).sum()


@pytest.mark.parametrize("least", [1, 20, SIZES[0]])
def test_without_negatives_of_a_kind_others_do_and_without_any_nothing_is_learned(least):
    """Known are the pairs of one head with all tails, or of some or all heads with two tails."""
    made, _ = case(0, planted_by_genes=True)
    tails = np.arange(SIZES[1]) if least == 1 else np.arange(2)
    known = np.repeat(np.arange(least), len(tails)), np.tile(tails, least)
    taken = Known(*known, np.full(len(known[0]), "treats", object))
    fitted = made.voted_by(known)
    model = metapath_model.fit(fitted, taken, np.random.default_rng(0), 1)
    examples = metapath_model.draw(known, taken, SIZES[0], np.random.default_rng(0))
    kinds = set(examples.kind.tolist())
    assert MATCHED_HEAD not in kinds and OTHER_TAIL not in kinds
    assert (OTHER_HEAD in kinds) == (model.booster is not None) == (least < SIZES[0])
    assert model.head_booster is None
    assert model.coefficients.any() == (least < SIZES[0])
    assert np.isfinite(FittedMetapaths(fitted, model).scores(np.arange(SIZES[1]))).all()
    assert np.isfinite(model.contributions(np.zeros((2, fitted.count), np.float32))).all()


def test_lists_of_heads_have_trees_of_their_own():
    made, taken = case(0, planted_by_genes=True)
    model = metapath_model.fit(made, taken, np.random.default_rng(0), 1)
    of_tails, _, of_heads = FittedMetapaths(made, model).scores(np.arange(SIZES[1]))
    assert not np.array_equal(of_tails, of_heads)
    alone = replace(model, head_booster=None)
    same, _, again = FittedMetapaths(made, alone).scores(np.arange(SIZES[1]))
    assert np.array_equal(same, of_tails) and np.array_equal(again, of_tails)


def test_many_known_pairs_have_fewer_negatives():
    made, taken = case(1, planted_by_genes=True)
    examples = metapath_model.draw(made.known, taken, SIZES[0], np.random.default_rng(0), 800)
    assert 320 < len(examples.heads) <= 1000


def test_of_many_tails_some_are_learned_from_with_all_their_known_pairs(monkeypatch):
    made, taken = case(1, planted_by_genes=True)
    monkeypatch.setattr(metapath_model, "MOST_TAILS", 5)
    examples = metapath_model.draw(made.known, taken, SIZES[0], np.random.default_rng(0))
    tails = np.unique(examples.tails)
    assert len(tails) == 5 < len(np.unique(made.known[1]))
    learned = np.flatnonzero(np.isin(made.known[1], tails))
    is_known = examples.kind == KNOWN
    assert np.array_equal(np.sort(examples.source[is_known]), learned)
    for ends, known_ends in ((examples.heads, made.known[0]), (examples.tails, made.known[1])):
        assert np.array_equal(ends[is_known], known_ends[examples.source[is_known]])


def test_scores_of_pairs_are_those_of_the_matrix_and_contributions_add_up():
    made, taken = case(2, planted_by_genes=True)
    fitted = FittedMetapaths(made, metapath_model.fit(made, taken, np.random.default_rng(0), 1))
    tails = np.arange(SIZES[1])
    whole = fitted.scores(tails)
    rng = np.random.default_rng(1)
    heads, tail = rng.integers(0, SIZES[0], 200), rng.integers(0, SIZES[1], 200)
    assert np.array_equal(fitted.of_pairs(heads, tail), whole[:, tail, heads])
    assert np.array_equal(fitted.scores(tails[7:9]), whole[:, 7:9])
    rows = made.block(tails)[:, tail, heads].T
    shares = fitted.model.contributions(rows)
    assert shares.shape == (2, 200, made.count)
    linear = shares[1].sum(axis=1) - fitted.model.head_means[heads]
    assert np.allclose(linear, whole[1, tail, heads], atol=1e-3)
    offsets = whole[0, tail, heads] - shares[0].sum(axis=1)
    assert np.allclose(offsets, offsets[0], atol=1e-2)


def test_the_specificity_of_a_head_is_zero_on_average():
    made, taken = case(3, planted_by_genes=True)
    model = metapath_model.fit(made, taken, np.random.default_rng(0), 1)
    specificity = FittedMetapaths(made, model).scores(np.arange(SIZES[1]))[1]
    assert np.abs(specificity.mean(axis=0)).max() < 1e-3
    assert specificity.std() > 0.1


def test_a_rare_value_is_cut():
    made, taken = case(4, planted_by_genes=True)
    model = metapath_model.fit(made, taken, np.random.default_rng(0), 1)
    block = np.tile(model.cuts[:, None, None], (1, 1, SIZES[0]))
    assert np.array_equal(model.linear(block), model.linear(100 * block))
    assert model.linear(block / 2) == pytest.approx(model.linear(block) / 2, rel=1e-3)
