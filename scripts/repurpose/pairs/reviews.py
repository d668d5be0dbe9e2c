"""Marks of reviewers on pairs: plausible, implausible, in trial, anything; shown, and never labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.core import files

IDS = ("head_id", "tail_id")
# review: the verdict. review_note: why, by whom, when. Both are "" for a pair without a review.
COLUMNS = ("review", "review_note")
SCHEMA = pa.schema([(name, pa.string()) for name in (*IDS, *COLUMNS)])


@dataclass(frozen=True)
class Reviews:
    """Reviews (SCHEMA), one row per pair, and the verdicts whose pairs are left out of the candidates."""

    table: pa.Table
    excluded: tuple[str, ...] = ()

    @property
    def fields(self) -> list[pa.Field]:
        """The columns that candidates have."""
        return [SCHEMA.field(name) for name in COLUMNS]

    def add(self, pairs: pa.Table) -> pa.Table:
        """Pairs (head_id, tail_id) with COLUMNS behind the others, without the excluded ones."""
        # Reviews are few, and there may be all pairs of a graph: only those with both ids are looked up.
        has_ids = (pc.is_in(pairs[name], value_set=self.table[name].combine_chunks()) for name in IDS)
        near = np.flatnonzero(pc.and_(*has_ids).to_numpy(zero_copy_only=False))
        asked = pairs.select(IDS).take(pa.array(near)).to_pandas()
        row = np.full(pairs.num_rows, -1)
        row[near] = self._index.get_indexer(pd.MultiIndex.from_frame(asked))
        place = pa.array(np.where(row < 0, 0, row), mask=row < 0)
        for name in COLUMNS:
            column = pc.fill_null(self.table[name].combine_chunks().take(place), "")
            pairs = pairs.append_column(SCHEMA.field(name), column)
        excluded = pa.array([each.casefold() for each in self.excluded], pa.string())
        return pairs.filter(pc.invert(pc.is_in(pc.utf8_lower(pairs["review"]), value_set=excluded)))

    @cached_property
    def _index(self) -> pd.MultiIndex:
        return pd.MultiIndex.from_frame(self.table.select(IDS).to_pandas())


def load(path: str | Path, exclude: Sequence[str]) -> Reviews:
    """The reviews that `review_tables.read` read, from their parquet file."""
    return Reviews(files.read_table(path), tuple(exclude))
