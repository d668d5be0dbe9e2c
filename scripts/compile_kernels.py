"""Compile the kernels for training and scoring before the first run; "make env" calls this script.

Each loop runs once on a tiny input, and numba caches its machine code. The attention loops are compiled for
each common width of an attention head.
"""

import time

import numpy as np
from scipy import sparse

from repurpose.classifier import trees
from repurpose.config.sections import EncoderSettings, TrainingSettings
from repurpose.graph.graph import Graph, Relation
from repurpose.kernels import compiled, lowrank
from repurpose.training import preparation, training

WIDTHS = (8, 16, 32, 64)  # of an attention head: those of the presets and other common ones
SETTINGS = TrainingSettings(
    epochs=1,
    sampled_epochs=1,
    learning_rate=0.01,
    edge_sample_size=1,
    supervision_share=0.5,
    batch_size=1,
    fanout=(1,),
    valid_share=1e-9,
    valid_every=1,
    degree_matched_share=0.5,
    ranking={"weight": 0, "edges": 2},
    contrastive={"weight": 0, "relations": []},
)


def main() -> None:
    """Compile everything and print how long it took."""
    print("Compiling kernels, about a minute at most.", flush=True)
    started = time.perf_counter()
    for width in WIDTHS:
        compile_training(width)
    compile_linear_algebra()
    compile_scoring()
    print(f"Compiled in {time.perf_counter() - started:.0f} s; the code lies in {compiled.CACHE}.")


def compile_training(width: int) -> None:
    """Train one full-batch and one sampled step on a graph of three edges; width: of an attention head."""
    encoder = EncoderSettings(
        hidden_dim=width,
        embedding_dim=8,
        layers=1,
        heads=1,
        attention="fused",
        dropout=0.0,
        decoder="distmult",
        inputs="learned",
        svd_dim=0,
        profile_dim=0,
    )
    for batching in preparation.BATCHINGS:
        job = training.Job(_graph(), encoder, SETTINGS, "b", "cpu", batching, seed=0)
        steps, _ = preparation.prepare(job)
        steps.take(1)
        steps.embed()


def compile_linear_algebra() -> None:
    """Compute the SVD of a sparse matrix with one entry."""
    lowrank.svd(sparse.csr_array(np.ones((1, 1), np.float32)), 1, 0)


def compile_scoring() -> None:
    """Score one pair with a tree that has a single leaf, by vectors and by features of the pair."""
    node = np.full(1, trees.LEAF, np.int64)
    root, value = np.array([0, 1], np.int64), np.zeros(1, np.float32)
    forest = trees.Forest(root, node, node, node, node, value, np.float32(0), 1)
    trees.scores(forest, trees.columns(np.zeros((1, 1), np.float32)), np.zeros((1, 1), np.float32))
    trees.column_scores(forest, np.zeros((1, 1, 1), np.float32))


def _graph() -> Graph:
    ids = {t: np.array(["1", "2"], object) for t in ("a", "b")}
    heads, tails = (np.array(indices, np.int32) for indices in ([0, 1, 1], [0, 0, 1]))
    return Graph(("a", "b"), ids, ids, (Relation("a", "to", "b", 3, "message", False),), (heads,), (tails,))


if __name__ == "__main__":
    main()
