"""The ledger: what became of every row of the raw tables, by relation and reason.

The last section is about cells that spell a missing value, such as nan: graph.missing makes some of them
empty, the others are kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.core.errors import InputError
from repurpose.ingest.edges import Edges
from repurpose.ingest.identifiers import Identifiers
from repurpose.ingest.numbering import Nodes, Rows

REASONS = {
    "repeated_header": "repeated headers",
    "negated": "negated associations, which say the opposite of a fact",
    "empty_relation": "rows without a relation",
    "empty_type": "rows without a node type",
    "empty_id": "rows without a node id",
    "unknown_node": "rows with an id that the nodes table lacks",
    "unknown_type": "rows with a node type that graph.node_types does not list",
    "self_loop": "edges from a node to itself",
    "duplicate": "repeated edges",
}
NODE_REASONS = ("empty_type", "empty_id", "unknown_type", "duplicate")
# Rows dropped for these reasons have lost something; the others repeat what is known, or say nothing.
LOSSES = ("empty_relation", "empty_type", "empty_id", "unknown_node", "unknown_type")
CODES = {reason: code for code, reason in enumerate((*REASONS, "excluded", "sound"))}
EMPTY_RELATION, EMPTY_TYPE, EMPTY_ID = (CODES[f"empty_{name}"] for name in ("relation", "type", "id"))
UNKNOWN_NODE, UNKNOWN_TYPE = CODES["unknown_node"], CODES["unknown_type"]
SELF_LOOP, DUPLICATE, EXCLUDED, SOUND = (
    CODES[name] for name in ("self_loop", "duplicate", "excluded", "sound")
)


def outcomes(
    rows: Rows,
    nodes: Nodes,
    listed: np.ndarray,
    faults: Mapping[str, np.ndarray] | None = None,
    has_types: bool = True,
) -> np.ndarray:
    """What becomes of each row, before duplicates are removed: int8 (rows,), SOUND for an edge.

    If several reasons apply, the first in REASONS counts. listed: bool (types + 1,), whether graph.node_types
    lists the type; the last element, for the code -1 (no type), is False. faults: reason -> bool (rows,),
    rows that the format says are no edges. has_types: whether the edges table has types; otherwise a node
    without one is a node that the nodes table lacks.
    """
    typed = (rows.types[0] >= 0) & (rows.types[1] >= 0)
    unlisted = typed & ~(listed[rows.types[0]] & listed[rows.types[1]])
    outcome = np.full(len(typed), SOUND, dtype=np.int8)
    outcome[nodes.numbers[0] == nodes.numbers[1]] = SELF_LOOP
    outcome[unlisted] = UNKNOWN_TYPE
    if has_types:
        outcome[(rows.ids[0] < 0) | (rows.ids[1] < 0)] = EMPTY_ID
        outcome[~typed] = EMPTY_TYPE
    else:
        outcome[~typed] = UNKNOWN_NODE
        outcome[(rows.ids[0] < 0) | (rows.ids[1] < 0)] = EMPTY_ID
    outcome[rows.relation < 0] = EMPTY_RELATION
    # A relation that loses all its rows to graph.node_types is excluded on purpose: that is no loss.
    n_relations = len(rows.relation_values) + 1
    unlisted_rows = np.bincount(rows.relation[unlisted] + 1, minlength=n_relations)
    typed_rows = np.bincount(rows.relation[typed] + 1, minlength=n_relations)
    is_excluded = (unlisted_rows > 0) & (unlisted_rows == typed_rows)
    is_excluded[0] = False
    outcome[is_excluded[rows.relation + 1]] = EXCLUDED
    for reason in reversed(REASONS):
        if faults and reason in faults:
            outcome[faults[reason]] = CODES[reason]
    return outcome


def identifiers_entry(rows: Rows, same: Identifiers) -> dict[str, Any]:
    """How many ids and cells were replaced by others, and how many ids of the table do not occur."""
    known = sum(len(of_type) for of_type in same.same_as.values())
    return {
        "file": same.file,
        "replaced": len(rows.replaced),
        "cells": sum(rows.replaced.values()),
        "not_in_the_tables": known - len(rows.replaced),
    }


def entries(rows: Rows, outcome: np.ndarray, edges: Edges) -> list[dict[str, Any]]:
    """One entry per relation name; the entry "" counts the rows without a relation."""
    names = ["", *rows.relation_values]
    counts = np.bincount(
        (rows.relation + 1) * np.int64(SOUND + 1) + outcome, minlength=len(names) * (SOUND + 1)
    )
    tally = np.zeros((len(names), 3), dtype=np.int64)
    for (relation, _, _), of_files in zip(edges.triples, edges.tally, strict=True):
        tally[relation + 1] += of_files.sum(axis=0)
    accounts = zip(names, counts.reshape(len(names), SOUND + 1), tally, strict=True)
    return [{"relation": name, **_account(*account)} for name, *account in accounts if account[0].any()]


def file_entries(files: Sequence[tuple[str, int]], outcome: np.ndarray, edges: Edges) -> list[dict[str, Any]]:
    """One entry per edges table, if there are several; files: name and number of rows, in the rows' order.

    An edge that several tables have is kept for the first of them and a duplicate for the others.
    """
    if len(files) < 2:
        return []
    parts = np.split(outcome, np.cumsum([rows for _, rows in files])[:-1])
    tally = edges.tally.sum(axis=0)
    return [
        {"file": name, **_account(np.bincount(part, minlength=SOUND + 1), counts)}
        for (name, _), part, counts in zip(files, parts, tally, strict=True)
    ]


def _account(counts: np.ndarray, tally: np.ndarray) -> dict[str, Any]:
    """What became of rows; counts: by outcome. tally: kept, mirrored and duplicate ones of the sound rows."""
    dropped = dict(zip(REASONS, counts.tolist(), strict=False))
    dropped["duplicate"] = int(tally[2])
    return {
        "rows": int(counts.sum()),
        "kept": int(tally[0]),
        "mirrored": int(tally[1]),
        "excluded": int(counts[EXCLUDED]),
        "dropped": dropped,
    }


def totals(relations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum the entries of all relations; asserts for each that rows = kept + mirrored + excluded + dropped."""
    total: dict[str, Any] = {
        name: sum(entry[name] for entry in relations) for name in ("rows", "kept", "mirrored", "excluded")
    }
    total["dropped"] = {reason: sum(entry["dropped"][reason] for entry in relations) for reason in REASONS}
    for entry in (total, *relations):
        used = entry["kept"] + entry["mirrored"] + entry["excluded"] + sum(entry["dropped"].values())
        assert entry["rows"] == used, f"the ledger does not add up: {entry}"
    return total


def nodes_entry(rows: Rows, nodes: Nodes, listed: np.ndarray, usable: np.ndarray) -> dict[str, Any]:
    """The entry of the nodes table: `kept` counts its nodes, `added` those that the edges table lacks.

    listed, usable: bool (types + 1,), types in graph.node_types, and those of them in the edges table.
    """
    types, ids, numbers = rows.types[2], rows.ids[2], nodes.numbers[2]
    typed, identified = types >= 0, (types >= 0) & (ids >= 0)
    named = np.unique(numbers[numbers >= 0])
    in_edges = np.zeros(len(nodes.ids) + 1, dtype=bool)  # the last element is for -1, no node
    in_edges[nodes.numbers[0]] = in_edges[nodes.numbers[1]] = True
    excluded = int((identified & ~listed[types]).sum())
    dropped = (
        int((~typed).sum()),
        int((typed & (ids < 0)).sum()),
        int((identified & listed[types] & ~usable[types]).sum()),
        int((numbers >= 0).sum()) - len(named),
    )
    return {
        "rows": len(types),
        "kept": len(named),
        "added": int((~in_edges[named]).sum()),
        "excluded": excluded,
        "dropped": dict(zip(NODE_REASONS, dropped, strict=True)),
    }


def check_losses(
    relations: Sequence[Mapping[str, Any]], max_share: float, file: str, about_empty: str = ""
) -> None:
    """Raise InputError if a relation has lost more than `max_share` of its rows; it names the worst one.

    Repeated edges and edges of a node to itself are no loss, unless nothing else is left. about_empty: added
    to the error if the main reason is an empty relation, type or id.
    """
    total = sum(entry["rows"] for entry in relations)
    # Rows without a relation are all dropped, so their loss is counted as a share of the whole table.
    bases = [entry["rows"] if entry["relation"] else total for entry in relations]
    dropped = [
        {
            reason: count
            for reason, count in entry["dropped"].items()
            if reason in LOSSES or (reason == "self_loop" and not entry["kept"])
        }
        for entry in relations
    ]
    losses = [sum(counts.values()) / base for counts, base in zip(dropped, bases, strict=True)]
    worst = int(np.argmax(losses))
    if losses[worst] <= max_share:
        return
    reason, count = max(dropped[worst].items(), key=lambda item: item[1])
    name = relations[worst]["relation"]
    raise InputError(
        f"{file}: {f'relation {name}' if name else 'the table'} loses {100 * losses[worst]:.3g} % of its "
        f"{bases[worst]:,} rows ({count:,} are {REASONS[reason]}), more than "
        f"graph.max_dropped_share allows ({100 * max_share:.3g} %): correct the table or raise that share"
        f"{about_empty if reason.startswith('empty') else ''}"
    )


# ---- cells that spell a missing value ----

# How programs write a missing value. NA and na may also be true ids.
SPELLINGS = ("nan", "NaN", "NAN", "None", "none", "null", "NULL", "Null", "<NA>", "<null>", "NA", "na")
SPELLINGS += ("N/A", "n/a", "#N/A", "-nan", "-NaN", "nil", "NaT", "undefined")


def count_missing(
    table: pa.Table,
    columns: Mapping[str, str],
    missing: Sequence[str],
    file: str,
    sides: Sequence[str] = ("head_", "tail_"),
) -> list[dict[str, Any]]:
    """The ledger's section `missing`: counts of rows whose relation, type or id spells a missing value.

    There is one entry per column, spelling and node type. In an entry, `type` is the node type of an id, or
    "" for a relation or a type; `is_empty` is True for a spelling of graph.missing. columns: names of the
    table's columns, as in graph.columns; `sides` are the prefixes of its keys. missing: the spellings of
    graph.missing.
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
        for key, type_key in keys
        if columns[key]
        for value, node_type, rows in _count_spellings(table, columns[key], columns.get(type_key, ""), wanted)
    ]


def missing_warnings(missing_cells: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each entry of `count_missing`: its rows are dropped, or its spelling is kept."""
    for entry in missing_cells:
        what = f"{entry['file']}: {entry['rows']:,} rows have {_place(entry)}"
        if entry["is_empty"]:
            yield f"{what}, which graph.missing counts as empty: they are dropped"
        else:
            yield f"{what}, which is kept as it is: if it means a missing value, add it to graph.missing"


def missing_note(missing_cells: Sequence[Mapping[str, Any]], file: str) -> str:
    """The cells of a file that graph.missing makes empty, as text for `check_losses`, or ""."""
    emptied = [entry for entry in missing_cells if entry["is_empty"] and entry["file"] == file]
    words = ", ".join(f"{_place(entry)} ({entry['rows']:,} rows)" for entry in emptied)
    return f"; graph.missing, from which you may take what is a true id, empties {words}" if words else ""


def _place(entry: Mapping[str, Any]) -> str:
    of_type = f" of type {entry['type']}" if entry["type"] else ""
    return f"{entry['value']} in the column {entry['column']}{of_type}"


def _count_spellings(
    table: pa.Table, name: str, type_name: str, wanted: pa.Array
) -> list[tuple[str, str, int]]:
    """Value, node type and count of the rows with a `wanted` value; type_name: the column of types, or ""."""
    column = table[name]
    if pa.types.is_dictionary(column.type):
        # Millions of rows have few distinct values, so checking these first is fast.
        has_wanted = [pc.any(pc.is_in(chunk.dictionary, value_set=wanted)).as_py() for chunk in column.chunks]
        if not any(has_wanted):
            return []
    mask = np.asarray(pc.is_in(column.cast(pa.string()), value_set=wanted))
    cells = table.filter(pa.array(mask)).select(list(dict.fromkeys([name, type_name or name])))
    values = [cells[column].cast(pa.string()).to_pylist() for column in (name, type_name or name)]
    counts: dict[tuple[str, str], int] = {}
    for value, node_type in zip(*values, strict=True):
        key = value, (node_type or "") if type_name else ""
        counts[key] = counts.get(key, 0) + 1
    return [(value, node_type, rows) for (value, node_type), rows in sorted(counts.items())]
