"""Undocumented behaviour of PyTorch and PyG that the layers use, and what to do if it changes."""

import math

import pytest
import torch
from torch.nn import functional
from torch_geometric.nn import HGTConv
from typed_graphs import random_layer, varied

from repurpose.hgt import torch_private

GRAPH = varied()
NAMES, EDGE_TYPES = GRAPH.metadata
HEADS, WIDTH = 2, 8


@pytest.fixture(name="conv", scope="module")
def pygs_layer_with_random_parameters():
    conv = HGTConv(HEADS * WIDTH, HEADS * WIDTH, GRAPH.metadata, heads=HEADS)
    conv.load_state_dict(random_layer(GRAPH, HEADS, WIDTH, seed=0, scale=1.0).state_dict())
    return conv


@pytest.fixture(name="inputs", scope="module")
def nodes_and_edges_by_type():
    x = torch.randn(GRAPH.bounds[-1], HEADS * WIDTH, generator=torch.Generator().manual_seed(0))
    by_type = dict(zip(NAMES, x.split(GRAPH.counts), strict=True))
    return by_type, dict(zip(EDGE_TYPES, map(torch.from_numpy, GRAPH.edges), strict=True))


def seen_by_propagate(conv, inputs, monkeypatch):
    """The arguments that a layer gives to `propagate`, and the layer's output."""
    calls = []
    plain = HGTConv.propagate

    def watching(self, edge_index, **features):
        calls.append({"edge_index": edge_index, **features})
        return plain(self, edge_index, **features)

    monkeypatch.setattr(HGTConv, "propagate", watching)
    with torch.no_grad():
        out = conv(*inputs)
    (call,) = calls
    return call, out


def test_gelu_writes_into_the_given_tensor():
    """`gelu(x, out=)` is in PyTorch's code, but not in its documentation.

    Without it the fused layer stops with a TypeError. Then use `out.copy_(functional.gelu(x))`, which takes
    the memory of one more (nodes, width) tensor, or write a loop over the rows.
    """
    x, out = torch.linspace(-6, 6, 999), torch.full((999,), torch.nan)
    assert torch_private.gelu(x, out) is out
    assert torch.equal(out, functional.gelu(x)) and not out.isnan().any()


def test_gelu_s_gradient_is_computed_in_place():
    """`torch.ops.aten.gelu_backward.grad_input`, one of the operators below PyTorch's functions.

    Without it the fused layer's backward pass stops with an AttributeError. Then compute the derivative
    Phi(x) + x phi(x) in a loop over the rows, next to `fused._blend_back`.
    """
    x = torch.linspace(-6, 6, 999, dtype=torch.float64, requires_grad=True)
    upstream = torch.linspace(2, 3, 999, dtype=torch.float64)
    functional.gelu(x).backward(upstream)
    result = upstream.float()
    torch_private.gelu_backward(result, x.detach().float())
    assert (result - x.grad).abs().max() < 1e-6
    assert (result - upstream).abs().max() > 1


def test_a_layer_keeps_what_it_was_made_with(conv):
    """`heads`, `out_channels`, `node_types`, `edge_types`, `edge_types_map`, `dst_node_types`.

    Without them the parameters cannot be distinguished. Then let `Conv` store them: it receives them all.
    """
    assert (conv.heads, conv.out_channels) == (HEADS, HEADS * WIDTH)
    assert (conv.node_types, conv.edge_types) == (NAMES, EDGE_TYPES)
    assert [conv.edge_types_map[each] for each in EDGE_TYPES] == list(range(len(EDGE_TYPES)))
    assert conv.dst_node_types == {target for _, _, target in EDGE_TYPES}
    assert torch_private.receiving(conv) == [True, True, False, True]


def test_keys_queries_and_values_are_the_thirds_of_one_linear_map_per_type(conv, inputs, monkeypatch):
    """`kqv_lin.lins[type]`: keys of all heads, then queries, then values.

    In another order the fused layer would compare values with keys; test_fused.py would fail too. Then change
    the order in `_head_by_head`. If the parameters have another form, give `Conv` its own parameters.
    """
    result = torch_private.parameters(conv)
    x = inputs[0]["n0"]
    weight, bias = conv.kqv_lin.lins["n0"].weight, conv.kqv_lin.lins["n0"].bias
    assert weight.shape == (3 * HEADS * WIDTH, HEADS * WIDTH)
    keys, queries, values = functional.linear(x, weight, bias).chunk(3, dim=1)
    ours = functional.linear(x, result.kvq[0], result.kvq_bias[0]).view(len(x), HEADS, 3, WIDTH)
    for number, part in enumerate((keys, values, queries)):
        assert (ours[:, :, number].flatten(1) - part).abs().max() < 1e-5
    call, _ = seen_by_propagate(conv, inputs, monkeypatch)
    assert (call["q"][: len(x)].flatten(1) - queries).abs().max() < 1e-5


def test_propagate_gets_queries_by_node_and_keys_and_values_by_edge_type_and_source(
    conv, inputs, monkeypatch
):
    """`forward` calls `propagate(edge_index, k=, q=, v=, edge_attr=)`, which `pyg_layer.Layer` overrides.

    If the names or shapes change, training on a GPU stops with a TypeError. If it is not called, activations
    are no longer recomputed, and a large graph runs out of memory. Then override `forward` (fifty lines, in
    PyG's hgt_conv.py) and call the attention there.
    """
    call, _ = seen_by_propagate(conv, inputs, monkeypatch)
    rows = sum(GRAPH.counts[source] for source, _ in GRAPH.kinds)
    edges = sum(each.shape[1] for each in GRAPH.edges)
    shapes = {name: tuple(each.shape) for name, each in call.items()}
    assert shapes == {
        "edge_index": (2, edges),
        "k": (rows, HEADS, WIDTH),
        "q": (GRAPH.bounds[-1], HEADS, WIDTH),
        "v": (rows, HEADS, WIDTH),
        "edge_attr": (edges, HEADS),
    }
    expected = torch.cat([conv.p_rel["__".join(t)].expand(e.shape[1], -1) for t, e in inputs[1].items()])
    assert torch.equal(call["edge_attr"], expected)


def test_a_relation_s_matrices_are_at_head_times_relations_and_relation(conv, inputs, monkeypatch):
    """`k_rel.weight` and `v_rel.weight` (H R, D, D), and the prior `p_rel["head__relation__tail"]` (1, H).

    In another order a relation would get another relation's matrix, in the fused layer and on a GPU. Then
    change the view in `_relation_matrices` and `Conv._products`.
    """
    call, _ = seen_by_propagate(conv, inputs, monkeypatch)
    result = torch_private.parameters(conv).relations
    by_type = conv.kqv_lin(inputs[0])
    start = 0
    for number, each in enumerate(EDGE_TYPES):
        keys, _, values = by_type[each[0]].view(-1, 3, HEADS, WIDTH).unbind(1)
        rows = slice(start, start + len(keys))
        prior = conv.p_rel["__".join(each)][0] / math.sqrt(WIDTH)
        for key_or_value, nodes, passed, factor in (
            (0, keys, call["k"], prior),
            (1, values, call["v"], torch.ones(HEADS)),
        ):
            ours = torch.einsum("nhd,hde->nhe", nodes, result[key_or_value, :, number])
            assert (ours - passed[rows] * factor[:, None]).abs().max() < 1e-5, (each, key_or_value)
        start = rows.stop


def test_a_type_s_output_is_a_share_of_the_linear_map_of_gelu_and_the_rest_of_its_input(
    conv, inputs, monkeypatch
):
    """`out_lin.lins[type]` and `skip[type]`, whose sigmoid is the share; types that receive have an output.

    If the form changes, the fused layer computes another model than a GPU. Then repeat what `forward` does
    in `parameters` and `fused._Update`.
    """
    received_by_call = []
    plain = HGTConv.propagate
    monkeypatch.setattr(
        HGTConv,
        "propagate",
        lambda self, *a, **k: received_by_call.append(plain(self, *a, **k)) or received_by_call[-1],
    )
    with torch.no_grad():
        out = conv(*inputs)
    result = torch_private.parameters(conv)
    assert set(out) == {
        name for name, is_receiving in zip(NAMES, torch_private.receiving(conv), strict=True) if is_receiving
    }
    for t, (name, received) in enumerate(zip(NAMES, received_by_call[0].split(GRAPH.counts), strict=True)):
        if name in out:
            mapped = functional.linear(functional.gelu(received), result.out[t], result.out_bias[t])
            expected = result.share[t] * mapped + (1 - result.share[t]) * inputs[0][name]
            assert (out[name] - expected).abs().max() < 1e-5
