import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from repurpose.evaluation import draw_unknown, evaluate
from repurpose.pairs import Known


def matrix(seed, n_heads=23, n_tails=17, n_test=20, n_levels=6):
    """Scores with many ties, test positives and other known pairs of a small matrix."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, n_levels, (n_heads, n_tails)).astype(np.float32)
    codes = rng.permutation(n_heads * n_tails)[: n_test + 30]
    tails, heads = np.divmod(np.sort(codes), n_heads)
    known = Known(heads.astype(np.int32), tails.astype(np.int32), np.full(len(codes), "", object))
    is_test = np.isin(np.sort(codes), codes[:n_test])
    return scores, known.heads[is_test], known.tails[is_test], known


def run(scores, heads, tails, known, **options):
    options = {"limit": 10**9, "seed": 0, **options}
    pools = options.pop("pools", [np.arange(count) for count in scores.shape])
    return evaluate(lambda h, t: scores[h, t], heads, tails, known, *pools, **options)


def negatives(scores, known):
    free = np.ones(scores.shape, bool)
    free[known.heads, known.tails] = False
    return free


@given(seed=st.integers(0, 10_000), n_levels=st.integers(1, 200), chunk=st.sampled_from([1, 50, 10_000]))
@settings(max_examples=30, deadline=None)
def test_auroc_and_auprc_are_those_of_scikit_learn(seed, n_levels, chunk):
    scores, heads, tails, known = matrix(seed, n_levels=n_levels)
    found = run(scores, heads, tails, known, chunk=chunk)
    own, others = scores[heads, tails], scores[negatives(scores, known)]
    labels = np.repeat([1, 0], [len(own), len(others)])
    both = np.concatenate([own, others])
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(labels, both), abs=1e-12)
    assert found["auprc"]["value"] == pytest.approx(average_precision_score(labels, both), abs=1e-12)
    assert (found["positives"], found["negatives"]) == (len(own), len(others))


@given(seed=st.integers(0, 10_000), n_levels=st.integers(1, 400), chunk=st.sampled_from([1, 700, 10_000]))
@settings(max_examples=20, deadline=None)
def test_recall_and_mrr_are_those_of_a_plain_loop(seed, n_levels, chunk):
    scores, heads, tails, known = matrix(seed, n_heads=180, n_tails=9, n_test=40, n_levels=n_levels)
    free = negatives(scores, known)
    recalls, ranks = [], []
    for tail in np.unique(tails):
        own, others = scores[heads[tails == tail], tail], scores[free[:, tail], tail]
        everyone = np.concatenate([own, others])
        # A tie that straddles the limit fills the remaining places in random order.
        places = [np.clip((100 - (everyone > s).sum()) / (everyone == s).sum(), 0, 1) for s in own]
        recalls.append(np.mean(places))
        ranks.append(np.mean([1 / (1 + (others > s).sum() + (others == s).sum() / 2) for s in own]))
    found = run(scores, heads, tails, known, chunk=chunk)
    assert found["recall_at_100"]["value"] == pytest.approx(np.mean(recalls), abs=1e-12)
    assert found["mrr"]["value"] == pytest.approx(np.mean(ranks), abs=1e-12)
    assert found["tails"] == len(recalls)


def test_metrics_and_intervals_do_not_depend_on_the_chunks():
    case = matrix(3)
    assert run(*case, chunk=7) == run(*case, chunk=10_000)


def test_each_pair_is_scored_once_and_never_more_than_a_chunk_together():
    scores, heads, tails, known = matrix(4)
    seen, calls = np.zeros(scores.shape, int), []

    def score(h, t):
        np.add.at(seen, (h, t), 1)
        calls.append(len(h))
        return scores[h, t]

    evaluate(score, heads, tails, known, *map(np.arange, scores.shape), limit=10**9, seed=0, chunk=50)
    expected = negatives(scores, known).astype(int)
    expected[heads, tails] = 1
    assert (seen == expected).all()
    assert max(calls) <= 50


def test_perfect_scores_have_perfect_metrics():
    scores, heads, tails, known = matrix(5)
    scores[:] = 0
    scores[heads, tails] = 1
    found = run(scores, heads, tails, known)
    for name in ("auroc", "auprc", "recall_at_100", "mrr"):
        assert found[name] == {"value": 1.0, "low": 1.0, "high": 1.0}, name


def test_equal_scores_are_chance():
    scores, heads, tails, known = matrix(6, n_heads=500, n_levels=1)
    found = run(scores, heads, tails, known)
    assert found["auroc"]["value"] == 0.5
    assert found["auprc"]["value"] == pytest.approx(found["prevalence"])
    assert found["recall_at_100"]["value"] == pytest.approx(100 / 500, rel=0.02)


def test_other_known_pairs_are_no_negatives():
    scores, heads, tails, known = matrix(7)
    before = run(scores, heads, tails, known)
    free = negatives(scores, known)
    free[heads, tails] = True
    scores[~free] = 99
    assert run(scores, heads, tails, known) == before


def test_metrics_without_positives_or_negatives_are_undefined():
    scores, heads, tails, known = matrix(8)
    none = np.empty(0, np.int32)
    assert run(scores, none, none, known)["auroc"] is None
    whole = Known(*(grid.ravel().astype(np.int32) for grid in np.indices(scores.shape)), None)
    found = run(scores, heads, tails, whole)
    assert (found["auprc"], found["mrr"], found["negatives"]) == (None, None, 0)


def test_scores_that_are_not_finite_are_refused():
    scores, heads, tails, known = matrix(9)
    scores[0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        run(scores, heads, tails, known)


def test_intervals_are_those_of_a_plain_bootstrap():
    rng = np.random.default_rng(0)
    scores, heads, tails, known = matrix(10, n_heads=60, n_tails=50, n_test=80)
    scores = rng.standard_normal(scores.shape)
    scores[heads, tails] += 1
    own, others = scores[heads, tails], scores[negatives(scores, known)]
    false_positives = (others >= own[:, None]).sum(axis=1)
    drawn = []
    for part in rng.integers(len(own), size=(1000, len(own))):
        true_positives = (own[part] >= own[part, None]).sum(axis=1)
        precision = true_positives / (true_positives + false_positives[part])
        drawn.append((1 - false_positives[part].mean() / len(others), precision.mean()))
    found = run(scores, heads, tails, known)
    for name, values in zip(("auroc", "auprc"), np.transpose(drawn), strict=True):
        low, high = np.percentile(values, [2.5, 97.5])
        assert found[name]["low"] == pytest.approx(low, abs=0.1 * (high - low)), name
        assert found[name]["high"] == pytest.approx(high, abs=0.1 * (high - low)), name


def test_a_seed_gives_the_same_intervals_and_another_seed_others():
    case = matrix(11)
    assert run(*case, seed=1) == run(*case, seed=1)
    assert run(*case, seed=1)["auroc"] != run(*case, seed=2)["auroc"]


@pytest.mark.parametrize("limit", [10**9, 60])
def test_only_the_pairs_of_the_pools_count(limit):
    scores, heads, tails, known = matrix(9, n_levels=1000)
    pools = np.unique(heads), np.unique(tails[tails > 4])
    inside = np.isin(heads, pools[0]) & np.isin(tails, pools[1])
    before = run(scores, heads[inside], tails[inside], known, pools=pools, limit=limit)
    outside = np.ones(scores.shape, bool)
    outside[np.ix_(*pools)] = False
    assert before["negatives"] == (negatives(scores, known) & ~outside).sum()
    assert before["sampled"] == (limit == 60)
    scores[outside] = 1e6
    assert run(scores, heads[inside], tails[inside], known, pools=pools, limit=limit) == before
    scores[~outside] = np.random.default_rng(1).permutation(scores[~outside])
    assert run(scores, heads[inside], tails[inside], known, pools=pools, limit=limit) != before


def test_a_large_matrix_is_sampled_and_says_so():
    rng = np.random.default_rng(0)
    scores, heads, tails, known = matrix(12, n_heads=200, n_tails=300, n_test=1500)
    # Positives lie in the first 60 tails, whose scores are high: what is taken from them alone is biased.
    heads, tails = heads[tails < 60], tails[tails < 60]
    scores = rng.standard_normal(scores.shape)
    scores[:, :60] += 1
    scores[heads, tails] += 2
    exact = run(scores, heads, tails, known)
    scored = []

    def score(h, t):
        scored.append(len(h))
        return scores[h, t]

    sampled = evaluate(score, heads, tails, known, *map(np.arange, scores.shape), limit=20_000, seed=0)
    assert (exact["sampled"], sampled["sampled"]) == (False, True)
    assert sum(scored) <= 20_000 + len(heads)
    assert (sampled["negatives"], sampled["tails"]) == (exact["negatives"], 50)
    assert sampled["auroc"]["value"] == pytest.approx(exact["auroc"]["value"], abs=0.01)
    assert sampled["auprc"]["value"] == pytest.approx(exact["auprc"]["value"], rel=0.15)
    assert sampled["mrr"]["value"] == pytest.approx(exact["mrr"]["value"], rel=0.5)


@given(seed=st.integers(0, 10_000), size=st.integers(0, 600))
@settings(max_examples=30, deadline=None)
def test_drawn_pairs_are_unknown_distinct_and_of_the_pools(seed, size):
    _, _, _, known = matrix(seed)
    rng = np.random.default_rng(seed)
    heads, tails = np.arange(0, 23, 2), np.arange(3, 17)
    found = draw_unknown(known, heads, tails, size, rng)
    pairs = set(zip(*(side.tolist() for side in found), strict=True))
    taken = set(zip(known.heads.tolist(), known.tails.tolist(), strict=True))
    free = {(h, t) for h in heads.tolist() for t in tails.tolist()} - taken
    assert len(pairs) == len(found[0]) == min(size, len(free))
    assert pairs <= free


def test_draws_from_a_large_matrix_are_uniform():
    known = Known(np.zeros(400, np.int32), np.arange(400, dtype=np.int32), np.full(400, "", object))
    heads, tails = draw_unknown(known, np.arange(300), np.arange(400), 20_000, np.random.default_rng(0))
    assert len({*zip(heads.tolist(), tails.tolist(), strict=True)}) == 20_000
    assert heads.min() > 0
    for counts, cells in ((np.bincount(heads)[1:], 299), (np.bincount(tails), 400)):
        # A chi-square per degree of freedom is 1 for a uniform draw.
        assert ((counts - 20_000 / cells) ** 2 / (20_000 / cells)).mean() == pytest.approx(1, abs=0.4)


def test_nothing_is_drawn_where_all_is_known():
    whole = Known(*(grid.ravel().astype(np.int32) for grid in np.indices((3, 4))), None)
    assert len(draw_unknown(whole, np.arange(3), np.arange(4), 5, np.random.default_rng(0))[0]) == 0
