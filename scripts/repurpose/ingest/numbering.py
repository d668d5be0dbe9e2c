"""From rows of text to rows of integers: codes for text cells, and a number for each node (type and id).

`encode` turns the edges and nodes tables into codes, and `number` turns codes into node numbers. Both use
`encode_texts` or `encode_numbers`: a code is a position in a sorted list of values.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.core.errors import InputError
from repurpose.ingest import identifiers
from repurpose.ingest.identifiers import Identifiers


class Rows(NamedTuple):
    """The edges table and the nodes table as codes: positions in the sorted lists `*_values`, -1 if empty.

    Each list of arrays has one array for the heads, one for the tails and, if there is a nodes table, one for
    its rows. replaced: old ids that were replaced by others -> number of cells.
    """

    relation: np.ndarray
    types: list[np.ndarray]
    ids: list[np.ndarray]
    names: list[np.ndarray]
    relation_values: list[str]
    type_values: list[str]
    id_values: pa.Array
    name_values: pa.Array
    replaced: Mapping[str, int]


class Nodes(NamedTuple):
    """All nodes of the graph, sorted by type and then by id as a string."""

    numbers: list[np.ndarray]  # as Rows.types: for each row the number of its node over all types, -1 if none
    starts: np.ndarray  # (types + 1,): the first number of each type
    ids: np.ndarray  # (nodes,) object
    names: np.ndarray  # (nodes,) object


def encode(
    table: pa.Table,
    columns: Mapping[str, str],
    nodes_table: pa.Table | None,
    node_columns: Mapping[str, str],
    missing: Sequence[str] = (),
    same: Identifiers = identifiers.NONE,
) -> Rows:
    """Encode the edges table, and the nodes table if there is one, with the same lists of values.

    A node whose id is replaced has the name that the table gives for the other id, if there is one.

    columns, node_columns: the names of the tables' columns; "" if there is no column of node names. If the
    edges table has no types, they are those of the nodes table. missing: spellings that count as an empty
    cell, in every column. same: ids that are replaced by others.
    """
    sources = [(table, columns, "head_"), (table, columns, "tail_")]
    if nodes_table is not None:
        sources.append((nodes_table, node_columns, ""))

    def chunked(name: str) -> list[pa.ChunkedArray]:
        return [
            source[names[prefix + name]] if names[prefix + name] else _empty_column(len(source))
            for source, names, prefix in sources
        ]

    (relation,), relation_values = encode_texts([table[columns["relation"]]], missing)
    types, type_values = encode_texts(chunked("type"), missing)
    ids, id_values = encode_texts(chunked("id"), missing)
    names, name_values = encode_texts(chunked("name"), missing)
    replacing = _Replacing(ids, id_values)
    if identifiers.ANY in same.same_as:
        replacing.replace(same.same_as[identifiers.ANY])
    if not columns["head_type"] and nodes_table is not None:
        ids, id_values = replacing.ids, replacing.values
        types = [*types_by_id(ids, types[2], len(id_values)), types[2]]
    for node_type, of_type in same.same_as.items():
        if node_type != identifiers.ANY:
            code = pc.index(type_values, node_type).as_py()
            if code < 0:
                raise _no_type(same.file, node_type, type_values.to_pylist())
            replacing.replace(of_type, [of_cells == code for of_cells in types])
    ids, id_values = replacing.ids, replacing.values
    if replacing.counts:
        replacing.prefer_own_names(types, names)
    return Rows(
        relation,
        types,
        ids,
        names,
        relation_values.to_pylist(),
        type_values.to_pylist(),
        id_values,
        name_values,
        replacing.counts,
    )


class _Replacing:
    """Codes of ids by column, whose ids are replaced one table of identifiers after the other."""

    def __init__(self, ids: Sequence[np.ndarray], values: pa.Array) -> None:
        self.ids, self.values = list(ids), values
        self.is_replaced = [np.zeros(len(codes), bool) for codes in ids]
        self.counts: dict[str, int] = {}  # old id -> number of cells

    def replace(self, same_as: Mapping[str, str], where: Sequence[np.ndarray] | None = None) -> None:
        """Replace ids; where: of each column the cells (n,) that are meant, None for all."""
        old, new = (pa.array(texts, self.values.type) for texts in (list(same_as), list(same_as.values())))
        place = pc.index_in(old, value_set=self.values)
        old, new = (texts.filter(pc.is_valid(place)) for texts in (old, new))
        place = pc.drop_null(place).to_numpy()
        (codes,), values = encode_texts([pa.chunked_array([pa.concat_arrays([self.values, new])])])
        kept = np.append(codes[: len(self.values)], -1)  # the last element is for -1, no id
        changed, is_old = kept.copy(), np.zeros(len(kept), bool)
        changed[place], is_old[place] = codes[len(self.values) :], True
        cells = np.zeros(len(kept), np.int64)
        for column, of_column in enumerate(self.ids):
            is_meant = is_old[of_column] & (True if where is None else where[column])
            cells += np.bincount(of_column[is_meant], minlength=len(kept))
            self.is_replaced[column] |= is_meant
            self.ids[column] = np.where(is_meant, changed[of_column], kept[of_column])
        self.values = values
        for text, count in zip(old.to_pylist(), cells[place].tolist(), strict=True):
            if count:
                self.counts[text] = self.counts.get(text, 0) + count

    def prefer_own_names(self, types: Sequence[np.ndarray], names: Sequence[np.ndarray]) -> None:
        """Take the names (codes, changed in place) out of replaced cells if a node has a name of its own."""
        n_ids = np.int64(len(self.values))
        # -1 for a cell without an id or a type, which is no node.
        keys = [
            np.where((of_type >= 0) & (ids >= 0), of_type * n_ids + ids, -1)
            for of_type, ids in zip(types, self.ids, strict=True)
        ]
        columns = list(zip(keys, names, self.is_replaced, strict=True))
        own = np.unique(
            np.concatenate([key[(name >= 0) & (key >= 0) & ~is_new] for key, name, is_new in columns])
        )
        for key, name, is_new in columns:
            (rows,) = np.nonzero(is_new)
            name[rows[np.isin(key[rows], own)]] = -1


def _no_type(file: str, node_type: str, known: Sequence[str]) -> InputError:
    return InputError(
        f"{file} (graph.identifiers) has the node type {node_type}, which the tables lack; they have "
        f"{', '.join(known)}"
    )


def types_by_id(ids: Sequence[np.ndarray], node_types: np.ndarray, n_ids: int) -> list[np.ndarray]:
    """The types of heads and tails by the nodes table; ids: of heads, tails and the nodes table.

    An id with several types in the nodes table has the first of them in alphabetical order; -1 means none.
    """
    last = np.iinfo(np.int32).max
    type_of_id = np.full(n_ids + 1, last, dtype=np.int32)  # the last element is for -1, no id
    known = (ids[2] >= 0) & (node_types >= 0)
    np.minimum.at(type_of_id, ids[2][known], node_types[known])
    type_of_id[type_of_id == last] = -1
    return [type_of_id[ids[end]] for end in (0, 1)]


def _empty_column(length: int) -> pa.ChunkedArray:
    return pa.chunked_array([pa.DictionaryArray.from_arrays(np.zeros(length, dtype=np.int32), [""])])


def number(rows: Rows, usable: np.ndarray) -> Nodes:
    """Number the nodes of the usable types.

    usable: bool (types + 1,), for each type code; the last element, for the code -1 (no type), is False.
    """
    n_ids = len(rows.id_values)
    keys = [
        np.where((ids >= 0) & usable[types], types * np.int64(n_ids) + ids, -1)
        for types, ids in zip(rows.types, rows.ids, strict=True)
    ]
    # The -1 at the front ensures that code 0 always means "no node".
    numbers, distinct = encode_numbers(np.concatenate([[-1], *keys]))
    numbers_by_source = np.split(numbers[1:] - 1, np.cumsum([len(key) for key in keys])[:-1])
    distinct = distinct[1:]
    starts = np.searchsorted(distinct, np.arange(len(usable)) * n_ids)
    ids = _objects(rows.id_values.take(pa.array(distinct % n_ids)))
    return Nodes(numbers_by_source, starts, ids, _names(rows, numbers_by_source, ids))


def _names(rows: Rows, numbers: Sequence[np.ndarray], ids: np.ndarray) -> np.ndarray:
    """The name of each node: its smallest name in the nodes table, else in the edges table, else its id."""
    names, values = ids.copy(), _objects(rows.name_values)
    # The nodes table comes second, so its names replace those of the edges table.
    for sources in (range(2), range(2, len(numbers))):
        best = np.full(len(ids), len(values), dtype=np.int32)
        for source in sources:
            known = (numbers[source] >= 0) & (rows.names[source] >= 0)
            np.minimum.at(best, numbers[source][known], rows.names[source][known])
        named = best < len(values)
        names[named] = values[best[named]]
    return names


def _objects(texts: pa.Array) -> np.ndarray:
    return texts.to_numpy(zero_copy_only=False).astype(object, copy=False)


# ---- codes of values ----


def encode_texts(
    columns: Sequence[pa.ChunkedArray], missing: Sequence[str] = ()
) -> tuple[list[np.ndarray], pa.Array]:
    """Encode text columns as integers, with one sorted list of distinct values for all columns.

    columns: strings, dictionary-encoded or not; null and the spellings in `missing` count as "". Returns one
    int32 array per column, with the position of each cell's value in the list or -1 for an empty cell, and
    the list. The list is sorted by code point, without the empty string and unused values, so codes compare
    as the strings do.
    """
    chunks = [chunk for column in columns for chunk in _dictionary_encoded(column).chunks]
    joined = pa.chunked_array(chunks).unify_dictionaries()
    raw = np.concatenate([chunk.indices.to_numpy() for chunk in joined.chunks])
    values = joined.chunk(0).dictionary
    used = np.bincount(raw, minlength=len(values)) > 0
    order = pc.array_sort_indices(values).to_numpy()
    is_empty = np.asarray(pc.is_in(values, value_set=pa.array(["", *missing], values.type)))
    order = order[used[order] & ~is_empty[order]]
    code = np.full(len(values), -1, dtype=np.int32)
    code[order] = np.arange(len(order), dtype=np.int32)
    ends = np.cumsum([len(column) for column in columns])
    return np.split(code[raw], ends[:-1]), values.take(pa.array(order))


def encode_numbers(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encode integers: returns int32 codes (n,) and the sorted distinct numbers that the codes refer to.

    The result equals that of np.unique(return_inverse=True), but hashing is several times faster on millions
    of rows.
    """
    encoded = pa.array(numbers).dictionary_encode()
    distinct = encoded.dictionary.to_numpy()
    order = np.argsort(distinct)
    code = np.empty(len(order), dtype=np.int32)
    code[order] = np.arange(len(order), dtype=np.int32)
    return code[encoded.indices.to_numpy()], distinct[order]


def _dictionary_encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.null_count:
        column = column.cast(pa.string()).fill_null("")
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
