"""Where edges come from, as sources.parquet has it: the source and the publications of single edges."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.core import files

# At most so many publications of an edge are listed; some have thousands. The file has them all.
MOST = 10
BETWEEN = re.compile(r"\s*[|;]\s*")


class Origin(NamedTuple):
    """What a table says on where one edge comes from; each text once, in the order of the table's rows."""

    sources: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()


UNKNOWN = Origin()


@dataclass(frozen=True)
class EdgeSources:
    """The rows of sources.parquet, sorted by relation, tail and head: several rows can be about one edge."""

    relation: np.ndarray
    tail: np.ndarray
    head: np.ndarray
    texts: pa.Table  # source and publications

    def of(self, relation: int, head: int, tail: int) -> Origin:
        """The origin of an edge; head, tail: indices within their types, as the graph stores the edge."""
        rows = self._rows(relation, head, tail)
        if not rows:
            return UNKNOWN
        told = self.texts.slice(rows.start, len(rows)).to_pydict()
        return Origin(
            _distinct(told["source"]),
            _distinct(part for cell in told["publications"] for part in BETWEEN.split(cell))[:MOST],
        )

    def _rows(self, relation: int, head: int, tail: int) -> range:
        first, last = 0, len(self.relation)
        for column, value in ((self.relation, relation), (self.tail, tail), (self.head, head)):
            found = np.searchsorted(column[first:last], [value, value + 1])
            first, last = first + int(found[0]), first + int(found[1])
        return range(first, last)


def load(path: str | Path) -> EdgeSources | None:
    """The origins in a file; None if it has none, as for tables that do not say where edges come from."""
    table = files.read_table(path)
    says_where = pc.or_(
        *(pc.not_equal(table[name].cast(pa.string()), "") for name in ("source", "publications"))
    )
    table = table.filter(says_where)
    if not table.num_rows:
        return None
    order = (table[f"{name}_index"].to_numpy() for name in ("relation", "tail", "head"))
    return EdgeSources(*order, table.select(["source", "publications"]))


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))
