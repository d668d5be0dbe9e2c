"""Undocumented behaviour of PyG's `HGTConv` that the layers replace, and what to do if it changes."""

import inspect

import torch
from torch_geometric.nn import HGTConv
from typed_graphs import random_layer, varied

from repurpose.hgt import pyg_private

GRAPH = varied()
NAMES, EDGE_TYPES = GRAPH.metadata
HEADS, WIDTH = 2, 8


def test_a_subclass_gives_keys_and_values_of_sources_in_place_of_pygs(monkeypatch):
    """`_construct_src_node_feat(k_dict, v_dict, edge_index_dict)` gives keys, values and first rows.

    If it is no longer called, results stay right, but training on a GPU takes longer the more relations a
    graph has, because PyG launches a product per edge type and head. Then override `forward`.
    """
    conv = HGTConv(HEADS * WIDTH, HEADS * WIDTH, GRAPH.metadata, heads=HEADS)
    conv.load_state_dict(random_layer(GRAPH, HEADS, WIDTH, seed=0, scale=1.0).state_dict())
    x = torch.randn(GRAPH.bounds[-1], HEADS * WIDTH, generator=torch.Generator().manual_seed(0))
    nodes = dict(zip(NAMES, x.split(GRAPH.counts), strict=True))
    edges = dict(zip(EDGE_TYPES, map(torch.from_numpy, GRAPH.edges), strict=True))
    assert list(inspect.signature(HGTConv._construct_src_node_feat).parameters)[1:] == [
        "k_dict",
        "v_dict",
        "edge_index_dict",
    ]
    layer = pyg_private.Conv(HEADS * WIDTH, GRAPH.metadata, HEADS)
    layer.load_state_dict(conv.state_dict())
    calls, plain = [], vars(pyg_private.Conv)["_construct_src_node_feat"]
    monkeypatch.setattr(
        pyg_private.Conv,
        "_construct_src_node_feat",
        lambda self, *parts: calls.append(parts) or plain(self, *parts),
    )
    with torch.no_grad():
        result, expected = layer(nodes, edges), conv(nodes, edges)
        for ours, pygs in zip(plain(layer, *calls[0]), conv._construct_src_node_feat(*calls[0]), strict=True):
            assert ours == pygs if isinstance(pygs, dict) else (ours - pygs).abs().max() < 1e-5
    assert len(calls) == 1
    assert all((result[name] - expected[name]).abs().max() < 1e-5 for name in result)
