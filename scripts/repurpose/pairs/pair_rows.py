"""Find the rows of a small table of pairs for the pairs of a large one, by their ids."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

IDS = ("head_id", "tail_id")


def place(pairs: pa.Table, table: pa.Table) -> np.ndarray:
    """The row of each pair (head_id, tail_id) in a table with one row per pair, int64 (n,), -1 for none."""
    # The table is small, and there may be all pairs of a graph: only those with both ids are looked up.
    has_ids = (pc.is_in(pairs[name], value_set=table[name].combine_chunks()) for name in IDS)
    near = np.flatnonzero(pc.and_(*has_ids).to_numpy(zero_copy_only=False))
    index = pd.MultiIndex.from_frame(table.select(IDS).to_pandas())
    row = np.full(pairs.num_rows, -1, np.int64)
    row[near] = index.get_indexer(
        pd.MultiIndex.from_frame(pairs.select(IDS).take(pa.array(near)).to_pandas())
    )
    return row


def texts(column: pa.ChunkedArray, rows: np.ndarray) -> pa.Array:
    """The texts of a column in these rows (see `place`), "" for -1."""
    is_none = rows < 0
    taken = column.combine_chunks().take(pa.array(np.where(is_none, 0, rows), mask=is_none))
    return pc.fill_null(taken, "")
