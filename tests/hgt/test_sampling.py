"""Batches hold only true, visible edges within the fan-out; with all neighbours they equal the graph."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import small_trainings
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typed_graphs import TypedGraph, random_graph, typed_graphs

from repurpose.core import threads
from repurpose.graph.graph import Relation
from repurpose.hgt import hgt, message_edges, messages, sampling
from repurpose.hgt.backends import FusedBackend, PygBackend

FEW = hypothesis_settings(max_examples=60, deadline=None)
ENCODER = dataclasses.replace(small_trainings.ENCODER, embedding_dim=8, heads=2)


def sampler(graph: TypedGraph, fanout=(3, 2), seed=0) -> sampling.Sampler:
    return sampling.Sampler(messages.build(graph.bounds[-1], graph.directions()), graph.bounds, fanout, seed)


def list_messages(level: sampling.Level) -> list[tuple[int, int, int]]:
    """(edge type, source, target) of each message of a level, by node numbers of the whole graph."""
    m = level.messages
    targets = np.repeat(np.arange(m.nodes), np.diff(m.target_ptr))
    senders = m.rows.node[m.target_rows]
    edge_types = m.rows.edge_type[m.target_rows]
    return list(
        zip(edge_types.tolist(), level.nodes[senders].tolist(), level.nodes[targets].tolist(), strict=True)
    )


def true_edges(graph: TypedGraph) -> list[tuple[int, int, int, int]]:
    """(edge type, source, target, number) of all edges."""
    return [
        (edge_type, *edge)
        for edge_type, direction in enumerate(graph.directions())
        for edge in zip(*(array.tolist() for array in direction), strict=True)
    ]


@FEW
@given(graph=typed_graphs(), data=st.data())
def test_messages_are_true_edges_that_are_not_hidden_and_no_more_than_the_fanout(graph, data):
    edges = true_edges(graph)
    nodes, count = st.integers(0, graph.bounds[-1] - 1), len(edges)
    seeds = np.array(data.draw(st.lists(nodes, min_size=1, max_size=8)))
    hidden = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1), max_size=9)) if count else []), int)
    fanout = data.draw(st.sampled_from([(1, 1), (3, 2), (2, 50), (1000, 1000)]))
    batch = sampler(graph, fanout).batch(seeds, hidden, 5)
    visible = Counter((k, s, t) for k, s, t, number in edges if number not in set(hidden.tolist()))
    assert batch.nodes.tolist() == sorted(set(seeds.tolist()))
    wanted = batch.nodes
    for level, most in zip(reversed(batch.levels), fanout, strict=True):
        drawn = Counter(list_messages(level))
        assert not drawn - visible
        received = Counter(target for _, _, target in drawn.elements())
        assert set(received) <= set(wanted.tolist())
        assert max(received.values(), default=0) <= most
        assert level.nodes[level.kept].tolist() == wanted.tolist()
        assert level.nodes.tolist() == sorted({s for _, s, _ in drawn} | set(wanted.tolist()))
        assert level.bounds == np.searchsorted(level.nodes, graph.bounds).tolist()
        wanted = level.nodes
    if fanout[0] == 1000:
        within = set(batch.nodes.tolist())
        assert last_messages(batch) == Counter({e: n for e, n in visible.items() if e[2] in within})


def last_messages(batch: sampling.Batch) -> Counter:
    return Counter(list_messages(batch.levels[-1]))


@FEW
@given(graph=typed_graphs())
def test_both_lists_of_a_level_hold_the_same_edges(graph):
    for level in sampler(graph, (4, 4)).batch(np.arange(graph.bounds[-1]), np.zeros(0, int), 1).levels:
        m = level.messages
        by_target = zip(m.target_rows, np.repeat(np.arange(m.nodes), np.diff(m.target_ptr)), strict=True)
        by_row = zip(np.repeat(np.arange(len(m.rows)), np.diff(m.row_ptr)), m.row_targets, strict=True)
        assert sorted((int(r), int(t)) for r, t in by_target) == sorted((int(r), int(t)) for r, t in by_row)
        owners = np.repeat(np.arange(m.nodes), np.diff(m.rows.of_ptr))
        assert m.rows.node[m.rows.of_node].tolist() == owners.tolist()


def test_every_neighbour_is_drawn_equally_often():
    """A node with 12 neighbours, 5 of them in each of 4,000 batches: chi-squared test of their counts."""
    edges = np.stack([np.arange(1, 13), np.zeros(12, int)])
    one = sampler(TypedGraph((13,), ((0, 0),), (edges,)), fanout=(5,))
    drawn = Counter(
        source
        for number in range(4000)
        for _, source, _ in list_messages(one.batch(np.zeros(1, int), np.zeros(0, int), number).levels[0])
    )
    expected = 4000 * 5 / 12
    assert sum(drawn.values()) == 20000
    # Without replacement the sum of squares is (1 - 5 / 12) times chi-squared with 11 degrees of freedom.
    assert sum((n - expected) ** 2 for n in drawn.values()) / expected < 31.3 * 12 / 11


def test_a_batch_depends_on_seed_and_number_alone():
    graph = random_graph([400, 300], [(0, 1), (1, 0), (0, 0)], [6000, 6000, 3000], seed=3)
    nodes, none = np.arange(0, 700, 7), np.zeros(0, int)
    one = sampler(graph, (4, 4))
    first = one.batch(nodes, none, 1)
    other = one.batch(nodes, none, 2)
    one.batch(nodes, np.arange(100), 3)
    again, elsewhere = one.batch(nodes, none, 1), sampler(graph, (4, 4)).batch(nodes, none, 1)
    reseeded = sampler(graph, (4, 4), seed=1).batch(nodes, none, 1)
    assert [list_messages(level) for level in first.levels] == [
        list_messages(level) for level in again.levels
    ]
    assert [list_messages(level) for level in first.levels] == [
        list_messages(level) for level in elsewhere.levels
    ]
    assert list_messages(first.levels[0]) != list_messages(other.levels[0])
    assert list_messages(first.levels[0]) != list_messages(reseeded.levels[0])


def test_threads_do_not_change_a_batch(monkeypatch):
    graph = random_graph([4000, 3000], [(0, 1), (1, 0)], [60_000, 60_000], seed=3)
    batches = []
    for count in (1, 3):
        monkeypatch.setattr(threads, "current", lambda count=count: count)
        batches.append(sampler(graph, (9, 3)).batch(np.arange(7000), np.zeros(0, int), 1))
    for one, other in zip(batches[0].levels, batches[1].levels, strict=True):
        assert np.array_equal(one.messages.target_rows, other.messages.target_rows)
        assert np.array_equal(one.nodes, other.nodes)


RELATIONS = [
    Relation("a", "ab", "b", 900, "message", False),
    Relation("a", "aa", "a", 400, "message", False),
    Relation("b", "to", "b", 300, "message", True),
    Relation("c", "ca", "a", 60, "message", False),
    Relation("c", "none", "b", 0, "message", False),
]
COUNTS = {"a": 120, "b": 90, "c": 4}


def whole_and_batch(attention, fanout, hidden=()):
    """Embeddings and input gradients of some nodes, from the whole graph and from a batch."""
    generator = np.random.default_rng(1)
    edges = [
        np.stack([generator.integers(0, COUNTS[t], r.edges) for t in (r.head_type, r.tail_type)])
        for r in RELATIONS
    ]
    settings = dataclasses.replace(ENCODER, attention=attention)
    backend = FusedBackend() if attention == "fused" else PygBackend()
    torch.manual_seed(0)
    model = hgt.HGT([*COUNTS.values()], [*COUNTS], RELATIONS, settings, backend)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    numbered = message_edges.sort(edges, model.edge_types, model.bounds)
    chosen = [np.array([h for h in hidden if h < r.edges], np.int64) for r in RELATIONS]
    numbers = np.concatenate([rows + start for rows, start in zip(chosen, numbered.starts, strict=True)])
    seeds = np.array([0, 5, 119, 120, 150, 209, 210, 213])
    upstream = torch.randn(len(seeds), 8)
    (z := model(model.prepare(edges).without(chosen)).index_select(0, torch.from_numpy(seeds))).backward(
        upstream
    )
    whole, gradient = z.detach(), model.inputs.grad.clone()
    batch = sampling.Sampler(numbered.numbered, model.bounds, fanout, 0).batch(seeds, numbers, 1)
    rows = torch.from_numpy(batch.inputs)
    x = model.inputs.detach().index_select(0, rows).requires_grad_()
    (z := model.encode(x, model.blocks(batch.levels), batch.bounds)).backward(upstream)
    spread = torch.zeros_like(gradient).index_copy_(0, rows, x.grad)
    return (whole, z.detach()), (gradient, spread)


@pytest.mark.parametrize("attention", ["fused", "pyg"])
@pytest.mark.parametrize("hidden", [(), (0, 3, 17, 59, 299)], ids=["none hidden", "some hidden"])
def test_with_every_neighbour_a_batch_gives_what_the_whole_graph_gives(attention, hidden):
    for whole, batch in whole_and_batch(attention, (sampling.ALL, sampling.ALL), hidden):
        assert (batch - whole).abs().max() <= 1e-5 * whole.abs().max()


@pytest.mark.parametrize("attention", ["fused", "pyg"])
def test_with_few_neighbours_a_batch_gives_other_embeddings(attention):
    (whole, batch), _ = whole_and_batch(attention, (2, 2))
    assert (batch - whole).abs().max() > 1e-2 * whole.abs().max()


def test_both_attentions_give_the_same_from_the_same_batch():
    (_, fused), (_, gradient) = whole_and_batch("fused", (4, 3))
    (_, pyg), (_, other) = whole_and_batch("pyg", (4, 3))
    assert torch.allclose(fused, pyg, atol=1e-4)
    assert torch.allclose(gradient, other, atol=1e-4)
