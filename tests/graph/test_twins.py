"""Twins are the nodes of a type whose neighbours are the same in each relation, and no others."""

import numpy as np
import planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repurpose.graph import twins


def plain(kg, edges):
    """The same from sets of neighbours."""
    seen = [set() for _ in range(kg.nodes)]
    for number, (relation, pairs, offset) in enumerate(
        zip(kg.message_relations, edges, kg.offsets(), strict=True)
    ):
        for head, tail in (pairs + offset).T.tolist():
            seen[head].add((number, 0, tail))
            seen[tail].add((number, 0 if relation.is_symmetric else 1, head))
    result, before = [], set()
    for node_type in kg.node_types:
        for node in range(kg.nodes)[kg.span(node_type)]:
            key = node_type, frozenset(seen[node])
            result.append(key not in before)
            before.add(key)
    return result


@given(st.integers(0, 1000), st.integers(0, 25))
@settings(max_examples=40, deadline=None)
def test_they_are_those_of_plain_sets(seed, count):
    rng = np.random.default_rng(seed)

    def edges(heads, tails):
        return sorted(set(zip(rng.integers(0, heads, count), rng.integers(0, tails, count), strict=True)))

    kg = planted.graph(
        {"drug": 6, "gene": 9, "disease": 4},
        [
            ("drug", "binds", "gene", "message", edges(6, 9)),
            ("gene", "binds", "drug", "message", edges(9, 6)),
            ("disease", "has", "gene", "message", edges(4, 9)),
            ("gene", "interacts", "gene", "message", edges(9, 9)),
            ("drug", "indication", "disease", "target", edges(6, 4)),
        ],
    )
    found = twins.one_of_each(kg, kg.message_edges())
    assert found.tolist() == plain(kg, kg.message_edges())


@pytest.mark.parametrize("relation", ["binds", "blocks"])
def test_the_relation_counts_and_not_only_the_neighbour(relation):
    relations = [
        ("drug", "binds", "gene", "message", [(0, 0)]),
        ("drug", relation, "gene", "message", [(1, 0)]),
    ]
    if relation == "binds":
        relations = [("drug", "binds", "gene", "message", [(0, 0), (1, 0)])]
    kg = planted.graph({"drug": 3, "gene": 1}, relations)
    assert twins.one_of_each(kg, kg.message_edges()).tolist() == [True, relation == "blocks", True, True]
