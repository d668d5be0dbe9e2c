"""Truncated SVD of the graph's normalised adjacency: one row per node, of any type."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from repurpose import graph
from repurpose.graph import Graph


def rows(kg: Graph, edges: Sequence[np.ndarray], dim: int, seed: int) -> np.ndarray:
    """The rows of U S^1/2, where D^-1/2 A D^-1/2 is about U S V': float32 (nodes, dim), each of unit length.

    edges: per message relation (2, E) head and tail indices within their types. A is the symmetric
    adjacency of all nodes, relations summed. Unit length makes any scaling of a row by its degree void; a
    node without edges is zero. `dim` is capped at the number of nodes - 1. Halko et al., "Finding
    structure with randomness", SIAM Review 2011.
    """
    adjacency = _adjacency(kg, edges)
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = sparse.diags_array(np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0))
    size = min(dim, len(degree) - 1)
    left, values, _ = randomized_svd(sparse.csr_array(scale @ adjacency @ scale), size, random_state=seed)
    found = left * np.sqrt(values)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    # Rows of nodes without edges are zero but for rounding, which must not be blown up to length 1.
    has_length = (degree > 0)[:, None] & (length > 0)
    return np.divide(found, length, out=np.zeros_like(found), where=has_length).astype(np.float32)


def inputs(
    kg: Graph, edges: Sequence[np.ndarray], width: int, scale: float, seed: int
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """First inputs of the nodes that have edges: number of a type -> (nodes (m,), rows (m, width)).

    The root mean square of all rows is `scale`. On a graph of fewer than `width` nodes the last columns
    are zero.
    """
    found = rows(kg, edges, width, seed)
    padded = np.pad(found, ((0, 0), (0, width - found.shape[1])))
    result = {}
    for number, node_type in enumerate(kg.node_types):
        of_type = padded[graph.span(kg, node_type)]
        nodes = np.flatnonzero(of_type.any(axis=1))
        # A row of unit length and `width` numbers has a root mean square of width^-1/2.
        result[number] = nodes, of_type[nodes] * np.float32(scale * np.sqrt(width))
    return result


def _adjacency(kg: Graph, edges: Sequence[np.ndarray]) -> sparse.csr_array:
    moved = [edge + offset for edge, offset in zip(edges, graph.offsets(kg), strict=True)]
    heads, tails = np.concatenate([np.zeros((2, 0), np.int64), *moved], axis=1)
    nodes = sum(kg.count(node_type) for node_type in kg.node_types)
    half = sparse.coo_array((np.ones(len(heads), np.float32), (heads, tails)), shape=(nodes, nodes))
    return sparse.csr_array(half + half.T)
