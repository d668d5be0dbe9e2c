"""Singular values and vectors: of the graph's normalised adjacency, one row per node, and of given rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from repurpose.graph import matrices
from repurpose.graph.graph import Graph
from repurpose.kernels import lowrank


class Axes(NamedTuple):
    """A truncated SVD, and what is needed to compute a node's row from the rows of its neighbours.

    rows: the result of `rows`, float32 (nodes, dim). lengths: (nodes,) of the rows before they were scaled to
    length 1. values: (dim,) eigenvalues. Before its scaling, a row is the sum over the node's neighbours of
    their rows, each divided by the square roots of both degrees, all divided by `values`.
    """

    rows: np.ndarray
    lengths: np.ndarray
    values: np.ndarray

    def first(self, dim: int) -> "Axes":
        """The first `dim` axes, each row of unit length again."""
        if dim == self.rows.shape[1]:
            return self
        kept = self.rows[:, :dim]
        rows = _unit(kept, self.rows.any(axis=1))
        return Axes(rows, self.lengths * np.linalg.norm(kept, axis=1), self.values[:dim])

    def padded(self, dim: int) -> "Axes":
        """With zero columns up to `dim`, where the graph has fewer axes."""
        lacking = dim - self.rows.shape[1]
        rows, values = np.pad(self.rows, ((0, 0), (0, lacking))), np.pad(self.values, (0, lacking))
        return Axes(rows, self.lengths, np.where(np.arange(dim) < dim - lacking, values, np.float32(1)))


def rows(kg: Graph, edges: Sequence[np.ndarray], dim: int, seed: int) -> np.ndarray:
    """The rows of U S^1/2, where D^-1/2 A D^-1/2 is about U S V': float32 (nodes, dim), each of unit length.

    edges: per message relation (2, E) head and tail indices within their types. A is the symmetric
    adjacency of all nodes, relations summed. Unit length cancels any scaling of a row by its degree; the row
    of a node without edges is zero. `dim` is capped at the number of nodes - 1.
    """
    return axes(kg, edges, dim, seed).rows


def axes(kg: Graph, edges: Sequence[np.ndarray], dim: int, seed: int) -> Axes:
    """The SVD behind `rows`."""
    matrix = normalised(kg, edges)
    left, values, right = lowrank.svd(matrix, min(dim, matrix.shape[0] - 1), seed)
    scaled, has_edges = left * np.sqrt(values), matrix.indptr[1:] > matrix.indptr[:-1]
    # Both sides of a symmetric matrix are the same vectors, but for the sign where an eigenvalue is negative.
    signs = np.where((left * right).sum(axis=0) < 0, -1, 1)
    lengths = np.linalg.norm(scaled, axis=1).astype(np.float32)
    return Axes(_unit(scaled, has_edges), lengths, (values * signs).astype(np.float32))


def normalised(kg: Graph, edges: Sequence[np.ndarray]) -> sparse.csr_array:
    """D^-1/2 A D^-1/2 of `rows`, (nodes, nodes)."""
    joined = matrices.adjacency(kg, edges)
    scale = _inverse_root(joined.sum(axis=1))
    return sparse.csr_array(scale @ joined @ scale)


def relation_rows(kg: Graph, edges: Sequence[np.ndarray], dim: int, seed: int) -> list[list[np.ndarray]]:
    """Per node type, rows (nodes, at most dim) of unit length from an SVD of each relation of the type.

    edges: per message relation (2, E) head and tail indices within their types. A relation's matrix of heads
    by tails is scaled by the degrees of both; a node that has none of its edges is zero.
    """
    found: list[list[np.ndarray]] = [[] for _ in kg.node_types]
    for relation, edge in zip(kg.message_relations, edges, strict=True):
        matrix = matrices.relation_matrix(kg, relation, edge)
        size = min(dim, min(matrix.shape) - 1)
        if size < 1 or not matrix.nnz:
            continue
        left, right = (_inverse_root(matrix.sum(axis=axis)) for axis in (1, 0))
        u, values, v = lowrank.svd(left @ matrix @ right, size, seed)
        found[kg.node_types.index(relation.head_type)].append(
            _unit(u * np.sqrt(values), left.data.ravel() > 0)
        )
        if not relation.is_symmetric:
            found[kg.node_types.index(relation.tail_type)].append(
                _unit(v * np.sqrt(values), right.data.ravel() > 0)
            )
    return found


def components(joined: np.ndarray, width: int, scale: float) -> np.ndarray:
    """The first principal components (n, width) of rows, padded with zeros; root mean square `scale`."""
    centred = joined - joined.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    kept = centred @ directions[:, ::-1][:, :width]
    padded = np.pad(kept, ((0, 0), (0, width - kept.shape[1])))
    return (padded * (scale / max(np.sqrt((padded**2).mean()), 1e-9))).astype(np.float32)


def effective_rank(values: np.ndarray, scale: float) -> float:
    """Effective rank (Roy and Vetterli, EUSIPCO 2007) of vectors with these singular values, largest first.

    The exponential of the entropy of the normalised singular values: how many directions the vectors use.
    0.0 if the values are only rounding errors relative to `scale`, the size of the vectors before they were
    centred.
    """
    if values[0] <= 1e-6 * scale or scale == 0:
        return 0.0
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def _inverse_root(sums: np.ndarray) -> sparse.dia_array:
    sums = np.asarray(sums).ravel()
    return sparse.diags_array(np.divide(1, np.sqrt(sums), out=np.zeros_like(sums), where=sums > 0))


def _unit(found: np.ndarray, has_edges: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(found, axis=1, keepdims=True)
    # Rows of nodes without edges are zero but for rounding, which must not be blown up to length 1.
    kept = has_edges[:, None] & (length > 0)
    return np.divide(found, length, out=np.zeros_like(found), where=kept).astype(np.float32)
