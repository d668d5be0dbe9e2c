"""Sparse adjacency matrices of the graph.

The edges are arguments, (2, E) head and tail indices within their types, so that held-out edges can be
omitted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from repurpose.graph.graph import Graph, Relation


def counts(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], dtype: Any) -> sparse.csr_array:
    """A matrix of `shape` that counts how often each pair (row, column) occurs; rows, columns: (E,)."""
    return sparse.csr_array((np.ones(len(rows), dtype), (rows, columns)), shape=shape)


def binarize(matrix: sparse.sparray) -> sparse.csr_array:
    """The matrix with each count replaced by one."""
    result = sparse.csr_array(matrix)
    result.data[:] = 1
    return result


def relation_matrix(
    kg: Graph, relation: Relation, edges: np.ndarray, dtype: Any = np.float32
) -> sparse.csr_array:
    """Heads (rows) by tails (columns) of one relation; a symmetric relation gives a symmetric matrix."""
    shape = kg.count(relation.head_type), kg.count(relation.tail_type)
    forward = counts(edges[0], edges[1], shape, dtype)
    return sparse.csr_array(forward + forward.T) if relation.is_symmetric else forward


def adjacency(kg: Graph, edges: Sequence[np.ndarray]) -> sparse.csr_array:
    """The symmetric matrix of all nodes by all nodes (node numbers) that counts message edges."""
    numbered = [edge + offset for edge, offset in zip(edges, kg.offsets(), strict=True)]
    heads, tails = np.concatenate([np.zeros((2, 0), np.int64), *numbered], axis=1)
    half = counts(heads, tails, (kg.nodes, kg.nodes), np.float32)
    return sparse.csr_array(half + half.T)


def neighbours(
    kg: Graph, edges: Sequence[np.ndarray], names: Sequence[str], node_type: str
) -> sparse.csr_array:
    """Nodes of a type by all node numbers: ones where a message relation with one of `names` has an edge."""
    rows, columns = [], []
    for relation, (heads, tails) in zip(kg.message_relations, edges, strict=True):
        if relation.relation in names and node_type in (relation.head_type, relation.tail_type):
            is_head = relation.head_type == node_type
            other = relation.tail_type if is_head else relation.head_type
            rows.append(heads if is_head else tails)
            columns.append((tails if is_head else heads) + kg.span(other).start)
    row, column = (np.concatenate([np.zeros(0, np.int64), *ends]) for ends in (rows, columns))
    return binarize(counts(row, column, (kg.count(node_type), kg.nodes), np.int64))
