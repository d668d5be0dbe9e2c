"""Measures distinguish a learned embedding from untrained, collapsed, shuffled and broken ones."""

import dataclasses

import communities
import numpy as np
import pytest
from sklearn.decomposition import PCA
from small_trainings import ENCODER

from repurpose.config.sections import ContrastiveSettings
from repurpose.gate import clusters, neighbourhoods, quality
from repurpose.graph import holdout
from repurpose.graph.graph import Relation

CONTRASTIVE = ContrastiveSettings(relations=["disease_gene"], similarity_threshold=0.1)


@pytest.fixture(name="kg", scope="module")
def graph():
    return communities.build()


def measure(kg, vectors, seed=0):
    return quality.measure(
        kg, vectors, tail_type="disease", contrastive=CONTRASTIVE, valid_share=0.1, seed=seed
    )


def planted_vectors(kg, seed=0, noise=0.5):
    """Vectors that hold the planted communities, like those of a good training."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(communities.COMMUNITIES, 16))
    return {
        t: (
            centres[np.arange(kg.count(t)) % len(centres)] + noise * generator.normal(size=(kg.count(t), 16))
        ).astype(np.float32)
        for t in kg.node_types
    }


def mean_auroc(measured, negatives="degree_matched"):
    return np.mean([link[f"auroc_{negatives}"] for link in measured["links"].values()])


def test_vectors_that_hold_the_communities_beat_the_untrained_model(kg):
    good, null = (
        measure(kg, planted_vectors(kg)),
        measure(kg, quality.encode_untrained(kg, ENCODER, 16, 0.1, 0)),
    )
    assert mean_auroc(good) > mean_auroc(null) + 0.15
    assert good["agreement"] > null["agreement"] + 0.3


def test_shuffled_rows_have_auroc_and_agreement_near_chance(kg):
    generator = np.random.default_rng(1)
    shuffled = {t: rows[generator.permutation(len(rows))] for t, rows in planted_vectors(kg).items()}
    measured = measure(kg, shuffled)
    assert 0.35 < mean_auroc(measured) < 0.65
    assert measured["agreement"] < 0.4


def test_the_mean_cosine_is_over_all_pairs_of_rows_that_are_not_zero():
    rows = np.random.default_rng(3).normal(0.3, 1, (40, 5))
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = (units @ units.T)[~np.eye(40, dtype=bool)].mean()
    with_zeros = np.insert(rows, 7, 0, axis=0)
    assert quality._spread(with_zeros, with_zeros, 0)["mean_cosine"] == pytest.approx(expected, abs=1e-12)
    assert quality._spread(np.eye(3)[:1], np.eye(3)[:1], 0)["mean_cosine"] is None
    assert quality._spread(np.zeros((4, 3)), np.zeros((4, 3)), 0)["mean_cosine"] is None


def test_constant_vectors_have_no_rank_and_one_distinct_row(kg):
    constant = {t: np.full((kg.count(t), 16), 0.3, np.float32) for t in kg.node_types}
    spread = measure(kg, constant)["types"]["gene"]
    assert spread["effective_rank"] == 0.0
    assert spread["components_at_90"] is None
    assert spread["distinct_share"] == pytest.approx(1 / spread["nodes"])


def test_nodes_with_the_same_neighbours_may_share_a_vector_and_others_may_not(kg):
    """Many drug classes with one drug each are twins; after their edge is held out, all of them are."""
    classes = np.arange(40), np.arange(40) % 4
    relation = Relation("class", "includes", "gene", 40, "message", directed=False)
    ids = {**kg.node_ids, "class": np.array([f"c{i}" for i in range(40)], object)}
    order = np.lexsort(classes)
    with_classes = dataclasses.replace(
        kg,
        node_types=tuple(sorted(ids)),
        node_ids=ids,
        node_names=ids,
        relations=(*kg.relations, relation),
        heads=(*kg.heads, classes[0][order].astype(np.int32)),
        tails=(*kg.tails, classes[1][order].astype(np.int32)),
    )
    rows = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    train = holdout.split(with_classes, 0.1, 0).train[-1]
    number = np.full(40, 4)
    number[train[0]] = train[1]
    twins = {**planted_vectors(kg), "class": rows[number]}
    assert len(np.unique(rows[number], axis=0)) == 5
    assert measure(with_classes, twins)["types"]["class"]["distinct_share"] == 1.0
    alike = {**twins, "class": rows[np.minimum(number, 1)]}
    assert measure(with_classes, alike)["types"]["class"]["distinct_share"] == pytest.approx(2 / 5)


def test_vectors_on_a_line_have_rank_one(kg):
    line = {t: np.outer(np.arange(1, kg.count(t) + 1), np.ones(16)).astype(np.float32) for t in kg.node_types}
    assert measure(kg, line)["types"]["gene"]["effective_rank"] == pytest.approx(1.0, abs=1e-3)


def test_components_at_90_agree_with_pca(kg):
    rows = planted_vectors(kg)["gene"]
    variance = np.cumsum(PCA().fit(rows).explained_variance_ratio_)
    assert quality._spread(rows, rows, 0)["components_at_90"] == int((variance < 0.9).sum()) + 1


def test_types_with_vectors_that_are_not_finite_are_named(kg):
    vectors = planted_vectors(kg)
    vectors["drug"][3, 2] = np.nan
    measured = measure(kg, vectors)
    assert measured["finite"] == {"disease": True, "drug": False, "gene": True}
    assert measured["links"] == {}


def test_measures_are_the_same_twice(kg):
    assert measure(kg, planted_vectors(kg)) == measure(kg, planted_vectors(kg))


def test_agreement_equals_a_brute_force_count(kg):
    """The expected value comes from a slow loop over the nearest tails of each tail."""
    rows = planted_vectors(kg)["disease"]
    held_out = quality.holdout.split(kg, 0.1, 0)
    similar = quality._similar_tails(kg, held_out, CONTRASTIVE, "disease")
    centred = rows - rows.mean(axis=0)
    cosine = centred @ centred.T / np.outer(*[np.linalg.norm(centred, axis=1)] * 2)
    np.fill_diagonal(cosine, -2)
    shares = []
    for anchor in similar.anchors:
        partners = set(np.flatnonzero(similar.similar[[anchor]].toarray()[0]))
        nearest = np.argsort(-cosine[anchor])[: clusters.NEIGHBOURS]
        shares.append(len(partners & set(nearest)) / min(len(partners), clusters.NEIGHBOURS))
    assert quality._agreement(rows, similar) == pytest.approx(np.mean(shares))


def test_no_similar_tails_means_that_agreement_does_not_apply(kg):
    measured = quality.measure(
        kg,
        planted_vectors(kg),
        tail_type="disease",
        contrastive=dataclasses.replace(CONTRASTIVE, similarity_threshold=1.0),
        valid_share=0.1,
        seed=0,
    )
    assert measured["agreement_applies"] is False


def test_the_null_of_the_layers_is_the_mean_of_untrained_encoders_with_other_weights(kg, monkeypatch):
    encoder = dataclasses.replace(ENCODER, inputs="spectral")
    nulls = []
    for count in (1, 2, 1):
        monkeypatch.setattr(quality, "UNTRAINED_ENCODERS", count)
        nulls.append(quality.measure_untrained_layers(kg, encoder, 0.1, 0))
    one, two, again = nulls
    assert one == again
    assert {name: link["edges"] for name, link in one.items()} == {
        name: link["edges"] for name, link in two.items()
    }
    auroc_of_one, auroc_of_two = (mean_auroc({"links": null}) for null in (one, two))
    of_the_second = 2 * auroc_of_two - auroc_of_one
    assert of_the_second != auroc_of_one and 0.4 < of_the_second < 1


# ---- vectors of some node types only ----


def target_types_only(vectors):
    return {t: vectors[t] for t in ("drug", "disease")}


def test_vectors_of_two_types_are_measured_like_those_of_all_types_as_far_as_they_go(kg):
    whole = measure(kg, planted_vectors(kg))
    partial = measure(kg, target_types_only(planted_vectors(kg)))
    assert whole["without_vectors"] == whole["left_out"] == []
    assert whole["compared"] == ["disease", "drug", "gene"]
    assert partial["without_vectors"] == ["gene"] and sorted(partial["finite"]) == ["disease", "drug"]
    assert partial["left_out"] == [name for name in whole["links"] if "gene" in name] and not partial["links"]
    for name in ("agreement", "clusters", "agreement_applies"):
        assert partial[name] == whole[name]
    for name in ("types", "neighbourhoods"):
        assert partial[name] == {t: whole[name][t] for t in ("disease", "drug")}
    assert partial["compared"] == ["disease", "drug"]


def test_relations_between_types_with_vectors_are_still_measured(kg):
    vectors = {t: rows for t, rows in planted_vectors(kg).items() if t != "drug"}
    whole, partial = measure(kg, planted_vectors(kg)), measure(kg, vectors)
    assert partial["left_out"] == ["drug - drug_gene - gene"]
    assert partial["links"] == {name: link for name, link in whole["links"].items() if "drug" not in name}
    assert "disease - disease_gene - gene" in partial["links"]


def test_a_type_that_no_measure_compares_with_the_graph_is_not_among_the_compared(kg, monkeypatch):
    monkeypatch.setattr(neighbourhoods, "MIN_NODES", 55)  # there are 50 drugs
    partial = measure(kg, target_types_only(planted_vectors(kg)))
    assert partial["compared"] == ["disease"] and list(partial["types"]) == ["drug", "disease"]
    monkeypatch.setattr(clusters, "neighbour_sets", lambda *arguments: {})
    monkeypatch.setattr(quality, "_similar_tails", lambda *arguments: None)
    monkeypatch.setattr(neighbourhoods, "MIN_NODES", 65)  # there are 60 diseases
    assert measure(kg, target_types_only(planted_vectors(kg)))["compared"] == []
