"""Node vectors of the target's two types, and what trees read of a pair of them."""

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
    """Vectors of the head type (heads, d) and of the tail type (tails, e), float32.

    `product` adds head x tail, element by element, to the features; then d = e. blocks: where the parts of
    a head's and of a tail's vector end, if there are parts. Raises InputError if d + e is 0, which only
    degree features can be.
    """

    heads: np.ndarray
    tails: np.ndarray
    product: bool
    blocks: tuple[Sequence[int], Sequence[int]] | None = None

    def __post_init__(self) -> None:
        if not self.heads.shape[1] + self.tails.shape[1]:
            raise InputError(
                "the graph has no message relation at target.head_type or target.tail_type: nothing is known "
                "of these nodes to learn from; use a graph with more relations"
            )

    @classmethod
    def read(cls, path: str | Path, kg: Graph, types: Sequence[str]) -> "Vectors":
        """Those of an embedding file for the two types, in the graph's order, with the product.

        Raises InputError as `embeddings.read` and `embeddings.aligned` do.
        """
        found = embeddings.read(path)
        made = cls.of(embeddings.aligned(found, kg, path), types)
        return replace(made, blocks=embeddings.blocks(found, types, path))

    @classmethod
    def of(cls, rows: Mapping[str, np.ndarray], types: Sequence[str]) -> "Vectors":
        """Those of the two types among all, type -> (nodes, d), with the product."""
        return cls(*(rows[node_type] for node_type in types), product=True)

    def features(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """Rows [head, tail, head x tail] of the pairs: float32 (pairs, d + e or 3 d)."""
        left, right = self.heads.shape[1], self.tails.shape[1]
        rows = np.empty((len(heads), left + right + (left if self.product else 0)), np.float32)
        rows[:, :left] = self.heads[heads]
        rows[:, left : left + right] = self.tails[tails]
        if self.product:
            np.multiply(rows[:, :left], rows[:, left : 2 * left], out=rows[:, 2 * left :])
        return rows


def count_pairs(vectors: Vectors, pairs: pd.DataFrame, known: Known) -> dict[str, int]:
    """Counts of the pairs; those without embedding have a head or tail whose vector is zero throughout."""
    absent = ~vectors.heads.any(axis=1)[pairs["head_index"]] | ~vectors.tails.any(axis=1)[pairs["tail_index"]]
    return {
        "positives": int((pairs["label"] == 1).sum()),
        "negatives": int((pairs["label"] == 0).sum()),
        "known": len(known.heads),
        "unknown": len(vectors.heads) * len(vectors.tails) - len(known.heads),
        "pairs_without_embedding": int(absent.sum()),
    }
