"""Marks of reviewers on pairs: plausible, implausible, in trial, anything; shown, and never labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from repurpose.core import files
from repurpose.pairs.pair_rows import IDS, PairRows

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
        rows = self._rows.place(pairs)
        for name in COLUMNS:
            pairs = pairs.append_column(SCHEMA.field(name), self._rows.texts(name, rows))
        excluded = pa.array([each.casefold() for each in self.excluded], pa.string())
        return pairs.filter(pc.invert(pc.is_in(pc.utf8_lower(pairs["review"]), value_set=excluded)))

    @cached_property
    def _rows(self) -> PairRows:
        return PairRows(self.table)


def load(path: str | Path, exclude: Sequence[str]) -> Reviews:
    """The reviews that `review_tables.read` read, from their parquet file."""
    return Reviews(files.read_table(path), tuple(exclude))
