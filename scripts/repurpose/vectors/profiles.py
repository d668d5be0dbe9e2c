"""Relation profiles: a vector of a node's TF-IDF-weighted neighbours, relation by relation, untrained."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse

from repurpose.graph import matrices
from repurpose.graph.graph import Graph, Relation
from repurpose.kernels import lowrank

# Lengths of a vector's other parts (SVD, encoder output), if its profile has length 1.
SVD_LENGTH, ENCODER_LENGTH = 0.4, 0.55
# Lower limit of lengths. A row shorter than this share of the longest row is not scaled up to length 1. The
# other parts of a vector are scaled by the length of its profile, or by this limit if the profile is shorter.
SHORTEST = 0.05
RESOLVED = 1e-3  # share of a relation's largest singular value; axes with smaller values are noise

# Index of a message relation, and whether the node type is at its head (True) or at its tail (False).
Side = tuple[int, bool]


class Rows(NamedTuple):
    """Profiles of one node type: rows (nodes, dim), and the `divisors` of each side's columns (nodes, sides).

    The sides are in the order of `sides`. To get the rows, each side's columns were divided by its divisors
    and by the square root of the number of sides.
    """

    rows: np.ndarray
    divisors: np.ndarray


class Part(NamedTuple):
    """The columns of one side in the profiles of a node type, and what they are computed from.

    columns: the columns of a row. block: the weighted neighbours (see `weighted_neighbours`). axes (columns
    of the block, k): principal axes of the block with rows of length 1. divisors (nodes,): see `Rows`.
    root: square root of the number of sides.
    """

    columns: slice
    block: sparse.csr_array
    axes: np.ndarray
    divisors: np.ndarray
    root: np.float32

    def neighbours(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights and column indices of a node's neighbours in the block."""
        entries = slice(*self.block.indptr[node : node + 2])
        return self.block.data[entries], self.block.indices[entries]

    def recompute(self, row: np.ndarray, node: int, new_weights: np.ndarray) -> np.ndarray:
        """Recompute a node's row (k,) for changed neighbours.

        new_weights: of its neighbours, 0 for neighbours that are removed.
        """
        weights, columns = self.neighbours(node)
        before, after = (
            each / max(np.linalg.norm(each), np.float32(1e-12)) for each in (weights, new_weights)
        )
        return self._scaled(row * self.divisors[node] * self.root + (after - before) @ self.axes[columns])

    def of_new(self, neighbours: np.ndarray) -> np.ndarray:
        """The row (k,) of a node that the graph lacks; neighbours: columns of the block."""
        degrees = np.bincount(self.block.indices, minlength=self.block.shape[1])[neighbours]
        weights = np.log(self.block.shape[0] / np.maximum(degrees, 1)).astype(np.float32)
        unit = weights / max(np.linalg.norm(weights), np.float32(1e-12))
        return self._scaled(unit @ self.axes[neighbours])

    def _scaled(self, raw: np.ndarray) -> np.ndarray:
        """A row as in `Rows`."""
        return raw / (divisors(np.linalg.norm(raw, keepdims=True), self.divisors) * self.root)


def rows(kg: Graph, edges: Sequence[np.ndarray], node_type: str, dim: int, seed: int) -> Rows:
    """Relation profiles of the nodes of a type in `dim` columns.

    edges: per message relation (2, E) head and tail indices within their types. Each side, a relation in one
    direction, has its own columns (see `columns`). They hold the first principal axes of the TF-IDF-weighted
    neighbours, scaled to length 1. The product of two rows is about the mean over the sides of the cosine
    similarity of the two nodes' weighted neighbours. A side in which a node has no edge counts as 0. The
    length of a row is therefore at most 1, and it is larger if the node has edges in more relations.
    """
    columns_by_side, blocks = columns(kg, node_type, dim), weighted_neighbours(kg, edges, node_type)
    result = Rows(
        np.zeros((kg.count(node_type), dim), np.float32),
        np.zeros((kg.count(node_type), len(columns_by_side)), np.float32),
    )
    for number, (side, side_columns) in enumerate(columns_by_side.items()):
        if side in blocks and (size := min(side_columns.stop - side_columns.start, *blocks[side].shape)):
            left, singular, _ = lowrank.svd(unit_rows(blocks[side]), size, seed)
            raw = left * np.where(singular > RESOLVED * singular[0], singular, 0)
            result.divisors[:, number] = divisors(np.linalg.norm(raw, axis=1))
            raw /= result.divisors[:, number, None] * np.float32(np.sqrt(len(columns_by_side)))
            result.rows[:, side_columns.start : side_columns.start + size] = raw
    return result


def parts(kg: Graph, edges: Sequence[np.ndarray], node_type: str, profiles: Rows) -> dict[Side, Part]:
    """The parts of the profiles of a type, side by side; sides without an edge are left out.

    The rows of a block A = U S V' are U S, and its axes are V = A' U S / S^2.
    """
    part_by_side, columns_by_side = {}, columns(kg, node_type, profiles.rows.shape[1])
    blocks, root = weighted_neighbours(kg, edges, node_type), np.float32(np.sqrt(len(columns_by_side)))
    for number, (side, side_columns) in enumerate(columns_by_side.items()):
        if side in blocks:
            raw = profiles.rows[:, side_columns] * profiles.divisors[:, number, None] * root
            squares = (raw.astype(np.float64) ** 2).sum(axis=0)
            inverse = np.divide(1, squares, out=np.zeros_like(squares), where=squares > 0)
            axes = ((unit_rows(blocks[side]).T @ raw) * inverse).astype(np.float32)
            part_by_side[side] = Part(side_columns, blocks[side], axes, profiles.divisors[:, number], root)
    return part_by_side


def columns(kg: Graph, node_type: str, dim: int) -> dict[Side, slice]:
    """The columns of each side of a type: `dim` columns, shared as equally as possible."""
    type_sides = sides(kg, node_type)
    ends = [number * dim // max(len(type_sides), 1) for number in range(len(type_sides) + 1)]
    return {side: slice(*bounds) for side, bounds in zip(type_sides, pairwise(ends), strict=True)}


def divisors(lengths: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Divisors that scale rows of these lengths (n,) to length 1, except very short rows.

    A row may be nearly zero on the kept axes, and then it holds little information. The divisor is therefore
    at least SHORTEST times the longest length: of `others` if given, else of `lengths`.
    """
    longest = (lengths if others is None else others).max(initial=0)
    return np.maximum(lengths, np.float32(SHORTEST) * max(longest, np.float32(1e-12)))


def profile_lengths(rows: np.ndarray) -> np.ndarray:
    """Lengths of profiles (n, dim), at least SHORTEST, float32 (n,): the scale of a vector's other parts.

    The length grows with the number of relations in which a node has edges.
    """
    return np.maximum(np.linalg.norm(rows, axis=1), SHORTEST).astype(np.float32)


def weighted_neighbours(
    kg: Graph, edges: Sequence[np.ndarray], node_type: str
) -> dict[Side, sparse.csr_array]:
    """TF-IDF-weighted neighbours of a type's nodes: side -> matrix (nodes, nodes at the other end).

    Sides without edges are left out. Rows are not scaled to length 1.
    """
    weighted_by_side = {}
    for side in sides(kg, node_type):
        relation_index, is_head = side
        matrix = _tfidf(_neighbours(kg, kg.message_relations[relation_index], edges[relation_index], is_head))
        if matrix.nnz:
            weighted_by_side[side] = matrix
    return weighted_by_side


def sides(kg: Graph, node_type: str) -> list[Side]:
    """The sides of a type: each message relation at the type, in each direction that matters for the type."""
    type_sides = []
    for relation_index, relation in enumerate(kg.message_relations):
        if relation.head_type == node_type:
            type_sides.append((relation_index, True))
        if relation.tail_type == node_type and (relation.directed or relation.head_type != node_type):
            type_sides.append((relation_index, False))
    return type_sides


def _neighbours(kg: Graph, relation: Relation, edges: np.ndarray, is_head: bool) -> sparse.sparray:
    """Neighbours of a relation's heads (`is_head`) or tails, as a matrix (nodes, nodes at the other end).

    In a relation within a type, a node with neighbours is its own neighbour too, so that two connected nodes
    share neighbours and are similar.
    """
    neighbours = matrices.relation_matrix(kg, relation, edges)
    if not is_head:
        neighbours = neighbours.T
    if relation.head_type != relation.tail_type:
        return neighbours
    return neighbours + sparse.diags_array(np.sign(neighbours.sum(axis=1)))


def _tfidf(neighbours: sparse.sparray) -> sparse.csr_array:
    """Weight each neighbour by its inverse document frequency: log(nodes / degree of the neighbour)."""
    matrix = sparse.csr_array(neighbours)
    matrix.data[:] = 1
    degrees = np.bincount(matrix.indices, minlength=matrix.shape[1])
    inverse_frequency = np.log(matrix.shape[0] / np.maximum(degrees, 1)).astype(np.float32)
    return sparse.csr_array(matrix * inverse_frequency)


def unit_rows(matrix: sparse.csr_array) -> sparse.csr_array:
    """Scale the rows of a matrix to length 1; empty rows stay empty."""
    length = np.sqrt(matrix.power(2).sum(axis=1))
    inverse = np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    return sparse.csr_array(sparse.diags_array(inverse) @ matrix)
