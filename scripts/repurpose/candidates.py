"""Every head x tail pair scored, ranked within its tail and written, a block of tails at a time."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from repurpose import files
from repurpose.calibration import probabilities
from repurpose.graph import Graph
from repurpose.pairs import Known

# Numbers of tails (m,) to the finite scores of each with every head, (m, heads), higher is better.
TailScorer = Callable[[np.ndarray], np.ndarray]

CHUNK = 1 << 21  # pairs scored at once: 8 MB of float32
SCHEMA = pa.schema(
    [
        ("head_id", pa.string()),
        ("head_name", pa.string()),
        ("tail_id", pa.string()),
        ("tail_name", pa.string()),
        ("score", pa.float32()),
        ("probability", pa.float32()),
        ("rank", pa.int32()),
        ("known", pa.string()),
    ]
)


def rank(
    score: TailScorer,
    kg: Graph,
    head_type: str,
    tail_type: str,
    known: Known,
    calibration: Mapping[str, float],
    *,
    per_tail: int,
    chunk: int = CHUNK,
) -> Iterator[pa.Table]:
    """Tables (SCHEMA) of the best `per_tail` heads of each tail, 0 for all, sorted by tail id and rank.

    A table covers as many tails as make about `chunk` pairs. Equal scores rank by head index. Known
    pairs are ranked with the others and flagged with the names of their relations.
    """
    n_heads, order = kg.count(head_type), np.argsort(kg.node_ids[tail_type], kind="stable")
    head_texts, tail_texts = (_texts(kg, node_type) for node_type in (head_type, tail_type))
    step = max(1, chunk // n_heads)
    for start in range(0, len(order), step):
        tails = order[start : start + step].astype(np.int32)
        scores = score(tails)
        heads = best(scores, per_tail)
        chosen = np.take_along_axis(scores, heads, axis=1).ravel()
        rows, places = np.divmod(np.arange(heads.size), heads.shape[1])
        columns = [
            *(texts.take(heads.ravel()) for texts in head_texts),
            *(texts.take(tails[rows]) for texts in tail_texts),
            chosen,
            probabilities(chosen, calibration).astype(np.float32),
            (places + 1).astype(np.int32),
            _names(known, heads.ravel(), tails[rows], n_heads),
        ]
        yield pa.table([pa.array(column) for column in columns], schema=SCHEMA)


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """Columns of the `count` highest scores of each row, 0 for all, highest first: (m, count) of (m, n).

    Equal scores come in the order of their columns.
    """
    rows, columns = scores.shape
    if not 0 < count < columns:
        return np.argsort(-scores, axis=1, kind="stable")
    last = np.partition(scores, columns - count, axis=1)[:, columns - count]
    row, column = np.nonzero(scores >= last[:, None])
    order = np.lexsort((column, -scores[row, column], row))
    # Of those that are as high as the last one, no more than there is room for.
    begun = np.searchsorted(row, np.arange(rows))
    return column[order][begun[:, None] + np.arange(count)]


def save(tables: Iterator[pa.Table], parquet: str | Path, csv: str | Path) -> int:
    """Write the tables as they come to a parquet and a csv file; returns the number of rows."""
    rows = 0
    with (
        files.replacing(parquet) as parquet_path,
        files.replacing(csv) as csv_path,
        pq.ParquetWriter(parquet_path, SCHEMA, compression="zstd") as parquet_file,
        pyarrow.csv.CSVWriter(csv_path, SCHEMA) as csv_file,
    ):
        for table in tables:
            parquet_file.write_table(table)
            csv_file.write_table(table)
            rows += table.num_rows
    return rows


def _texts(kg: Graph, node_type: str) -> list[pa.Array]:
    return [pa.array(column[node_type], pa.string()) for column in (kg.node_ids, kg.node_names)]


def _names(known: Known, heads: np.ndarray, tails: np.ndarray, n_heads: int) -> np.ndarray:
    """Names of the relations that join each pair, "" for an unknown one."""
    codes = known.tails * np.int64(n_heads) + known.heads
    wanted = tails * np.int64(n_heads) + heads
    place = np.searchsorted(codes, wanted)
    found = np.append(codes, -1)[place] == wanted
    return np.where(found, np.append(known.names, "")[place], "")
