"""Columns behind those of the candidates: annotations of nodes, reviews of pairs, repeats of treatments."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import pyarrow as pa

from repurpose.graph import annotations
from repurpose.pairs import repeats, reviews


class Addition(Protocol):
    """Columns for pairs."""

    @property
    def fields(self) -> list[pa.Field]:
        """The columns that are added."""

    def add(self, pairs: pa.Table) -> pa.Table:
        """Pairs (head_id, tail_id) with these columns behind the others; some pairs may be left out."""


class AdditionFiles(NamedTuple):
    """The files of annotations, reviews and repeats, None for none, and what is left out of the pairs.

    excluded: verdicts of reviews by the key "reviews", kinds of repeats by the key "repeats".
    """

    annotations: Path | None = None
    reviews: Path | None = None
    repeats: Path | None = None
    excluded: Mapping[str, Sequence[str]] = MappingProxyType({})

    @classmethod
    def of(cls, job: Any) -> Self:
        """The files among the named inputs of a Snakemake job."""
        paths = (job.input.get(name) for name in ("annotations", "reviews", "repeats"))
        return cls(*(Path(path) if path else None for path in paths), job.params.excluded)

    def load(self, node_ids: Mapping[str, np.ndarray], types: tuple[str, str]) -> list[Addition]:
        """The additions; node_ids: node type -> ids. types: those of heads and of tails."""
        result: list[Addition] = []
        if self.annotations:
            result.append(annotations.load(self.annotations, node_ids, types))
        if self.reviews:
            result.append(reviews.load(self.reviews, self.excluded.get("reviews", ())))
        if self.repeats:
            result.append(repeats.load(self.repeats, self.excluded.get("repeats", ())))
        return result


def fields(additions: Sequence[Addition]) -> list[pa.Field]:
    """The columns of all additions."""
    return [field for addition in additions for field in addition.fields]


def added(pairs: pa.Table, additions: Sequence[Addition]) -> pa.Table:
    """Pairs with the columns of all additions."""
    for addition in additions:
        pairs = addition.add(pairs)
    return pairs
