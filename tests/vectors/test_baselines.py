"""Baselines use only the message edges; degrees and SVD are compared with cases computed by hand."""

import dataclasses

import numpy as np
import planted
import pytest

from repurpose.vectors import baselines


def small():
    return planted.graph(
        {"drug": 4, "disease": 2, "gene": 3},
        [
            ("drug", "binds", "gene", "message", [(0, 0), (0, 1), (1, 1)]),
            ("drug", "resembles", "drug", "message", [(0, 1), (0, 2)]),
            ("gene", "causes", "disease", "message", [(2, 0)]),
            ("drug", "indication", "disease", "target", [(0, 0), (3, 1)]),
        ],
    )


def test_degrees_are_counted_per_message_relation_and_both_ends_within_a_type():
    degrees = baselines.degree_features(small(), "drug")
    assert degrees.dtype == np.float32
    assert np.allclose(degrees, np.log1p([[2, 2], [1, 1], [0, 1], [0, 0]]))
    assert np.allclose(baselines.degree_features(small(), "disease"), np.log1p([[1], [0]]))


def test_a_type_without_message_relations_has_no_degrees():
    kg = planted.graph({"drug": 2, "disease": 3}, [("drug", "indication", "disease", "target", [(0, 0)])])
    assert baselines.degree_features(kg, "disease").shape == (3, 0)


def test_the_svd_is_that_of_the_dense_normalised_adjacency():
    rng = np.random.default_rng(0)
    # Three communities: the spectrum has a gap after their six singular values.
    heads, tails = (grid.ravel() for grid in np.indices((40, 50)))
    has_edge = rng.random(2000) < np.where(heads % 3 == tails % 3, 0.6, 0.05)
    edges = np.stack([heads, tails], axis=1)[has_edge]
    kg = planted.graph({"drug": 40, "gene": 50}, [("drug", "binds", "gene", "message", edges)])
    dense = np.zeros((90, 90))
    dense[edges[:, 0], edges[:, 1] + 40] = 1
    dense += dense.T
    degree = dense.sum(axis=1)
    left, values, _ = np.linalg.svd(dense / np.sqrt(np.outer(degree, degree)))
    assert values[5] > 1.5 * values[6]
    rows = left[:, :6] * np.sqrt(values[:6])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    svd_rows = np.concatenate([*baselines.svd(kg, 6, 0).values()])
    # Singular vectors are unique only up to sign and rotation: compare the angles between rows.
    assert np.abs(svd_rows @ svd_rows.T - rows @ rows.T).max() < 1e-3


def test_svd_rows_have_unit_length_and_isolated_nodes_are_zero():
    rows_by_type = baselines.svd(small(), 4, 0)
    lengths = {node_type: np.linalg.norm(rows, axis=1) for node_type, rows in rows_by_type.items()}
    assert np.allclose(lengths["drug"], [1, 1, 1, 0], atol=1e-6)
    assert np.allclose(lengths["disease"], [1, 0], atol=1e-6)


def test_the_svd_has_fewer_dimensions_than_the_graph_has_nodes():
    assert {rows.shape[1] for rows in baselines.svd(small(), 128, 0).values()} == {8}


def test_a_seed_gives_the_same_svd():
    kg, _ = planted.repurposing()
    first, again = (baselines.svd(kg, 8, 3)["drug"] for _ in range(2))
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize(("role", "changes"), [("target", False), ("excluded", False), ("message", True)])
def test_only_message_edges_reach_the_baselines(role, changes):
    kg, _ = planted.repurposing()
    changed_relation = dataclasses.replace(kg.relations[0], role=role)
    changed_kg = dataclasses.replace(kg, relations=(changed_relation, *kg.relations[1:]))
    svds = [baselines.svd(graph, 8, 0)["drug"] for graph in (kg, changed_kg)]
    degrees = [baselines.degree_features(graph, "drug") for graph in (kg, changed_kg)]
    assert np.array_equal(*svds) != changes
    assert np.array_equal(*degrees) != changes
