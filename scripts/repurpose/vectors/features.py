"""Given node vectors (graph.features): read, checked, and made the inputs that a training starts from."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.ingest import tables

COLUMNS = ("node_type", "node_id", "vector")


@dataclass(frozen=True)
class Given:
    """Vectors (m, f) float32 of the nodes `rows` (m,) of one type, as they were given."""

    rows: np.ndarray
    vectors: np.ndarray


def read(path: str | Path, kg: Graph) -> dict[str, Given]:
    """The vectors of a parquet file with the columns node_type, node_id and vector, by node type.

    Nodes that the graph lacks are left out and counted in the log. Raises InputError that names the
    file where it is no such table, names a node twice, gives a type vectors of several lengths, or has
    none of the graph's nodes.
    """
    tables.require_format(path)
    table = files.read_table(path)
    lacking = [name for name in COLUMNS if name not in table.column_names]
    if lacking:
        raise InputError(f"{path} lacks the column {lacking[0]}; write {', '.join(COLUMNS)}")
    types, ids = (table[name].cast(pa.string()).to_numpy(zero_copy_only=False) for name in COLUMNS[:2])
    column = table["vector"].combine_chunks()
    if not (pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type)) or not (
        pa.types.is_floating(column.type.value_type) or pa.types.is_integer(column.type.value_type)
    ):
        raise InputError(f"{path}: the column vector has {column.type}; lists of numbers are expected")
    result, known = {}, 0
    for node_type in kg.node_types:
        of = np.flatnonzero(types == node_type)
        position = {node_id: row for row, node_id in enumerate(kg.node_ids[node_type])}
        rows = np.array([position.get(node_id, -1) for node_id in ids[of]], np.int64)
        of, rows = of[rows >= 0], rows[rows >= 0]
        if not len(rows):
            continue
        if len(np.unique(rows)) < len(rows):
            values, counts = np.unique(rows, return_counts=True)
            twice = kg.node_ids[node_type][values[counts > 1][0]]
            raise InputError(f"{path} gives {node_type} {twice} more than one vector; keep one")
        result[node_type] = Given(rows, _matrix(column.take(pa.array(of)), path, node_type))
        known += len(rows)
        logging.info("%s: vectors for %d of %d %s nodes", path, len(rows), kg.count(node_type), node_type)
    if not result:
        raise InputError(
            f"{path} has vectors for none of the graph's nodes; node_type and node_id must be those of "
            "results/graph/nodes.parquet"
        )
    if known < len(types):
        logging.warning("%s: %d vectors are of nodes that the graph lacks", path, len(types) - known)
    return result


def _matrix(column: pa.Array, path: str | Path, node_type: str) -> np.ndarray:
    """The lists (m,) as one matrix (m, f); a missing value is a NaN."""
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
    given: Mapping[str, Given], node_types: tuple[str, ...], width: int, scale: float, seed: int
) -> dict[str, np.ndarray]:
    """First inputs (m, width) of each type from its given vectors, of root mean square `scale`.

    Columns are standardised. More than `width` of them become their first principal components; fewer
    are turned into `width` by a random rotation, which keeps every distance.
    """
    return {
        node_type: _fitted(each.vectors.astype(np.float64), width, [seed, 7, node_types.index(node_type)])
        * scale
        for node_type, each in given.items()
    }


def _fitted(vectors: np.ndarray, width: int, stream: list[int]) -> np.ndarray:
    centred = vectors - vectors.mean(axis=0)
    deviation = centred.std(axis=0)
    varies = deviation > 1e-6 * np.maximum(1e-30, np.abs(vectors).max(axis=0))
    standard = centred[:, varies] / deviation[varies]
    if standard.shape[1] > width:
        _, directions = np.linalg.eigh(standard.T @ standard)
        rotated = standard @ directions[:, : -width - 1 : -1]
    else:
        random = np.random.default_rng(stream).standard_normal((width, standard.shape[1]))
        rotated = standard @ np.linalg.qr(random)[0].T
    return (rotated / np.sqrt((rotated**2).mean())).astype(np.float32)
