"""The embedding file: one row per node of the graph, with a vector of fixed length, and metadata."""

import json
from collections import Counter
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
from repurpose.vectors import imports

COLUMNS = ["node_type", "node_id", "embedding"]
BLOCKS = "blocks"  # metadata key: where the parts of the vectors end


@dataclass(frozen=True)
class Embeddings:
    """Vectors per node type, float32 (nodes of the type, d), the node ids of their rows, and the metadata."""

    vectors: dict[str, np.ndarray]
    ids: dict[str, np.ndarray]
    metadata: dict[str, str]

    @property
    def dim(self) -> int:
        return next(iter(self.vectors.values())).shape[1]


def write(
    path: str | Path, kg: Graph, vectors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write the vectors in the graph's node order.

    vectors: type -> (nodes, d), or (0, d) if the training was refused; a type without vectors is not there.
    """
    node_types = [node_type for node_type in kg.node_types if node_type in vectors]
    rows = np.concatenate([np.asarray(vectors[t], np.float32) for t in node_types])
    types = np.repeat(np.array(node_types, object), [len(vectors[t]) for t in node_types])
    ids = np.concatenate([kg.node_ids[t][: len(vectors[t])] for t in node_types])
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    table = pa.table([pa.array(types, pa.string()), pa.array(ids, pa.string()), embedding], names=COLUMNS)
    files.write_table(path, table, metadata)


def read(path: str | Path, *, is_result: bool = True) -> Embeddings:
    """Read an embedding file, parquet or a format of `imports`. That of a refused training has no types.

    is_result: whether the workflow made the file; if not, the user gave it. Raises InputError if the file is
    unreadable or of an unknown kind, lacks a column, has vectors of different lengths, or two of one node.
    """
    suffix = Path(path).suffix.lower()
    if not is_result and not Path(path).is_file():
        raise InputError(f"{path} is no file: correct its path")
    if suffix in imports.READERS:
        return _grouped(path, imports.READERS[suffix](path), {})
    if not is_result and suffix != ".parquet":
        raise InputError(
            f"{path} is of an unknown kind: give vectors in a file whose name ends in .parquet, "
            f"{', '.join(imports.READERS)}"
        )
    table = files.read_table(path, is_result=is_result)
    missing = [column for column in COLUMNS if column not in table.column_names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}: an embedding file has {', '.join(COLUMNS)}")
    column_type = table.schema.field("embedding").type
    metadata = {k.decode(): v.decode("utf-8", "replace") for k, v in (table.schema.metadata or {}).items()}
    if table.num_rows == 0 and pa.types.is_fixed_size_list(column_type):
        return Embeddings({}, {}, metadata)
    if table.num_rows == 0 or not (pa.types.is_list(column_type) or pa.types.is_fixed_size_list(column_type)):
        raise InputError(
            f"{path}: the column embedding must hold one list of numbers per node, found {column_type}"
        )
    nodes = (table[name].cast(pa.string()).to_numpy(zero_copy_only=False) for name in COLUMNS[:2])
    return _grouped(path, imports.Named(*nodes, _matrix(path, table["embedding"])), metadata)


def _grouped(path: str | Path, named: imports.Named, metadata: Mapping[str, str]) -> Embeddings:
    """The vectors by node type; raises InputError if a node has two."""
    vectors, ids = {}, {}
    for node_type in sorted({str(name) for name in named.types}):
        rows = np.flatnonzero(named.types == node_type)
        vectors[node_type], ids[node_type] = named.vectors[rows], named.ids[rows]
        if len(set(ids[node_type])) < len(rows):
            repeated, _ = Counter(ids[node_type]).most_common(1)[0]
            raise InputError(f"{path} has two vectors of {node_type} {repeated}: keep one")
    return Embeddings(vectors, ids, dict(metadata))


def aligned(
    embeddings: Embeddings, kg: Graph, path: str | Path, required: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Vectors in the graph's node order: type -> (nodes, d).

    required: node types that must have vectors, None for all. Of the others, those that have none at all are
    left out. Raises InputError if a node of any other type has no vector.
    """
    result = {}
    for node_type in kg.node_types:
        if required is not None and node_type not in required and node_type not in embeddings.ids:
            continue
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


def aligned_to_target(
    embeddings: Embeddings, kg: Graph, path: str | Path, target_types: Sequence[str]
) -> dict[str, np.ndarray]:
    """`aligned`; a file of this project must have vectors of all types, another tool's of the target."""
    return aligned(embeddings, kg, path, None if is_trained(embeddings) else target_types)


def is_trained(embeddings: Embeddings) -> bool:
    """Whether a training of this project wrote the file, and not another tool."""
    return "seed" in embeddings.metadata


def blocks(embeddings: Embeddings, types: Sequence[str], path: str | Path) -> tuple[list[int], ...] | None:
    """Where the parts of the vectors end, one list per type; None if the metadata does not say.

    A part is, for example, the SVD or the encoder output. Raises InputError if the lists are invalid.
    """
    if BLOCKS not in embeddings.metadata:
        return None
    try:
        ends_by_type = json.loads(embeddings.metadata[BLOCKS])
        ends = tuple(ends_by_type[node_type] for node_type in types)
        # Valid ends are integers in ascending order; the first is above 0, the last is the vector length.
        if all(
            sorted({*map(index, type_ends), embeddings.dim}) == type_ends and type_ends[0] > 0
            for type_ends in ends
        ):
            return ends
    except (ValueError, KeyError, TypeError):
        pass  # the error below covers this case too
    raise InputError(
        f"{path}: its metadata {BLOCKS} is no list of where the parts of {' and '.join(types)} vectors end; "
        "write it as {type: [end, ..., numbers of a vector]} or leave it out"
    )


def _matrix(path: str | Path, column: pa.ChunkedArray) -> np.ndarray:
    """The lists of a column as one matrix, float32 (nodes, d). Raises InputError if their lengths differ."""
    lengths = pc.unique(pc.list_value_length(column))
    if column.null_count or len(lengths) != 1:
        raise InputError(f"{path}: the vectors in the column embedding differ in length")
    flat = pc.list_flatten(column).to_numpy().astype(np.float32, copy=False)
    return flat.reshape(len(column), lengths[0].as_py())
