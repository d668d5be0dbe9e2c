"""Messages hold every edge twice, by target and by row, and leave out exactly the hidden edges."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_graphs import TypedGraph, random_graph, typed_graphs, varied

from repurpose.hgt import messages

SETTINGS = settings(max_examples=40, deadline=None)


def build(graph):
    return messages.build(graph.bounds[-1], graph.directions())


def expected(graph, hidden=()):
    """Every directed edge as (edge type, source, target) with its count."""
    return Counter(
        (edge_type, int(s), int(t))
        for edge_type, (sources, targets, numbers) in enumerate(graph.directions())
        for s, t, number in zip(sources, targets, numbers, strict=True)
        if number not in hidden
    )


def by_target(result):
    targets = np.repeat(np.arange(result.nodes), np.diff(result.target_ptr))
    return _edges(result.rows, result.target_rows, targets)


def by_row(result):
    rows = np.repeat(np.arange(len(result.rows)), np.diff(result.row_ptr))
    return _edges(result.rows, rows, result.row_targets)


def _edges(rows, row, target):
    return Counter(zip(rows.edge_type[row].tolist(), rows.node[row].tolist(), target.tolist(), strict=True))


@given(typed_graphs())
@SETTINGS
def test_both_lists_hold_all_edges(graph):
    result = build(graph).whole
    assert by_target(result) == by_row(result) == expected(graph)
    assert result.nodes == graph.bounds[-1]
    assert result.edges == sum(edge.shape[1] for edge in graph.edges)


@given(typed_graphs(), st.randoms(use_true_random=False))
@SETTINGS
def test_hidden_edges_are_in_neither_list_and_the_others_in_both(graph, random):
    whole = build(graph)
    count = whole.whole.edges
    for share in (0, 1, count // 2, count):
        hidden = np.array(random.sample(range(count), min(share, count)), np.int64)
        result = whole.without(hidden)
        assert by_target(result) == by_row(result) == expected(graph, set(hidden.tolist()))
        assert result.rows is whole.whole.rows
    assert by_target(whole.whole) == expected(graph)


def test_one_number_hides_an_edge_in_both_directions():
    edges = np.array([[0, 1, 2], [1, 2, 0]])
    numbers = np.arange(3)
    whole = messages.build(3, [(edges[0], edges[1], numbers), (edges[1], edges[0], numbers)])
    assert set(by_target(whole.without(np.array([1])))) == {(0, 0, 1), (1, 1, 0), (0, 2, 0), (1, 0, 2)}


def test_of_two_equal_edges_one_may_be_hidden():
    graph = TypedGraph((2,), ((0, 0),), (np.array([[0, 0], [1, 1]]),))
    result = build(graph).without(np.array([0]))
    assert by_target(result) == by_row(result) == {(0, 0, 1): 1}


@given(typed_graphs())
@SETTINGS
def test_a_row_is_an_edge_type_and_a_source_node_and_rows_of_a_type_are_adjacent(graph):
    rows = build(graph).whole.rows
    pairs = list(zip(rows.edge_type.tolist(), rows.node.tolist(), strict=True))
    assert sorted(pairs) == sorted({(edge_type, source) for edge_type, source, _ in expected(graph)})
    for edge_type, (first, last) in enumerate(pairwise(rows.type_bounds.tolist())):
        assert (rows.edge_type[first:last] == edge_type).all()
    for node, (first, last) in enumerate(pairwise(rows.of_ptr.tolist())):
        assert (rows.node[rows.of_node[first:last]] == node).all()


def test_rows_with_most_edges_come_first_and_lists_are_sorted_by_the_other_end():
    result = build(varied()).whole
    sends = np.diff(result.row_ptr)
    for first, last in pairwise(result.rows.type_bounds.tolist()):
        assert (np.diff(sends[first:last]) <= 0).all()
    for pointer, entries in (
        (result.target_ptr, result.target_rows),
        (result.row_ptr, result.row_targets),
    ):
        assert all((np.diff(entries[first:last]) >= 0).all() for first, last in pairwise(pointer))


def test_blocks_cut_the_rows_of_each_type():
    graph = random_graph([3000, 10], [(0, 1), (1, 0), (0, 0)], [9000, 50, 20_000], seed=0)
    rows = build(graph).whole.rows
    covered = [row for first, last, _ in rows.blocks for row in range(first, last)]
    assert covered == list(range(len(rows)))
    assert (np.diff(rows.blocks[:, :2]) <= messages.BLOCK).all()
    assert all((rows.edge_type[first:last] == edge_type).all() for first, last, edge_type in rows.blocks)
    assert len(rows.blocks) > 10


def test_a_graph_without_edges_has_no_rows():
    for graph in (TypedGraph((3,), (), ()), TypedGraph((3,), ((0, 0),), (np.zeros((2, 0), np.int64),))):
        whole = build(graph)
        assert (whole.whole.nodes, whole.whole.edges, len(whole.whole.rows)) == (3, 0, 0)
        assert whole.without(np.zeros(0, np.int64)).edges == 0
