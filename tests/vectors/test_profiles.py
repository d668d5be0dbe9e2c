"""Relation profiles: their similarity is compared with sets of neighbours written out by hand."""

import dataclasses
import math

import communities
import numpy as np
import planted
import pytest
import small_trainings
from scipy import sparse

from repurpose.hgt import hgt
from repurpose.kernels import lowrank
from repurpose.training import preparation
from repurpose.vectors import profiles

SMALL = planted.graph(
    {"disease": 3, "drug": 5, "gene": 6},
    [
        ("drug", "binds", "gene", "message", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (3, 5)]),
        ("drug", "resembles", "drug", "message", [(0, 1)]),
        ("disease", "has", "gene", "message", [(0, 0), (1, 0), (2, 0)]),
    ],
)
ENCODER = dataclasses.replace(
    small_trainings.ENCODER, hidden_dim=4, embedding_dim=12, layers=1, heads=2, svd_dim=3, profile_dim=5
)


def whole_profiles(kg, node_type):
    """Whole profiles of a type's nodes (nodes, columns), before the projection on principal axes."""
    blocks = [
        profiles.unit_rows(each)
        for each in profiles.weighted_neighbours(kg, kg.message_edges(), node_type).values()
    ]
    return sparse.hstack(blocks).toarray() / math.sqrt(len(profiles.sides(kg, node_type)))


def cosine(a, b):
    """Cosine similarity of two nodes' neighbours, each a dictionary neighbour -> weight."""
    product = sum(a[name] * b[name] for name in a.keys() & b.keys())
    return product / math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))


def test_a_product_is_the_mean_over_relations_of_the_cosine_of_weighted_neighbours():
    profiles_of_drugs = whole_profiles(SMALL, "drug")
    products = profiles_of_drugs @ profiles_of_drugs.T
    # Of five drugs two bind gene 0 and three gene 1.
    idf = {0: math.log(5 / 2), 1: math.log(5 / 3)}
    binds = [{0: idf[0], 1: idf[1]}, {0: idf[0], 1: idf[1]}, {1: idf[1]}]
    assert products[0, 2] == pytest.approx(cosine(binds[0], binds[2]) / 2, abs=1e-6)
    # Drugs 0 and 1 resemble each other, so each is a neighbour of the other and of itself.
    assert products[0, 1] == pytest.approx((1 + 1) / 2, abs=1e-6)
    assert products[0, 3] == 0 and not products[4].any()


def test_the_squared_length_of_a_profile_is_the_share_of_relations_with_edges():
    profiles_of_drugs = whole_profiles(SMALL, "drug")
    assert np.linalg.norm(profiles_of_drugs, axis=1) ** 2 == pytest.approx([1, 1, 0.5, 0.5, 0], abs=1e-6)


def test_a_neighbour_of_all_nodes_has_no_weight():
    rows = profiles.rows(SMALL, SMALL.message_edges(), "disease", 4, 0).rows
    assert rows.shape == (3, 4) and not rows.any()


def test_each_side_has_its_own_columns_with_rows_of_length_1():
    kg = communities.build()
    edges, dim = kg.message_edges(), 24
    for node_type in kg.node_types:
        result, columns_by_side = (
            profiles.rows(kg, edges, node_type, dim, 0),
            profiles.columns(kg, node_type, dim),
        )
        assert result.rows.shape == (kg.count(node_type), dim) and result.rows.dtype == np.float32
        blocks = profiles.weighted_neighbours(kg, edges, node_type)
        assert (
            list(columns_by_side) == profiles.sides(kg, node_type) and blocks.keys() <= columns_by_side.keys()
        )
        for number, (side, side_columns) in enumerate(columns_by_side.items()):
            left, singular, _ = lowrank.svd(
                profiles.unit_rows(blocks[side]), side_columns.stop - side_columns.start, 0
            )
            expected = left * singular
            length = np.linalg.norm(expected, axis=1)
            divisors = np.maximum(length, 0.05 * length.max())
            assert result.divisors[:, number] == pytest.approx(divisors, rel=1e-5)
            scaled = result.rows[:, side_columns] * np.sqrt(len(columns_by_side))
            assert scaled == pytest.approx(expected / divisors[:, None], abs=1e-5)
            assert np.linalg.norm(scaled, axis=1)[length > 0.05 * length.max()] == pytest.approx(1, abs=1e-4)


def test_all_columns_are_used_and_with_too_few_some_sides_have_none():
    assert list(profiles.columns(SMALL, "gene", 5).values()) == [slice(0, 2), slice(2, 5)]
    assert list(profiles.columns(SMALL, "gene", 1).values()) == [slice(0, 0), slice(0, 1)]
    rows = profiles.rows(SMALL, SMALL.message_edges(), "gene", 1, 0)
    assert rows.divisors.shape == (6, 2) and not rows.divisors[:, 0].any()


def test_a_nearly_zero_row_is_not_scaled_to_length_1():
    lengths = np.array([1, 0.5, 0.01, 0], np.float32)
    assert lengths / profiles.divisors(lengths) == pytest.approx([1, 1, 0.2, 0])
    assert profiles.divisors(lengths[2:], lengths) == pytest.approx([0.05, 0.05])


def test_directions_of_a_directed_relation_within_a_type_are_distinguished():
    kg = planted.graph({"gene": 6}, [("gene", "regulates", "gene", "message", [(0, 1), (2, 1), (1, 3)])])
    products = []
    for directed in (False, True):
        relation = dataclasses.replace(kg.relations[0], directed=directed)
        gene_profiles = whole_profiles(dataclasses.replace(kg, relations=(relation,)), "gene")
        products.append(gene_profiles @ gene_profiles.T)
    # Genes 0 and 2 regulate the same gene, which regulates gene 3.
    assert products[0][0, 2] > 0 and products[1][0, 2] > 0
    assert products[0][0, 3] > 0 and products[1][0, 3] == 0


def test_the_parts_of_vectors_are_each_side_the_svd_and_the_encoder_output():
    assert preparation.vector_blocks(SMALL, ENCODER) == {
        "disease": [5, 8, 12],
        "drug": [2, 5, 8, 12],
        "gene": [2, 5, 8, 12],
    }
    plain = dataclasses.replace(ENCODER, svd_dim=0, profile_dim=0)
    assert preparation.vector_blocks(SMALL, plain) == {node_type: [12] for node_type in SMALL.node_types}
    # More sides than columns: some have none, and no part is empty.
    assert preparation.vector_blocks(SMALL, dataclasses.replace(ENCODER, profile_dim=1))["gene"] == [1, 4, 12]


def test_all_parts_of_a_vector_are_longer_for_nodes_with_edges_in_more_relations():
    model = hgt.build(SMALL, ENCODER, 0)
    _, composition = preparation.start(SMALL, SMALL.message_edges(), ENCODER, 0)
    z = model(model.prepare(SMALL.message_edges()).whole)
    drugs = composition.compose(z).numpy()[SMALL.span("drug")]
    assert drugs.shape == (5, 12)
    lengths = np.linalg.norm(drugs[:, :5], axis=1)
    assert lengths[[0, 1, 2]] == pytest.approx([1, 1, 0.5**0.5], abs=0.05) and lengths[4] == 0
    scale = np.maximum(lengths, profiles.SHORTEST)
    assert np.linalg.norm(drugs[:4, 5:8], axis=1) == pytest.approx(0.4 * scale[:4], rel=1e-4)
    assert np.linalg.norm(drugs[:, 8:], axis=1) == pytest.approx(0.55 * scale, rel=1e-4)
