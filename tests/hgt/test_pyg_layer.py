"""Our form of PyG's layer has HGTConv's parameters and results, also when it computes activations twice."""

import pytest
import torch
from torch_geometric.nn import HGTConv
from typed_graphs import gradients, inputs, random_layer, run_stock, varied

from repurpose.hgt import pyg_layer


def run(layer, graph, x, upstream):
    """Output and gradients of the layer in PyG's own form of call."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    names, edge_types = graph.metadata
    by_type = dict(zip(names, x.split(graph.counts), strict=True))
    out = layer(by_type, dict(zip(edge_types, map(torch.from_numpy, graph.edges), strict=True)))
    y = torch.cat([out.get(name, by_type[name]) for name in names])
    y.backward(upstream)
    return {"y": y.detach(), "x": x.grad, **gradients(layer)}


@pytest.mark.parametrize("kept", [1 << 31, 0], ids=["kept", "computed again"])
def test_values_and_gradients_are_those_of_hgtconv(kept, monkeypatch):
    monkeypatch.setattr(pyg_layer, "KEPT_ACTIVATIONS", kept)
    graph = varied()
    layer = random_layer(graph, 2, 8, seed=0, scale=1.0)
    x, upstream = inputs(graph, 16, seed=0)
    exact = run_stock(layer, graph, x, upstream, torch.float64)
    for name, result in run(layer, graph, x, upstream).items():
        assert (result - exact[name]).abs().max() <= 1e-5 * exact[name].abs().max(), name


def test_large_activations_are_computed_again_head_by_head(monkeypatch):
    graph, calls = varied(), []
    attend = pyg_layer._attend
    monkeypatch.setattr(pyg_layer, "_attend", lambda *head: calls.append(head) or attend(*head))
    layer = random_layer(graph, 4, 8, seed=0, scale=1.0)
    case = layer, graph, *inputs(graph, 32, seed=0)
    run(*case)
    assert calls == []
    monkeypatch.setattr(pyg_layer, "KEPT_ACTIVATIONS", 0)
    run(*case)
    assert len(calls) == 8  # four heads, forward and again in the backward pass


def test_parameters_go_to_pygs_layer_and_come_back():
    graph = varied()
    layer, other = (random_layer(graph, 2, 8, seed=seed, scale=1.0) for seed in (0, 1))
    conv = HGTConv(16, 16, graph.metadata, heads=2)
    conv.load_state_dict(layer.state_dict(), strict=True)
    other.load_state_dict(conv.state_dict(), strict=True)
    for name, value in layer.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
