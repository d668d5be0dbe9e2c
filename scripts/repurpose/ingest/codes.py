"""Values as integer codes: columns that share one sorted list of distinct values."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def of_text(
    columns: Sequence[pa.ChunkedArray], missing: Sequence[str] = ()
) -> tuple[list[np.ndarray], pa.Array]:
    """Encode text columns by one list of values.

    columns: strings, dictionary-encoded or not; null and what `missing` lists are the same as "". Returns
    an int32 array per column, the position of the cell's value or -1 where the cell is empty, and the
    values: sorted by code point, none of them empty, each in use. Codes therefore compare as the strings do.
    """
    chunks = [chunk for column in columns for chunk in _encoded(column).chunks]
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


def of_numbers(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encode integers: int32 codes (n,) and the sorted distinct numbers.

    What np.unique(return_inverse=True) does, by hashing: several times faster on millions of rows.
    """
    encoded = pa.array(numbers).dictionary_encode()
    distinct = encoded.dictionary.to_numpy()
    order = np.argsort(distinct)
    code = np.empty(len(order), dtype=np.int32)
    code[order] = np.arange(len(order), dtype=np.int32)
    return code[encoded.indices.to_numpy()], distinct[order]


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.null_count:
        column = column.cast(pa.string()).fill_null("")
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
