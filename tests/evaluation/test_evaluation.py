from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranked_matrices import matrix, ranked
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from repurpose.evaluation import evaluation, ranks
from repurpose.evaluation import metrics as measures
from repurpose.pairs.pairs import Known


def run(scores, heads, tails, known, **options):
    seed = options.get("seed", 0)
    return evaluation.evaluate(ranked(scores, heads, tails, known, **options), None, seed)


def unknown_mask(scores, known):
    is_unknown = np.ones(scores.shape, bool)
    is_unknown[known.heads, known.tails] = False
    return is_unknown


@given(seed=st.integers(0, 10_000), n_levels=st.integers(1, 200), chunk=st.sampled_from([1, 50, 10_000]))
@settings(max_examples=30, deadline=None)
def test_auroc_and_auprc_are_those_of_scikit_learn(seed, n_levels, chunk):
    scores, heads, tails, known = matrix(seed, n_levels=n_levels)
    metrics = run(scores, heads, tails, known, chunk=chunk)
    positive_scores, negative_scores = scores[heads, tails], scores[unknown_mask(scores, known)]
    labels = np.repeat([1, 0], [len(positive_scores), len(negative_scores)])
    all_scores = np.concatenate([positive_scores, negative_scores])
    assert metrics["auroc"]["value"] == pytest.approx(roc_auc_score(labels, all_scores), abs=1e-12)
    assert metrics["auprc"]["value"] == pytest.approx(average_precision_score(labels, all_scores), abs=1e-12)
    assert (metrics["positives"], metrics["negatives"]) == (len(positive_scores), len(negative_scores))


@given(seed=st.integers(0, 10_000), n_levels=st.integers(1, 400), chunk=st.sampled_from([1, 700, 10_000]))
@settings(max_examples=20, deadline=None)
def test_recall_and_mrr_are_those_of_a_plain_loop(seed, n_levels, chunk):
    scores, heads, tails, known = matrix(seed, n_heads=180, n_tails=9, n_test=40, n_levels=n_levels)
    is_unknown = unknown_mask(scores, known)
    recalls, ranks = [], []
    for tail in np.unique(tails):
        positive_scores, negative_scores = (
            scores[heads[tails == tail], tail],
            scores[is_unknown[:, tail], tail],
        )
        all_scores = np.concatenate([positive_scores, negative_scores])
        # Pairs tied at the limit take the remaining places in random order.
        recalled = [
            np.clip((100 - (all_scores > s).sum()) / (all_scores == s).sum(), 0, 1) for s in positive_scores
        ]
        recalls.append(np.mean(recalled))
        ranks.append(
            np.mean(
                [
                    1 / (1 + (negative_scores > s).sum() + (negative_scores == s).sum() / 2)
                    for s in positive_scores
                ]
            )
        )
    metrics = run(scores, heads, tails, known, chunk=chunk)
    assert metrics["recall_at_100"]["value"] == pytest.approx(np.mean(recalls), abs=1e-12)
    assert metrics["mrr"]["value"] == pytest.approx(np.mean(ranks), abs=1e-12)
    assert metrics["tails"] == len(recalls)


def test_metrics_and_intervals_do_not_depend_on_the_chunks():
    case = matrix(3)
    assert run(*case, chunk=7) == run(*case, chunk=10_000)


def test_each_pair_is_scored_once_and_a_call_scores_at_most_one_chunk():
    scores, heads, tails, known = matrix(4)
    scored, sizes = np.zeros(scores.shape, int), []

    def score(h, t):
        np.add.at(scored, (h, t), 1)
        sizes.append(len(h))
        return scores[h, t]

    ranked(score, heads, tails, known, shape=scores.shape, chunk=50)
    expected = unknown_mask(scores, known).astype(int)
    expected[heads, tails] = 1
    # Matched negatives are scored a second time: all unknown pairs of the positives' heads and tails.
    matched = np.zeros(scores.shape, int)
    matched[np.ix_(np.unique(heads), np.unique(tails))] = 1
    expected += matched * unknown_mask(scores, known)
    assert (scored == expected).all()
    assert max(sizes) <= 50


def test_perfect_scores_have_perfect_metrics():
    scores, heads, tails, known = matrix(5)
    scores[:] = 0
    scores[heads, tails] = 1
    metrics = run(scores, heads, tails, known)
    for name in ("auroc", "auprc", "ap", "ndcg_at_10", "recall_at_100", "mrr", "mrr_of_first"):
        assert metrics[name] == {"value": 1.0, "low": 1.0, "high": 1.0}, name


def test_equal_scores_have_the_metrics_of_chance():
    scores, heads, tails, known = matrix(6, n_heads=500, n_levels=1)
    metrics = run(scores, heads, tails, known)
    assert metrics["auroc"]["value"] == 0.5
    assert metrics["auprc"]["value"] == pytest.approx(metrics["prevalence"])
    assert metrics["recall_at_100"]["value"] == pytest.approx(100 / 500, rel=0.02)


def test_other_known_pairs_are_no_negatives():
    scores, heads, tails, known = matrix(7)
    metrics = run(scores, heads, tails, known)
    is_evaluated = unknown_mask(scores, known)
    is_evaluated[heads, tails] = True
    scores[~is_evaluated] = 99
    assert run(scores, heads, tails, known) == metrics


def test_metrics_without_positives_or_negatives_are_undefined():
    scores, heads, tails, known = matrix(8)
    none = np.empty(0, np.int32)
    assert run(scores, none, none, known)["auroc"] is None
    all_known = Known(*(grid.ravel().astype(np.int32) for grid in np.indices(scores.shape)), None)
    metrics = run(scores, heads, tails, all_known)
    assert (metrics["auprc"], metrics["mrr"], metrics["negatives"]) == (None, None, 0)


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
    positive_scores, negative_scores = scores[heads, tails], scores[unknown_mask(scores, known)]
    false_positives = (negative_scores >= positive_scores[:, None]).sum(axis=1)
    resamples = []
    for rows in rng.integers(len(positive_scores), size=(1000, len(positive_scores))):
        true_positives = (positive_scores[rows] >= positive_scores[rows, None]).sum(axis=1)
        precision = true_positives / (true_positives + false_positives[rows])
        resamples.append((1 - false_positives[rows].mean() / len(negative_scores), precision.mean()))
    metrics = run(scores, heads, tails, known)
    for name, values in zip(("auroc", "auprc"), np.transpose(resamples), strict=True):
        low, high = np.percentile(values, [2.5, 97.5])
        assert metrics[name]["low"] == pytest.approx(low, abs=0.1 * (high - low)), name
        assert metrics[name]["high"] == pytest.approx(high, abs=0.1 * (high - low)), name


def test_a_seed_gives_the_same_intervals_and_another_seed_others():
    case = matrix(11)
    assert run(*case, seed=1) == run(*case, seed=1)
    assert run(*case, seed=1)["auroc"] != run(*case, seed=2)["auroc"]


@pytest.mark.parametrize("limit", [10**9, 60])
def test_only_the_pairs_of_the_pools_count(limit):
    scores, heads, tails, known = matrix(9, n_levels=1000)
    pools = np.unique(heads), np.unique(tails[tails > 4])
    is_inside = np.isin(heads, pools[0]) & np.isin(tails, pools[1])
    metrics = run(scores, heads[is_inside], tails[is_inside], known, pools=pools, limit=limit)
    is_outside = np.ones(scores.shape, bool)
    is_outside[np.ix_(*pools)] = False
    assert metrics["negatives"] == (unknown_mask(scores, known) & ~is_outside).sum()
    assert metrics["sampled"] == (limit == 60)
    scores[is_outside] = 1e6
    assert run(scores, heads[is_inside], tails[is_inside], known, pools=pools, limit=limit) == metrics
    scores[~is_outside] = np.random.default_rng(1).permutation(scores[~is_outside])
    assert run(scores, heads[is_inside], tails[is_inside], known, pools=pools, limit=limit) != metrics


@pytest.mark.parametrize("most_tails", [4000, 200])
def test_a_large_matrix_is_sampled_and_says_so(most_tails, monkeypatch):
    monkeypatch.setattr(ranks, "SAMPLED_TAILS", most_tails)
    rng = np.random.default_rng(0)
    scores, heads, tails, known = matrix(12, n_heads=200, n_tails=300, n_test=1500)
    # Positives lie in the first 60 tails, whose scores are high: a sample of these tails alone is biased.
    heads, tails = heads[tails < 60], tails[tails < 60]
    scores = rng.standard_normal(scores.shape)
    scores[:, :60] += 1
    scores[heads, tails] += 2
    exact = run(scores, heads, tails, known)
    sizes, scored_tails = [], []

    def score(h, t):
        sizes.append(len(h))
        scored_tails.append(np.unique(t))
        return scores[h, t]

    ranks_of_sample = ranked(score, heads, tails, known, shape=scores.shape, limit=20_000)
    sampled = evaluation.evaluate(ranks_of_sample, None, 0)
    of_all = ranked(scores, heads, tails, known).frame["head_above"]
    is_ranked = ranks_of_sample.frame["head_above"].notna()
    assert ranks_of_sample.frame["head_above"].mean() == pytest.approx(of_all[is_ranked].mean(), rel=0.1)
    assert (exact["sampled"], sampled["sampled"]) == (False, True)
    assert sum(sizes) <= 20_000 + len(heads)
    # Positives, matched pairs and lists of tails add up to 60 tails each.
    assert len(np.unique(np.concatenate(scored_tails))) <= min(300, most_tails + 60)
    assert sum(map(len, scored_tails)) <= min(300, most_tails) + 3 * 60
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
def test_matched_negatives_are_made_by_shuffling_the_positives_heads_and_tails(seed, n_levels):
    scores, heads, tails, known = matrix(seed, n_levels=n_levels)
    is_unknown = unknown_mask(scores, known)
    matched = [(h, t) for h in heads for t in tails if is_unknown[h, t]]  # each as often as it has positives
    metrics = run(scores, heads, tails, known)["against"]["matched"]
    positive_scores, negative_scores = scores[heads, tails], np.array([scores[pair] for pair in matched])
    labels, all_scores = (
        np.repeat([1, 0], [len(positive_scores), len(negative_scores)]),
        np.concatenate([positive_scores, negative_scores]),
    )
    weights = np.repeat(
        [1, len(positive_scores) / len(negative_scores)], [len(positive_scores), len(negative_scores)]
    )
    assert metrics["auroc"]["value"] == pytest.approx(roc_auc_score(labels, all_scores), abs=1e-12)
    precision = average_precision_score(labels, all_scores, sample_weight=weights)
    assert metrics["auprc"]["value"] == pytest.approx(precision, abs=1e-12)


@given(seed=st.integers(0, 10_000), n_levels=st.integers(1, 300))
@settings(max_examples=20, deadline=None)
def test_uniform_and_known_negatives_are_those_of_scikit_learn(seed, n_levels):
    scores, heads, tails, known = matrix(seed, n_levels=n_levels)
    positive, negative = (heads[:14], tails[:14]), (heads[14:], tails[14:])
    metrics = run(scores, *positive, known, negative=negative)
    positive_scores, unknown_scores, known_negative_scores = (
        scores[positive],
        scores[unknown_mask(scores, known)],
        scores[negative],
    )
    for name, negative_scores, weight in (
        ("uniform", unknown_scores, 14 / len(unknown_scores)),
        ("known", known_negative_scores, 1),
    ):
        labels, all_scores = (
            np.repeat([1, 0], [14, len(negative_scores)]),
            np.concatenate([positive_scores, negative_scores]),
        )
        weights = np.repeat([1, weight], [14, len(negative_scores)])
        auroc, auprc = (
            roc_auc_score(labels, all_scores),
            average_precision_score(labels, all_scores, sample_weight=weights),
        )
        assert metrics["against"][name]["auroc"]["value"] == pytest.approx(auroc, abs=1e-12)
        assert metrics["against"][name]["auprc"]["value"] == pytest.approx(auprc, abs=1e-12)
    assert metrics["known_negative_pairs"] == len(known_negative_scores)


# Five drugs by two diseases; (0, 0), (1, 0) and (2, 1) are test positives, (3, 0) is a known negative.
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
        ("recall_at_10", 1),
        ("recall_at_50", 1),
        # The list of disease 0: a treatment, then a treatment and an unknown pair that tie, then another
        # unknown pair. In that of disease 1 the only treatment is second.
        ("ap", ((1 + 2 / 3) / 2 + 1 / 2) / 2),
        ("mrr_of_first", (1 + 1 / 2) / 2),
        (
            "ndcg_at_10",
            ((1 + (1 / np.log2(3) + 1 / 2) / 2) / (1 + 1 / np.log2(3)) + 1 / np.log2(3)) / 2,
        ),
        ("treated.ap", (1 + 2 / 3) / 2),
        ("untreated.ap", 1 / 2),
        ("untreated.mrr", 1 / 2),
        # No positive has an unknown pair of the same drug above it.
        ("per_head.mrr", 1),
        ("per_head.hits_at_1", 1),
        ("per_head.ap", 1),
        ("per_head.ndcg_at_10", 1),
        ("known_negatives.mrr", 1),
        ("known_negatives.hits_at_1", 1),
    ],
)
def test_a_small_matrix_has_the_metrics_computed_by_hand(name, value):
    metric = run(SMALL, *POSITIVE, SMALL_KNOWN, negative=NEGATIVE, treated=np.array([0]))
    for part in name.split("."):
        metric = metric[part]
    assert metric["value"] == pytest.approx(value)


def tail_lists(scores, heads, tails, known):
    """Per tail with a positive: its number, and labels and scores of the pairs of its list."""
    is_unknown = unknown_mask(scores, known)
    for tail in np.unique(tails):
        positives, negatives = scores[heads[tails == tail], tail], scores[is_unknown[:, tail], tail]
        labels = np.repeat([1, 0], [len(positives), len(negatives)])
        yield tail, labels, np.concatenate([positives, negatives])


@given(seed=st.integers(0, 10_000), n_levels=st.integers(1, 60))
@settings(max_examples=20, deadline=None)
def test_average_precision_and_ndcg_within_a_tail_are_those_of_scikit_learn(seed, n_levels):
    case = matrix(seed, n_heads=60, n_tails=9, n_test=40, n_levels=n_levels)
    values = evaluation.values_by_tail(ranked(*case))
    lists = list(tail_lists(*case))
    assert values.index.tolist() == [tail for tail, *_ in lists]
    for tail, labels, scores in lists:
        assert values.loc[tail, "ap"] == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
        gain = ndcg_score(labels[None], scores[None], k=10)
        assert values.loc[tail, "ndcg_at_10"] == pytest.approx(gain, abs=1e-12)
    metrics = run(*case)
    for name in values:
        assert metrics[name]["value"] == pytest.approx(values[name].mean(), abs=1e-12)


@given(
    levels=st.lists(st.integers(0, 2), min_size=2, max_size=6),
    n_positives=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_ties_count_as_the_mean_over_all_orders(levels, n_positives):
    """All orders of a short list whose scores never rise; `length` 2 cuts through the ties."""
    levels, n_positives = np.array(levels), min(n_positives, len(levels) - 1)
    is_positive = np.arange(len(levels)) < n_positives
    orders = np.array([order for order in permutations(range(len(levels)))])
    orders = orders[(np.diff(levels[orders], axis=1) <= 0).all(axis=1)]
    places = np.argsort(orders, axis=1)[:, is_positive]  # from 0, of the positives in each order
    gains = np.where(places < 2, 1 / np.log2(2 + places), 0).mean(axis=0)
    above = (levels[None] > levels[is_positive, None]).sum(axis=1)
    tied = (levels[None] == levels[is_positive, None]).sum(axis=1)
    assert measures.expected_gains(above, tied, 2) == pytest.approx(gains)
    assert measures.probability_in_top(above, tied, 2) == pytest.approx((places < 2).mean(axis=0))
    best = levels[is_positive].max()
    unknown_levels, first_ranks = levels[~is_positive], 1 + places.min(axis=1)
    first = measures.rank_of_first(
        (unknown_levels > best).sum(), (unknown_levels == best).sum(), (levels[is_positive] == best).sum()
    )
    assert first == pytest.approx(first_ranks.mean())


def test_the_first_of_several_positives_decides_mrr_of_first_and_all_of_them_decide_mrr():
    # One disease. Positives: drug 0 above all; drugs 1 and 2 tie with the unknown drug 4, below drug 3.
    scores = np.array([[9], [5], [5], [7], [5]], np.float32)
    heads, tails = np.array([0, 1, 2]), np.zeros(3, int)

    def measured(kept):
        known = Known(heads[kept].astype(np.int32), tails[kept].astype(np.int32), None)
        metrics = run(scores, heads[kept], tails[kept], known)
        return metrics["mrr_of_first"]["value"], metrics["mrr"]["value"]

    assert measured([0, 1, 2]) == pytest.approx((1, (1 + 2 / 2.5) / 3))
    # Without drug 0: drug 0 and drug 3 are unknown and above; the tied unknown drug is above both positives
    # in a third of the orders.
    assert measured([1, 2]) == pytest.approx((1 / (3 + 1 / 3), 1 / 3.5))


def test_without_any_score_the_metrics_of_a_list_are_those_of_chance():
    scores, heads, tails, known = matrix(6, n_heads=500, n_levels=1)
    values = evaluation.values_by_tail(ranked(scores, heads, tails, known))
    for tail, labels, _ in tail_lists(scores, heads, tails, known):
        assert values.loc[tail, "ap"] == pytest.approx(labels.mean())
        assert values.loc[tail, "recall_at_10"] == pytest.approx(10 / len(labels))


def test_treated_and_untreated_tails_have_the_metrics_of_their_own_pairs():
    scores, heads, tails, known = matrix(17, n_heads=80, n_tails=30, n_test=120, n_levels=1000)
    treated = np.arange(0, 30, 3)
    negative = heads[:20], tails[:20]
    positive = heads[20:], tails[20:]
    ranks = ranked(scores, *positive, known, negative=negative, treated=treated)
    worse = ranked(-scores, *positive, known, negative=negative, treated=treated)
    metrics, difference = evaluation.evaluate(ranks, None, 0), evaluation.differences(ranks, worse, None, 0)
    plain = run(scores, *positive, known, negative=negative)
    assert {key: value for key, value in metrics.items() if key not in ("treated", "untreated")} == plain
    is_treated = np.isin(positive[1], treated)
    for name, rows in (("treated", is_treated), ("untreated", ~is_treated)):
        alone = run(scores, heads[20:][rows], tails[20:][rows], known, negative=negative)
        assert metrics[name]["tails"] == alone["tails"] == len(np.unique(positive[1][rows]))
        for key in set(metrics[name]) - {"tails"}:
            assert metrics[name][key] == alone[key], key
        assert difference[name]["ap"]["low"] < difference[name]["ap"]["value"]
    assert metrics["treated"]["ap"] != metrics["untreated"]["ap"]


def test_a_group_of_tails_without_a_positive_has_no_metrics():
    scores, heads, tails, known = matrix(18)
    ranks = ranked(scores, heads, tails, known, treated=np.arange(17))
    metrics = evaluation.evaluate(ranks, None, 0)
    assert metrics["untreated"]["ap"] is None and metrics["untreated"]["tails"] == 0
    assert metrics["treated"]["ap"] == metrics["ap"] and metrics["treated"]["tails"] == metrics["tails"]


def test_ranks_keep_which_tails_are_treated_when_they_are_saved(tmp_path):
    case = matrix(19)
    ranks_in = ranked(*case, treated=np.arange(5))
    ranks.save(tmp_path / "ranks.parquet", {"random": {"svd": ranks_in}})
    loaded = ranks.load(tmp_path / "ranks.parquet")["random"]["svd"]
    assert evaluation.evaluate(loaded, None, 0) == evaluation.evaluate(ranks_in, None, 0)
    assert loaded.frame["treated"].any() and not loaded.frame["treated"].all()


def test_the_interval_of_a_mean_over_tails_is_that_of_a_bootstrap_over_tails():
    case = matrix(20, n_heads=80, n_tails=60, n_test=300, n_levels=1000)
    values = evaluation.values_by_tail(ranked(*case))["ap"].to_numpy()
    draws = np.random.default_rng(1).integers(len(values), size=(4000, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    metric = run(*case)["ap"]
    assert metric["low"] == pytest.approx(low, abs=0.1 * (high - low))
    assert metric["high"] == pytest.approx(high, abs=0.1 * (high - low))


def test_a_single_tail_gives_no_interval_but_all_that_is_possible():
    scores, heads, tails, known = matrix(21, n_heads=80, n_levels=1000)
    is_first = tails == tails[0]
    first, second = (ranked(each, heads[is_first], tails[is_first], known) for each in (scores, -scores))
    for metric in (
        evaluation.evaluate(first, None, 0)["ap"],
        evaluation.evaluate(first, "tail_index", 0)["auroc"],
    ):
        assert 0 < metric["value"] < 1 and (metric["low"], metric["high"]) == (0, 1)
    difference = evaluation.differences(first, second, None, 0)["ap"]
    assert (difference["low"], difference["high"]) == (-1, 1)


def test_lists_of_the_whole_matrix_hold_the_share_that_fits(monkeypatch):
    monkeypatch.setattr(evaluation, "LIST_LENGTHS", (1, 2, 3, 6))
    metrics = run(SMALL, *POSITIVE, SMALL_KNOWN, negative=NEGATIVE)
    # In order: 0.9 of (0, 0) and of (3, 1); 0.5 of (1, 0) and of (4, 0); 0.4 of (2, 1). Six unknown pairs.
    shares = {k: v["value"] for k, v in metrics["whole_list"].items()}
    assert shares == pytest.approx({"1": 1 / 2 / 3, "2": 1 / 3, "3": (1 + 1 / 2) / 3})
    # The known negative scores 0.7, so two pairs are above it.
    assert [metrics["known_negatives"]["whole_list"][k]["value"] for k in "123"] == [0, 0, 1]


def test_ranks_within_heads_are_ranks_within_tails_of_the_transposed_matrix():
    scores, heads, tails, known = matrix(13, n_heads=90, n_tails=70, n_test=60, n_levels=1000)
    order, known_order = np.lexsort((tails, heads)), np.lexsort((known.tails, known.heads))
    transposed_known = Known(known.tails[known_order], known.heads[known_order], known.names)
    metrics = run(scores, heads, tails, known)
    transposed_metrics = run(np.ascontiguousarray(scores.T), tails[order], heads[order], transposed_known)
    for name in ("mrr", "mrr_of_first", "ap", "ndcg_at_10", "hits_at_10", "recall_at_50"):
        assert metrics["per_head"][name]["value"] == pytest.approx(transposed_metrics[name]["value"])


def test_a_method_does_not_differ_from_itself_and_clearly_differs_from_a_worse_one():
    scores, heads, tails, known = matrix(14, n_heads=80, n_tails=60, n_test=200, n_levels=1000)
    better = scores.copy()
    better[heads, tails] += 300
    ranks, same_ranks, worse_ranks = (ranked(each, heads, tails, known) for each in (better, better, scores))
    no_difference, difference = (
        evaluation.differences(ranks, each, None, 0) for each in (same_ranks, worse_ranks)
    )
    for name in ("auroc", "auprc", "ap", "ndcg_at_10", "mrr", "mrr_of_first", "recall_at_10"):
        assert no_difference[name] == {"value": 0.0, "low": 0.0, "high": 0.0}
        assert 0 < difference[name]["low"] < difference[name]["value"] < difference[name]["high"]
    first, second = (evaluation.evaluate(each, None, 0)["auprc"]["value"] for each in (ranks, worse_ranks))
    assert difference["auprc"]["value"] == pytest.approx(first - second)


def test_a_paired_interval_is_narrower_than_the_interval_of_one_method():
    scores, heads, tails, known = matrix(15, n_heads=80, n_tails=60, n_test=200, n_levels=1000)
    noisy = scores + np.random.default_rng(0).normal(scale=5, size=scores.shape)
    ranks, noisy_ranks = (ranked(each, heads, tails, known) for each in (scores, noisy))
    paired = evaluation.differences(ranks, noisy_ranks, None, 0)["auroc"]
    unpaired = evaluation.evaluate(ranks, None, 0)["auroc"]
    assert paired["high"] - paired["low"] < 0.3 * (unpaired["high"] - unpaired["low"])


def test_if_whole_tails_are_held_out_the_bootstrap_draws_whole_tails():
    """Negative control: pairs of one tail have similar scores, which a bootstrap over pairs does not see."""
    rng = np.random.default_rng(0)
    scores, heads, tails, known = matrix(16, n_heads=80, n_tails=20, n_test=300, n_levels=1000)
    scores = rng.random(scores.shape) + 2 * rng.random((1, scores.shape[1]))
    ranks = ranked(scores, heads, tails, known)
    by_pair, by_tail = (
        evaluation.evaluate(ranks, grouped_by, 0)["auroc"] for grouped_by in (None, "tail_index")
    )
    assert by_pair["value"] == by_tail["value"]
    assert by_tail["high"] - by_tail["low"] > 1.5 * (by_pair["high"] - by_pair["low"])


def test_lists_of_heads_are_ranked_by_the_second_of_two_scores():
    scores, heads, tails, known = matrix(3)
    of_heads = matrix(4)[0]

    def both(head, tail):
        return np.stack([scores[head, tail], of_heads[head, tail]])

    found = ranked(both, heads, tails, known, shape=scores.shape)
    first, second = (ranked(each, heads, tails, known) for each in (scores, of_heads))
    for name in ("all", "matched", "tail"):
        assert found.frame[f"{name}_above"].equals(first.frame[f"{name}_above"])
    assert found.frame["head_above"].equals(second.frame["head_above"])
    assert not first.frame["head_above"].equals(second.frame["head_above"])
    metrics, by_first, by_second = (evaluation.evaluate(each, None, 0) for each in (found, first, second))
    assert metrics["per_head"] == by_second["per_head"] != by_first["per_head"]
    assert metrics["ap"] == by_first["ap"] and metrics["auprc"] == by_first["auprc"]
