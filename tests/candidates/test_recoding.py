"""The vectors of a pair without some edges are those that the whole model gives on the smaller graph."""

import numpy as np
import pytest
import torch
from edge_removals import KG, SETTINGS, SHAPES, fitted, some_paths
from torch_geometric.nn.conv import hgt_conv

from repurpose.candidates import recoding
from repurpose.core.errors import InputError
from repurpose.graph import matrices
from repurpose.hgt import hgt, node_layer, trained
from repurpose.hgt.message_edges import EdgeLists
from repurpose.vectors import profiles


def smaller(edges, path):
    """The edges without those of a path."""
    bounds = np.cumsum([0, *(KG.count(t) for t in KG.node_types)])
    left = []
    for index, each in zip(KG.of_role("message"), edges, strict=True):
        relation = KG.relations[index]
        first = [bounds[KG.node_types.index(t)] for t in (relation.head_type, relation.tail_type)]
        kept = np.ones(each.shape[1], bool)
        for here, there, number, forward in recoding._edges(path):
            head, tail = (here, there) if forward else (there, here)
            kept &= ~((number == index) & (each[0] + first[0] == head) & (each[1] + first[1] == tail))
        left.append(each[:, kept])
    return left


@pytest.mark.parametrize("batching", ["full", "sampled"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_node_comes_out_as_it_is_stored(monkeypatch, shape, batching):
    recoder, _, _ = fitted(monkeypatch, shape, batching)
    for node in range(len(recoder.stored)):
        state = recoder._states((node,), (), {})[node]
        assert recoder._vector(node, state, {}) == pytest.approx(recoder.stored[node], abs=2e-5)
        recoder.check(node)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_layers_part_is_what_the_model_gives_on_the_smaller_graph(monkeypatch, shape):
    recoder, model, edges = fitted(monkeypatch, shape)
    changed = 0
    for path in some_paths():
        left = smaller(edges, path)
        with torch.no_grad():
            z = model(model.prepare(left).whole).numpy()[[path.nodes[0], path.nodes[-1]]]
        found = recoder.without(path)[:, -z.shape[1] :]
        assert directions(found) == pytest.approx(directions(z), abs=2e-5)
        before = recoder.stored[[path.nodes[0], path.nodes[-1]], -z.shape[1] :]
        changed += not np.allclose(directions(before), directions(z), atol=1e-3)
    assert changed > 6


def directions(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_profiles_part_is_the_smaller_profile_on_the_same_axes(monkeypatch):
    recoder, _, edges = fitted(monkeypatch, "all parts")
    dim, differ = recoder.profile_dim, 0
    for path in some_paths():
        left = smaller(edges, path)
        for node, node_type, found in zip(
            (path.nodes[0], path.nodes[-1]), ("drug", "disease"), recoder.without(path), strict=True
        ):
            span = KG.span(node_type)
            columns, at = profiles.columns(KG, node_type, dim), node - span.start
            for number, (side, (whole, fewer)) in enumerate(frozen(edges, left, node_type).items()):
                divisors = recoder.trained.divisors[span, number]
                raw = recoder.stored[span, columns[side]] * divisors[:, None]
                axes = np.linalg.pinv(whole.toarray().astype(np.float64), rcond=1e-3) @ raw
                expected = raw[at] + (fewer[[at]] - whole[[at]]).toarray()[0] @ axes
                # To length 1 / sqrt(sides), but for what is shorter than 0.05 of the longest.
                scale = max(np.linalg.norm(expected) * np.sqrt(len(columns)), 0.05 * divisors.max())
                assert found[columns[side]] == pytest.approx(expected / scale, abs=2e-3)
                differ += not np.allclose(found[columns[side]], raw[at] / divisors[at], atol=2e-2)
    assert differ > 6


def frozen(edges, left, node_type):
    """Side -> profiles before and after, with neighbours as rare after as before."""
    whole, fewer = (profiles.weighted_neighbours(KG, each, node_type) for each in (edges, left))
    result = {}
    for side, block in whole.items():
        kept = fewer[side].copy() if side in fewer else block * 0
        kept.data[:] = 1
        result[side] = profiles.unit_rows(block), profiles.unit_rows(kept.multiply(block).tocsr())
    return result


def test_the_svds_part_is_the_sum_of_the_neighbours_that_are_left(monkeypatch):
    recoder, _, edges = fitted(monkeypatch, "all parts")
    part, differ = slice(recoder.profile_dim, recoder.profile_dim + recoder.svd_dim), 0
    rows = recoder._unit(np.arange(len(recoder.stored))) * recoder.trained.lengths[:, None]
    for path in some_paths():
        joined = matrices.adjacency(KG, smaller(edges, path))
        for node, found in zip((path.nodes[0], path.nodes[-1]), recoder.without(path), strict=True):
            around = joined[[node]].toarray()[0] / np.sqrt(np.maximum(recoder.degrees, 1))
            expected = (around @ rows) / recoder.trained.values
            direction = found[part] / np.linalg.norm(found[part])
            assert direction @ expected / np.linalg.norm(expected) == pytest.approx(
                1, abs=0.005
            )  # as far as it converged
            before = recoder.stored[node, part] / np.linalg.norm(recoder.stored[node, part])
            differ += before @ direction < 0.98
    assert differ > 6


def test_a_node_without_edges_has_no_direction_and_a_short_vector(monkeypatch):
    recoder, _, _ = fitted(monkeypatch, "all parts")
    (node, *_) = np.flatnonzero(recoder.degrees == recoder.degrees[recoder.degrees > 0].min())
    missing = {int(node): np.ones(recoder.degrees[node], bool)}
    assert not recoder._direction(int(node), missing).any()


def test_edges_that_were_held_out_change_nothing(monkeypatch):
    recoder, _, edges = fitted(monkeypatch, "all parts", valid_share=0.3)
    held = [way for way in some_paths(200) if smaller_by(edges, way) == 0]
    for path in held:
        stored = recoder.stored[[path.nodes[0], path.nodes[-1]]]
        assert recoder.without(path) == pytest.approx(stored, abs=2e-5)
    assert held


def split_up(stored):
    return {t: stored[KG.span(t)] for t in KG.node_types}


def smaller_by(edges, path):
    return sum(a.shape[1] - b.shape[1] for a, b in zip(edges, smaller(edges, path), strict=True))


def test_attention_is_that_of_pygs_layer(monkeypatch):
    recoder, model, edges = fitted(monkeypatch, "all parts")
    seen = []
    monkeypatch.setattr(
        hgt_conv, "softmax", lambda *args, plain=hgt_conv.softmax: seen.append(plain(*args)) or seen[-1]
    )
    layer, parts = model.layers[-1], torch.from_numpy(recoder.trained.states[-1])
    lists = EdgeLists([torch.from_numpy(each) for each in edges], model.edge_types).whole
    with torch.no_grad():
        layer(dict(zip(model.names, hgt._split(parts, model.bounds), strict=True)), lists)
    (weights,) = seen
    target = torch.cat([each[1] + model.bounds[int(t[2][1:])] for t, each in lists.items()])
    for node in range(len(recoder.stored)):
        own = weights[target == node].mean(dim=1).sort(descending=True).values.numpy()
        assert [weight for *_, weight in recoder.attended(node, 99)] == pytest.approx(own, abs=1e-6)
        assert len(list(recoder.attended(node, 2))) == min(2, recoder.degrees[node])


def test_attended_nodes_are_neighbours_by_that_relation(monkeypatch):
    recoder, _, _ = fitted(monkeypatch, "all parts")
    joined = {(a, b, r) for way in some_paths(99) for a, b, r, _ in recoding._edges(way)}
    found = {
        (node, other, relation)
        for node in {a for a, *_ in joined}
        for other, relation, _ in recoder.attended(node, 99)
    }
    held = len(joined - found)
    assert held < 0.3 * len(joined)


def test_an_encoder_of_other_vectors_is_refused(monkeypatch, tmp_path):
    recoder, _, _ = fitted(monkeypatch, "all parts")
    origin = {"valid_share": str(SETTINGS.valid_share), "seed": "3"}
    path = tmp_path / "encoder.safetensors"
    trained.save(path, recoder.trained)
    read = trained.load(path)
    vectors = split_up(recoder.stored)
    recoding.read(KG, ("drug", "disease"), read, vectors, origin, path)
    other = {t: rows[::-1] for t, rows in vectors.items()}
    with pytest.raises(InputError, match=r"encoder\.safetensors is not the encoder of the embeddings"):
        recoding.read(KG, ("drug", "disease"), read, other, origin, path)
    with pytest.raises(InputError, match=r"not the encoder .*what its profiles were divided by.*--forcerun"):
        recoding.read(KG, ("drug", "disease"), read._replace(divisors=None), vectors, origin, path)


def test_a_refused_training_leaves_a_file_without_an_encoder(tmp_path):
    path = tmp_path / "encoder.safetensors"
    trained.save(path, None)
    with pytest.raises(InputError, match=r"encoder\.safetensors holds no encoder"):
        trained.load(path)
    path.write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"encoder\.safetensors holds no encoder"):
        trained.load(path)


def test_a_type_that_receives_nothing_keeps_what_it_has():
    rng = np.random.default_rng(0)
    shapes = (1, 24, 8), (1, 24), (2, 2, 1, 4, 4), (1, 8, 8), (1, 8)
    layer = trained.Parameters(*(rng.normal(size=shape) for shape in shapes), np.zeros(1))
    row, none = np.arange(8.0), np.zeros(0, int)
    assert node_layer.output(layer, 0, row, node_layer.Neighbours(np.zeros((0, 8)), none, none)) is row
