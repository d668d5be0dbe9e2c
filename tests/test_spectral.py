"""Inputs that start from a truncated SVD: of the edges given, of one scale, where there are edges."""

import dataclasses

import communities
import numpy as np
import planted
import pytest
import test_training

from repurpose import baselines, graph, hgt, preparation, spectral

ENCODER = dataclasses.replace(test_training.ENCODER, embedding_dim=24, inputs="spectral", output="all")
KG = communities.build()


def edges_of(kg):
    return [np.stack([kg.heads[i], kg.tails[i]]).astype(np.int64) for i in kg.of_role("message")]


def prepared(encoder, seed=0):
    where = {"tail_type": "disease", "device": "cpu", "batching": "full", "seed": seed}
    return preparation.prepare(KG, encoder, test_training.SETTINGS, **where)


def test_the_baseline_is_the_svd_of_all_message_edges():
    rows = spectral.rows(KG, edges_of(KG), 8, 0)
    for node_type, found in baselines.svd(KG, 8, 0).items():
        assert np.array_equal(found, rows[graph.span(KG, node_type)])


def test_inputs_are_of_one_scale_and_leave_out_nodes_without_edges():
    kg = planted.graph(
        {"drug": 9, "gene": 12}, [("drug", "binds", "gene", "message", [(0, 0), (1, 0), (1, 2)])]
    )
    inputs = spectral.inputs(kg, edges_of(kg), 4, 0.5, 0)
    nodes, rows = inputs[0]
    assert nodes.tolist() == [0, 1] and inputs[1][0].tolist() == [0, 2]
    assert np.sqrt((rows**2).mean(axis=1)) == pytest.approx([0.5, 0.5], rel=1e-5)


def test_a_graph_smaller_than_the_width_is_filled_with_zeros():
    kg = planted.graph(
        {"drug": 2, "gene": 2}, [("drug", "binds", "gene", "message", [(0, 0), (1, 0), (1, 1)])]
    )
    _, rows = spectral.inputs(kg, edges_of(kg), 8, 0.5, 0)[0]
    assert rows.shape == (2, 8) and not rows[:, 3:].any() and rows[:, :3].any()


def test_a_training_starts_from_the_svd_of_its_training_edges_alone():
    steps = prepared(ENCODER)
    train = steps.objective.held.train
    given = spectral.inputs(KG, train, 16, hgt.INPUT_SCALE, 0)
    found = steps.model.inputs.detach().numpy()
    for number, (nodes, rows) in given.items():
        assert np.array_equal(found[nodes + steps.model.bounds[number]], rows)
    assert sum(each.shape[1] for each in train) < sum(each.shape[1] for each in edges_of(KG))
    everything = spectral.rows(KG, edges_of(KG), 16, 0)
    assert not np.allclose(spectral.rows(KG, train, 16, 0), everything, atol=1e-3)


def test_learned_inputs_are_random_as_before():
    learned = prepared(dataclasses.replace(ENCODER, inputs="learned")).model
    assert np.array_equal(learned.inputs.detach().numpy(), hgt.build(KG, ENCODER, 0).inputs.detach().numpy())


@pytest.mark.parametrize("batching", ["full", "sampled"])
def test_all_writes_the_inputs_beside_what_the_layers_give(batching):
    result, _ = test_training.fit(encoder=ENCODER, batching=batching, epochs=30)
    assert result.record["status"] == "completed"
    steps = prepared(ENCODER)
    assert steps.model.outputs[0].out_features == 8
    vectors = np.concatenate([result.vectors[t] for t in KG.node_types])
    assert vectors.shape == (260, 24)
    start = spectral.rows(KG, steps.objective.held.train, 16, 0)
    inputs, layers = vectors[:, :16], vectors[:, 16:]
    # Training moves the inputs, and they remain what they were at first to a large part.
    cosine = (start * inputs).sum(1) / np.linalg.norm(inputs, axis=1)
    assert 0.5 < cosine[start.any(axis=1)].mean() < 0.9999
    for part in (inputs, layers):
        assert np.abs(part.mean(axis=1)).max() < 1e-5
        assert (part**2).mean(axis=1) == pytest.approx(np.ones(260), rel=0.02)


def test_an_encoder_without_room_for_its_inputs_is_refused():
    with pytest.raises(ValueError, match="leaves no room"):
        dataclasses.replace(ENCODER, embedding_dim=16)
    with pytest.raises(ValueError, match="neither learned nor spectral"):
        dataclasses.replace(ENCODER, inputs="constant")
    with pytest.raises(ValueError, match="neither last nor all"):
        dataclasses.replace(ENCODER, output="first")
