"""Nearest neighbours that share genes are told from those that only look so by degree."""

import communities
import numpy as np
import planted
import pytest
from scipy import sparse

from repurpose.gate import clusters

KG = communities.build()
NAMES = ["disease_gene"]


def groups():
    return clusters.sets(KG, NAMES, "disease")


def by_community(noise, seed=0):
    """Rows (60, 8) of the diseases: that of their community, and noise."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(communities.COMMUNITIES, 8))
    return centres[np.arange(60) % communities.COMMUNITIES] + noise * generator.normal(size=(60, 8))


def test_rewiring_keeps_every_degree_and_makes_no_pair_twice():
    generator = np.random.default_rng(0)
    keys = generator.choice(30 * 20, 300, replace=False)  # half of all pairs: a shuffle repeats many
    heads, tails = np.divmod(keys, 20)
    found = clusters.rewire(heads, tails, generator)
    assert np.array_equal(np.bincount(found, minlength=20), np.bincount(tails, minlength=20))
    assert len(np.unique(heads * 20 + found)) == len(heads)
    assert (found != tails).mean() > 0.5


def test_neighbours_of_one_community_are_enriched_and_random_ones_are_not():
    planted_rows = clusters.measure(by_community(0.1), groups(), 0)["disease_gene"]
    random = clusters.measure(np.random.default_rng(1).normal(size=(60, 8)), groups(), 0)["disease_gene"]
    assert planted_rows["overlap"] > 1.5 * planted_rows["null_high"]
    assert random["overlap"] < 1.2 * random["null_high"]
    assert planted_rows["null_low"] <= planted_rows["null"] <= planted_rows["null_high"]
    assert planted_rows["ratio"] == pytest.approx(planted_rows["overlap"] / planted_rows["null"])


def test_popularity_alone_is_no_enrichment():
    """Diseases that are near because they have as many genes: the rewired sets overlap as much."""
    generator = np.random.default_rng(2)
    size = np.repeat([3, 60], 30)
    heads = np.repeat(np.arange(60), size)
    # Popular genes first: large sets overlap whatever they are.
    tails = np.concatenate([generator.choice(150, n, replace=False) for n in size])
    sets = sparse.csr_array((np.ones(len(heads), np.int64), (heads, tails)), shape=(60, 150))
    rows = np.log(size)[:, None] * np.ones((1, 4)) + 0.01 * generator.normal(size=(60, 4))
    found = clusters.enrichment(rows, sets, 0)
    assert found["overlap"] < 1.1 * found["null_high"]


def test_overlap_is_the_jaccard_index_by_hand():
    sets = sparse.csr_array(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 1, 0]]))
    rows = np.array([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])
    nearest = np.array([[1], [0], [3], [2]])
    assert clusters._overlap(sets, np.arange(4), nearest) == pytest.approx((1 + 1 + 1 / 3 + 1 / 3) / 4)
    assert clusters.enrichment(rows[:2], sets[:2], 0) is None  # too few to be near or far


def test_relations_among_tails_are_groups_of_their_own():
    kg = planted.graph(
        {"disease": 6, "gene": 5},
        [
            ("disease", "has", "gene", "message", [(0, 0), (1, 0), (2, 1)]),
            ("disease", "is_a", "disease", "message", [(0, 1), (1, 2)]),
        ],
    )
    found = clusters.sets(kg, ["has"], "disease")
    assert list(found) == ["has", "is_a"]
    assert found["is_a"].toarray()[1].tolist() == [1, 0, 1, 0, 0, 0]
    assert list(clusters.sets(kg, [], "disease")) == ["is_a"]
    assert list(clusters.sets(kg, ["is_a"], "disease")) == ["is_a"]


def test_chunks_and_anchors_do_not_change_the_neighbours(monkeypatch):
    rows = by_community(0.5)
    whole = np.sort(clusters.nearest_rows(rows, np.arange(60)), axis=1)
    few = np.sort(clusters.nearest_rows(rows, np.array([3, 50])), axis=1)
    assert np.array_equal(whole[[3, 50]], few)
