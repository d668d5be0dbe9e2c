"""Kernel ridge regression on pairs: the closed form, the training nodes, and the scores."""

import numpy as np
import pytest

from repurpose.classifier import kernel

RNG = np.random.default_rng(0)
HEADS, TAILS = (RNG.normal(size=(count, 4)).astype(np.float32) for count in (7, 5))
POSITIVES = np.array([0, 1, 1, 4]), np.array([2, 0, 3, 3])


def fit(heads=HEADS, tails=TAILS, positives=POSITIVES):
    return kernel.fit(heads, tails, positives, np.random.default_rng(0))


def all_scores(ridge, heads=HEADS, tails=TAILS):
    pair = np.divmod(np.arange(len(heads) * len(tails)), len(tails))
    return kernel.scorer(ridge, heads, tails)(*pair).reshape(len(heads), len(tails))


def kernel_of(rows):
    """The kernel matrix, computed pair by pair."""
    length = np.linalg.norm(rows, axis=1)
    full = min(length.max(), kernel.LONGEST * np.quantile(length, 0.95))
    rows = [row / max(each, full) for row, each in zip(rows, length, strict=True)]
    return np.array(
        [
            [1.0 if i == j else np.exp(kernel.SHARPNESS * (float(x @ y) - 1)) for j, y in enumerate(rows)]
            for i, x in enumerate(rows)
        ]
    )


def test_scores_are_those_of_ridge_regression_over_the_pairs_of_treated_heads_and_tails():
    used = [np.unique(ends) for ends in POSITIVES]
    labels = np.zeros((7, 5))
    labels[POSITIVES] = 1
    of_heads, of_tails = kernel_of(HEADS), kernel_of(TAILS)
    of_pairs = np.kron(of_heads[np.ix_(used[0], used[0])], of_tails[np.ix_(used[1], used[1])])
    weights = np.linalg.solve(of_pairs + kernel.RIDGE * np.eye(9), labels[np.ix_(*used)].ravel())
    expected = of_heads[:, used[0]] @ weights.reshape(3, 3) @ of_tails[used[1]]
    for axis, nodes in enumerate(used):
        untreated = np.setdiff1d(np.arange(labels.shape[axis]), nodes)
        np.moveaxis(expected, axis, 0)[untreated] *= kernel.UNTREATED
    assert all_scores(fit()) == pytest.approx(expected, abs=1e-5)


def test_too_many_heads_or_tails_are_sampled(monkeypatch):
    monkeypatch.setattr(kernel, "MOST", 2)
    ridge = fit()
    assert len(ridge.heads) == 2 and set(ridge.heads.tolist()) < {0, 1, 4}
    assert len(ridge.tails) == 2 and set(ridge.tails.tolist()) < {0, 2, 3}
    assert ridge.coefficients.shape == (2, 2) and ridge.coefficients.dtype == np.float32
    assert np.isfinite(all_scores(ridge)).all()


def test_a_known_pair_raises_the_scores_of_similar_pairs_only():
    heads, tails = (np.eye(3, dtype=np.float32)[[0, 0, 1, 2]] for _ in "ht")
    scores = all_scores(fit(heads, tails, (np.array([0]), np.array([0]))), heads, tails)
    assert scores[0, 0] == scores.max() and scores[1, 0] > 3 * scores[2, 0]


def test_short_vectors_are_similar_to_no_other_and_zeros_give_finite_scores():
    rows = np.array([[1, 0], [1, 0], [0.1, 0], [0, 0]], np.float32)
    found = kernel.similarity(kernel.shortened(rows), np.arange(4), np.arange(4))
    assert found[0, 1] == pytest.approx(1) and found[0, 2] == pytest.approx(np.exp(-1.8), rel=1e-5)
    assert found[3, :3] == pytest.approx([np.exp(-2)] * 3) and np.diag(found).tolist() == [1] * 4
    assert not kernel.shortened(np.zeros((3, 2), np.float32)).any()
    nothing = np.zeros((7, 2), np.float32)
    assert np.isfinite(all_scores(fit(nothing, TAILS), nothing, TAILS)).all()


def test_one_outlier_does_not_shorten_all_others():
    rows = np.ones((100, 1), np.float32)
    rows[3] = 1e6
    assert kernel.shortened(rows)[3] == 1
    assert np.delete(kernel.shortened(rows), 3, axis=0) == pytest.approx(np.full((99, 1), 1 / 1.5))


def test_scores_do_not_depend_on_blocks_or_on_the_order_of_pairs(monkeypatch):
    ridge = fit()
    whole = all_scores(ridge)
    monkeypatch.setattr(kernel, "BLOCK_VALUES", 8)
    assert all_scores(ridge) == pytest.approx(whole, abs=1e-6)
    head, tail = RNG.integers(7, size=50), RNG.integers(5, size=50)
    assert kernel.scorer(ridge, HEADS, TAILS)(head, tail) == pytest.approx(whole[head, tail], abs=1e-6)
    assert not len(kernel.scorer(ridge, HEADS, TAILS)(head[:0], tail[:0]))


def test_logarithms_are_finite_and_grow_with_the_score():
    found = kernel.logarithm(np.array([-1, 0, 0.5, 1], np.float32))
    assert found == pytest.approx(np.log([0.01, 0.01, 0.51, 1.01]), abs=1e-6)


def test_a_pair_with_replaced_vectors_scores_as_if_they_were_its_own():
    ridge, whole = fit(), all_scores(fit())
    ends = np.array([1, 2, 6]), np.array([2, 1, 0])
    stored_rows = HEADS[ends[0]], TAILS[ends[1]]
    assert kernel.replaced(ridge, (HEADS, TAILS), ends, stored_rows) == pytest.approx(whole[ends], abs=1e-6)
    moved = stored_rows[0] * np.float32(0.4), stored_rows[1][:, ::-1] * np.float32(0.5)
    scores = kernel.replaced(ridge, (HEADS, TAILS), ends, moved)
    for head, tail, *rows, score in zip(*ends, *moved, scores, strict=True):
        heads, tails = HEADS.copy(), TAILS.copy()
        heads[head], tails[tail] = rows
        # The longest rows, which set the scale, are not replaced.
        assert np.linalg.norm(HEADS[head]) < np.linalg.norm(HEADS, axis=1).max()
        assert np.linalg.norm(TAILS[tail]) < np.linalg.norm(TAILS, axis=1).max()
        assert score == pytest.approx(all_scores(ridge, heads, tails)[head, tail], abs=1e-6)
        assert abs(score - whole[head, tail]) > 5e-4


def test_a_pair_has_the_same_score_among_any_other_pairs():
    """To the last bit; a plain matrix product of another size adds in another order."""
    rng = np.random.default_rng(0)
    heads, tails = (rng.normal(size=(count, 40)).astype(np.float32) for count in (300, 200))
    positives = rng.integers(0, 300, 250), rng.integers(0, 200, 250)
    ridge = kernel.fit(heads, tails, positives, rng)
    score = kernel.matrix(ridge, heads, tails)
    whole = score(np.arange(200))
    for some in (np.array([7]), np.array([130, 66, 2, 1]), np.arange(64, 100)):
        assert np.array_equal(score(some), whole[some])
    single = kernel.scorer(ridge, heads, tails)(np.arange(100), np.arange(100))
    assert np.array_equal(single, whole[np.arange(100), np.arange(100)])
