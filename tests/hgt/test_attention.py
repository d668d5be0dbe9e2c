"""Attention is a softmax over all messages of a node, with the same bits for any number of threads."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_graphs import TypedGraph, random_graph, typed_graphs, varied

from repurpose.core import threads
from repurpose.hgt import attention
from repurpose.kernels import parallel


def leaves(graph, heads, width, seed=0, scale=1.0):
    """Random keys, values and queries, and a random matrix per edge type."""
    generator = torch.Generator().manual_seed(seed)
    kvq = torch.randn(graph.bounds[-1], 3 * heads * width, generator=generator) * scale
    weights = torch.randn(2, heads, len(graph.kinds), width, width, generator=generator) / width**0.5
    return kvq.requires_grad_(), weights.requires_grad_()


def naive(kvq, weights, graph):
    """The formula, computed edge by edge and node by node."""
    _, heads, _, _, width = weights.shape
    parts = kvq.view(len(kvq), heads, 3, width)
    scores, values, targets = [], [], []
    for edge_type, (source, target, _) in enumerate(graph.directions()):
        source, target = torch.from_numpy(source), torch.from_numpy(target)
        key = torch.einsum("ehd,hdf->ehf", parts[source, :, 0], weights[0, :, edge_type])
        values.append(torch.einsum("ehd,hdf->ehf", parts[source, :, 1], weights[1, :, edge_type]))
        scores.append((parts[target, :, 2] * key).sum(-1))
        targets.append(target)
    score, value, target = torch.cat(scores), torch.cat(values), torch.cat(targets)
    rows = []
    for node in range(len(kvq)):
        is_target = target == node
        if is_target.any():
            rows.append((score[is_target].softmax(0)[:, :, None] * value[is_target]).sum(0))
        else:
            rows.append(kvq.new_zeros(heads, width))
    return torch.stack(rows).flatten(1)


def run(function, kvq, weights, graph_or_messages, dtype=torch.float32):
    """Output and both gradients for a fixed random gradient of the output."""
    kvq, weights = (each.detach().to(dtype).requires_grad_() for each in (kvq, weights))
    out = function(kvq, weights, graph_or_messages)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    out.backward(upstream.to(dtype))
    return out.detach(), kvq.grad, weights.grad


def compare(graph, heads, width, seed=0, scale=1.0, floor=0.0):
    kvq, weights = leaves(graph, heads, width, seed, scale)
    exact = run(naive, kvq, weights, graph, torch.float64)
    largest = max(each.abs().max() for each in exact)
    for result, truth in zip(run(attention.attend, kvq, weights, graph.messages()), exact, strict=True):
        assert (result - truth).abs().max() <= 1e-5 * max(truth.abs().max(), floor * largest)
    return exact


@pytest.mark.parametrize("width", [1, 3, 5, 12, 33])
def test_attention_is_exact_for_any_head_width(width):
    compare(varied(), 2, width)


@given(graph=typed_graphs(), heads=st.integers(1, 5), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_attention_equals_the_formula(graph, heads, seed):
    if graph.messages().edges:
        compare(graph, heads, 8, seed, floor=0.1)


def test_a_node_without_messages_gets_zeros_and_gives_no_gradient():
    graph = random_graph([5, 4], [(0, 1)], [12], seed=0)
    out, dkvq, _ = compare(graph, 2, 8)
    assert not out[:5].any()
    silent = dkvq.view(9, 2, 3, 8)
    assert not silent[:5, :, 2].any()  # queries of nodes that receive nothing
    assert not silent[5:, :, :2].any()  # keys and values of nodes that send nothing
    result = run(attention.attend, *leaves(graph, 2, 8), graph.messages())
    assert not result[0][:5].any()
    assert not result[1].view(9, 2, 3, 8)[:5, :, 2].any()


def test_a_graph_without_edges_gives_zeros():
    graph = TypedGraph((4,), ((0, 0),), (np.zeros((2, 0), np.int64),))
    assert not any(each.any() for each in run(attention.attend, *leaves(graph, 2, 8), graph.messages()))


@pytest.mark.parametrize("scale", [1e-3, 30.0])
def test_very_different_or_equal_scores_stay_exact(scale):
    """At scale 30 scores reach thousands: a softmax without its maximum subtracted overflows."""
    graph = varied()
    kvq, weights = leaves(graph, 2, 8, scale=scale)
    exact = run(naive, kvq, weights, graph, torch.float64)[0]
    result = run(attention.attend, kvq, weights, graph.messages())
    assert all(torch.isfinite(each).all() for each in result)
    peer = run(naive, kvq, weights, graph)[0]
    assert (result[0] - exact).abs().max() <= max(1e-5 * exact.abs().max(), 2 * (peer - exact).abs().max())


def test_equal_scores_of_many_edges_average_exactly():
    """More edges than fit into one block of scores, all with equal scores."""
    senders = 1000
    graph = TypedGraph(
        (senders, 1), ((0, 1),), (np.stack([np.arange(senders), np.zeros(senders, np.int64)]),)
    )
    kvq, weights = leaves(graph, 1, 8)
    with torch.no_grad():
        kvq[senders] = 0
        weights[1, 0, 0] = torch.eye(8)
    out = attention.attend(kvq, weights, graph.messages())
    expected = kvq[:senders, 8:16].detach().double().mean(0)
    assert (out[senders] - expected).abs().max() < 1e-6


@pytest.fixture(name="larger", scope="module")
def hubs():
    """A graph with enough work for many ranges, and with hubs of thousands of edges."""
    graph = random_graph([3000, 800], [(0, 1), (1, 0), (0, 0)], [20_000, 20_000, 20_000], seed=1)
    edges = [edge.copy() for edge in graph.edges]
    edges[0][1, :6000] = 17
    edges[1][0, :6000] = 17
    return TypedGraph(graph.counts, graph.kinds, tuple(edges))


def test_bits_are_the_same_from_run_to_run_and_for_any_number_of_threads_and_ranges(larger, monkeypatch):
    kvq, weights = leaves(larger, 2, 16)
    results = set()
    for count, small, pieces in ((1, 4096, 16), (2, 4096, 16), (3, 4096, 16), (5, 64, 40), (1, 1 << 40, 1)):
        monkeypatch.setattr(threads, "current", lambda count=count: count)
        monkeypatch.setattr(parallel, "SMALL", small)
        monkeypatch.setattr(parallel, "PIECES", pieces)
        messages = larger.messages()
        for _ in range(2):
            result = run(attention.attend, kvq, weights, messages)
            results.add(b"".join(each.numpy().tobytes() for each in result))
    assert len(results) == 1


def test_another_order_of_edges_gives_the_same_result_up_to_rounding(larger):
    kvq, weights = leaves(larger, 2, 16)
    generator = np.random.default_rng(0)
    edges = tuple(edge[:, generator.permutation(edge.shape[1])] for edge in larger.edges)
    other = TypedGraph(larger.counts, larger.kinds, edges)
    for result, reordered in zip(
        run(attention.attend, kvq, weights, larger.messages()),
        run(attention.attend, kvq, weights, other.messages()),
        strict=True,
    ):
        assert (result - reordered).abs().max() <= 1e-5 * result.abs().max()
