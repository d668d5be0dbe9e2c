"""Counterfactual vectors equal those of the whole model on the graph without the removed edges."""

import dataclasses

import edge_removals
import numpy as np
import pytest
import torch
from edge_removals import KG, ORIGIN, SETTINGS, SHAPES, TYPES, fitted, some_paths
from torch_geometric.nn.conv import HGTConv, hgt_conv

from repurpose.candidates import counterfactual
from repurpose.candidates.counterfactual import CounterfactualEncoder
from repurpose.classifier import pair_model
from repurpose.core.errors import InputError
from repurpose.graph import holdout, matrices
from repurpose.hgt import backends, node_layer, trained
from repurpose.hgt.message_edges import EdgeLists
from repurpose.vectors import embeddings, profiles
from repurpose.vectors.vectors import Vectors


def smaller(edges, path):
    """The edges of each relation without those of a path."""
    bounds = np.cumsum([0, *(KG.count(t) for t in KG.node_types)])
    remaining = []
    for index, relation_edges in zip(KG.of_role("message"), edges, strict=True):
        relation = KG.relations[index]
        first = [bounds[KG.node_types.index(t)] for t in (relation.head_type, relation.tail_type)]
        kept = np.ones(relation_edges.shape[1], bool)
        for start, end, number, forward in counterfactual._edges(path):
            head, tail = (start, end) if forward else (end, start)
            kept &= ~(
                (number == index)
                & (relation_edges[0] + first[0] == head)
                & (relation_edges[1] + first[1] == tail)
            )
        remaining.append(relation_edges[:, kept])
    return remaining


@pytest.mark.parametrize("batching", ["full", "sampled"])
@pytest.mark.parametrize("shape", SHAPES)
def test_recomputed_vectors_equal_the_stored_vectors(monkeypatch, shape, batching):
    encoder, _, _ = fitted(monkeypatch, shape, batching)
    for node in range(len(encoder.stored)):
        state = encoder._states((node,), (), {})[node]
        assert encoder._vector(node, state, {}) == pytest.approx(encoder.stored[node], abs=2e-5)
        encoder.check(node)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_encoder_part_equals_the_models_output_on_the_smaller_graph(monkeypatch, shape):
    encoder, model, edges = fitted(monkeypatch, shape)
    changed = 0
    for path in some_paths():
        remaining = smaller(edges, path)
        with torch.no_grad():
            z = model(model.prepare(remaining).whole).numpy()[[path.nodes[0], path.nodes[-1]]]
        found = encoder.without(path)[:, -z.shape[1] :]
        assert directions(found) == pytest.approx(directions(z), abs=2e-5)
        before = encoder.stored[[path.nodes[0], path.nodes[-1]], -z.shape[1] :]
        changed += not np.allclose(directions(before), directions(z), atol=1e-3)
    assert changed > 6


def directions(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_profile_part_is_the_smaller_graphs_profile_on_the_same_axes(monkeypatch):
    encoder, _, edges = fitted(monkeypatch, "all parts")
    dim, differ = encoder.profile_dim, 0
    for path in some_paths():
        remaining = smaller(edges, path)
        for node, node_type, found in zip(
            (path.nodes[0], path.nodes[-1]), ("drug", "disease"), encoder.without(path), strict=True
        ):
            span = KG.span(node_type)
            columns, at = profiles.columns(KG, node_type, dim), node - span.start
            for number, (side, (whole, fewer)) in enumerate(frozen(edges, remaining, node_type).items()):
                divisors = encoder.trained.divisors[span, number]
                raw = encoder.stored[span, columns[side]] * divisors[:, None]
                axes = np.linalg.pinv(whole.toarray().astype(np.float64), rcond=1e-3) @ raw
                expected = raw[at] + (fewer[[at]] - whole[[at]]).toarray()[0] @ axes
                # Scaled to length 1 / sqrt(sides), except rows below 0.05 of the longest.
                scale = max(np.linalg.norm(expected) * np.sqrt(len(columns)), 0.05 * divisors.max())
                assert found[columns[side]] == pytest.approx(expected / scale, abs=2e-3)
                differ += not np.allclose(found[columns[side]], raw[at] / divisors[at], atol=2e-2)
    assert differ > 6


def frozen(edges, remaining, node_type):
    """Side -> profiles before and after the removal; the TF-IDF weights of neighbours stay."""
    whole, fewer = (profiles.weighted_neighbours(KG, each, node_type) for each in (edges, remaining))
    result = {}
    for side, block in whole.items():
        kept = fewer[side].copy() if side in fewer else block * 0
        kept.data[:] = 1
        result[side] = profiles.unit_rows(block), profiles.unit_rows(kept.multiply(block).tocsr())
    return result


def test_the_svd_part_is_the_sum_over_the_remaining_neighbours(monkeypatch):
    encoder, _, edges = fitted(monkeypatch, "all parts")
    part, differ = slice(encoder.profile_dim, encoder.profile_dim + encoder.svd_dim), 0
    rows = encoder._unit(np.arange(len(encoder.stored))) * encoder.trained.lengths[:, None]
    for path in some_paths():
        adjacency = matrices.adjacency(KG, smaller(edges, path))
        for node, found in zip((path.nodes[0], path.nodes[-1]), encoder.without(path), strict=True):
            around = adjacency[[node]].toarray()[0] / np.sqrt(np.maximum(encoder.degrees, 1))
            expected = (around @ rows) / encoder.trained.values
            direction = found[part] / np.linalg.norm(found[part])
            assert direction @ expected / np.linalg.norm(expected) == pytest.approx(
                1, abs=0.005
            )  # up to the SVD's convergence
            before = encoder.stored[node, part] / np.linalg.norm(encoder.stored[node, part])
            differ += before @ direction < 0.98
    assert differ > 4


def test_the_svd_part_of_a_node_without_edges_is_zero(monkeypatch):
    encoder, _, _ = fitted(monkeypatch, "all parts")
    (node, *_) = np.flatnonzero(encoder.degrees == encoder.degrees[encoder.degrees > 0].min())
    missing = {int(node): np.ones(encoder.degrees[node], bool)}
    assert not encoder._direction(int(node), missing).any()


def test_removing_held_out_edges_changes_nothing(monkeypatch):
    encoder, _, edges = fitted(monkeypatch, "all parts", valid_share=0.3)
    held = [way for way in some_paths(200) if smaller_by(edges, way) == 0]
    for path in held:
        stored = encoder.stored[[path.nodes[0], path.nodes[-1]]]
        assert encoder.without(path) == pytest.approx(stored, abs=2e-5)
    assert held


def split_up(stored):
    return {t: stored[KG.span(t)] for t in KG.node_types}


def smaller_by(edges, path):
    return sum(a.shape[1] - b.shape[1] for a, b in zip(edges, smaller(edges, path), strict=True))


def test_attention_equals_that_of_pygs_layer(monkeypatch):
    encoder, model, edges = fitted(monkeypatch, "all parts")
    seen = []
    monkeypatch.setattr(
        hgt_conv, "softmax", lambda *args, plain=hgt_conv.softmax: seen.append(plain(*args)) or seen[-1]
    )
    layer, parts = model.layers[-1], torch.from_numpy(encoder.trained.states[-1])
    pygs = HGTConv(layer.in_channels, layer.out_channels, (layer.node_types, layer.edge_types), layer.heads)
    pygs.load_state_dict(layer.state_dict())
    lists = EdgeLists([torch.from_numpy(each) for each in edges], model.edge_types).whole
    with torch.no_grad():
        pygs(dict(zip(layer.node_types, backends.split(parts, model.bounds), strict=True)), lists)
    (weights,) = seen
    target = torch.cat([each[1] + model.bounds[int(t[2][1:])] for t, each in lists.items()])
    for node in range(len(encoder.stored)):
        own = weights[target == node].mean(dim=1).sort(descending=True).values.numpy()
        assert [weight for *_, weight in encoder.attended(node, 99)] == pytest.approx(own, abs=1e-6)
        assert len(list(encoder.attended(node, 2))) == min(2, encoder.degrees[node])


def test_attended_nodes_are_neighbours_over_the_reported_relation(monkeypatch):
    encoder, _, _ = fitted(monkeypatch, "all parts")
    path_edges = {(a, b, r) for way in some_paths(99) for a, b, r, _ in counterfactual._edges(way)}
    attended_edges = {
        (node, other, relation)
        for node in {a for a, *_ in path_edges}
        for other, relation, _ in encoder.attended(node, 99)
    }
    held = len(path_edges - attended_edges)
    assert held < 0.3 * len(path_edges)


def test_the_encoder_of_other_vectors_is_refused(monkeypatch, tmp_path):
    encoder, _, _ = fitted(monkeypatch, "all parts")
    path = tmp_path / "encoder.safetensors"
    trained.save(path, encoder.trained)
    vectors = split_up(encoder.stored)
    counterfactual.read(path, KG, TYPES, vectors, ORIGIN)
    reversed_vectors = {t: rows[::-1] for t, rows in vectors.items()}
    with pytest.raises(InputError, match=r"encoder\.safetensors is not the encoder of the embeddings"):
        counterfactual.read(path, KG, TYPES, reversed_vectors, ORIGIN)
    trained.save(path, encoder.trained._replace(divisors=None))
    with pytest.raises(
        InputError, match=r"not the encoder .*it does not record the divisors of its profiles.*--forcerun"
    ):
        counterfactual.read(path, KG, TYPES, vectors, ORIGIN)


def test_a_file_without_an_encoder_is_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    trained.save(path, None)
    with pytest.raises(InputError, match=r"encoder\.safetensors holds no encoder"):
        trained.load(path)
    path.write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"encoder\.safetensors holds no encoder"):
        trained.load(path)


def test_a_node_without_messages_keeps_its_state():
    rng = np.random.default_rng(0)
    shapes = (1, 24, 8), (1, 24), (2, 2, 1, 4, 4), (1, 8, 8), (1, 8)
    layer = trained.Parameters(*(rng.normal(size=shape) for shape in shapes), np.zeros(1))
    row, none = np.arange(8.0), np.zeros(0, int)
    assert node_layer.output(layer, 0, row, node_layer.Neighbours(np.zeros((0, 8)), none, none)) is row


def changes_by_path(scorer):
    ways = some_paths(30)
    return list(zip(ways, scorer.changes(ways), strict=True))


def test_a_change_is_the_score_difference_with_the_counterfactual_vectors():
    scorer = edge_removals.scorer()
    encoder, score = scorer.encoder, pair_model.scorer(scorer.model, scorer.vectors, 1)
    moved = 0
    for way, change in changes_by_path(scorer):
        head, tail = way.nodes[0] - encoder.first[0], way.nodes[-1] - encoder.first[1]
        heads, tails = scorer.vectors.heads.copy(), scorer.vectors.tails.copy()
        heads[head], tails[tail] = encoder.without(way)
        without = pair_model.scorer(scorer.model, Vectors(heads, tails, product=True), 1)
        pair = np.array([head]), np.array([tail])
        assert change == pytest.approx(float(without(*pair)[0, 0] - score(*pair)[0, 0]), abs=1e-2)
        moved += abs(change) > 0.05
    assert moved > 10


def test_without_paths_there_are_no_changes():
    assert edge_removals.scorer().changes([]) == []


def test_the_encoder_is_read_from_the_files_of_a_run(tmp_path):
    scorer = edge_removals.scorer()
    vectors = split_up(scorer.encoder.stored)
    embeddings_path, encoder_path = tmp_path / "embeddings.parquet", tmp_path / "encoder.safetensors"
    embeddings.write(embeddings_path, KG, vectors, ORIGIN)
    trained.save(encoder_path, scorer.encoder.trained)
    embedded = embeddings.read(embeddings_path)
    aligned = embeddings.aligned(embedded, KG, embeddings_path)
    encoder = counterfactual.read(encoder_path, KG, TYPES, aligned, embedded.metadata)
    again = dataclasses.replace(scorer, encoder=encoder)
    assert [change for _, change in changes_by_path(again)] == pytest.approx(
        [change for _, change in changes_by_path(scorer)], abs=1e-6
    )
    trained.save(encoder_path, None)
    with pytest.raises(InputError, match="holds no encoder"):
        counterfactual.read(encoder_path, KG, TYPES, aligned, embedded.metadata)


def test_training_edges_of_another_seed_do_not_give_the_stored_vectors():
    encoder = edge_removals.scorer().encoder
    edges = holdout.split(KG, SETTINGS.valid_share, 4).train
    other = CounterfactualEncoder(KG, TYPES, encoder.trained, split_up(encoder.stored), edges)
    with pytest.raises(ValueError, match="differs by"):
        for node in range(len(other.stored)):
            other.check(node)
