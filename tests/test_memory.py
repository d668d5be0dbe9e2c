"""The memory of a training is predicted from counts, and measured in a process of its own."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import communities
import pytest

from repurpose import graph, hgt, memory

PROJECT = Path(__file__).resolve().parents[1]
ENCODER = hgt.Settings(
    hidden_dim=64, embedding_dim=128, layers=2, heads=4, attention="fused", dropout=0.0, decoder="distmult"
)
# A graph, the prediction, then as many steps as it takes to need everything; then what the process needed.
TRAINING = """
import dataclasses, json, sys
sys.path[:0] = sys.argv[1:3]
import attention_graph, attention_measure as measure
from repurpose import devices, memory, training
nodes, edges, width, dim, layers, heads, profile = map(int, sys.argv[3:])
kg = attention_graph.synthetic(nodes, edges, seed=0)
changes = {"hidden_dim": width, "embedding_dim": dim, "layers": layers, "heads": heads}
encoder = dataclasses.replace(measure.ENCODER, profile_dim=profile, **changes)
predicted = memory.of_training(kg, encoder, "cpu")
options = dataclasses.replace(measure._options(kg), epochs=2)
where = {"tail_type": "disease", "device": "cpu", "batching": "full", "seed": 0}
training.fit(kg, encoder, options, on_step=lambda row, steps: None, **where)
print(json.dumps([predicted, devices.peak_rss_bytes()]))
"""


@pytest.mark.parametrize(
    "sizes",
    [
        (30_000, 300_000, 128, 256, 2, 8, 0),
        (30_000, 300_000, 256, 64, 1, 8, 0),
        (30_000, 1_500_000, 32, 32, 2, 2, 0),
        (60_000, 300_000, 64, 64, 3, 4, 0),
        (60_000, 300_000, 64, 832, 2, 4, 768),
    ],
    ids=str,
)
def test_the_prediction_is_within_15_percent(sizes):
    folders = [str(PROJECT / name) for name in ("benchmarks", "scripts")]
    command = [sys.executable, "-c", TRAINING, *folders, *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    predicted, measured = json.loads(done.stdout)
    assert predicted == pytest.approx(measured, rel=0.15)


def test_it_grows_with_nodes_edges_and_widths():
    kg = communities.build()
    here = memory.of_training(kg, ENCODER, "cpu")
    for change in ({"hidden_dim": 6400}, {"embedding_dim": 12800}, {"layers": 200}):
        assert memory.of_training(kg, dataclasses.replace(ENCODER, **change), "cpu") > here + 10_000_000


def test_pygs_layer_is_not_predicted():
    kg = communities.build()
    assert memory.of_training(kg, dataclasses.replace(ENCODER, attention="pyg"), "cpu") is None
    assert memory.of_training(kg, ENCODER, "cuda") is None


def test_rows_and_edges_are_those_that_attention_has():
    kg = communities.build()
    model = hgt.build(kg, ENCODER, seed=0)
    edges = model.prepare(graph.message_edges(kg)).whole
    assert memory._counts(kg) == (len(edges.rows), edges.edges)
    assert memory._parameters(kg, ENCODER) == sum(each.numel() for each in model.parameters())
