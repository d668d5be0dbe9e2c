"""How much memory a training on the CPU will take, from the counts of its graph alone."""

import numpy as np
import psutil
import torch

from repurpose import hgt
from repurpose.graph import Graph

FLOAT = 4  # bytes
COPIES = 5  # of each parameter: itself, its gradient, Adam's two moments, the best state
PER_EDGE = 60  # bytes of a directed edge: both sorted lists, those of a step, the split, what sorting leaves
LIBRARIES = 100_000_000  # bytes that libraries take when they are first used


def of_training(kg: Graph, settings: hgt.Settings, device: str) -> int | None:
    """Peak bytes of this process if it now trains on `kg`; None where the fused attention does not run.

    What the process holds already, plus parameters, edges, and the large tensors of a step at their most:
    for each layer its input, keys, values, queries and output, and on the way back one layer's gradients
    and the tables of one head; embeddings wider than a layer come on top, for little else fits their place.
    Within 15 % of what was measured from 0.2 to 3.4 million edges and widths of 32 to 512.
    """
    if not hgt.is_fused(settings, device):
        return None
    nodes = sum(kg.count(t) for t in kg.node_types)
    rows, edges = _counts(kg)
    width, dim = settings.hidden_dim, settings.embedding_dim
    head = width // settings.heads
    layers = nodes * width * 5 * (settings.layers + 1)
    tables = 4 * rows * head + 2 * nodes * head
    wider = 3 * nodes * max(0, dim - width)
    floats = COPIES * _parameters(kg, settings) + layers + tables + wider
    return psutil.Process().memory_info().rss + LIBRARIES + PER_EDGE * edges + FLOAT * floats


def _counts(kg: Graph) -> tuple[int, int]:
    """Rows (an edge type and a node that sends through it) and directed edges of the messages."""
    rows = edges = 0
    for index in kg.of_role("message"):
        relation, head, tail = kg.relations[index], kg.heads[index], kg.tails[index]
        edges += 2 * len(head)
        if relation.head_type == relation.tail_type and not relation.directed:
            rows += len(np.unique(np.concatenate([head, tail])))
        else:
            rows += len(np.unique(head)) + len(np.unique(tail))
    return rows, edges


def _parameters(kg: Graph, settings: hgt.Settings) -> int:
    """Number of parameters, counted on a model without memory."""
    with torch.device("meta"):
        model = hgt.build(kg, settings, seed=0, device="meta")
    return sum(each.numel() for each in model.parameters())
