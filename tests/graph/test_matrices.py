"""Matrices of the graph, computed by hand for five nodes of two types."""

import numpy as np
import pytest

from repurpose.graph import matrices
from repurpose.graph.graph import Graph, Relation

IDS = {"a": np.array(["1", "2"], object), "b": np.array(["1", "2", "3"], object)}
TO = Relation("a", "to", "b", 2, "message", False)
WITHIN = Relation("b", "within", "b", 2, "message", False)
ONTO = Relation("b", "onto", "b", 1, "message", True)
EDGES = [np.array([[0, 1], [2, 2]]), np.array([[0, 0], [1, 2]]), np.array([[2], [1]])]
KG = Graph(
    ("a", "b"),
    IDS,
    IDS,
    (TO, WITHIN, ONTO),
    *(tuple(edge[end].astype(np.int32) for edge in EDGES) for end in (0, 1)),
)


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        (0, [[0, 0, 1], [0, 0, 1]]),
        (1, [[0, 1, 1], [1, 0, 0], [1, 0, 0]]),
        (2, [[0, 0, 0], [0, 0, 0], [0, 1, 0]]),
    ],
    ids=["between types", "symmetric", "directed"],
)
def test_a_relation_matrix_has_heads_as_rows_and_tails_as_columns(relation, expected):
    matrix = matrices.relation_matrix(KG, KG.relations[relation], EDGES[relation])
    assert matrix.toarray().tolist() == expected and matrix.dtype == np.float32


def test_the_adjacency_is_symmetric_and_counts_relations():
    """Nodes 0 and 1 have type a; only `onto` connects 3 and 4, and `within` connects 2 and 3."""
    expected = np.zeros((5, 5))
    for head, tail in ((0, 4), (1, 4), (2, 3), (2, 4), (4, 3)):
        expected[[head, tail], [tail, head]] += 1
    assert np.array_equal(matrices.adjacency(KG, EDGES).toarray(), expected)


def test_neighbours_are_those_of_the_named_relations_and_count_once():
    assert np.flatnonzero(matrices.neighbours(KG, EDGES, ["to"], "b").toarray()[2]).tolist() == [0, 1]
    repeated = [*EDGES[:2], np.array([[0], [1]])]
    neighbours = matrices.neighbours(KG, repeated, ["within", "onto"], "b").toarray()
    assert neighbours.tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert matrices.neighbours(KG, EDGES, [], "b").toarray().tolist() == [[0] * 5] * 3


def test_binarize_replaces_counts_by_ones():
    counts = matrices.counts(np.array([0, 0, 1]), np.array([1, 1, 0]), (2, 2), np.int64)
    assert counts.toarray().tolist() == [[0, 2], [1, 0]]
    assert matrices.binarize(counts).toarray().tolist() == [[0, 1], [1, 0]]
