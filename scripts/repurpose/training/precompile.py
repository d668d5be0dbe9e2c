"""All compiled loops, of training and of scoring, compiled before anybody waits for them."""

import numpy as np
from scipy import sparse

from repurpose.classifier import trees
from repurpose.graph.graph import Graph, Relation
from repurpose.hgt import hgt
from repurpose.kernels import lowrank
from repurpose.training import preparation, training

WIDTHS = (8, 16, 32, 64)  # of heads: those of the presets and the usual ones
SETTINGS = training.Settings(
    epochs=1,
    sampled_epochs=1,
    learning_rate=0.01,
    edge_sample_size=1,
    supervision_share=0.5,
    batch_size=1,
    fanout=(1,),
    valid_share=0.0,
    valid_every=1,
    degree_matched_share=0.5,
    ranking={"weight": 0, "edges": 2},
    contrastive={"weight": 0, "relations": []},
)


def step(width: int) -> None:
    """Run the loops for heads of one width once, on a graph of three edges; numba keeps the machine code."""
    encoder = hgt.Settings(
        hidden_dim=width,
        embedding_dim=8,
        layers=1,
        heads=1,
        attention="fused",
        dropout=0.0,
        decoder="distmult",
    )
    for batching in preparation.BATCHINGS:
        where = {"tail_type": "b", "device": "cpu", "batching": batching, "seed": 0}
        steps = preparation.prepare(_graph(), encoder, SETTINGS, **where)
        steps.take(1)
        steps.embed()


def linear_algebra() -> None:
    """Run the product of a sparse matrix once, on one entry."""
    lowrank.svd(sparse.csr_array(np.ones((1, 1), np.float32)), 1, 0)


def scoring() -> None:
    """Run the loop over trees once, on a leaf."""
    node = np.full(1, trees.LEAF, np.int64)
    root, value = np.array([0, 1], np.int64), np.zeros(1, np.float32)
    forest = trees.Forest(root, node, node, node, node, value, np.float32(0), 1)
    trees.scores(forest, trees.columns(np.zeros((1, 1), np.float32)), np.zeros((1, 1), np.float32))


def _graph() -> Graph:
    ids = {t: np.array(["1", "2"], object) for t in ("a", "b")}
    heads, tails = (np.array(each, np.int32) for each in ([0, 1, 1], [0, 0, 1]))
    return Graph(("a", "b"), ids, ids, (Relation("a", "to", "b", 3, "message", False),), (heads,), (tails,))
