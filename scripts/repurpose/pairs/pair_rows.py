"""Find the rows of a small table of pairs for the pairs of a large one, by their ids."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

IDS = ("head_id", "tail_id")


@dataclass(frozen=True)
class PairRows:
    """A table with one row per pair (head_id, tail_id), whose index is made once for all look-ups."""

    table: pa.Table

    def place(self, pairs: pa.Table) -> np.ndarray:
        """The row of each pair (head_id, tail_id), int64 (n,), -1 for none."""
        # The table is small, and there may be all pairs of a graph: only those with both ids are looked up.
        has_ids = (pc.is_in(pairs[name], value_set=ids) for name, ids in zip(IDS, self._ids, strict=True))
        near = np.flatnonzero(pc.and_(*has_ids).to_numpy(zero_copy_only=False))
        asked = pairs.select(IDS).take(pa.array(near)).to_pandas()
        rows = np.full(pairs.num_rows, -1, np.int64)
        rows[near] = self._index.get_indexer(pd.MultiIndex.from_frame(asked))
        return rows

    def texts(self, name: str, rows: np.ndarray) -> pa.Array:
        """The texts of a column in these rows (see `place`), "" for -1."""
        is_none = rows < 0
        column = self.table[name].combine_chunks()
        return pc.fill_null(column.take(pa.array(np.where(is_none, 0, rows), mask=is_none)), "")

    @cached_property
    def _ids(self) -> list[pa.Array]:
        return [self.table[name].combine_chunks() for name in IDS]

    @cached_property
    def _index(self) -> pd.MultiIndex:
        return pd.MultiIndex.from_frame(self.table.select(IDS).to_pandas())
