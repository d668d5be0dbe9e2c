"""The message edges of a graph, sorted twice: by target node and by row.

A row is a pair (edge type, source node) that has edges. Attention transforms the key and the value of a node
once per row, and all edges of the row share the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from repurpose.kernels import parallel
from repurpose.kernels.compiled import loop
from repurpose.kernels.csr import csr

BLOCK = 512  # rows of one edge type that a block has at most


@dataclass(frozen=True)
class Rows:
    """The rows, each a pair (edge type, source node); nodes are numbered over all types.

    Rows of one edge type are adjacent, those with most edges first. node (M,): source node of each row.
    type_bounds: edge type r has the rows type_bounds[r] to type_bounds[r + 1] - 1. of_ptr, of_node: CSR of
    the rows of each node.
    """

    node: np.ndarray
    type_bounds: np.ndarray
    of_ptr: np.ndarray
    of_node: np.ndarray

    def __len__(self) -> int:
        return len(self.node)

    @cached_property
    def edge_type(self) -> np.ndarray:
        """Edge type of each row, (M,)."""
        return np.repeat(np.arange(len(self.type_bounds) - 1, dtype=np.int32), np.diff(self.type_bounds))

    @cached_property
    def blocks(self) -> np.ndarray:
        """Short ranges of rows of one edge type, (B, 3): first row, last row + 1, edge type."""
        blocks = []
        for edge_type, (begin, end) in enumerate(pairwise(self.type_bounds.tolist())):
            starts = range(begin, end, BLOCK)
            blocks += [(start, min(start + BLOCK, end), edge_type) for start in starts]
        return np.array(blocks, np.int64).reshape(-1, 3)

    @cached_property
    def block_pieces(self) -> np.ndarray:
        """Bounds for `parallel.run` over blocks."""
        return parallel.even(len(self.blocks), BLOCK * 8)

    @cached_property
    def node_pieces(self) -> np.ndarray:
        """Bounds for `parallel.run` over nodes, in pieces of about equally many rows."""
        return parallel.balanced(self.of_ptr)


@dataclass(frozen=True)
class Messages:
    """Rows and edges in the form that `attention` reads.

    target_ptr, target_rows: CSR of the rows that send to each node. row_ptr, row_targets: CSR of the target
    nodes of each row, the same edges.
    """

    rows: Rows
    target_ptr: np.ndarray
    target_rows: np.ndarray
    row_ptr: np.ndarray
    row_targets: np.ndarray

    @cached_property
    def target_pieces(self) -> np.ndarray:
        """Bounds for `parallel.run` over nodes, in pieces that receive about equally many edges."""
        return parallel.balanced(self.target_ptr)

    @cached_property
    def row_pieces(self) -> np.ndarray:
        """Bounds for `parallel.run` over rows, in pieces of about equally many edges."""
        return parallel.balanced(self.row_ptr)

    @property
    def nodes(self) -> int:
        """Number of nodes, with messages or not."""
        return len(self.target_ptr) - 1

    @property
    def edges(self) -> int:
        """Number of directed message edges."""
        return len(self.target_rows)


@dataclass(frozen=True)
class Numbered:
    """All messages of a graph, and the number of the undirected edge behind each entry of the two lists."""

    whole: Messages
    target_edge: np.ndarray
    row_edge: np.ndarray

    @cached_property
    def undirected(self) -> int:
        """Number of undirected edges."""
        return int(self.target_edge.max(initial=-1)) + 1

    def without(self, hidden: np.ndarray) -> Messages:
        """The same rows without the edges whose numbers are in `hidden`."""
        keep = np.ones(self.undirected, np.uint8)
        keep[hidden] = 0
        m = self.whole
        by_target = _filter(m.target_ptr, m.target_rows, self.target_edge, keep)
        return Messages(m.rows, *by_target, *_filter(m.row_ptr, m.row_targets, self.row_edge, keep))


def build(nodes: int, edge_types: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Numbered:
    """Sort the edges of all edge types, each (source, target, edge number) arrays of node numbers."""
    row_node, type_bounds, edge_row = [np.zeros(0, np.int32)], [0], [np.zeros(0, np.int32)]
    for source, _, _ in edge_types:
        sends = np.bincount(source, minlength=nodes)
        active = np.flatnonzero(sends)
        active = active[np.argsort(-sends[active], kind="stable")].astype(np.int32)
        position = np.zeros(nodes, np.int32)
        position[active] = np.arange(len(active)) + type_bounds[-1]
        edge_row.append(position[source])
        row_node.append(active)
        type_bounds.append(type_bounds[-1] + len(active))
    rows, node_of_row = np.concatenate(edge_row), np.concatenate(row_node)
    targets = np.concatenate([rows[:0], *(target for _, target, _ in edge_types)]).astype(np.int32)
    numbers = np.concatenate([rows[:0], *(number for _, _, number in edge_types)]).astype(np.int32)
    # Within a node or row, edges are sorted by the other end, so that adjacent edges read adjacent memory.
    by_row, by_target = np.lexsort((targets, rows)), np.lexsort((rows, targets))
    row_ptr, row_targets = csr(rows[by_row], targets[by_row], len(node_of_row))
    target_ptr, target_rows = csr(targets[by_target], rows[by_target], nodes)
    rows_by_node = csr(node_of_row, np.arange(len(node_of_row)), nodes)
    by_type = Rows(node_of_row, np.array(type_bounds, np.int64), *rows_by_node)
    whole = Messages(by_type, target_ptr, target_rows, row_ptr, row_targets)
    return Numbered(whole, target_edge=numbers[by_target], row_edge=numbers[by_row])


def _filter(
    indptr: np.ndarray, values: np.ndarray, edge: np.ndarray, keep: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The CSR with only those entries whose edge is kept."""
    bounds = parallel.balanced(indptr)
    counts = np.zeros(len(indptr), np.int64)
    parallel.run(_count, bounds, indptr, edge, keep, counts)
    kept_ptr = np.cumsum(counts)
    kept = np.empty(kept_ptr[-1], values.dtype)
    parallel.run(_copy, bounds, indptr, values, edge, keep, kept_ptr, kept)
    return kept_ptr, kept


@loop()
def _count(first, last, indptr, edge, keep, counts):
    """counts[i + 1] = number of kept entries of row i."""
    for i in range(first, last):
        total = 0
        for at in range(indptr[i], indptr[i + 1]):
            total += keep[edge[at]]
        counts[i + 1] = total


@loop()
def _copy(first, last, indptr, values, edge, keep, kept_ptr, kept):
    """kept[kept_ptr[i]:kept_ptr[i + 1]] = the kept entries of row i, in their order."""
    for i in range(first, last):
        to = kept_ptr[i]
        for at in range(indptr[i], indptr[i + 1]):
            if keep[edge[at]]:
                kept[to] = values[at]
                to += 1
