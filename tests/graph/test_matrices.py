"""Matrices of the graph, by hand on five nodes of two types."""

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
def test_a_relation_is_its_heads_by_its_tails(relation, expected):
    found = matrices.of_relation(KG, KG.relations[relation], EDGES[relation])
    assert found.toarray().tolist() == expected and found.dtype == np.float32


def test_the_adjacency_is_symmetric_and_counts_relations():
    """Nodes 0 and 1 are of type a; 3 and 4 are joined by `onto` alone, 2 and 3 by `within`."""
    expected = np.zeros((5, 5))
    for head, tail in ((0, 4), (1, 4), (2, 3), (2, 4), (4, 3)):
        expected[[head, tail], [tail, head]] += 1
    assert np.array_equal(matrices.adjacency(KG, EDGES).toarray(), expected)


def test_neighbours_are_those_of_the_named_relations_once():
    assert np.flatnonzero(matrices.neighbours(KG, EDGES, ["to"], "b").toarray()[2]).tolist() == [0, 1]
    twice = [*EDGES[:2], np.array([[0], [1]])]
    both = matrices.neighbours(KG, twice, ["within", "onto"], "b").toarray()
    assert both.tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert matrices.neighbours(KG, EDGES, [], "b").toarray().tolist() == [[0] * 5] * 3


def test_ones_are_in_the_place_of_counts():
    counted = matrices.counts(np.array([0, 0, 1]), np.array([1, 1, 0]), (2, 2), np.int64)
    assert counted.toarray().tolist() == [[0, 2], [1, 0]]
    assert matrices.ones(counted).toarray().tolist() == [[0, 1], [1, 0]]
