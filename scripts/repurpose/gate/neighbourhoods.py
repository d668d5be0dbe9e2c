"""Does each node type's order of rows agree with the graph: do nearest rows share neighbours there?

Asked of every type, because a mean over relations hides one type whose rows are in the wrong order. Set
against nodes of like degree, so that hubs that lie near hubs are no evidence, and node by node, so that a
type in which few neighbours are shared is measured by the same figure as one in which most are.
"""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from repurpose.gate import clusters
from repurpose.graph import matrices
from repurpose.graph.graph import Graph

LEAST_NODES = 50  # of fewer nodes the share is too uncertain: its standard error is 0.5 / sqrt(nodes)
ALIKE = 40  # a node of like degree is found within this part of the type, by degree, on either side
LEAST_REACH = 5  # and within at least so many nodes


def sets(kg: Graph) -> dict[str, sparse.csr_array]:
    """What each node is joined to, over all message relations: type -> (nodes, all ends) of ones.

    A type's relations have columns of their own, so that two nodes share an end only by the same relation.
    """
    parts: dict[str, list[sparse.csr_array]] = {}
    for relation, (heads, tails) in zip(kg.message_relations, kg.message_edges(), strict=True):
        shape = kg.count(relation.head_type), kg.count(relation.tail_type)
        forward = matrices.counts(heads, tails, shape, np.int64)
        if relation.head_type == relation.tail_type:
            parts.setdefault(relation.head_type, []).append(forward + forward.T)
        else:
            parts.setdefault(relation.head_type, []).append(forward)
            parts.setdefault(relation.tail_type, []).append(forward.T)
    return {t: matrices.binarize(sparse.hstack(blocks)) for t, blocks in parts.items()}


def measure(
    vectors: Mapping[str, np.ndarray], joined: Mapping[str, sparse.csr_array], seed: int
) -> dict[str, dict[str, float]]:
    """Per type of enough nodes: how many were asked, the share nearer to their own. vectors (nodes, d)."""
    found = {}
    for node_type, incidence in joined.items():
        each = nearer_share(vectors[node_type], incidence, np.random.default_rng([seed, 13]))
        if each and each["nodes"] >= LEAST_NODES:
            found[node_type] = each
    return found


def nearer_share(
    rows: np.ndarray, incidence: sparse.csr_array, generator: np.random.Generator
) -> dict[str, float] | None:
    """Share of nodes whose nearest rows share more of their ends than nodes of those rows' degrees do.

    rows (n, d), incidence (n, ends) of ones. Sharing is the mean Jaccard index over the nearest rows by
    centred cosine; even counts half, so that rows whose order has nothing to do with the graph come to 0.5.
    Only nodes that share an end with another are asked. None where there are fewer than three.
    """
    has_ends = np.flatnonzero(np.diff(incidence.indptr))
    own = sparse.csr_array(incidence[has_ends])
    shared = (own.sum(axis=0) > 1).astype(np.int64)
    sociable = np.flatnonzero(own @ shared)
    if len(sociable) < 3:
        return None
    anchors = np.sort(generator.permutation(sociable)[: clusters.ANCHORS])
    nearest = clusters.nearest_rows(rows[has_ends], anchors)
    first = np.repeat(anchors, nearest.shape[1])
    others = of_like_degree(first, nearest.ravel(), np.diff(own.indptr), generator)
    near, alike = (
        clusters.jaccard(own, first, second).reshape(nearest.shape).mean(axis=1)
        for second in (nearest.ravel(), others)
    )
    return {"nodes": len(anchors), "nearer": float(((near > alike) + 0.5 * (near == alike)).mean())}


def of_like_degree(
    first: np.ndarray, second: np.ndarray, degree: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """For each pair of nodes (p,) another second node, of a degree like that of the one it stands for.

    Never the first node itself, which would share everything. `degree` (n,), n at least 3.
    """
    count, reach = len(degree), max(LEAST_REACH, len(degree) // ALIKE)
    order = np.lexsort((generator.random(count), degree))
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    width = min(2 * reach + 1, count)
    lowest = np.clip(place[second] - reach, 0, count - width)
    # Steps from the lowest place, over that of the first node where it lies among them.
    at_first = place[first] - lowest
    inside = (at_first >= 0) & (at_first < width)
    step = (generator.random(len(second)) * (width - inside)).astype(np.int64)
    return order[lowest + step + (inside & (step >= at_first))]
