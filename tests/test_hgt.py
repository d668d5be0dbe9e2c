"""The encoder equals PyG's HGTConv, and its decoder and inputs do what they say."""

import communities
import numpy as np
import pytest
import torch
from torch_geometric.nn import HGTConv

from repurpose import hgt

SETTINGS = hgt.Settings(hidden_dim=16, embedding_dim=12, layers=2, heads=4, dropout=0.0, decoder="distmult")


def edges_of(kg):
    return [
        torch.from_numpy(np.stack([kg.heads[i], kg.tails[i]]).astype(np.int64)) for i in kg.of_role("message")
    ]


def reference(layer, x, edge_index):
    """PyG's own HGTConv with the layer's parameters, in float64."""
    conv = HGTConv(16, 16, (layer.node_types, layer.edge_types), heads=4).double()
    conv.load_state_dict(layer.state_dict())
    return conv({k: v.double() for k, v in x.items()}, edge_index)


@pytest.fixture(name="model")
def built():
    return hgt.build(communities.build(), SETTINGS, seed=3)


def test_a_layer_equals_pygs_hgtconv_in_float64(model):
    kg = communities.build()
    torch.manual_seed(1)
    layer = model.layers[0]
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = {f"n{i}": torch.randn(kg.count(t), 16) for i, t in enumerate(kg.node_types)}
    edge_index = model._both_ways(edges_of(kg))
    expected = reference(layer, x, edge_index)
    found = layer(x, edge_index)
    assert set(found) == set(expected)
    for name, value in found.items():
        assert (value - expected[name]).abs().max() / expected[name].abs().max() < 1e-5


def test_gradients_equal_pygs_with_and_without_recomputing(model, monkeypatch):
    kg = communities.build()
    layer = model.layers[0]
    x = {f"n{i}": torch.randn(kg.count(t), 16) for i, t in enumerate(kg.node_types)}
    edge_index = model._both_ways(edges_of(kg))
    conv = HGTConv(16, 16, (layer.node_types, layer.edge_types), heads=4)
    conv.load_state_dict(layer.state_dict())
    sum((v**3).sum() for v in conv(x, edge_index).values()).backward()
    for limit in (hgt.KEPT_ACTIVATIONS, 0):
        monkeypatch.setattr(hgt, "KEPT_ACTIVATIONS", limit)
        layer.zero_grad()
        sum((v**3).sum() for v in layer(x, edge_index).values()).backward()
        for (name, found), (_, expected) in zip(
            layer.named_parameters(), conv.named_parameters(), strict=True
        ):
            scale = expected.grad.abs().max()
            assert (found.grad - expected.grad).abs().max() <= 1e-4 * scale + 1e-7, name


def test_undirected_relations_send_messages_both_ways_and_directed_ones_have_two_types(model):
    names = [len(pair) for pair in model.edge_types]
    assert names == [2, 2, 1, 2]  # disease-gene, drug-gene, gene-gene (symmetric), gene-regulates-gene
    symmetric = model._both_ways(edges_of(communities.build()))[("n2", "r2", "n2")]
    assert {tuple(e) for e in symmetric.T.tolist()} == {tuple(e) for e in symmetric.flip(0).T.tolist()}


def test_types_without_messages_keep_their_input(model):
    edges = [torch.zeros(2, 0, dtype=torch.int64) for _ in model.edge_types]
    z = model.eval()(edges)
    assert z.shape == (260, 12)
    assert torch.isfinite(z).all()


def test_node_type_names_may_be_anything():
    kg = communities.build()
    renamed = {"disease": "dis.ease", "drug": "values", "gene": "gene/protein"}
    relations = tuple(
        type(r)(renamed[r.head_type], r.relation, renamed[r.tail_type], r.edges, r.role, r.directed)
        for r in kg.relations
    )
    ids = {renamed[t]: v for t, v in kg.node_ids.items()}
    odd = type(kg)(tuple(sorted(ids)), ids, ids, relations, kg.heads, kg.tails)
    assert hgt.build(odd, SETTINGS, seed=0)(edges_of(odd)).shape == (260, 12)


def test_the_decoder_is_distmult_by_hand():
    decoder = hgt.Decoder(2, 4, "distmult")
    with torch.no_grad():
        decoder.weight[1] = torch.tensor([1.0, 2.0, 0.0, -1.0])
        decoder.bias[1] = 0.5
    z = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    score = decoder(z, torch.tensor([1]), torch.tensor([0]), torch.tensor([1]))
    assert score.item() == pytest.approx((1 + 4 + 0 - 4) / 2 + 0.5)


def test_only_distmult_trains_a_weight_per_relation():
    assert hgt.Decoder(2, 4, "distmult").weight.requires_grad
    assert not hgt.Decoder(2, 4, "dot").weight.requires_grad


def test_a_seed_fixes_the_model():
    kg = communities.build()
    first, again, other = (hgt.build(kg, SETTINGS, seed=s).inputs[0] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_inputs_of_a_type_differ_from_node_to_node(model):
    for table in model.inputs:
        assert len(torch.unique(table, dim=0)) == len(table)


@pytest.mark.parametrize(("key", "value"), [("heads", 5), ("decoder", "mlp")])
def test_impossible_settings_are_refused(key, value):
    with pytest.raises(ValueError, match=str(value)):
        hgt.Settings(**{**vars(SETTINGS), key: value})
