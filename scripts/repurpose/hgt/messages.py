"""The message edges of a graph, sorted twice: by the node that receives and by the row that sends.

A row is an (edge type, source node) that sends at all: attention transforms the key and the value of
a node once for each edge type that it sends through, and all edges of the row share the result.
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

BLOCK = 512  # rows of one edge type that are taken together


@dataclass(frozen=True)
class Rows:
    """Which (edge type, source node) is which row; nodes are numbered through over the types.

    Rows of one edge type stand together, those that send most first. Per row: `node` (M,). Rows of edge
    type r: type_bounds[r] to type_bounds[r + 1]. `of_ptr`, `of_node`: CSR of the rows of a node.
    """

    node: np.ndarray
    type_bounds: np.ndarray
    of_ptr: np.ndarray
    of_node: np.ndarray

    def __len__(self) -> int:
        return len(self.node)

    @cached_property
    def kind(self) -> np.ndarray:
        """Edge type of each row, (M,)."""
        return np.repeat(np.arange(len(self.type_bounds) - 1, dtype=np.int32), np.diff(self.type_bounds))

    @cached_property
    def blocks(self) -> np.ndarray:
        """Short ranges of rows of one edge type, (B, 3): first row, last row + 1, edge type."""
        found = []
        for kind, (begin, end) in enumerate(pairwise(self.type_bounds.tolist())):
            starts = range(begin, end, BLOCK)
            found += [(start, min(start + BLOCK, end), kind) for start in starts]
        return np.array(found, np.int64).reshape(-1, 3)

    @cached_property
    def block_pieces(self) -> np.ndarray:
        """Bounds for `parallel.run` over blocks."""
        return parallel.even(len(self.blocks), BLOCK * 8)

    @cached_property
    def node_pieces(self) -> np.ndarray:
        """Bounds for `parallel.run` over nodes, equal in rows."""
        return parallel.balanced(self.of_ptr)


@dataclass(frozen=True)
class Messages:
    """Rows and edges in the form that `attention` reads.

    `target_ptr`, `target_rows`: CSR of the rows that send to a node; `row_ptr`, `row_targets`: the same
    edges by row.
    """

    rows: Rows
    target_ptr: np.ndarray
    target_rows: np.ndarray
    row_ptr: np.ndarray
    row_targets: np.ndarray

    @cached_property
    def target_pieces(self) -> np.ndarray:
        """Bounds for `parallel.run` over nodes, equal in edges received."""
        return parallel.balanced(self.target_ptr)

    @cached_property
    def row_pieces(self) -> np.ndarray:
        """Bounds for `parallel.run` over rows, equal in edges sent."""
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
        by_target = _kept(m.target_ptr, m.target_rows, self.target_edge, keep)
        return Messages(m.rows, *by_target, *_kept(m.row_ptr, m.row_targets, self.row_edge, keep))


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
    # Sorted by the other end within each list, so that neighbours in the list read neighbours in memory.
    by_row, by_target = np.lexsort((targets, rows)), np.lexsort((rows, targets))
    row_ptr, row_targets = csr(rows[by_row], targets[by_row], len(node_of_row))
    target_ptr, target_rows = csr(targets[by_target], rows[by_target], nodes)
    of_node = csr(node_of_row, np.arange(len(node_of_row)), nodes)
    by_type = Rows(node_of_row, np.array(type_bounds, np.int64), *of_node)
    whole = Messages(by_type, target_ptr, target_rows, row_ptr, row_targets)
    return Numbered(whole, target_edge=numbers[by_target], row_edge=numbers[by_row])


def _kept(
    indptr: np.ndarray, values: np.ndarray, edge: np.ndarray, keep: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The CSR without the entries whose edge is not kept."""
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
