"""Node vectors that a learned encoder has to beat: degrees, and a truncated SVD of the graph."""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from repurpose import graph
from repurpose.graph import Graph


def degree_features(kg: Graph, node_type: str) -> np.ndarray:
    """log(1 + degree) per message relation at `node_type`: float32 (nodes, relations).

    A relation within the type counts both of its ends.
    """
    columns = []
    for index in kg.of_role("message"):
        relation = kg.relations[index]
        ends = ((relation.head_type, kg.heads[index]), (relation.tail_type, kg.tails[index]))
        degrees = [np.bincount(nodes, minlength=kg.count(kind)) for kind, nodes in ends if kind == node_type]
        if degrees:
            columns.append(np.log1p(sum(degrees)))
    return (
        np.stack(columns, axis=1, dtype=np.float32)
        if columns
        else np.zeros((kg.count(node_type), 0), np.float32)
    )


def svd(kg: Graph, dim: int, seed: int) -> dict[str, np.ndarray]:
    """Truncated SVD of D^-1/2 A D^-1/2 over all message edges: type -> float32 (nodes, dim).

    A is the symmetric adjacency of all nodes, relations summed. A node's row is that of U S^1/2,
    brought to unit length, which makes any scaling by its degree void; a node without message edges
    is zero. `dim` is capped at the number of nodes - 1. Halko et al., "Finding structure with
    randomness", SIAM Review 2011.
    """
    adjacency = _adjacency(kg)
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = sparse.diags_array(np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0))
    size = min(dim, len(degree) - 1)
    left, values, _ = randomized_svd(sparse.csr_array(scale @ adjacency @ scale), size, random_state=seed)
    rows = left * np.sqrt(values)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    # Rows of nodes without edges are zero but for rounding, which must not be blown up to length 1.
    rows = np.divide(rows, length, out=np.zeros_like(rows), where=(degree > 0)[:, None] & (length > 0))
    rows = rows.astype(np.float32)
    return {kind: rows[graph.span(kg, kind)] for kind in kg.node_types}


def _adjacency(kg: Graph) -> sparse.csr_array:
    first = {kind: graph.span(kg, kind).start for kind in kg.node_types}
    nodes_in_all = sum(kg.count(kind) for kind in kg.node_types)
    message = [(kg.relations[index], kg.heads[index], kg.tails[index]) for index in kg.of_role("message")]
    none = np.empty(0, np.int64)
    heads = np.concatenate([none, *(nodes + first[relation.head_type] for relation, nodes, _ in message)])
    tails = np.concatenate([none, *(nodes + first[relation.tail_type] for relation, _, nodes in message)])
    half = sparse.coo_array(
        (np.ones(len(heads), np.float32), (heads, tails)), shape=(nodes_in_all, nodes_in_all)
    )
    return sparse.csr_array(half + half.T)
