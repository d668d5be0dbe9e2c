"""What every format gives: an edges table and a nodes table with the names of their columns."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from repurpose.config.sections import EdgeColumns, GraphSettings, NodeColumns
from repurpose.ingest.members import File


class RawTables(NamedTuple):
    """Tables of text cells; columns, node_columns: the names of their columns.

    faults: reason -> bool (rows,), the rows of the edges table that the format itself says are no edges.
    """

    edges: pa.Table
    nodes: pa.Table | None
    columns: EdgeColumns
    node_columns: NodeColumns
    faults: dict[str, np.ndarray]


class Source(NamedTuple):
    """Where the tables are: files of one folder or archive, or single files."""

    edges: list[File]  # of one entry of the config's list of edges tables
    nodes: list[File]
    name: str  # as the config has it


class Format(NamedTuple):
    """A format of tables.

    recognises: whether a source is in this format, by names of files and first lines. read: the tables, with
    one clear error if they are not in it.
    """

    name: str
    recognises: Callable[[Source, GraphSettings], bool]
    read: Callable[[Source, GraphSettings], RawTables]


def text_column(values: Sequence[str] | pa.Array, indices: np.ndarray | None = None) -> pa.DictionaryArray:
    """A dictionary-encoded column of `values`, or of the values at `indices`."""
    values = pa.array(values, pa.string()) if not isinstance(values, pa.Array) else values.cast(pa.string())
    if indices is None:
        return values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), values)
