"""Vectors of heads and tails, and the features of a pair that the classifier's trees read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.pairs.pairs import Known
from repurpose.vectors import embeddings


@dataclass(frozen=True)
class Vectors:
    """Vectors of all heads (heads, d) and of all tails (tails, e), float32.

    product: whether the features of a pair include head x tail, element by element; then d = e. blocks: where
    the parts of a head's and of a tail's vector end, if they have parts. Raises InputError if d + e is 0,
    which only degree features can be.
    """

    heads: np.ndarray
    tails: np.ndarray
    product: bool
    blocks: tuple[Sequence[int], Sequence[int]] | None = None

    def __post_init__(self) -> None:
        if not self.heads.shape[1] + self.tails.shape[1]:
            raise InputError(
                "the graph has no message relation at target.head_type or target.tail_type: there is nothing "
                "of these nodes to learn from; use a graph with more relations"
            )

    @classmethod
    def read(cls, path: str | Path, kg: Graph, types: Sequence[str]) -> "Vectors":
        """Read the vectors of the two types from an embedding file, in the graph's order; with product.

        Raises InputError as `embeddings.read` and `embeddings.aligned` do.
        """
        embedded = embeddings.read(path)
        vectors = cls.from_rows(embeddings.aligned(embedded, kg, path, types), types)
        return replace(vectors, blocks=embeddings.blocks(embedded, types, path))

    @classmethod
    def from_rows(cls, rows: Mapping[str, np.ndarray], types: Sequence[str]) -> "Vectors":
        """Take the vectors of the two types from type -> (nodes, d); with product."""
        return cls(*(rows[node_type] for node_type in types), product=True)

    def without_layers(self) -> "Vectors | None":
        """The vectors without their last part, the encoder output; None if they have no other part.

        What is left is the relation profile and the SVD, which need no training.
        """
        if not self.blocks or len(self.blocks[0]) < 2:
            return None
        (*head_ends, _), (*tail_ends, _) = self.blocks
        rows = self.heads[:, : head_ends[-1]], self.tails[:, : tail_ends[-1]]
        return Vectors(*rows, self.product, (head_ends, tail_ends))

    @property
    def width(self) -> int:
        """Number of features of a pair."""
        dims = self.heads.shape[1], self.tails.shape[1]
        return sum(dims) + (dims[0] if self.product else 0)

    def features(self, heads: np.ndarray, tails: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        """Features [head, tail, head x tail] of pairs: float32 (pairs, d + e), (pairs, 3 d) with product.

        columns: ascending numbers of the features to compute, None for all.
        """
        dims = self.heads.shape[1], self.tails.shape[1]
        if columns is None:
            sizes = *dims, self.width - sum(dims)
            of_head = of_tail = of_product = slice(None)
        else:
            first, second = np.searchsorted(columns, [dims[0], sum(dims)])
            sizes = first, second - first, len(columns) - second
            of_head, of_tail = columns[:first], columns[first:second] - dims[0]
            of_product = columns[second:] - sum(dims)
        rows = np.empty((len(heads), sum(sizes)), np.float32)
        rows[:, : sizes[0]] = self.heads[:, of_head][heads]
        rows[:, sizes[0] : sum(sizes[:2])] = self.tails[:, of_tail][tails]
        if sizes[2]:
            products = self.heads[:, of_product][heads], self.tails[:, of_product][tails]
            np.multiply(*products, out=rows[:, sum(sizes[:2]) :])
        return rows


def count_pairs(vectors: Vectors, pairs: pd.DataFrame, known: Known) -> dict[str, int]:
    """Count the pairs. Pairs without embedding have a head or a tail whose vector is all zeros."""
    has_no_vector = (
        ~vectors.heads.any(axis=1)[pairs["head_index"]] | ~vectors.tails.any(axis=1)[pairs["tail_index"]]
    )
    return {
        "positives": int((pairs["label"] == 1).sum()),
        "negatives": int((pairs["label"] == 0).sum()),
        "known": len(known.heads),
        "unknown": len(vectors.heads) * len(vectors.tails) - len(known.heads),
        "pairs_without_embedding": int(has_no_vector.sum()),
    }
