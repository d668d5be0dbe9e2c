"""Measure in one process of benchmarks/attention.py: epochs of one implementation, or the roofline."""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numba import njit
from torch_geometric.nn import HGTConv

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from repurpose.config.sections import EncoderSettings, TrainingSettings
from repurpose.core import threads
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt, pyg_layer
from repurpose.kernels import parallel, simd
from repurpose.training import devices, preparation
from repurpose.training.preparation import Job

ENCODER = EncoderSettings(
    hidden_dim=256,
    embedding_dim=512,
    layers=2,
    heads=8,
    attention="fused",
    dropout=0.0,
    decoder="distmult",
    inputs="learned",
    svd_dim=0,
    profile_dim=0,
)
CONTRASTIVE = {"weight": 0.5, "similarity_threshold": 0.1, "temperature": 0.1, "batch_size": 512}
GENE_RELATIONS = ("assoc", "disease_protein")  # of diseases with genes: synthetic graph, demo graph
PAIR = 64  # floats in the key and value of one attention head, which are read together
REPEATS = 7  # a rate is measured so many times, and the best counts
SEED = 7


def epochs(impl: str, kg: Graph, warm: int) -> dict[str, Any]:
    """Seconds of `warm` training steps and peak memory of this process; a first step does not count.

    `impl` is fused, pyg (HGTConv without changes) or pyg-repaired (our PyG layer, nothing computed twice).
    All start with the same weights, so the loss of the first step is equal up to rounding.
    """
    threads.limit(sys.maxsize)
    if impl == "pyg":
        hgt.build = _with_stock_layers(hgt.build)
    if impl == "pyg-repaired":
        pyg_layer.KEPT_ACTIVATIONS = math.inf
    encoder = {**vars(ENCODER), "attention": "fused" if impl == "fused" else "pyg"}
    job = Job(kg, EncoderSettings(**encoder), training_settings(kg), "disease", "cpu", "full", SEED)
    steps, _ = preparation.prepare(job)
    seconds, losses, predicted = [], [], 0
    for number in range(1, 2 + warm):
        started = time.perf_counter()
        terms, draw = steps.take(number)
        losses.append(terms.total.item())
        predicted += draw.positives
        seconds.append(time.perf_counter() - started)
    return {
        "nodes": kg.nodes,
        "edges_actual": 2 * sum(edges.shape[1] for edges in steps.objective.held.train),
        "edges_hidden": 2 * predicted // len(losses),
        "threads": threads.current(),
        "first_loss": losses[0],
        "seconds": seconds[1:],
        "peak_rss_bytes": devices.peak_rss_bytes(),
    }


def roofline(kg: Graph, edges: int) -> dict[str, float]:
    """The lowest possible time of an epoch with `edges` message edges: only arithmetic and gathering of rows.

    Both amounts are counted from shapes. Arithmetic has the rate of the largest matrix product. Gathering
    has the rate of reading rows of a table of this graph's size: at random for `seconds`, and for
    `seconds_strict` in the order of the graph's list by destination, where the rows of hubs come often. No
    layer that gathers row by row is faster than `seconds_strict`.
    """
    nodes = kg.nodes
    rows, order = destination_list(kg)
    flop, gathered = dense_flop(nodes, rows, ENCODER), gathered_bytes(edges, ENCODER)
    threads.limit(sys.maxsize)
    anywhere = np.random.default_rng(SEED).integers(0, rows, len(order)).astype(np.int32)
    gemm, gather, in_order = _gemm_rate(nodes), _gather_rate(rows, anywhere), _gather_rate(rows, order)
    return {
        "seconds": flop / gemm + gathered / gather,
        "seconds_strict": flop / gemm + gathered / in_order,
        "gemm_gflops": gemm / 1e9,
        "gather_gb_s": gather / 1e9,
        "gather_in_order_gb_s": in_order / 1e9,
        "dense_gflop": flop / 1e9,
        "gathered_gb": gathered / 1e9,
    }


def dense_flop(nodes: int, rows: int, encoder: EncoderSettings) -> int:
    """Floating point operations of the dense products of an epoch; a multiply-add counts as two.

    `rows` is the number of pairs of an edge type and a node that sends over it; the key and the value of
    each pair are multiplied by a matrix per attention head. The backward pass has two products for each
    product of the forward pass.
    """
    width, per_head = encoder.hidden_dim, encoder.hidden_dim // encoder.heads
    layer = nodes * width * 3 * width + rows * 2 * width * per_head + nodes * width * width
    return 3 * 2 * (encoder.layers * layer + nodes * width * encoder.embedding_dim)


def gathered_bytes(edges: int, encoder: EncoderSettings) -> int:
    """Bytes that an epoch reads per edge: two rows of all heads, in the forward and two backward passes."""
    return encoder.layers * edges * 3 * 2 * encoder.hidden_dim * 4


def destination_list(kg: Graph) -> tuple[int, np.ndarray]:
    """The number of rows, and the row of each directed message edge, sorted by destination, then row."""
    count, rows, targets = 0, [], []
    for relation_index, offset in zip(kg.of_role("message"), kg.offsets(), strict=True):
        relation = kg.relations[relation_index]
        head, tail = np.stack([kg.heads[relation_index], kg.tails[relation_index]]) + offset
        directions = [(head, tail), (tail, head)]
        if relation.is_symmetric:
            directions = [(np.concatenate([head, tail]), np.concatenate([tail, head]))]
        for source, target in directions:
            senders, row = np.unique(source, return_inverse=True)
            rows.append(row + count)
            targets.append(target)
            count += len(senders)
    row, target = np.concatenate(rows), np.concatenate(targets)
    return count, row[np.lexsort((row, target))].astype(np.int32)


def _with_stock_layers(build: Callable[..., hgt.HGT]) -> Callable[..., hgt.HGT]:
    """`hgt.build` with layers of PyG instead of ours, which start with the same weights.

    It replaces `hgt.build`, because the run gives the parameters to its optimizer right after building.
    """

    def build_with_stock_layers(*arguments: Any) -> hgt.HGT:
        model = build(*arguments)
        for index, layer in enumerate(model.layers):
            width, metadata = layer.out_channels, (layer.node_types, layer.edge_types)
            stock = HGTConv(width, width, metadata, heads=layer.heads)
            stock.load_state_dict(layer.state_dict(), strict=True)
            model.layers[index] = stock
        return model

    return build_with_stock_layers


def training_settings(kg: Graph) -> TrainingSettings:
    """The settings of the measured steps; the contrastive loss uses the relations of diseases with genes."""
    genes = [relation.relation for relation in kg.relations if relation.relation in GENE_RELATIONS]
    return TrainingSettings(
        epochs=1,
        sampled_epochs=1,
        learning_rate=0.003,
        edge_sample_size=5000,
        supervision_share=0.5,
        batch_size=1024,
        fanout=(16, 8),
        valid_share=1e-9,
        valid_every=1,
        degree_matched_share=0.5,
        ranking={"weight": 0, "edges": 2},
        contrastive={**CONTRASTIVE, "relations": genes},
    )


def _gemm_rate(nodes: int) -> float:
    """Operations per second of the matrix product that makes keys, queries and values."""
    width = ENCODER.hidden_dim
    x, weight, y = torch.randn(nodes, width), torch.randn(width, 3 * width), torch.empty(nodes, 3 * width)
    return 2 * nodes * width * 3 * width / _shortest_time(lambda: torch.mm(x, weight, out=y))


def _gather_rate(rows: int, order: np.ndarray) -> float:
    """Bytes per second when the key and value rows of one attention head are read in the given order."""
    table, sums = np.ones((rows, PAIR), np.float32), np.empty(len(order), np.float32)
    pieces = parallel.even(len(order))
    return 4 * PAIR * len(order) / _shortest_time(lambda: parallel.run(_gather, pieces, order, table, sums))


def _shortest_time(work: Callable[[], Any]) -> float:
    """The shortest time of several calls of `work`, in seconds; a first call, to compile, does not count."""
    work()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


@njit(nogil=True, fastmath=True, error_model="numpy")
def _gather(first, last, order, table, sums):
    """Set sums[first] to the sum of the rows order[first:last], so that no read is optimised away.

    It uses `simd`, because a plain loop over a row is several times slower than reading the memory.
    """
    summed = simd.splat(PAIR, np.float32(0))
    for at in range(first, last):
        summed += simd.load(PAIR, table, order[at], 0)
    sums[first] = simd.total(summed)
