"""What each node is joined to, relation by relation, as a vector: the similarity that needs no training."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse

from repurpose import lowrank
from repurpose.graph import Graph

# Lengths of a vector's other parts, where its profile has length 1.
SVD_LENGTH, LAYERS_LENGTH = 0.4, 0.55
SHORTEST = 0.05  # of a profile, where the other parts follow its length

# A relation's number among the message relations, and whether the type is at its head.
Side = tuple[int, bool]


def rows(kg: Graph, edges: Sequence[np.ndarray], dim: int, seed: int) -> dict[str, np.ndarray]:
    """Per node type the first `dim` principal axes of its nodes' profiles: float32 (nodes, dim).

    edges: per message relation (2, E) head and tail indices within their types. The product of two rows is
    about the mean over the type's relations of the cosine of what the two nodes are joined to, each
    neighbour weighted by the logarithm of how rare it is. A relation in which a node has no edge counts as
    0: the length of a row, 1 at most, says how much is known of a node, so it is not scaled to 1. Columns
    are zero where a type has fewer axes.
    """
    found = {}
    for node_type in kg.node_types:
        whole = of_type(kg, edges, node_type)
        size = min(dim, *whole.shape)
        result = np.zeros((kg.count(node_type), dim), np.float32)
        if whole.nnz:
            left, values, _ = lowrank.svd(whole, size, seed)
            result[:, :size] = left * values
        found[node_type] = result
    return found


def known(rows: np.ndarray) -> np.ndarray:
    """How much is known of nodes by their rows (n, dim), float32 (n,): what the other parts are scaled by."""
    return np.maximum(np.linalg.norm(rows, axis=1), SHORTEST).astype(np.float32)


def of_type(kg: Graph, edges: Sequence[np.ndarray], node_type: str) -> sparse.csr_array:
    """Profiles of a type's nodes, one block of columns for each relation and direction: (nodes, columns)."""
    blocks = [unit(each) for each in weighted(kg, edges, node_type).values()]
    if not blocks:
        return sparse.csr_array((kg.count(node_type), 1), dtype=np.float32)
    return sparse.csr_array(sparse.hstack(blocks) / np.float32(np.sqrt(len(blocks))))


def weighted(kg: Graph, edges: Sequence[np.ndarray], node_type: str) -> dict[Side, sparse.csr_array]:
    """The blocks of `of_type` before their rows are scaled: (nodes, nodes at the other end), if not empty."""
    found = {side: _weighted(matrix) for side, matrix in _sides(kg, edges, node_type)}
    return {side: matrix for side, matrix in found.items() if matrix.nnz}


def _sides(kg: Graph, edges: Sequence[np.ndarray], node_type: str) -> Iterator[tuple[Side, sparse.sparray]]:
    """For each relation and direction at a type, which nodes (rows) are joined to which others.

    Two nodes that a relation within the type joins are alike by that alone: each is among its own neighbours.
    """
    relations = [kg.relations[index] for index in kg.of_role("message")]
    for number, (relation, (heads, tails)) in enumerate(zip(relations, edges, strict=True)):
        shape = kg.count(relation.head_type), kg.count(relation.tail_type)
        joined = sparse.coo_array((np.ones(len(heads), np.float32), (heads, tails)), shape=shape)
        if relation.head_type == relation.tail_type == node_type:
            parts = [joined, joined.T] if relation.directed else [joined + joined.T]
            for is_head, part in zip((True, False), parts, strict=False):
                yield (number, is_head), part + sparse.diags_array(np.sign(part.sum(axis=1)))
        elif relation.head_type == node_type:
            yield (number, True), joined
        elif relation.tail_type == node_type:
            yield (number, False), joined.T


def _weighted(joined: sparse.sparray) -> sparse.csr_array:
    """Each neighbour's column times the logarithm of how rare it is (its inverse document frequency)."""
    matrix = sparse.csr_array(joined)
    matrix.data[:] = 1
    degrees = np.bincount(matrix.indices, minlength=matrix.shape[1])
    rarity = np.log(matrix.shape[0] / np.maximum(degrees, 1)).astype(np.float32)
    return sparse.csr_array(matrix * rarity)


def unit(matrix: sparse.csr_array) -> sparse.csr_array:
    """The matrix with rows of length 1; empty rows stay empty."""
    length = np.sqrt(matrix.power(2).sum(axis=1))
    inverse = np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    return sparse.csr_array(sparse.diags_array(inverse) @ matrix)
