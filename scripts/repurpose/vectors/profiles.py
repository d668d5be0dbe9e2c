"""What each node is joined to, relation by relation, as a vector: the similarity that needs no training."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse

from repurpose.graph import matrices
from repurpose.graph.graph import Graph, Relation
from repurpose.kernels import lowrank

# Lengths of a vector's other parts, where its profile has length 1.
SVD_LENGTH, LAYERS_LENGTH = 0.4, 0.55
SHORTEST = 0.05  # of a profile, where the other parts follow its length, and of a part of it
RESOLVED = 1e-3  # of a relation's largest singular value: axes below are noise

# A relation's number among the message relations, and whether the type is at its head.
Side = tuple[int, bool]


class Rows(NamedTuple):
    """Of one node type: rows (nodes, dim), and the `divisors` of each side's part of them, (nodes, sides).

    The sides are those of `sides`, in its order. A part is divided by the root of their number too.
    """

    rows: np.ndarray
    divisors: np.ndarray


class Part(NamedTuple):
    """One side's part of the profiles of a node type, and what it is computed from.

    columns: of a row. block: see `weighted`. axes (columns of the block, k): of its rows of length 1.
    divisors (nodes,): see `Rows`. root: of the number of sides.
    """

    columns: slice
    block: sparse.csr_array
    axes: np.ndarray
    divisors: np.ndarray
    root: np.float32

    def neighbours(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights and columns of a node's neighbours in the block."""
        entries = slice(*self.block.indptr[node : node + 2])
        return self.block.data[entries], self.block.indices[entries]

    def moved(self, row: np.ndarray, node: int, left: np.ndarray) -> np.ndarray:
        """A node's row (k,) if its neighbours had the weights `left`, 0 for those that are gone."""
        weights, found = self.neighbours(node)
        before, after = (each / max(np.linalg.norm(each), np.float32(1e-12)) for each in (weights, left))
        raw = row * self.divisors[node] * self.root + (after - before) @ self.axes[found]
        return raw / (divisors(np.linalg.norm(raw, keepdims=True), self.divisors) * self.root)


def rows(kg: Graph, edges: Sequence[np.ndarray], node_type: str, dim: int, seed: int) -> Rows:
    """What the nodes of a type are joined to, relation by relation, in `dim` numbers.

    edges: per message relation (2, E) head and tail indices within their types. Each relation and direction
    has columns of its own (see `columns`): the first principal axes of its profiles, and what is left of a
    profile there scaled to its full length again. The product of two rows is about the mean over the
    relations of the cosine of what the two nodes are joined to, each neighbour weighted by the logarithm of
    how rare it is. A relation in which a node has no edge counts as 0: the length of a row, 1 at most, says
    how much is known of a node.
    """
    parts, blocks = columns(kg, node_type, dim), weighted(kg, edges, node_type)
    found = Rows(
        np.zeros((kg.count(node_type), dim), np.float32),
        np.zeros((kg.count(node_type), len(parts)), np.float32),
    )
    for number, (side, part) in enumerate(parts.items()):
        if side in blocks and (size := min(part.stop - part.start, *blocks[side].shape)):
            left, singular, _ = lowrank.svd(unit(blocks[side]), size, seed)
            raw = left * np.where(singular > RESOLVED * singular[0], singular, 0)
            found.divisors[:, number] = divisors(np.linalg.norm(raw, axis=1))
            raw /= found.divisors[:, number, None] * np.float32(np.sqrt(len(parts)))
            found.rows[:, part.start : part.start + size] = raw
    return found


def parts(kg: Graph, edges: Sequence[np.ndarray], node_type: str, made: Rows) -> dict[Side, Part]:
    """What the rows of a type come from, side by side; those without an edge are left out.

    The rows of a block A = U S V' are U S, and the axes V = A' U S / S^2.
    """
    found, of_sides = {}, columns(kg, node_type, made.rows.shape[1])
    blocks, root = weighted(kg, edges, node_type), np.float32(np.sqrt(len(of_sides)))
    for number, (side, part) in enumerate(of_sides.items()):
        if side in blocks:
            raw = made.rows[:, part] * made.divisors[:, number, None] * root
            squares = (raw.astype(np.float64) ** 2).sum(axis=0)
            inverse = np.divide(1, squares, out=np.zeros_like(squares), where=squares > 0)
            axes = ((unit(blocks[side]).T @ raw) * inverse).astype(np.float32)
            found[side] = Part(part, blocks[side], axes, made.divisors[:, number], root)
    return found


def columns(kg: Graph, node_type: str, dim: int) -> dict[Side, slice]:
    """Which of `dim` columns each side of a type has: about as many each."""
    found = sides(kg, node_type)
    ends = [number * dim // max(len(found), 1) for number in range(len(found) + 1)]
    return {side: slice(*bounds) for side, bounds in zip(found, pairwise(ends), strict=True)}


def divisors(lengths: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """What rows of these lengths (n,) are divided by to have length 1; very short ones stay shorter.

    What is left of a node on the kept axes may be next to nothing, and says little then. others: lengths
    whose longest is meant, where it is not these.
    """
    longest = (lengths if others is None else others).max(initial=0)
    return np.maximum(lengths, np.float32(SHORTEST) * max(longest, np.float32(1e-12)))


def known(rows: np.ndarray) -> np.ndarray:
    """How much is known of nodes by their rows (n, dim), float32 (n,): what the other parts are scaled by."""
    return np.maximum(np.linalg.norm(rows, axis=1), SHORTEST).astype(np.float32)


def weighted(kg: Graph, edges: Sequence[np.ndarray], node_type: str) -> dict[Side, sparse.csr_array]:
    """Side -> weighted neighbours (nodes, nodes at the other end) of a type's nodes, if any; unscaled."""
    found = {}
    for side in sides(kg, node_type):
        number, is_head = side
        matrix = _weighted(_joined(kg, kg.message_relations[number], edges[number], is_head))
        if matrix.nnz:
            found[side] = matrix
    return found


def sides(kg: Graph, node_type: str) -> list[Side]:
    """The message relations at a type, each with the direction or directions in which it tells of a node."""
    found = []
    for number, relation in enumerate(kg.message_relations):
        if relation.head_type == node_type:
            found.append((number, True))
        if relation.tail_type == node_type and (relation.directed or relation.head_type != node_type):
            found.append((number, False))
    return found


def _joined(kg: Graph, relation: Relation, edges: np.ndarray, is_head: bool) -> sparse.sparray:
    """Which nodes (rows) of a relation's heads, or else of its tails, are joined to which others.

    Two nodes that a relation within a type joins are alike by that alone: each is among its own neighbours.
    """
    joined = matrices.relation_matrix(kg, relation, edges)
    if not is_head:
        joined = joined.T
    if relation.head_type != relation.tail_type:
        return joined
    return joined + sparse.diags_array(np.sign(joined.sum(axis=1)))


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
