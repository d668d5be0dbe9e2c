import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranked_matrices import matrix, ranked
from sklearn.metrics import average_precision_score, roc_auc_score

from repurpose.evaluation import evaluation
from repurpose.pairs.pairs import Known


def run(scores, heads, tails, known, **options):
    seed = options.get("seed", 0)
    return evaluation.evaluate(ranked(scores, heads, tails, known, **options), None, seed)


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

    ranked(score, heads, tails, known, shape=scores.shape, chunk=50)
    expected = negatives(scores, known).astype(int)
    expected[heads, tails] = 1
    # Once more those that the positives' heads and tails make if dealt out anew.
    again = np.zeros(scores.shape, int)
    again[np.ix_(np.unique(heads), np.unique(tails))] = 1
    expected += again * negatives(scores, known)
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

    found = ranked(score, heads, tails, known, shape=scores.shape, limit=20_000)
    sampled = evaluation.evaluate(found, None, 0)
    assert (exact["sampled"], sampled["sampled"]) == (False, True)
    assert sum(scored) <= 20_000 + len(heads)
    assert (sampled["negatives"], sampled["tails"]) == (exact["negatives"], 25)
    assert sampled["against"]["matched"]["auroc"]["value"] == pytest.approx(
        exact["against"]["matched"]["auroc"]["value"], abs=0.02
    )
    assert sampled["per_head"]["mrr"]["value"] == pytest.approx(exact["per_head"]["mrr"]["value"], rel=0.5)
    assert sampled["auroc"]["value"] == pytest.approx(exact["auroc"]["value"], abs=0.01)
    assert sampled["auprc"]["value"] == pytest.approx(exact["auprc"]["value"], rel=0.15)
    assert sampled["mrr"]["value"] == pytest.approx(exact["mrr"]["value"], rel=0.5)


@given(seed=st.integers(0, 10_000), n_levels=st.integers(1, 300))
@settings(max_examples=20, deadline=None)
def test_matched_negatives_are_the_positives_heads_and_tails_dealt_out_anew(seed, n_levels):
    scores, heads, tails, known = matrix(seed, n_levels=n_levels)
    free = negatives(scores, known)
    drawn = [(h, t) for h in heads for t in tails if free[h, t]]  # each as often as it has positives
    found = run(scores, heads, tails, known)["against"]["matched"]
    own, others = scores[heads, tails], np.array([scores[pair] for pair in drawn])
    labels, both = np.repeat([1, 0], [len(own), len(others)]), np.concatenate([own, others])
    weights = np.repeat([1, len(own) / len(others)], [len(own), len(others)])
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(labels, both), abs=1e-12)
    precision = average_precision_score(labels, both, sample_weight=weights)
    assert found["auprc"]["value"] == pytest.approx(precision, abs=1e-12)


@given(seed=st.integers(0, 10_000), n_levels=st.integers(1, 300))
@settings(max_examples=20, deadline=None)
def test_uniform_and_known_negatives_are_those_of_scikit_learn(seed, n_levels):
    scores, heads, tails, known = matrix(seed, n_levels=n_levels)
    positive, negative = (heads[:14], tails[:14]), (heads[14:], tails[14:])
    found = run(scores, *positive, known, negative=negative)
    own, free, bad = scores[positive], scores[negatives(scores, known)], scores[negative]
    for name, others, weight in (("uniform", free, 14 / len(free)), ("known", bad, 1)):
        labels, both = np.repeat([1, 0], [14, len(others)]), np.concatenate([own, others])
        weights = np.repeat([1, weight], [14, len(others)])
        area, precision = (
            roc_auc_score(labels, both),
            average_precision_score(labels, both, sample_weight=weights),
        )
        assert found["against"][name]["auroc"]["value"] == pytest.approx(area, abs=1e-12)
        assert found["against"][name]["auprc"]["value"] == pytest.approx(precision, abs=1e-12)
    assert found["known_negative_pairs"] == len(bad)


# Five drugs by two diseases; (0, 0), (1, 0) and (2, 1) are treatments of the test, (3, 0) a known negative.
SMALL = np.array([[0.9, 0.1], [0.5, 0.2], [0.1, 0.4], [0.7, 0.9], [0.5, 0.3]], np.float32)
SMALL_KNOWN = Known(
    np.array([0, 1, 3, 2], np.int32), np.array([0, 0, 0, 1], np.int32), np.full(4, "", object)
)
POSITIVE, NEGATIVE = (np.array([0, 1, 2]), np.array([0, 0, 1])), (np.array([3]), np.array([0]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # Unknown: (2, 0) 0.1, (4, 0) 0.5; (0, 1) 0.1, (1, 1) 0.2, (3, 1) 0.9, (4, 1) 0.3.
        # 0.9 ties one of six; 0.5 has one above and ties one; 0.4 has two above.
        ("auroc", 1 - (0.5 + 1.5 + 2) / 18),
        ("auprc", (1 / 2 + 2 / 4 + 3 / 5) / 3),
        ("against.uniform.auprc", (1 / (1 + 0.5) + 2 / (2 + 1) + 3 / (3 + 1)) / 3),
        ("against.known.auroc", (1 + 0 + 0) / 3),
        ("against.known.auprc", (1 + 2 / 3 + 3 / 4) / 3),
        # Disease 0: first, and tied for first; disease 1: second.
        ("mrr", ((1 + 1 / 1.5) / 2 + 1 / 2) / 2),
        ("hits_at_1", ((1 + 1 / 2) / 2 + 0) / 2),
        ("hits_at_10", 1),
        ("recall_at_50", 1),
        # Of its own drug no positive has an unknown pair above it.
        ("per_head.mrr", 1),
        ("per_head.hits_at_1", 1),
        ("known_negatives.mrr", 1),
        ("known_negatives.hits_at_1", 1),
    ],
)
def test_a_small_matrix_has_the_metrics_computed_by_hand(name, value):
    found = run(SMALL, *POSITIVE, SMALL_KNOWN, negative=NEGATIVE)
    for part in name.split("."):
        found = found[part]
    assert found["value"] == pytest.approx(value)


def test_lists_of_the_whole_matrix_hold_the_share_that_fits(monkeypatch):
    monkeypatch.setattr(evaluation, "LISTED", (1, 2, 3, 6))
    found = run(SMALL, *POSITIVE, SMALL_KNOWN, negative=NEGATIVE)
    # In order: 0.9 of (0, 0) and of (3, 1); 0.5 of (1, 0) and of (4, 0); 0.4 of (2, 1). Six unknown pairs.
    shares = {k: v["value"] for k, v in found["whole_list"].items()}
    assert shares == pytest.approx({"1": 1 / 2 / 3, "2": 1 / 3, "3": (1 + 1 / 2) / 3})
    # The known negative has 0.7: after two.
    assert [found["known_negatives"]["whole_list"][k]["value"] for k in "123"] == [0, 0, 1]


def test_the_ranks_of_heads_are_those_of_tails_of_the_matrix_turned():
    scores, heads, tails, known = matrix(13, n_heads=90, n_tails=70, n_test=60, n_levels=1000)
    order, codes = np.lexsort((tails, heads)), np.lexsort((known.tails, known.heads))
    turned = Known(known.tails[codes], known.heads[codes], known.names)
    there = run(scores, heads, tails, known)
    back = run(np.ascontiguousarray(scores.T), tails[order], heads[order], turned)
    for name in ("mrr", "hits_at_10", "recall_at_50"):
        assert there["per_head"][name]["value"] == pytest.approx(back[name]["value"])


def test_a_method_does_not_differ_from_itself_and_surely_from_a_better_one():
    scores, heads, tails, known = matrix(14, n_heads=80, n_tails=60, n_test=200, n_levels=1000)
    better = scores.copy()
    better[heads, tails] += 300
    own, same, other = (ranked(each, heads, tails, known) for each in (better, better, scores))
    none, some = (evaluation.differences(own, each, None, 0) for each in (same, other))
    for name in ("auroc", "auprc", "mrr", "recall_at_50"):
        assert none[name] == {"value": 0.0, "low": 0.0, "high": 0.0}
        assert 0 < some[name]["low"] < some[name]["value"] < some[name]["high"]
    first, second = (evaluation.evaluate(each, None, 0)["auprc"]["value"] for each in (own, other))
    assert some["auprc"]["value"] == pytest.approx(first - second)


def test_a_paired_interval_is_narrower_than_the_methods_own():
    scores, heads, tails, known = matrix(15, n_heads=80, n_tails=60, n_test=200, n_levels=1000)
    noisy = scores + np.random.default_rng(0).normal(scale=5, size=scores.shape)
    own, other = (ranked(each, heads, tails, known) for each in (scores, noisy))
    paired = evaluation.differences(own, other, None, 0)["auroc"]
    alone = evaluation.evaluate(own, None, 0)["auroc"]
    assert paired["high"] - paired["low"] < 0.3 * (alone["high"] - alone["low"])


def test_where_whole_tails_are_held_out_they_are_drawn_whole():
    """Negative control: pairs of one tail stand together, which single pairs would not show."""
    rng = np.random.default_rng(0)
    scores, heads, tails, known = matrix(16, n_heads=80, n_tails=20, n_test=300, n_levels=1000)
    scores = rng.random(scores.shape) + 2 * rng.random((1, scores.shape[1]))
    found = ranked(scores, heads, tails, known)
    single, whole = (evaluation.evaluate(found, by, 0)["auroc"] for by in (None, "tail_index"))
    assert single["value"] == whole["value"]
    assert whole["high"] - whole["low"] > 1.5 * (single["high"] - single["low"])
