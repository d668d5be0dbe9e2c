"""Check, for each node type, that rows near each other in the embedding share neighbours in the graph.

Each type is checked on its own, because a mean over relations hides a single type whose rows are in the
wrong order. The comparison is with nodes of similar degree: that hubs lie near hubs proves nothing. Each
node is compared on its own, so types that share many and types that share few neighbours have one scale.
"""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from repurpose.core import streams
from repurpose.gate import clusters
from repurpose.graph import matrices
from repurpose.graph.graph import Graph

MIN_NODES = 50  # with fewer nodes the share is too uncertain: its standard error is 0.5 / sqrt(nodes)
# In the order of degree, a degree-matched node is at most max(MIN_REACH, nodes // REACH_DIVISOR) places away,
# or twice as many at the two ends of the order.
REACH_DIVISOR = 40
MIN_REACH = 5


def neighbour_sets(kg: Graph) -> dict[str, sparse.csr_array]:
    """The neighbours of each node over all message relations: type -> (nodes, neighbours) of ones.

    Each relation has its own columns, so two nodes share a neighbour only through the same relation.
    """
    blocks_by_type: dict[str, list[sparse.csr_array]] = {}
    for relation, (heads, tails) in zip(kg.message_relations, kg.message_edges(), strict=True):
        shape = kg.count(relation.head_type), kg.count(relation.tail_type)
        forward = matrices.counts(heads, tails, shape, np.int64)
        if relation.head_type == relation.tail_type:
            blocks_by_type.setdefault(relation.head_type, []).append(forward + forward.T)
        else:
            blocks_by_type.setdefault(relation.head_type, []).append(forward)
            blocks_by_type.setdefault(relation.tail_type, []).append(forward.T)
    return {t: matrices.binarize(sparse.hstack(blocks)) for t, blocks in blocks_by_type.items()}


def measure(
    vectors: Mapping[str, np.ndarray], sets_by_type: Mapping[str, sparse.csr_array], seed: int
) -> dict[str, dict[str, float]]:
    """`nearer_share` of each node type with enough nodes; vectors: type -> (nodes, d)."""
    shares_by_type = {}
    for node_type, incidence in sets_by_type.items():
        share = nearer_share(
            vectors[node_type], incidence, streams.generator(seed, "nodes of the neighbourhoods")
        )
        if share and share["nodes"] >= MIN_NODES:
            shares_by_type[node_type] = share
    return shares_by_type


def nearer_share(
    rows: np.ndarray, incidence: sparse.csr_array, generator: np.random.Generator
) -> dict[str, float] | None:
    """Share of nodes that share more neighbours with their nearest rows than with degree-matched nodes.

    rows (n, d); incidence (n, neighbours) of ones. A node's overlap is its mean Jaccard index with its
    nearest rows by centred cosine. A tie counts one half, so rows in random order give 0.5. Only nodes that
    share a neighbour with another node count, `nodes` of them; None if there are fewer than three.
    """
    has_ends = np.flatnonzero(np.diff(incidence.indptr))
    connected_sets = sparse.csr_array(incidence[has_ends])
    shared = (connected_sets.sum(axis=0) > 1).astype(np.int64)
    sharing = np.flatnonzero(connected_sets @ shared)
    if len(sharing) < 3:
        return None
    anchors = np.sort(generator.permutation(sharing)[: clusters.ANCHORS])
    nearest = clusters.nearest_rows(rows[has_ends], anchors)
    first = np.repeat(anchors, nearest.shape[1])
    matched = draw_degree_matched(first, nearest.ravel(), np.diff(connected_sets.indptr), generator)
    nearest_overlap, matched_overlap = (
        clusters.jaccard(connected_sets, first, second).reshape(nearest.shape).mean(axis=1)
        for second in (nearest.ravel(), matched)
    )
    return {
        "nodes": len(anchors),
        "nearer": float(
            ((nearest_overlap > matched_overlap) + 0.5 * (nearest_overlap == matched_overlap)).mean()
        ),
    }


def draw_degree_matched(
    first: np.ndarray, second: np.ndarray, degree: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """For each pair of nodes (p,), draw a replacement of the second node that has a similar degree.

    The first node is never drawn: it shares all neighbours with itself. `degree` (n,), n at least 3.
    """
    count, reach = len(degree), max(MIN_REACH, len(degree) // REACH_DIVISOR)
    order = np.lexsort((generator.random(count), degree))
    position = np.empty(count, np.int64)
    position[order] = np.arange(count)
    width = min(2 * reach + 1, count)
    lowest = np.clip(position[second] - reach, 0, count - width)
    # A random step from the lowest position; it skips the first node if that node is within reach.
    first_step = position[first] - lowest
    inside = (first_step >= 0) & (first_step < width)
    step = (generator.random(len(second)) * (width - inside)).astype(np.int64)
    return order[lowest + step + (inside & (step >= first_step))]
