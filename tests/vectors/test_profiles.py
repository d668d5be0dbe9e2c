"""Profiles: the similarity that they hold, checked against sets of neighbours written out by hand."""

import dataclasses
import math

import communities
import numpy as np
import planted
import pytest
from scipy import sparse

from repurpose.hgt import hgt
from repurpose.kernels import lowrank
from repurpose.training import starts
from repurpose.vectors import profiles

SMALL = planted.graph(
    {"disease": 3, "drug": 5, "gene": 6},
    [
        ("drug", "binds", "gene", "message", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (3, 5)]),
        ("drug", "resembles", "drug", "message", [(0, 1)]),
        ("disease", "has", "gene", "message", [(0, 0), (1, 0), (2, 0)]),
    ],
)


def uncut(kg, node_type):
    """Whole profiles of a type's nodes (nodes, columns), before they are cut to some axes."""
    blocks = [profiles.unit(each) for each in profiles.weighted(kg, kg.message_edges(), node_type).values()]
    return sparse.hstack(blocks).toarray() / math.sqrt(len(profiles.sides(kg, node_type)))


def cosine(a, b):
    """Of two nodes' neighbours, given as neighbour -> weight."""
    product = sum(a[name] * b[name] for name in a.keys() & b.keys())
    return product / math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))


def test_a_product_is_the_mean_over_relations_of_the_cosine_of_rare_neighbours():
    whole = uncut(SMALL, "drug")
    found = whole @ whole.T
    # Of five drugs two bind gene 0 and three gene 1.
    genes = {0: math.log(5 / 2), 1: math.log(5 / 3)}
    binds = [{0: genes[0], 1: genes[1]}, {0: genes[0], 1: genes[1]}, {1: genes[1]}]
    assert found[0, 2] == pytest.approx(cosine(binds[0], binds[2]) / 2, abs=1e-6)
    # Drugs 0 and 1 resemble each other, so each is among the other's neighbours and its own.
    assert found[0, 1] == pytest.approx((1 + 1) / 2, abs=1e-6)
    assert found[0, 3] == 0 and not found[4].any()


def test_a_row_is_as_long_as_much_is_known_of_its_node():
    whole = uncut(SMALL, "drug")
    assert np.linalg.norm(whole, axis=1) ** 2 == pytest.approx([1, 1, 0.5, 0.5, 0], abs=1e-6)


def test_what_all_have_in_common_counts_for_nothing():
    rows = profiles.rows(SMALL, SMALL.message_edges(), "disease", 4, 0).rows
    assert rows.shape == (3, 4) and not rows.any()


def test_a_relation_has_columns_of_its_own_in_which_its_rows_have_length_1():
    kg = communities.build()
    edges, dim = kg.message_edges(), 24
    for node_type in kg.node_types:
        found, columns = profiles.rows(kg, edges, node_type, dim, 0), profiles.columns(kg, node_type, dim)
        assert found.rows.shape == (kg.count(node_type), dim) and found.rows.dtype == np.float32
        blocks = profiles.weighted(kg, edges, node_type)
        assert list(columns) == profiles.sides(kg, node_type) and blocks.keys() <= columns.keys()
        for number, (side, part) in enumerate(columns.items()):
            left, singular, _ = lowrank.svd(profiles.unit(blocks[side]), part.stop - part.start, 0)
            expected = left * singular
            length = np.linalg.norm(expected, axis=1)
            divisors = np.maximum(length, 0.05 * length.max())
            assert found.divisors[:, number] == pytest.approx(divisors, rel=1e-5)
            own = found.rows[:, part] * np.sqrt(len(columns))
            assert own == pytest.approx(expected / divisors[:, None], abs=1e-5)
            assert np.linalg.norm(own, axis=1)[length > 0.05 * length.max()] == pytest.approx(1, abs=1e-4)


def test_columns_are_shared_out_to_the_last_and_some_sides_have_none_where_there_are_too_few():
    assert list(profiles.columns(SMALL, "gene", 5).values()) == [slice(0, 2), slice(2, 5)]
    assert list(profiles.columns(SMALL, "gene", 1).values()) == [slice(0, 0), slice(0, 1)]
    rows = profiles.rows(SMALL, SMALL.message_edges(), "gene", 1, 0)
    assert rows.divisors.shape == (6, 2) and not rows.divisors[:, 0].any()


def test_what_is_left_of_a_node_on_the_kept_axes_is_not_blown_up():
    lengths = np.array([1, 0.5, 0.01, 0], np.float32)
    assert lengths / profiles.divisors(lengths) == pytest.approx([1, 1, 0.2, 0])
    assert profiles.divisors(lengths[2:], lengths) == pytest.approx([0.05, 0.05])


def test_directions_of_a_directed_relation_within_a_type_are_told_apart():
    kg = planted.graph({"gene": 6}, [("gene", "regulates", "gene", "message", [(0, 1), (2, 1), (1, 3)])])
    found = []
    for directed in (False, True):
        relation = dataclasses.replace(kg.relations[0], directed=directed)
        whole = uncut(dataclasses.replace(kg, relations=(relation,)), "gene")
        found.append(whole @ whole.T)
    # Genes 0 and 2 regulate the same gene, which regulates gene 3.
    assert found[0][0, 2] > 0 and found[1][0, 2] > 0
    assert found[0][0, 3] > 0 and found[1][0, 3] == 0


def test_the_parts_of_vectors_end_where_each_side_the_svd_and_the_layers_do():
    options = {"heads": 2, "layers": 1, "attention": "fused", "dropout": 0.0, "decoder": "distmult"}
    whole = hgt.Settings(hidden_dim=4, embedding_dim=12, svd_dim=3, profile_dim=5, **options)
    assert starts.blocks(SMALL, whole) == {
        "disease": [5, 8, 12],
        "drug": [2, 5, 8, 12],
        "gene": [2, 5, 8, 12],
    }
    plain = dataclasses.replace(whole, svd_dim=0, profile_dim=0)
    assert starts.blocks(SMALL, plain) == {node_type: [12] for node_type in SMALL.node_types}
    # More sides than columns: some have none, and no part is empty.
    assert starts.blocks(SMALL, dataclasses.replace(whole, profile_dim=1))["gene"] == [1, 4, 12]


def test_a_vector_is_long_where_much_is_known_and_short_elsewhere():
    options = {"heads": 2, "layers": 1, "attention": "fused", "dropout": 0.0, "decoder": "distmult"}
    encoder = hgt.Settings(hidden_dim=4, embedding_dim=12, svd_dim=3, profile_dim=5, **options)
    model = hgt.build(SMALL, encoder, 0)
    starts.give(model, SMALL, SMALL.message_edges(), 0)
    z = model(model.prepare(SMALL.message_edges()).whole)
    drugs = model.vectors(z).numpy()[SMALL.span("drug")]
    assert drugs.shape == (5, 12)
    known = np.linalg.norm(drugs[:, :5], axis=1)
    assert known[[0, 1, 2]] == pytest.approx([1, 1, 0.5**0.5], abs=0.05) and known[4] == 0
    worth = np.maximum(known, profiles.SHORTEST)
    assert np.linalg.norm(drugs[:4, 5:8], axis=1) == pytest.approx(0.4 * worth[:4], rel=1e-4)
    assert np.linalg.norm(drugs[:, 8:], axis=1) == pytest.approx(0.55 * worth, rel=1e-4)
