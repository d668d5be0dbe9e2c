"""Node features of the user (graph.features): read, checked, and fitted to the inputs of the encoder."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.core import files, streams
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.ingest import tables

COLUMNS = ("node_type", "node_id", "vector")


@dataclass(frozen=True)
class NodeFeatures:
    """Features of some nodes of one type, as the user gave them.

    rows (m,): indices of the nodes within the type. vectors: float32 (m, f).
    """

    rows: np.ndarray
    vectors: np.ndarray


def read(path: str | Path, kg: Graph) -> dict[str, NodeFeatures]:
    """Read the features from a parquet file with the columns node_type, node_id and vector: type -> features.

    Nodes that the graph lacks are left out and counted in the log. Raises InputError that names the file if
    it has other columns, names a node twice, has vectors of different lengths for one type, or has none of
    the graph's nodes.
    """
    tables.require_format(path)
    table = files.read_table(path, is_result=False)
    lacking = [name for name in COLUMNS if name not in table.column_names]
    if lacking:
        raise InputError(f"{path} lacks the column {lacking[0]}; write {', '.join(COLUMNS)}")
    types, ids = (table[name].cast(pa.string()).to_numpy(zero_copy_only=False) for name in COLUMNS[:2])
    column = table["vector"].combine_chunks()
    if not (pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type)) or not (
        pa.types.is_floating(column.type.value_type) or pa.types.is_integer(column.type.value_type)
    ):
        raise InputError(f"{path}: the column vector has {column.type}; lists of numbers are expected")
    result, matched = {}, 0
    for node_type in kg.node_types:
        table_rows = np.flatnonzero(types == node_type)
        position = {node_id: row for row, node_id in enumerate(kg.node_ids[node_type])}
        rows = np.array([position.get(node_id, -1) for node_id in ids[table_rows]], np.int64)
        table_rows, rows = table_rows[rows >= 0], rows[rows >= 0]
        if not len(rows):
            continue
        if len(np.unique(rows)) < len(rows):
            values, counts = np.unique(rows, return_counts=True)
            twice = kg.node_ids[node_type][values[counts > 1][0]]
            raise InputError(f"{path} gives {node_type} {twice} more than one vector; keep one")
        result[node_type] = NodeFeatures(rows, _matrix(column.take(pa.array(table_rows)), path, node_type))
        matched += len(rows)
        logging.info("%s: vectors for %d of %d %s nodes", path, len(rows), kg.count(node_type), node_type)
    if not result:
        raise InputError(
            f"{path} has vectors for none of the graph's nodes; node_type and node_id must be those of "
            "results/graph/nodes.parquet"
        )
    if matched < len(types):
        logging.warning("%s: %d vectors are of nodes that the graph lacks", path, len(types) - matched)
    return result


def _matrix(column: pa.Array, path: str | Path, node_type: str) -> np.ndarray:
    """The lists (m,) as one matrix, float32 (m, f). A missing value becomes NaN."""
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    if column.null_count or len(set(lengths.tolist())) != 1 or lengths[0] == 0:
        raise InputError(
            f"{path}: the vectors of {node_type} nodes have {min(lengths)} to {max(lengths)} numbers; "
            "give all nodes of a type vectors of one length"
            if not column.null_count
            else f"{path}: a {node_type} node has no vector; leave its row out"
        )
    values = column.flatten().cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float32).reshape(len(column), -1)


def inputs(
    features_by_type: Mapping[str, NodeFeatures],
    node_types: tuple[str, ...],
    width: int,
    scale: float,
    seed: int,
) -> dict[str, np.ndarray]:
    """Encoder inputs from the features: type -> float32 (m, width) with root mean square `scale`.

    Columns are standardised. If there are more than `width` columns, their first principal components are
    taken; otherwise a random rotation maps them to `width` columns, which preserves all distances.
    """
    return {
        node_type: _fitted(
            features.vectors.astype(np.float64),
            width,
            streams.generator(seed, "rotation of the features", node_types.index(node_type)),
        )
        * scale
        for node_type, features in features_by_type.items()
    }


def _fitted(vectors: np.ndarray, width: int, generator: np.random.Generator) -> np.ndarray:
    centred = vectors - vectors.mean(axis=0)
    deviation = centred.std(axis=0)
    varies = deviation > 1e-6 * np.maximum(1e-30, np.abs(vectors).max(axis=0))
    standardised = centred[:, varies] / deviation[varies]
    if standardised.shape[1] > width:
        _, directions = np.linalg.eigh(standardised.T @ standardised)
        rotated = standardised @ directions[:, : -width - 1 : -1]
    else:
        random = generator.standard_normal((width, standardised.shape[1]))
        rotated = standardised @ np.linalg.qr(random)[0].T
    return (rotated / np.sqrt((rotated**2).mean())).astype(np.float32)
