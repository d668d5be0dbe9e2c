"""Enrichment shows nearest neighbours that share genes, and does not show an effect of degree alone."""

import communities
import numpy as np
import planted
import pytest
from scipy import sparse

from repurpose.gate import clusters

KG = communities.build()
NAMES = ["disease_gene"]


def groups():
    return clusters.neighbour_sets(KG, NAMES, "disease")


def by_community(noise, seed=0):
    """Rows (60, 8) of the diseases: the centre of their community plus noise."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(communities.COMMUNITIES, 8))
    return centres[np.arange(60) % communities.COMMUNITIES] + noise * generator.normal(size=(60, 8))


def test_rewiring_keeps_every_degree_and_repeats_no_pair():
    generator = np.random.default_rng(0)
    keys = generator.choice(30 * 20, 300, replace=False)  # half of all pairs, so a shuffle repeats many
    heads, tails = np.divmod(keys, 20)
    rewired = clusters.rewire(heads, tails, generator)
    assert np.array_equal(np.bincount(rewired, minlength=20), np.bincount(tails, minlength=20))
    assert len(np.unique(heads * 20 + rewired)) == len(heads)
    assert (rewired != tails).mean() > 0.5


def test_neighbours_of_one_community_are_enriched_and_random_ones_are_not():
    enriched = clusters.measure(by_community(0.1), groups(), 0)["disease_gene"]
    random = clusters.measure(np.random.default_rng(1).normal(size=(60, 8)), groups(), 0)["disease_gene"]
    assert enriched["overlap"] > 1.5 * enriched["null_high"]
    assert random["overlap"] < 1.2 * random["null_high"]
    assert enriched["null_low"] <= enriched["null"] <= enriched["null_high"]
    assert enriched["ratio"] == pytest.approx(enriched["overlap"] / enriched["null"])


def test_popularity_alone_is_no_enrichment():
    """Diseases are near because they have as many genes; the rewired sets overlap as much."""
    generator = np.random.default_rng(2)
    size = np.repeat([3, 60], 30)
    heads = np.repeat(np.arange(60), size)
    # Random sets of genes: two large ones overlap by chance.
    tails = np.concatenate([generator.choice(150, n, replace=False) for n in size])
    sets = sparse.csr_array((np.ones(len(heads), np.int64), (heads, tails)), shape=(60, 150))
    rows = np.log(size)[:, None] * np.ones((1, 4)) + 0.01 * generator.normal(size=(60, 4))
    enrichment = clusters.enrichment(rows, sets, 0)
    assert enrichment["overlap"] < 1.1 * enrichment["null_high"]


def test_overlap_is_the_mean_jaccard_index():
    sets = sparse.csr_array(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 1, 0]]))
    rows = np.array([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])
    nearest = np.array([[1], [0], [3], [2]])
    assert clusters._overlap(sets, np.arange(4), nearest) == pytest.approx((1 + 1 + 1 / 3 + 1 / 3) / 4)
    assert clusters.enrichment(rows[:2], sets[:2], 0) is None  # too few tails to compare


def test_relations_among_tails_are_groups_of_their_own():
    kg = planted.graph(
        {"disease": 6, "gene": 5},
        [
            ("disease", "has", "gene", "message", [(0, 0), (1, 0), (2, 1)]),
            ("disease", "is_a", "disease", "message", [(0, 1), (1, 2)]),
        ],
    )
    groups = clusters.neighbour_sets(kg, ["has"], "disease")
    assert list(groups) == ["has", "is_a"]
    assert groups["is_a"].toarray()[1].tolist() == [1, 0, 1, 0, 0, 0]
    assert list(clusters.neighbour_sets(kg, [], "disease")) == ["is_a"]
    assert list(clusters.neighbour_sets(kg, ["is_a"], "disease")) == ["is_a"]


def test_the_choice_of_anchors_does_not_change_their_neighbours(monkeypatch):
    rows = by_community(0.5)
    whole = np.sort(clusters.nearest_rows(rows, np.arange(60)), axis=1)
    few = np.sort(clusters.nearest_rows(rows, np.array([3, 50])), axis=1)
    assert np.array_equal(whole[[3, 50]], few)
