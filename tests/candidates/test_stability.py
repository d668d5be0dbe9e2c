"""The stability is high for members that agree on the best pairs, and low for members that do not."""

import candidate_lists
import numpy as np
import planted
import pytest

from repurpose.candidates import candidates, stability

KG = planted.repurposing(30, 12)[0]


def measured(members, monkeypatch, chunk=10_000, depths=(5, 20)):
    monkeypatch.setattr(stability, "DEPTHS", depths)
    collector = stability.StabilityCollector(30, depths[-1])
    stack = np.stack([np.mean(members, axis=0), *members]).astype(np.float32)
    candidate_lists.ranked(KG, stack, per_tail=3, collectors=[collector], chunk=chunk)
    return collector.summary()


def noisy(size, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(30, 12))
    return [base + size * rng.normal(size=base.shape) for _ in range(3)]


def test_the_measures_equal_those_of_a_plain_sort(monkeypatch):
    members = noisy(0.5)
    model_order = np.argsort(-np.mean(members, axis=0).astype(np.float32), axis=None)
    orders = [np.argsort(-each, axis=None) for each in members]
    for row in measured(members, monkeypatch, chunk=70):
        n = row["n"]
        pairs = [(0, 1), (0, 2), (1, 2)]
        shared = [len({*orders[a][:n].tolist()} & {*orders[b][:n].tolist()}) / n for a, b in pairs]
        ranks = [np.argsort(np.argsort(each.ravel()[model_order[:n]])) for each in members]
        related = [np.corrcoef(ranks[a], ranks[b])[0, 1] for a, b in pairs]
        assert row["commonality"] == pytest.approx(np.mean(shared))
        assert row["spearman"] == pytest.approx(np.mean(related))


def test_equal_members_score_one_and_independent_members_about_chance(monkeypatch):
    same, independent = (measured(noisy(size), monkeypatch) for size in (0, 100))
    assert [row["commonality"] for row in same] == [1, 1]
    assert [row["spearman"] for row in same] == pytest.approx([1, 1])
    assert independent[1]["commonality"] < 0.25 and abs(independent[1]["spearman"]) < 0.6


def test_the_measures_do_not_depend_on_chunks_and_one_member_has_none(monkeypatch):
    found = [measured(noisy(1), monkeypatch, chunk) for chunk in (31, 90, 10_000)]
    assert found[0] == found[1] == found[2]
    collector = stability.StabilityCollector(30)
    list(
        candidates.rank(
            candidate_lists.scorer(noisy(0)[0]),
            candidate_lists.annotator(KG),
            per_tail=1,
            collectors=[collector],
        )
    )
    assert collector.summary() == []


def test_listed_by_counts_the_members_that_list_a_pair(monkeypatch):
    members = np.stack(noisy(1)).astype(np.float32)
    stack = np.concatenate([members.mean(axis=0)[None], members])
    monkeypatch.setattr(candidates, "LISTED", 4)
    frame = candidate_lists.ranked(KG, stack, per_tail=6).to_pandas()
    for row in frame.itertuples():
        head, tail = (int(each.split(":")[1]) for each in (row.head_id, row.tail_id))
        ranks = [1 + (member[:, tail] > member[head, tail]).sum() for member in members]
        assert row.listed_by == sum(rank <= 4 for rank in ranks)
    assert {0, 3} < set(frame["listed_by"])
