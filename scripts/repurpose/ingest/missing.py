"""Cells that spell a missing value: what graph.missing counts as empty, and what only looks as if it were."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# What programs write where they have no value. NA and na may also be ids of their own.
SPELLINGS = ("nan", "NaN", "NAN", "None", "none", "null", "NULL", "Null", "<NA>", "<null>", "NA", "na")
SPELLINGS += ("N/A", "n/a", "#N/A", "-nan", "-NaN", "nil", "NaT", "undefined")


def count(
    table: pa.Table,
    columns: Mapping[str, str],
    missing: Sequence[str],
    file: str,
    sides: Sequence[str] = ("head_", "tail_"),
) -> list[dict[str, Any]]:
    """Per column of ids, types and relations, spelling and node type: the rows that spell a missing value.

    columns: what they are called in the table, as graph.columns; `sides` are the prefixes of its keys. Each
    entry says in `is_empty` whether `missing` lists the spelling; `type` is "" for a relation or a type.
    """
    wanted = pa.array(sorted({*missing, *SPELLINGS} - {""}), pa.string())
    keys = [("relation", "")] if "relation" in columns else []
    keys += [key for side in sides for key in ((f"{side}type", ""), (f"{side}id", f"{side}type"))]
    return [
        {
            "file": file,
            "column": columns[key],
            "value": value,
            "type": node_type,
            "rows": rows,
            "is_empty": value in missing,
        }
        for key, of in keys
        for value, node_type, rows in _rows(table, columns[key], columns[of] if of else "", wanted)
    ]


def warnings(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence on each spelling in a column: it was dropped, or it was taken for an id like any other."""
    for each in found:
        what = f"{each['file']}: {each['rows']:,} rows have {_place(each)}"
        if each["is_empty"]:
            yield f"{what}, which graph.missing counts as empty: they are dropped"
        else:
            yield f"{what}, which is kept as it is: if it means a missing value, add it to graph.missing"


def note(found: Sequence[Mapping[str, Any]], file: str) -> str:
    """What graph.missing empties in a file, for the sentence on lost rows; "" where that is nothing."""
    emptied = [each for each in found if each["is_empty"] and each["file"] == file]
    words = ", ".join(f"{_place(each)} ({each['rows']:,} rows)" for each in emptied)
    return f"; graph.missing, from which you may take what is a true id, empties {words}" if words else ""


def _place(each: Mapping[str, Any]) -> str:
    of = f" of type {each['type']}" if each["type"] else ""
    return f"{each['value']} in the column {each['column']}{of}"


def _rows(table: pa.Table, name: str, of: str, wanted: pa.Array) -> list[tuple[str, str, int]]:
    """Value, node type and number of the rows whose cell is `wanted`; `of` is the type's column or ""."""
    column = table[name]
    if pa.types.is_dictionary(column.type):
        # Millions of rows and a few values: ask the values first.
        held = [pc.any(pc.is_in(chunk.dictionary, value_set=wanted)).as_py() for chunk in column.chunks]
        if not any(held):
            return []
    mask = np.asarray(pc.is_in(column.cast(pa.string()), value_set=wanted))
    cells = table.filter(pa.array(mask)).select(list(dict.fromkeys([name, of or name])))
    values = [part.cast(pa.string()).to_pylist() for part in (cells[name], cells[of or name])]
    counts: dict[tuple[str, str], int] = {}
    for value, node_type in zip(*values, strict=True):
        key = value, (node_type or "") if of else ""
        counts[key] = counts.get(key, 0) + 1
    return [(value, node_type, rows) for (value, node_type), rows in sorted(counts.items())]
