"""The encoder is the same model with both attentions; tests of its inputs and decoder."""

import dataclasses

import communities
import numpy as np
import pytest
import small_trainings
import torch

from repurpose.config.sections import EncoderSettings
from repurpose.core.errors import InputError
from repurpose.hgt import hgt
from repurpose.hgt.backends import FusedBackend, PygBackend

SETTINGS = dataclasses.replace(small_trainings.ENCODER, embedding_dim=12)
PYG = dataclasses.replace(SETTINGS, attention="pyg")


@pytest.fixture(name="kg", scope="module")
def small():
    return communities.build()


def build_both(kg, settings=SETTINGS):
    """The same model with the fused layers and with PyG's; no parameter is zero."""
    models = [
        hgt.build(kg, dataclasses.replace(settings, attention=name), seed=3) for name in ("fused", "pyg")
    ]
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in models[0].parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    models[1].load_state_dict(models[0].state_dict())
    return models


def results(model, kg, hidden):
    """Scores of some triples, vectors of some nodes, and the gradients of all parameters."""
    edges = model.prepare(kg.message_edges()).without(hidden)
    generator = torch.Generator().manual_seed(2)
    relation = torch.arange(4).repeat_interleave(50)
    head, tail = torch.randint(0, 260, (2, 200), generator=generator)
    scores, vectors = model.read(model(edges), relation, head, tail, torch.tensor([3, 200, 3]))
    (scores.pow(2).sum() + vectors[:, ::2].sum()).backward()
    gradients = {name: each.grad for name, each in model.named_parameters() if each.requires_grad}
    return {"scores": scores.detach(), "vectors": vectors.detach(), **gradients}


@pytest.mark.parametrize("decoder", ["distmult", "dot"])
def test_fused_and_pyg_are_the_same_model(kg, decoder):
    fused, pyg = build_both(kg, dataclasses.replace(SETTINGS, decoder=decoder))
    hidden = [np.array([0, 5]), np.zeros(0, np.int64), np.arange(0, 40, 3), np.array([1])]
    result, expected = results(fused, kg, hidden), results(pyg, kg, hidden)
    assert result.keys() == expected.keys()
    for name, truth in expected.items():
        assert (result[name] - truth).abs().max() <= 2e-5 * truth.abs().max() + 1e-6, name


def test_hidden_edges_change_the_result_of_both(kg):
    hidden = [np.arange(30), *[np.zeros(0, np.int64)] * 3]
    for model in build_both(kg):
        edges = model.prepare(kg.message_edges())
        assert (model(edges.whole) - model(edges.without(hidden))).abs().max() > 1e-3


def test_fused_runs_on_the_cpu_only_and_only_if_it_is_chosen(kg):
    assert isinstance(hgt.build(kg, SETTINGS, seed=0, device="cpu").backend, FusedBackend)
    assert isinstance(hgt.build(kg, PYG, seed=0, device="cpu").backend, PygBackend)
    assert isinstance(hgt.build(kg, SETTINGS, seed=0, device="meta").backend, PygBackend)


def test_dropout_works_in_training_only(kg):
    for attention in ("fused", "pyg"):
        settings = dataclasses.replace(SETTINGS, dropout=0.5, attention=attention)
        model = hgt.build(kg, settings, seed=0)
        edges = model.prepare(kg.message_edges()).whole
        assert not torch.equal(model(edges), model(edges))
        model.eval()
        assert torch.equal(model(edges), model(edges))


def test_undirected_relations_send_messages_both_ways_and_directed_ones_have_two_types(kg):
    model = hgt.build(kg, PYG, seed=3)
    names = [len(pair) for pair in model.edge_types]
    assert names == [2, 2, 1, 2]  # disease-gene, drug-gene, gene-gene (symmetric), gene-regulates-gene
    symmetric = model.prepare(kg.message_edges()).whole[("n2", "r2", "n2")]
    assert {tuple(e) for e in symmetric.T.tolist()} == {tuple(e) for e in symmetric.flip(0).T.tolist()}


@pytest.mark.parametrize("settings", [SETTINGS, PYG], ids=["fused", "pyg"])
def test_a_graph_without_messages_has_embeddings_all_the_same(kg, settings):
    model = hgt.build(kg, settings, seed=3).eval()
    z = model(model.prepare([np.zeros((2, 0), np.int64) for _ in model.edge_types]).whole)
    assert z.shape == (260, 12)
    assert torch.isfinite(z).all()
    assert len(torch.unique(z, dim=0)) == 260


def test_node_type_names_may_be_anything(kg):
    renamed = {"disease": "dis.ease", "drug": "values", "gene": "gene/protein"}
    relations = tuple(
        type(r)(renamed[r.head_type], r.relation, renamed[r.tail_type], r.edges, r.role, r.directed)
        for r in kg.relations
    )
    ids = {renamed[t]: v for t, v in kg.node_ids.items()}
    odd = type(kg)(tuple(sorted(ids)), ids, ids, relations, kg.heads, kg.tails)
    for settings in (SETTINGS, PYG):
        model = hgt.build(odd, settings, seed=0)
        assert model(model.prepare(odd.message_edges()).whole).shape == (260, 12)


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


def test_a_seed_fixes_the_model(kg):
    first, again, other = (hgt.build(kg, SETTINGS, seed=s).inputs for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_inputs_differ_from_node_to_node(kg):
    inputs = hgt.build(kg, SETTINGS, seed=3).inputs
    assert len(torch.unique(inputs, dim=0)) == len(inputs) == 260


@pytest.mark.parametrize(("key", "value"), [("heads", 5), ("decoder", "mlp"), ("attention", "flash")])
def test_impossible_settings_are_refused(key, value):
    with pytest.raises((ValueError, InputError), match=str(value)):
        EncoderSettings(**{**vars(SETTINGS), key: value})
