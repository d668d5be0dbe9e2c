"""The benchmarks of lists: folds, methods, per-disease metrics, and ranks in the lists of drugs."""

from dataclasses import replace

import lists
import numpy as np
import pair_models
import pandas as pd
import planted
import polo
import pytest
from pair_models import SETTINGS
from sklearn.metrics import roc_auc_score

from repurpose.classifier import classifier
from repurpose.classifier.classifier import Fit, Task
from repurpose.classifier.examples import NO_EXAMPLES
from repurpose.vectors.vectors import Vectors

METHODS = ["whole", "prior", "embedding", "metapaths", "popularity", "svd"]


@pytest.fixture(name="bench", scope="module")
def planted_bench():
    kg, _ = planted.repurposing(90, 70)
    vectors, labelled, known = pair_models.make(shuffled=False)
    task = Task(vectors, labelled, known, SETTINGS, 0, 1)
    noise = np.random.default_rng(0)
    rows = (noise.normal(size=part.shape).astype(np.float32) for part in (vectors.heads, vectors.tails))
    return lists.Bench(kg, ("drug", "disease"), task, {"svd": Vectors(*rows, product=True)})


@pytest.mark.parametrize("scheme", ["disease", "random"])
def test_each_pair_is_tested_in_one_fold_and_whole_diseases_are_hidden(bench, scheme):
    labelled = bench.task.pairs
    folds = np.stack([lists.fold_labels(labelled, scheme, fold, 3) for fold in range(lists.FOLDS)])
    assert ((folds == "test").sum(axis=0) == 1).all()
    assert set(np.unique(folds)) == {"test", "train", "valid"}
    if scheme == "disease":
        for labels in folds:
            split = pd.Series(labels).groupby(labelled["tail_index"].to_numpy()).nunique()
            assert (split == 1).all()
    assert not np.array_equal(folds[0], lists.fold_labels(labelled, scheme, 0, 4))


def test_what_knows_the_planted_rule_is_ahead_of_noise_and_of_popularity(bench):
    labels = lists.fold_labels(bench.task.pairs, "disease", 0, 1)
    rows = {row["method"]: row for row in lists.tested(bench, "disease", labels, 1, METHODS)}
    assert set(rows) == set(METHODS)
    held = np.unique(
        bench.task.pairs.loc[(labels == "test") & (bench.task.pairs["label"] == 1), "tail_index"]
    )
    assert all(row["tails"] == held.tolist() for row in rows.values())
    ap = {method: np.mean(row["ap"]) for method, row in rows.items()}
    auroc = {method: np.mean(row["auroc"]) for method, row in rows.items()}
    assert ap["whole"] > 1.5 * max(ap["svd"], ap["popularity"])
    assert min(auroc["whole"], auroc["embedding"]) > 0.8 > auroc["metapaths"]
    # Negative control: vectors of noise know nothing, and random genes little.
    assert abs(auroc["svd"] - 0.5) < 0.15


def test_the_ranks_of_diseases_without_a_treatment_and_how_alike_their_lists_are(bench):
    rows = {
        row["method"]: row for row in lists.untreated(bench, "contraindication", 1, ["whole", "popularity"])
    }
    treated = np.unique(bench.task.pairs.loc[bench.task.pairs["label"] == 1, "tail_index"])
    for row in rows.values():
        assert len(row["tails"]) and not np.isin(row["tails"], treated).any()
    # All lists by popularity are the same.
    assert rows["popularity"]["share"] == 1 and rows["popularity"]["heads"] == 10
    assert rows["whole"]["heads"] > 10


@pytest.mark.parametrize("scheme", ["disease", "random"])
def test_the_auroc_of_a_disease_is_that_of_its_list(bench, scheme):
    task, scores = bench.task, np.random.default_rng(0).normal(size=(90, 70))
    ranked, metrics = classifier.rank_tests(task, scheme, lambda heads, tails: scores[heads, tails])
    row = lists.metrics_by_tail(task, Fit(None, (), NO_EXAMPLES, {}, ranked, metrics))
    tests = task.pairs[(task.pairs[scheme] == "test") & (task.pairs["label"] == 1)]
    for tail, auroc in zip(row["tails"], row["auroc"], strict=True):
        positives = tests.loc[tests["tail_index"] == tail, "head_index"].to_numpy()
        unknown = np.setdiff1d(np.arange(90), task.taken.heads[task.taken.tails == tail])
        labels = np.repeat([1, 0], [len(positives), len(unknown)])
        assert auroc == pytest.approx(
            roc_auc_score(labels, scores[np.concatenate([positives, unknown]), tail])
        )


def test_the_table_has_means_over_seeds_and_paired_differences():
    rows = [
        {
            "scheme": "disease",
            "seed": seed,
            "method": method,
            "tails": [0, 1],
            **{metric: [value, value + 0.2] for metric in (*lists.METRICS, "auroc")},
        }
        for seed, method, value in ((1, "whole", 0.5), (2, "whole", 0.6), (1, "svd", 0.3), (2, "svd", 0.2))
    ]
    whole, svd = lists.table(rows, "whole")
    assert (whole["ap"], svd["ap"], whole["seeds"], whole["tails"]) == (0.65, 0.35, 2, 2)
    assert svd["lowest"]["ap"] == 0.3 and svd["less_than_reference"]["ap"] == [0.3, 0.3, 0.3]
    assert "less_than_reference" not in whole


def test_the_public_split_is_read_and_ranked_by_hand(tmp_path):
    kg, _ = planted.repurposing(90, 70)
    for name, pair in (("train", (3, 1)), ("dev", (4, 2)), ("test", (5, 0))):
        head, tail = (kg.node_ids[kind][node] for kind, node in zip(("drug", "disease"), pair, strict=True))
        (tmp_path / f"{name}.txt").write_text(f"Compound::{head}\tCtD\tDisease::{tail}\n")
    frame = polo.split_pairs(tmp_path, kg, ("drug", "disease"))
    assert frame.to_dict("list") == {
        "head_index": [5, 3, 4],
        "tail_index": [0, 1, 2],
        "label": [1, 1, 1],
        "part": ["test", "train", "valid"],
    }
    measured = dict(polo._measures(np.array([0, 2, 9]), np.array([0, 1, 0])))
    assert measured["hits_at_1"] == pytest.approx(1 / 3) and measured["hits_at_3"] == pytest.approx(1 / 3)
    assert measured["hits_at_10"] == 1 and measured["pessimistic_mrr"] == pytest.approx(
        (1 + 1 / 4 + 1 / 10) / 3
    )
    assert measured["mrr"] == pytest.approx((1 + 1 / 3.5 + 1 / 10) / 3)


def test_the_share_of_the_mean_score_is_chosen_on_validation_pairs(bench, monkeypatch):
    labels = lists.fold_labels(bench.task.pairs, "disease", 0, 1)
    task = replace(bench.task, pairs=bench.task.pairs.assign(disease=labels).drop(columns=["random", "drug"]))
    fits = classifier.evaluate_all(task)
    chosen = lists.with_prior(task, fits)["disease"].metrics["share"]
    assert chosen in lists.SHARES
    monkeypatch.setattr(lists, "SHARES", (0.0,))
    unchanged = lists.with_prior(task, fits)["disease"]
    assert unchanged.ranked.frame.equals(fits["disease"].ranked.frame)
