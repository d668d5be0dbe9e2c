"""The attention benchmark: its graph and its counts are right, and the fused layer is faster than PyG's."""

import dataclasses
import json
import subprocess
import sys

import attention
import attention_graph
import attention_measure
import numpy as np
import pytest
import small_trainings

from repurpose.graph.graph import Graph, Relation
from repurpose.hgt import hgt, messages

pytestmark = pytest.mark.timed

SMALL = dataclasses.replace(small_trainings.ENCODER, hidden_dim=8, heads=2)


@pytest.fixture(scope="module", name="kg")
def make_graph():
    return attention_graph.synthetic(nodes=8000, edges=100_000, seed=0)


@pytest.fixture(scope="module", name="lines")
def quick_run():
    command = [sys.executable, attention.__file__, "--json", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_synthetic_graph_has_the_requested_counts(kg):
    assert kg.nodes == pytest.approx(8000, rel=0.02)
    assert 2 * sum(len(heads) for heads in kg.heads) == pytest.approx(100_000, rel=0.02)
    assert len(kg.relations) == 9 and all(r.role == "message" and not r.directed for r in kg.relations)


def test_the_synthetic_graph_is_valid(kg, tmp_path):
    for relation, head, tail in zip(kg.relations, kg.heads, kg.tails, strict=True):
        assert relation.edges == len(head) == len(tail)
        keys = tail.astype(np.int64) * kg.count(relation.head_type) + head
        assert (np.diff(keys) > 0).all()  # sorted by tail, then head, without repeats
        if relation.head_type == relation.tail_type:
            assert (head < tail).all()  # no self-loop, and no edge in both directions
    attention_graph.save(kg, tmp_path)
    loaded = attention_graph.load(tmp_path)  # checks everything else
    assert loaded.node_types == kg.node_types and loaded.relations == kg.relations


def test_the_synthetic_graph_follows_its_seed_and_has_hubs(kg):
    again, other = (attention_graph.synthetic(nodes=8000, edges=100_000, seed=seed) for seed in (0, 1))
    assert all(map(np.array_equal, kg.heads, again.heads))
    assert not all(map(np.array_equal, kg.heads, other.heads))
    degree = np.bincount(kg.heads[2])
    assert degree.max() > 5 * degree.mean()


def test_more_edges_than_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        attention_graph.synthetic(nodes=500, edges=1_000_000, seed=0)


def test_the_counts_of_the_roofline_equal_a_hand_computed_case():
    # One layer: 10 x 8 x 24 (keys, queries, values) + 30 x 2 x 8 x 4 (relations) + 10 x 8 x 8 (output).
    layer, last = 1920 + 1920 + 640, 10 * 8 * 16
    assert attention_measure.dense_flop(nodes=10, rows=30, encoder=SMALL) == 6 * (2 * layer + last)
    # 2 layers, 100 edges, 3 passes, 2 rows of 8 floats.
    assert attention_measure.gathered_bytes(edges=100, encoder=SMALL) == 2 * 100 * 3 * 2 * 8 * 4


def test_a_row_is_a_pair_of_an_edge_type_and_a_sending_node():
    ids = {t: np.array(["0", "1", "2"], object) for t in ("a", "b")}
    relations = (Relation("a", "r", "a", 2, "message", False), Relation("a", "s", "b", 2, "message", False))
    heads = np.array([0, 1], np.int32), np.array([0, 0], np.int32)
    tails = np.array([1, 2], np.int32), np.array([0, 2], np.int32)
    kg = Graph(("a", "b"), ids, ids, relations, heads, tails)
    rows, order = attention_measure.destination_list(kg)
    # a0, a1 and a2 send over r, a0 over s, and b0 and b2 over the reverse of s.
    assert rows == 6
    assert order.tolist() == [1, 4, 5, 0, 2, 1, 3, 3]


def test_the_list_by_destination_equals_that_of_the_layer_up_to_row_numbers(kg):
    rows, order = attention_measure.destination_list(kg)
    edges = kg.message_edges()
    layer_messages = hgt.build(kg, SMALL, seed=0).prepare(edges).whole
    assert isinstance(layer_messages, messages.Messages)
    assert (rows, len(order)) == (len(layer_messages.rows), layer_messages.edges)
    assert np.array_equal(np.sort(np.bincount(order)), np.sort(np.bincount(layer_messages.target_rows)))


def test_the_line_goes_through_exact_points():
    rows = [{"edges_actual": x * 10**6, "seconds_per_epoch": 3 + 0.5 * x} for x in (1, 2, 4)]
    assert attention.fit_line(rows) == {
        "line": "fused",
        "slope_seconds_per_million_edges": 0.5,
        "intercept_seconds": 3.0,
        "r2": 1.0,
    }


def test_quick_runs_the_same_training_with_fused_and_pyg(lines):
    rows = {line["impl"]: line for line in lines if "impl" in line}
    assert set(rows) == {"fused", "pyg"}
    assert rows["fused"]["epochs"] >= 4 and rows["pyg"]["epochs"] >= 2
    for key in ("edges_actual", "edges_hidden", "nodes"):
        assert rows["fused"][key] == rows["pyg"][key]
    assert rows["fused"]["first_loss"] == pytest.approx(rows["pyg"]["first_loss"], rel=1e-4)


def test_fused_needs_less_time_and_memory_than_pyg(lines):
    rows = {line["impl"]: line for line in lines if "impl" in line}
    assert rows["pyg"]["seconds_per_epoch"] / rows["fused"]["seconds_per_epoch"] > 1
    assert rows["pyg"]["peak_rss_gb"] / rows["fused"]["peak_rss_gb"] > 1
    assert [line["ratio"] for line in lines if "ratio" in line] == ["pyg/fused"]
