"""Sparse matrices of the graph: which nodes each node is joined to.

The edges are arguments, (2, E) head and tail indices within their types: what is held out must not be seen.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from repurpose.graph.graph import Graph, Relation


def counts(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], dtype: Any) -> sparse.csr_array:
    """How often each pair (row, column) is there: rows, columns (E,) -> a matrix of `shape`."""
    return sparse.csr_array((np.ones(len(rows), dtype), (rows, columns)), shape=shape)


def ones(matrix: sparse.sparray) -> sparse.csr_array:
    """The matrix with a one in place of each count."""
    result = sparse.csr_array(matrix)
    result.data[:] = 1
    return result


def of_relation(
    kg: Graph, relation: Relation, edges: np.ndarray, dtype: Any = np.float32
) -> sparse.csr_array:
    """A relation's heads (rows) by its tails; read from either end where the relation is symmetric."""
    shape = kg.count(relation.head_type), kg.count(relation.tail_type)
    forward = counts(edges[0], edges[1], shape, dtype)
    return sparse.csr_array(forward + forward.T) if relation.is_symmetric else forward


def adjacency(kg: Graph, edges: Sequence[np.ndarray]) -> sparse.csr_array:
    """All nodes by all nodes, by node number, the edges of each message relation read from both ends."""
    moved = [edge + offset for edge, offset in zip(edges, kg.offsets(), strict=True)]
    heads, tails = np.concatenate([np.zeros((2, 0), np.int64), *moved], axis=1)
    half = counts(heads, tails, (kg.nodes, kg.nodes), np.float32)
    return sparse.csr_array(half + half.T)


def neighbours(
    kg: Graph, edges: Sequence[np.ndarray], names: Sequence[str], node_type: str
) -> sparse.csr_array:
    """Nodes of a type by node numbers: ones where a message relation of these names joins them."""
    rows, columns = [], []
    for relation, (heads, tails) in zip(kg.message_relations, edges, strict=True):
        if relation.relation in names and node_type in (relation.head_type, relation.tail_type):
            is_head = relation.head_type == node_type
            other = relation.tail_type if is_head else relation.head_type
            rows.append(heads if is_head else tails)
            columns.append((tails if is_head else heads) + kg.span(other).start)
    row, column = (np.concatenate([np.zeros(0, np.int64), *ends]) for ends in (rows, columns))
    return ones(counts(row, column, (kg.count(node_type), kg.nodes), np.int64))
