"""The embedding file: one row per node of the graph, a fixed-size vector, and where it came from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.ingest import tables

COLUMNS = ["node_type", "node_id", "embedding"]
BLOCKS = "blocks"  # of the metadata: where parts of the vectors end


@dataclass(frozen=True)
class Embeddings:
    """Vectors per node type, float32 (nodes of the type, d), with the ids of their rows."""

    vectors: dict[str, np.ndarray]
    ids: dict[str, np.ndarray]
    metadata: dict[str, str]

    @property
    def dim(self) -> int:
        return next(iter(self.vectors.values())).shape[1]


def write(
    path: str | Path, kg: Graph, vectors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write `vectors` (type -> (nodes, d), or (0, d) of a refused training) in the graph's node order."""
    rows = np.concatenate([np.asarray(vectors[t], np.float32) for t in kg.node_types])
    types = np.repeat(np.array(kg.node_types, object), [len(vectors[t]) for t in kg.node_types])
    ids = np.concatenate([kg.node_ids[t][: len(vectors[t])] for t in kg.node_types])
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    table = pa.table([pa.array(types, pa.string()), pa.array(ids, pa.string()), embedding], names=COLUMNS)
    files.write_table(path, table, metadata)


def read(path: str | Path) -> Embeddings:
    """Read an embedding file, parquet or a csv of JSON lists; one of a refused training has no types.

    Raises InputError if it is unreadable, has other columns, or vectors of different lengths.
    """
    table = _read_csv(path) if str(path).endswith(".csv") else files.read_table(path)
    missing = [column for column in COLUMNS if column not in table.column_names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}: an embedding file has {', '.join(COLUMNS)}")
    kind = table.schema.field("embedding").type
    metadata = {k.decode(): v.decode("utf-8", "replace") for k, v in (table.schema.metadata or {}).items()}
    if table.num_rows == 0 and pa.types.is_fixed_size_list(kind):
        return Embeddings({}, {}, metadata)
    if table.num_rows == 0 or not (pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise InputError(f"{path}: the column embedding must hold one list of numbers per node, found {kind}")
    rows = _matrix(path, table["embedding"])
    types = table["node_type"].cast(pa.string()).to_numpy(zero_copy_only=False)
    ids = table["node_id"].cast(pa.string()).to_numpy(zero_copy_only=False)
    names = sorted({str(name) for name in types})
    where = {name: np.flatnonzero(types == name) for name in names}
    return Embeddings(
        {name: rows[index] for name, index in where.items()},
        {name: ids[index] for name, index in where.items()},
        metadata,
    )


def aligned(embeddings: Embeddings, kg: Graph, path: str | Path) -> dict[str, np.ndarray]:
    """Vectors in the graph's node order, type -> (nodes, d); raises InputError for nodes without a vector."""
    result = {}
    for node_type in kg.node_types:
        position = {node: row for row, node in enumerate(embeddings.ids.get(node_type, ()))}
        rows = np.array([position.get(node, -1) for node in kg.node_ids[node_type]], np.int64)
        if (rows < 0).any():
            missing = kg.node_ids[node_type][np.flatnonzero(rows < 0)[0]]
            raise InputError(
                f"{path} has no vector for {int((rows < 0).sum())} of the graph's {len(rows)} nodes of type "
                f"{node_type} (the first is {missing}): it was made from another graph; train it again"
            )
        result[node_type] = embeddings.vectors[node_type][rows]
    return result


def blocks(embeddings: Embeddings, types: Sequence[str], path: str | Path) -> tuple[list[int], ...] | None:
    """Where the parts of the vectors of some types end; None where the file says nothing of parts.

    Raises InputError where it says what cannot be.
    """
    if BLOCKS not in embeddings.metadata:
        return None
    try:
        found = json.loads(embeddings.metadata[BLOCKS])
        ends = tuple(found[node_type] for node_type in types)
        # Ascending, from 1 on, to the last number of a vector.
        if all(sorted({*map(index, each), embeddings.dim}) == each and each[0] > 0 for each in ends):
            return ends
    except (ValueError, KeyError, TypeError):
        pass  # said below, as for numbers that do not fit
    raise InputError(
        f"{path}: its metadata {BLOCKS} is no list of where the parts of {' and '.join(types)} vectors end; "
        "write it as {type: [end, ..., numbers of a vector]} or leave it out"
    )


def _read_csv(path: str | Path) -> pa.Table:
    raw = tables.read(path, COLUMNS, "the embedding file")
    vectors = []
    for row, text in enumerate(raw["embedding"].to_pylist(), start=1):
        try:
            vectors.append(np.array(json.loads(text), np.float32).tolist())
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: row {row} of the column embedding is no list of numbers") from error
    return raw.set_column(2, "embedding", pa.array(vectors, pa.list_(pa.float32())))


def _matrix(path: str | Path, column: pa.ChunkedArray) -> np.ndarray:
    """(nodes, d) float32 from a list column whose lists are all equally long."""
    lengths = pc.unique(pc.list_value_length(column))
    if column.null_count or len(lengths) != 1:
        raise InputError(f"{path}: the vectors in the column embedding differ in length")
    flat = pc.list_flatten(column).to_numpy().astype(np.float32, copy=False)
    return flat.reshape(len(column), lengths[0].as_py())
