"""Where edges come from: source, publications, qualifiers and date, for tables that have them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.config.sections import EdgeColumns
from repurpose.ingest import tables
from repurpose.ingest.edges import Placed

COLUMNS = ("source", "publications", "qualifiers", "date")
QUALIFIERS = "qualifiers of the edge"  # the column of a table in KGX that has been read
SCHEMA = pa.schema(
    [
        ("relation_index", pa.int32()),
        ("head_index", pa.int32()),
        ("tail_index", pa.int32()),
        *((name, tables.TEXT) for name in COLUMNS),
    ]
)


def named(columns: EdgeColumns, names: Sequence[str]) -> dict[str, str]:
    """The columns of an edges table that say where its edges come from, by name in SCHEMA.

    columns: the table's columns. names: those of the table; only KGX has qualifiers.
    """
    found = {"source": columns.source, "publications": columns.publications, "date": columns.date}
    found["qualifiers"] = QUALIFIERS if QUALIFIERS in names else ""
    return {name: str(column) for name, column in found.items() if column != ""}


def collect(table: pa.Table, of_table: Mapping[str, str], sound: np.ndarray, placed: Placed) -> pa.Table:
    """One row for each edge and each different statement on where it comes from, with the columns of SCHEMA.

    Edges are sorted by relation, tail and head. of_table: see `named`. sound: bool (rows,), the rows that are
    edges. placed: their edges. Rows that say nothing are left out.
    """
    rows = table.filter(pa.array(sound))
    texts = [
        tables.filled(rows[of_table[name]]).unify_dictionaries().combine_chunks()
        if name in of_table
        else pa.DictionaryArray.from_arrays(np.zeros(len(rows), np.int32), [""])
        for name in COLUMNS
    ]
    columns = [*(pa.array(values.astype(np.int32)) for values in placed[1:]), *map(_one_chunk, texts)]
    result = pa.table(columns, schema=SCHEMA)
    says_something = np.zeros(len(rows), dtype=bool)
    for name in COLUMNS:
        says_something |= np.asarray(pc.not_equal(result[name].cast(pa.string()), ""))
    keys = np.stack([*placed[1:], *(column.indices.to_numpy() for column in columns[3:])])
    texts_of_row = range(3, len(keys))
    order = np.lexsort(keys[[*reversed(texts_of_row), 1, 2, 0]])
    order = order[says_something[order]]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (np.diff(keys[:, order], axis=1) != 0).any(axis=0)
    return result.take(pa.array(order[is_first]))


def none() -> pa.Table:
    """The table of a graph whose edges table has no such columns."""
    return SCHEMA.empty_table()


def _one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
