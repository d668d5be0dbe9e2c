"""The fused layer equals PyG's HGTConv, and its dense parts equal torch's."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch_geometric.nn import HGTConv
from typed_graphs import (
    TypedGraph,
    assert_as_exact,
    inputs,
    marked_workspace,
    random_graph,
    random_layer,
    run_fused,
    run_stock,
    typed_graphs,
    varied,
)

from repurpose.core import threads
from repurpose.hgt import fused, workspace
from repurpose.kernels import parallel

BOUNDS = [0, 5, 5, 6, 40]  # a type without nodes and one with a single node


def compare(graph, heads, width, seed, scale, floor=0.0):
    """The fused layer against PyG's with the same random parameters, as exactly as float32 goes."""
    layer = random_layer(graph, heads, width, seed, scale)
    case = layer, graph, *inputs(graph, heads * width, seed)
    exact, peer = (run_stock(*case, dtype) for dtype in (torch.float64, torch.float32))
    assert_as_exact(run_fused(*case), exact, peer, floor)


@pytest.mark.parametrize("width", [1, 3, 5, 8, 12, 16, 32, 64])
@pytest.mark.parametrize("heads", [1, 2, 7])
def test_outputs_and_all_gradients_equal_pygs_in_float64(heads, width):
    compare(varied(), heads, width, seed=heads, scale=1.0)


# Parameters are rather small and the floor is high: if a node receives the same message a hundred times and
# little else, gradients cancel and their relative error means nothing.
@pytest.mark.parametrize("width", [1, 3, 8, 16])
@given(graph=typed_graphs(), heads=st.integers(1, 8), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_outputs_and_gradients_equal_pygs_on_any_graph(width, graph, heads, seed):
    compare(graph, heads, width, seed, scale=0.7, floor=0.3)


@given(graph=typed_graphs(), heads=st.integers(1, 8), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_nothing_is_read_from_the_workspace_before_it_is_written(graph, heads, seed):
    with marked_workspace() as sizes:
        compare(graph, heads, 8, seed, scale=0.7, floor=0.3)
    assert len(sizes) > 10


def test_the_comparison_sees_a_wrong_gradient():
    graph = varied()
    layer = random_layer(graph, 2, 8, seed=0, scale=1.0)
    case = layer, graph, *inputs(graph, 16, seed=0)
    exact, peer = (run_stock(*case, dtype) for dtype in (torch.float64, torch.float32))
    for name, result in run_fused(*case).items():
        wrong = result.clone()
        wrong.view(-1)[result.abs().argmax()] *= 1 + 1e-4
        with pytest.raises(AssertionError, match=name):
            assert_as_exact({**run_fused(*case), name: wrong}, exact, peer, floor=0.3)


def test_a_hub_may_send_and_receive_100_000_edges():
    others = np.arange(100_000)
    edges = np.stack([others, 0 * others])
    graph = TypedGraph((len(others), 1), ((0, 1), (1, 0)), (edges, edges[::-1].copy()))
    compare(graph, heads=2, width=8, seed=0, scale=1.0, floor=0.1)


def test_the_order_of_edge_types_does_not_matter_when_weights_move_with_them():
    graph, order = varied(), [3, 0, 6, 2, 1, 5, 4]
    moved = TypedGraph(
        graph.counts, tuple(graph.kinds[i] for i in order), tuple(graph.edges[i] for i in order)
    )
    x, upstream = inputs(graph, 16, seed=1)
    layer = random_layer(graph, 2, 8, seed=1, scale=1.0)
    other = random_layer(moved, 2, 8, seed=2, scale=1.0)
    state = layer.state_dict()
    for name in ("k_rel.weight", "v_rel.weight"):
        state[name] = state[name].view(2, len(order), 8, 8)[:, order].reshape(-1, 8, 8)
    for position, i in enumerate(order):
        old_name, new_name = ("__".join(each.metadata[1][j]) for each, j in ((graph, i), (moved, position)))
        state[f"p_rel.{new_name}"] = layer.p_rel[old_name]
    other.load_state_dict({name: state[name] for name in other.state_dict()})
    result, expected = run_fused(other, moved, x, upstream), run_fused(layer, graph, x, upstream)
    for name in ("y", "x", "k weight", "out weight", "skip"):
        assert (result[name] - expected[name]).abs().max() < 1e-5 * expected[name].abs().max(), name
    expected_prior = expected["prior"][order]
    assert (result["prior"] - expected_prior).abs().max() < 1e-5 * expected_prior.abs().max()
    assert (result["prior"] - expected["prior"]).abs().max() > 0.1 * expected_prior.abs().max()


def test_edge_types_may_come_in_any_order():
    """HGTConv itself computes something else if they do not come in the order of its metadata."""
    graph = varied()
    layer = random_layer(graph, 2, 8, seed=0, scale=1.0)
    x, _ = inputs(graph, 16, seed=0)
    edge_index = dict(zip(graph.metadata[1], map(torch.from_numpy, graph.edges), strict=True))
    by_type = dict(zip(graph.metadata[0], x.split(graph.counts), strict=True))
    with torch.no_grad():
        result = fused.layer(layer, x, graph.messages(), graph.bounds)[: graph.counts[0]]
        ordered = layer(by_type, edge_index)["n0"]
        backwards = layer(by_type, dict(reversed(edge_index.items())))["n0"]
        stock = HGTConv(16, 16, graph.metadata, heads=2)
        stock.load_state_dict(layer.state_dict())
        mistaken = stock(by_type, dict(reversed(edge_index.items())))["n0"]
    assert (result - ordered).abs().max() < 1e-5
    assert (result - backwards).abs().max() < 1e-5
    assert (result - mistaken).abs().max() > 0.01


def test_types_that_receive_nothing_pass_through_and_their_gradients_too():
    graph = random_graph([6, 5, 4], [(0, 1), (2, 1)], [20, 10], seed=0)
    layer = random_layer(graph, 2, 8, seed=0, scale=1.0)
    x = torch.randn(15, 16, requires_grad=True)
    y = fused.layer(layer, x, graph.messages(), graph.bounds)
    assert torch.equal(y[:6], x[:6])
    assert torch.equal(y[11:], x[11:])
    assert not torch.equal(y[6:11], x[6:11])
    upstream = torch.zeros_like(y)
    upstream[11:] = torch.arange(16.0)
    y.backward(upstream)
    assert torch.equal(x.grad, upstream)
    assert not any(each.grad.any() for each in layer.parameters())


def test_a_gradient_may_be_any_view_and_taken_twice():
    """A sum's gradient is one number expanded to a matrix; that of a transpose is stored by columns."""
    graph = varied()
    layer = random_layer(graph, 2, 8, seed=0, scale=1.0)
    x = inputs(graph, 16, seed=0)[0].requires_grad_()
    y = fused.layer(layer, x, graph.messages(), graph.bounds)
    for view in (torch.ones(()).expand(y.shape), torch.randn(16, len(y)).T):
        result, again, expected = (
            torch.autograd.grad(y, x, gradient, retain_graph=True)[0]
            for gradient in (view, view, view.contiguous())
        )
        assert torch.equal(result, again)
        assert torch.equal(result, expected)


def linear_case(nodes, seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = (nodes, 7), (len(BOUNDS) - 1, 11, 7), (len(BOUNDS) - 1, 11)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("bounds", [BOUNDS, [0, 5, 5, 6, 60_000]], ids=["small", "mapped memory"])
def test_typed_linear_is_a_linear_map_per_type(bounds):
    x, weight, bias = linear_case(bounds[-1], seed=0)
    upstream = torch.randn(bounds[-1], 11)
    y = fused.typed_linear(x, weight, bias, bounds)
    y.backward(upstream)
    exact = x.detach().double().requires_grad_()
    for t, (first, last) in enumerate(pairwise(bounds)):
        lin = nn.Linear(7, 11).double()
        lin.load_state_dict({"weight": weight[t], "bias": bias[t]})
        expected = lin(exact[first:last])
        expected.backward(upstream[first:last].double())
        pairs = ((y[first:last], expected), (weight.grad[t], lin.weight.grad), (bias.grad[t], lin.bias.grad))
        for result, truth in pairs:
            close(result, truth)
    close(x.grad, exact.grad)


def close(result, truth):
    assert result.shape == truth.shape
    if truth.numel():
        assert (result - truth).abs().max() <= 1e-5 * truth.abs().max()


def standardise(z, upstream):
    """Value and gradient of `standardise`, which works in place: not on a leaf."""
    leaf = z.clone().requires_grad_()
    y = fused.standardise(leaf * 1)
    y.backward(upstream)
    return y.detach(), leaf.grad


@given(rows=st.integers(1, 50), width=st.integers(1, 40), seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_standardise_is_layer_norm_without_parameters(rows, width, seed):
    generator = torch.Generator().manual_seed(seed)
    z, upstream = torch.randn(2, rows, width, generator=generator, dtype=torch.float64)
    z = 3 * z + 2
    exact = z.clone().requires_grad_()
    functional.layer_norm(exact, (width,)).backward(upstream)
    expected = functional.layer_norm(exact, (width,)).detach()
    value, gradient = standardise(z.float(), upstream.float())
    # A row of one value becomes zero; for two, the gradient is nearly zero compared with its terms.
    spread = torch.maximum(z.std(dim=1, keepdim=True, correction=0), torch.tensor(1e-2))
    assert ((value - expected).abs() <= 1e-5 * (1 + z.abs() / spread)).all()
    assert ((gradient - exact.grad).abs() <= 3e-5 * (1 + z.abs() / spread) / spread * width**0.5).all()


def test_standardise_works_in_place_on_a_large_result_in_mapped_memory():
    """Autograd refuses to change a view in place, so mapped memory must not look like a view."""
    x, weight, bias = linear_case(60_000, seed=1)
    bounds = [0, 5, 5, 6, 60_000]
    y = fused.typed_linear(x, weight, bias, bounds)
    assert 4 * y.numel() >= workspace.HUGE
    address, upstream = y.data_ptr(), torch.randn(y.shape)
    z = fused.standardise(y)
    assert z.data_ptr() == address
    z.backward(upstream)
    exact = x.detach().double().requires_grad_()
    parts = [
        functional.linear(exact[first:last], weight[t].double(), bias[t].double())
        for t, (first, last) in enumerate(pairwise(bounds))
    ]
    expected = functional.layer_norm(torch.cat(parts), (11,))
    expected.backward(upstream.double())
    close(z.detach(), expected.detach())
    close(x.grad, exact.grad)


def test_standardise_gives_the_same_bits_for_any_number_of_threads_and_pieces(monkeypatch):
    z, upstream = torch.randn(2, 2000, 33, generator=torch.Generator().manual_seed(0))
    results = set()
    for count, small in ((1, parallel.SMALL), (2, parallel.SMALL), (3, 64), (1, 1 << 40)):
        monkeypatch.setattr(threads, "current", lambda count=count: count)
        monkeypatch.setattr(parallel, "SMALL", small)
        results |= {b"".join(each.numpy().tobytes() for each in standardise(z, upstream)) for _ in range(2)}
    assert len(results) == 1


@given(graph=typed_graphs(), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_update_is_gelu_a_linear_map_and_the_skip_of_each_type(graph, seed):
    """Compared in float64 with PyG's formula: skip * out_lin(gelu(out)) + (1 - skip) * x, skip a sigmoid."""
    generator = torch.Generator().manual_seed(seed)
    types, nodes, width = len(graph.counts), graph.bounds[-1], 6
    receiving = [any(target == t for _, target in graph.kinds) for t in range(types)]
    shapes = (nodes, width), (nodes, width), (types, width, width), (types, width), (types,)
    leaves = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    x, out, weight, bias, skip = leaves
    upstream = torch.randn(nodes, width, generator=generator)
    y = fused._Update.apply(x, out, weight, bias, skip.sigmoid(), receiving, graph.bounds)
    y.backward(upstream)
    exact = [each.detach().double().requires_grad_() for each in leaves]
    parts = []
    for t, (first, last) in enumerate(pairwise(graph.bounds)):
        x_of_type, mapped = exact[0][first:last], functional.gelu(exact[1][first:last])
        alpha = exact[4][t].sigmoid() if receiving[t] else torch.zeros((), dtype=torch.float64)
        parts.append(alpha * functional.linear(mapped, exact[2][t], exact[3][t]) + (1 - alpha) * x_of_type)
    expected = torch.cat(parts)
    expected.backward(upstream.double())
    close(y.detach(), expected.detach())
    largest = max(each.grad.abs().max() for each in exact)
    for result, truth in zip(leaves, exact, strict=True):
        assert (result.grad - truth.grad).abs().max() <= 1e-5 * largest


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_of_the_skip_is_exact_over_many_nodes(seed):
    """The gradient is the difference of two sums over all nodes and columns, which nearly cancel."""
    generator = torch.Generator().manual_seed(seed)
    nodes, width = 100_000, 16
    x, out, upstream = torch.randn(3, nodes, width, generator=generator)
    weight, bias = torch.randn(1, width, width, generator=generator) / width**0.5, torch.zeros(1, width)
    share = torch.tensor([0.7], requires_grad=True)
    fused._Update.apply(x, out, weight, bias, share, [True], [0, nodes]).backward(upstream)
    exact, usual = (
        (upstream * (functional.gelu(out.to(dtype)) @ weight[0].T.to(dtype) - x)).sum()
        for dtype in (torch.float64, torch.float32)
    )
    assert abs(share.grad - exact) <= max(1e-5 * abs(exact), 2 * abs(usual - exact))
