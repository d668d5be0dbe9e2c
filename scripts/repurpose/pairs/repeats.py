"""Candidates that repeat a known treatment: the same ingredient, or a parent or child of the disease.

They are found by `repeat_search`, a module of its own, so that the ranking does not depend on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from repurpose.core import files
from repurpose.pairs.pair_rows import PairRows

COLUMN = "repeats"
# Kinds of repeats, and the bit that each has in the column `kinds`. A repeat of BOTH has another drug of the
# same ingredient that is known for a parent or child.
INGREDIENT, HIERARCHY, BOTH = 1, 2, 4
BITS = {"ingredient": INGREDIENT, "hierarchy": HIERARCHY}
# repeats: the known treatment that the pair repeats, in words. kinds: the bits of all kinds of the pair.
SCHEMA = pa.schema(
    [("head_id", pa.string()), ("tail_id", pa.string()), (COLUMN, pa.string()), ("kinds", pa.int8())]
)


@dataclass(frozen=True)
class Repeats:
    """Repeats (SCHEMA), one row per pair, and the kinds (keys of BITS) that candidates leave out."""

    table: pa.Table
    excluded: tuple[str, ...] = ()

    @property
    def fields(self) -> list[pa.Field]:
        """The column that candidates have."""
        return [SCHEMA.field(COLUMN)]

    def add(self, pairs: pa.Table) -> pa.Table:
        """Pairs (head_id, tail_id) with the column `repeats` behind the others, without the excluded ones."""
        rows = self._rows.place(pairs)
        added = pairs.append_column(SCHEMA.field(COLUMN), self._rows.texts(COLUMN, rows))
        bits = sum(BITS[kind] for kind in self.excluded)
        bits |= BOTH if set(self.excluded) == set(BITS) else 0
        kinds = np.append(self.table["kinds"].to_numpy(), np.int8(0))  # the last element is for -1, no repeat
        return added.filter(pa.array(kinds[rows] & bits == 0)) if bits else added

    @cached_property
    def _rows(self) -> PairRows:
        return PairRows(self.table)


def load(path: str | Path, exclude: Sequence[str]) -> Repeats:
    """The repeats that `repeat_search.find` found, from their parquet file."""
    return Repeats(files.read_table(path), tuple(exclude))
