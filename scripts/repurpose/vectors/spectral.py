"""Linear algebra on the graph: the truncated SVD of its normalised adjacency, and measures of vectors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from repurpose.graph import matrices
from repurpose.graph.graph import Graph
from repurpose.kernels import lowrank


class Axes(NamedTuple):
    """A truncated SVD, and what is needed to compute a node's row from the rows of its neighbours.

    rows: the result of `rows`, float32 (nodes, dim). lengths (nodes,): norms of the rows before they were
    scaled to length 1. values (dim,): eigenvalues. A row before scaling is a sum over the node's neighbours:
    the neighbour's row before scaling, divided by the square roots of both degrees and by `values`.
    """

    rows: np.ndarray
    lengths: np.ndarray
    values: np.ndarray

    def first(self, dim: int) -> "Axes":
        """Keep the first `dim` axes and scale each row to length 1 again."""
        if dim == self.rows.shape[1]:
            return self
        kept = self.rows[:, :dim]
        rows = _unit(kept, self.rows.any(axis=1))
        return Axes(rows, self.lengths * np.linalg.norm(kept, axis=1), self.values[:dim])

    def padded(self, dim: int) -> "Axes":
        """Add zero columns up to `dim` columns, if the graph has fewer axes."""
        missing = dim - self.rows.shape[1]
        rows, values = np.pad(self.rows, ((0, 0), (0, missing))), np.pad(self.values, (0, missing))
        return Axes(rows, self.lengths, np.where(np.arange(dim) < dim - missing, values, np.float32(1)))


def rows(kg: Graph, edges: Sequence[np.ndarray], dim: int, seed: int) -> np.ndarray:
    """Rows of U S^1/2, where D^-1/2 A D^-1/2 is approximately U S V': float32 (nodes, dim), each of length 1.

    edges: per message relation (2, E) head and tail indices within their types. A is the symmetric adjacency
    of all nodes, summed over relations. Scaling to length 1 removes any factor that depends on a node's
    degree. The row of a node without edges is zero. `dim` is at most the number of nodes - 1.
    """
    return axes(kg, edges, dim, seed).rows


def axes(kg: Graph, edges: Sequence[np.ndarray], dim: int, seed: int) -> Axes:
    """The truncated SVD behind `rows`, with the same arguments."""
    matrix = normalised_adjacency(kg, edges)
    left, values, right = lowrank.svd(matrix, min(dim, matrix.shape[0] - 1), seed)
    scaled, has_edges = left * np.sqrt(values), matrix.indptr[1:] > matrix.indptr[:-1]
    # Left and right singular vectors of a symmetric matrix are equal, or opposite for a negative eigenvalue.
    signs = np.where((left * right).sum(axis=0) < 0, -1, 1)
    lengths = np.linalg.norm(scaled, axis=1).astype(np.float32)
    return Axes(_unit(scaled, has_edges), lengths, (values * signs).astype(np.float32))


def normalised_adjacency(kg: Graph, edges: Sequence[np.ndarray]) -> sparse.csr_array:
    """The normalised adjacency D^-1/2 A D^-1/2 (see `rows`), (nodes, nodes)."""
    adjacency = matrices.adjacency(kg, edges)
    scaling = _inverse_root(adjacency.sum(axis=1))
    return sparse.csr_array(scaling @ adjacency @ scaling)


def relation_rows(kg: Graph, edges: Sequence[np.ndarray], dim: int, seed: int) -> list[list[np.ndarray]]:
    """Per node type, the SVD rows of each of its relations: float32 (nodes, at most dim), each of length 1.

    edges: per message relation (2, E) head and tail indices within their types. The matrix of a relation
    (heads x tails) is scaled by the degrees of both. The row of a node without edges in the relation is zero.
    """
    rows_by_type: list[list[np.ndarray]] = [[] for _ in kg.node_types]
    for relation, edge in zip(kg.message_relations, edges, strict=True):
        matrix = matrices.relation_matrix(kg, relation, edge)
        size = min(dim, min(matrix.shape) - 1)
        if size < 1 or not matrix.nnz:
            continue
        left, right = (_inverse_root(matrix.sum(axis=axis)) for axis in (1, 0))
        u, values, v = lowrank.svd(left @ matrix @ right, size, seed)
        rows_by_type[kg.node_types.index(relation.head_type)].append(
            _unit(u * np.sqrt(values), left.data.ravel() > 0)
        )
        if not relation.is_symmetric:
            rows_by_type[kg.node_types.index(relation.tail_type)].append(
                _unit(v * np.sqrt(values), right.data.ravel() > 0)
            )
    return rows_by_type


def components(rows: np.ndarray, width: int, scale: float) -> np.ndarray:
    """First principal components of rows, float32 (n, width), scaled to root mean square `scale`.

    If there are fewer components than `width`, the last columns are zero.
    """
    centred = rows - rows.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    kept = centred @ directions[:, ::-1][:, :width]
    padded = np.pad(kept, ((0, 0), (0, width - kept.shape[1])))
    return (padded * (scale / max(np.sqrt((padded**2).mean()), 1e-9))).astype(np.float32)


def effective_rank(values: np.ndarray, scale: float) -> float:
    """Effective rank (Roy and Vetterli, EUSIPCO 2007) of vectors with these singular values, largest first.

    It is the exponential of the entropy of the normalised singular values: the number of directions that the
    vectors use. 0.0 if the values are only rounding errors. scale: size of the vectors before they were
    centred.
    """
    if values[0] <= 1e-6 * scale or scale == 0:
        return 0.0
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def _inverse_root(sums: np.ndarray) -> sparse.dia_array:
    sums = np.asarray(sums).ravel()
    return sparse.diags_array(np.divide(1, np.sqrt(sums), out=np.zeros_like(sums), where=sums > 0))


def _unit(rows: np.ndarray, has_edges: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    # Rows of nodes without edges hold only rounding errors, which must not be scaled to length 1.
    kept = has_edges[:, None] & (length > 0)
    return np.divide(rows, length, out=np.zeros_like(rows), where=kept).astype(np.float32)
