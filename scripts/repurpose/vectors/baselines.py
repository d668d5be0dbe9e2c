"""Baseline node vectors, which a learned encoder has to beat: degrees, and a truncated SVD of the graph."""

import numpy as np

from repurpose.graph.graph import Graph
from repurpose.vectors import spectral


def degree_features(kg: Graph, node_type: str) -> np.ndarray:
    """log(1 + degree) per message relation at `node_type`: float32 (nodes, relations).

    In a relation within the type, edges count at both ends.
    """
    columns = []
    for index in kg.of_role("message"):
        relation = kg.relations[index]
        ends = ((relation.head_type, kg.heads[index]), (relation.tail_type, kg.tails[index]))
        degrees = [
            np.bincount(nodes, minlength=kg.count(end_type))
            for end_type, nodes in ends
            if end_type == node_type
        ]
        if degrees:
            columns.append(np.log1p(sum(degrees)))
    return (
        np.stack(columns, axis=1, dtype=np.float32)
        if columns
        else np.zeros((kg.count(node_type), 0), np.float32)
    )


def svd(kg: Graph, dim: int, seed: int) -> dict[str, np.ndarray]:
    """Truncated SVD of all message edges (see `spectral.rows`): type -> float32 (nodes, dim)."""
    rows = spectral.rows(kg, kg.message_edges(), dim, seed)
    return {node_type: rows[kg.span(node_type)] for node_type in kg.node_types}
