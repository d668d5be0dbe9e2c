"""Profiles: the similarity that they hold, checked against sets of neighbours written out by hand."""

import dataclasses
import math

import communities
import numpy as np
import planted
import pytest

from repurpose import graph, hgt, profiles, starts

SMALL = planted.graph(
    {"disease": 3, "drug": 5, "gene": 6},
    [
        ("drug", "binds", "gene", "message", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (3, 5)]),
        ("drug", "resembles", "drug", "message", [(0, 1)]),
        ("disease", "has", "gene", "message", [(0, 0), (1, 0), (2, 0)]),
    ],
)


def cosine(a, b):
    """Of two nodes' neighbours, given as neighbour -> weight."""
    product = sum(a[name] * b[name] for name in a.keys() & b.keys())
    return product / math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))


def test_a_product_is_the_mean_over_relations_of_the_cosine_of_rare_neighbours():
    whole = profiles.of_type(SMALL, graph.message_edges(SMALL), "drug").toarray()
    found = whole @ whole.T
    # Of five drugs two bind gene 0 and three gene 1.
    genes = {0: math.log(5 / 2), 1: math.log(5 / 3)}
    binds = [{0: genes[0], 1: genes[1]}, {0: genes[0], 1: genes[1]}, {1: genes[1]}]
    assert found[0, 2] == pytest.approx(cosine(binds[0], binds[2]) / 2, abs=1e-6)
    # Drugs 0 and 1 resemble each other, so each is among the other's neighbours and its own.
    assert found[0, 1] == pytest.approx((1 + 1) / 2, abs=1e-6)
    assert found[0, 3] == 0 and not found[4].any()


def test_a_row_is_as_long_as_much_is_known_of_its_node():
    whole = profiles.of_type(SMALL, graph.message_edges(SMALL), "drug").toarray()
    assert np.linalg.norm(whole, axis=1) ** 2 == pytest.approx([1, 1, 0.5, 0.5, 0], abs=1e-6)


def test_what_all_have_in_common_counts_for_nothing():
    rows = profiles.rows(SMALL, graph.message_edges(SMALL), 4, 0)
    assert rows["disease"].shape == (3, 4) and not rows["disease"].any()


def test_rows_hold_the_products_of_the_profiles():
    kg = communities.build()
    edges = graph.message_edges(kg)
    for node_type, rows in profiles.rows(kg, edges, 64, 0).items():
        whole = profiles.of_type(kg, edges, node_type).toarray()
        assert rows.shape == (kg.count(node_type), 64) and rows.dtype == np.float32
        best = np.linalg.svd(whole, compute_uv=False)[64:]
        wrong = np.linalg.norm(rows @ rows.T - whole @ whole.T)
        assert wrong <= 1.2 * np.linalg.norm(best**2) + 1e-4


def test_directions_of_a_directed_relation_within_a_type_are_told_apart():
    kg = planted.graph({"gene": 6}, [("gene", "regulates", "gene", "message", [(0, 1), (2, 1), (1, 3)])])
    found = []
    for directed in (False, True):
        relation = dataclasses.replace(kg.relations[0], directed=directed)
        whole = profiles.of_type(
            dataclasses.replace(kg, relations=(relation,)), graph.message_edges(kg), "gene"
        ).toarray()
        found.append(whole @ whole.T)
    # Genes 0 and 2 regulate the same gene, which regulates gene 3.
    assert found[0][0, 2] > 0 and found[1][0, 2] > 0
    assert found[0][0, 3] > 0 and found[1][0, 3] == 0


def test_a_vector_is_long_where_much_is_known_and_short_elsewhere():
    options = {"heads": 2, "layers": 1, "attention": "fused", "dropout": 0.0, "decoder": "distmult"}
    encoder = hgt.Settings(hidden_dim=4, embedding_dim=12, svd_dim=3, profile_dim=5, **options)
    model = hgt.build(SMALL, encoder, 0)
    starts.give(model, SMALL, graph.message_edges(SMALL), 0)
    z = model(model.prepare(graph.message_edges(SMALL)).whole)
    drugs = model.vectors(z).numpy()[graph.span(SMALL, "drug")]
    assert drugs.shape == (5, 12)
    known = np.linalg.norm(drugs[:, :5], axis=1)
    assert known[[0, 1, 2]] == pytest.approx([1, 1, 0.5**0.5], abs=0.05) and known[4] == 0
    worth = np.maximum(known, profiles.SHORTEST)
    assert np.linalg.norm(drugs[:4, 5:8], axis=1) == pytest.approx(0.4 * worth[:4], rel=1e-4)
    assert np.linalg.norm(drugs[:, 8:], axis=1) == pytest.approx(0.55 * worth, rel=1e-4)
