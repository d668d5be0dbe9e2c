"""Applicability: cautions on nodes that the classifier has learned little about.

A node is outside the applicability domain if it lacks an edge type that most nodes of the training pairs
have, or if its vector is unlike all of theirs.
"""

from collections.abc import Sequence

import numpy as np

from repurpose.config.sections import Target
from repurpose.graph.graph import Graph
from repurpose.graph.names import shown

USUAL = 0.8  # a relation is usual if at least this share of the trained nodes has an edge of it
UNLIKE = 0.05  # quantile of the trained nodes' nearest similarities; new nodes below it are unlike them


def cautions(kg: Graph, node_type: str, vectors: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """The caution on each node of a type, "" for none: object (n,).

    vectors: (n, d). trained: indices of the nodes with a pair that the classifier learned from. A caution
    names each usual relation that the node has no edge of, and says so if the node is unlike all trained
    nodes (see `unlike`). The trained nodes of `of_target` are those with a known treatment.
    """
    if len(trained) < 2:
        return np.full(len(vectors), "", object)
    names, has_edge = _relations(kg, node_type)
    reasons = [
        (f"no link “{shown(name)}”", ~has_edge[:, column])
        for column, name in enumerate(names)
        if has_edge[trained, column].mean() >= USUAL
    ]
    words = f"unlike every {shown(node_type)} with a known treatment"
    reasons.append((words, unlike(vectors, trained)))
    return _joined(reasons, len(vectors))


def unlike(vectors: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """Whether each node is new and unlike all trained nodes: bool (n,).

    All False for fewer than two trained nodes. vectors: (n, d). A new node is unlike them if its cosine with
    the nearest one is below that of nearly all trained nodes with their nearest one (quantile UNLIKE).
    """
    if len(trained) < 2:
        return np.zeros(len(vectors), bool)
    nearest = _nearest(vectors, trained)
    is_new = ~np.isin(np.arange(len(vectors)), trained)
    return is_new & (nearest < np.quantile(nearest[trained], UNLIKE))


def of_target(
    kg: Graph, target: Target, vectors: Sequence[np.ndarray], treated: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The cautions on heads and on tails; treated: heads and tails of the known treatments."""
    heads, tails = (
        cautions(kg, node_type, rows, np.unique(nodes))
        for node_type, rows, nodes in zip(target.types, vectors, treated, strict=True)
    )
    return heads, tails


def _relations(kg: Graph, node_type: str) -> tuple[list[str], np.ndarray]:
    """Names of a node type's message relations, and which nodes have an edge of each: bool (n, relations)."""
    names, columns = [], []
    for index in kg.of_role("message"):
        relation = kg.relations[index]
        if node_type in (relation.head_type, relation.tail_type):
            has_edge = np.zeros(kg.count(node_type), bool)
            # The graph's own arrays: message_edges would copy the edges of all types.
            for end_type, nodes in (
                (relation.head_type, kg.heads[index]),
                (relation.tail_type, kg.tails[index]),
            ):
                if end_type == node_type:
                    has_edge[nodes] = True
            names.append(relation.relation)
            columns.append(has_edge)
    return names, np.stack(columns, axis=1) if columns else np.zeros((kg.count(node_type), 0), bool)


def _nearest(vectors: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """Cosine of each vector with the nearest trained one except itself: float32 (n,); -1 if there is none."""
    length = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    directions = (vectors / length).astype(np.float32)
    nearest = np.full(len(vectors), -1, np.float32)
    for block in np.array_split(np.arange(len(vectors)), len(vectors) // 2048 + 1):
        similarity = directions[block] @ directions[trained].T
        similarity[block[:, None] == trained] = -1
        nearest[block] = similarity.max(axis=1, initial=-1)
    return nearest


def _joined(reasons: Sequence[tuple[str, np.ndarray]], count: int) -> np.ndarray:
    """The reasons that hold for each of `count` nodes, as one text per node: object (count,)."""
    holds_by_node = np.stack([holds for _, holds in reasons], axis=1)
    patterns, pattern = np.unique(holds_by_node, axis=0, return_inverse=True)
    texts = ["; ".join(reasons[column][0] for column in np.flatnonzero(row)) for row in patterns]
    return np.array(texts, object)[pattern.ravel()].reshape(count)
