"""Rows of text as rows of integers: every node a number, ordered by type and id."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from repurpose.ingest import codes


class Rows(NamedTuple):
    """Both tables as integer codes into sorted values, -1 where empty.

    The lists hold an array for the heads, one for the tails and, with a nodes table, one for its rows.
    """

    relation: np.ndarray
    types: list[np.ndarray]
    ids: list[np.ndarray]
    names: list[np.ndarray]
    relation_values: list[str]
    type_values: list[str]
    id_values: pa.Array
    name_values: pa.Array


class Nodes(NamedTuple):
    """All nodes of the graph, by type and then by id as a string."""

    numbers: list[np.ndarray]  # parallel to Rows.types: the node's number over all types, -1 where none
    starts: np.ndarray  # (types + 1,): first number of each type
    ids: np.ndarray  # (nodes,) object
    names: np.ndarray  # (nodes,) object


def encode(
    table: pa.Table,
    columns: Mapping[str, str],
    nodes_table: pa.Table | None,
    node_columns: Mapping[str, str],
    missing: Sequence[str] = (),
) -> Rows:
    """Encode the edges table, and the nodes table if there is one, with common codes.

    columns, node_columns: what the columns of the tables are called; no name column where it is "".
    missing: spellings that are the same as an empty cell, in every column.
    """
    sources = [(table, columns, "head_"), (table, columns, "tail_")]
    if nodes_table is not None:
        sources.append((nodes_table, node_columns, ""))

    def chunked(name: str) -> list[pa.ChunkedArray]:
        return [
            part[named[prefix + name]] if named[prefix + name] else _empty_column(len(part))
            for part, named, prefix in sources
        ]

    (relation,), relation_values = codes.of_text([table[columns["relation"]]], missing)
    types, type_values = codes.of_text(chunked("type"), missing)
    ids, id_values = codes.of_text(chunked("id"), missing)
    names, name_values = codes.of_text(chunked("name"), missing)
    return Rows(
        relation,
        types,
        ids,
        names,
        relation_values.to_pylist(),
        type_values.to_pylist(),
        id_values,
        name_values,
    )


def _empty_column(length: int) -> pa.ChunkedArray:
    return pa.chunked_array([pa.DictionaryArray.from_arrays(np.zeros(length, dtype=np.int32), [""])])


def number(rows: Rows, usable: np.ndarray) -> Nodes:
    """Number the nodes of the usable types.

    usable: bool (types + 1,), the last place, which the code -1 picks, being False.
    """
    n_ids = len(rows.id_values)
    keys = [
        np.where((ids >= 0) & usable[types], types * np.int64(n_ids) + ids, -1)
        for types, ids in zip(rows.types, rows.ids, strict=True)
    ]
    # The -1 put in front makes sure that code 0 means "no node".
    numbers, distinct = codes.of_numbers(np.concatenate([[-1], *keys]))
    parts = np.split(numbers[1:] - 1, np.cumsum([len(key) for key in keys])[:-1])
    distinct = distinct[1:]
    starts = np.searchsorted(distinct, np.arange(len(usable)) * n_ids)
    ids = _objects(rows.id_values.take(pa.array(distinct % n_ids)))
    return Nodes(parts, starts, ids, _names(rows, parts, ids))


def _names(rows: Rows, numbers: Sequence[np.ndarray], ids: np.ndarray) -> np.ndarray:
    """The smallest name that the edges give a node, or that the nodes table gives it, or its id."""
    names, values = ids.copy(), _objects(rows.name_values)
    for parts in (range(2), range(2, len(numbers))):
        best = np.full(len(ids), len(values), dtype=np.int32)
        for part in parts:
            known = (numbers[part] >= 0) & (rows.names[part] >= 0)
            np.minimum.at(best, numbers[part][known], rows.names[part][known])
        named = best < len(values)
        names[named] = values[best[named]]
    return names


def _objects(texts: pa.Array) -> np.ndarray:
    return texts.to_numpy(zero_copy_only=False).astype(object, copy=False)
