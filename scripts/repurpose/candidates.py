"""Every head x tail pair scored, ranked within its tail and written, a block of tails at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from repurpose import files
from repurpose.calibration import probabilities
from repurpose.evaluation import CHUNK, Scorer
from repurpose.graph import Graph
from repurpose.pairs import Known

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
    score: Scorer,
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
    labels, label = np.unique(np.append(known.names, ""), return_inverse=True)
    step = max(1, chunk // n_heads)
    for start in range(0, len(order), step):
        tails = order[start : start + step].astype(np.int32)
        heads = np.tile(np.arange(n_heads, dtype=np.int32), len(tails))
        scores = score(heads, np.repeat(tails, n_heads)).reshape(len(tails), n_heads)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : per_tail or None]
        flags = _flags(known, label, tails, n_heads)
        rows = np.repeat(np.arange(len(tails)), best.shape[1])
        chosen = scores[rows, best.ravel()]
        columns = [
            *(texts.take(best.ravel()) for texts in head_texts),
            *(texts.take(tails[rows]) for texts in tail_texts),
            chosen,
            probabilities(chosen, calibration).astype(np.float32),
            np.tile(np.arange(1, best.shape[1] + 1, dtype=np.int32), len(tails)),
            pa.array(labels, pa.string()).take(flags[rows, best.ravel()]),
        ]
        yield pa.table([pa.array(column) for column in columns], schema=SCHEMA)


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


def _flags(known: Known, label: np.ndarray, tails: np.ndarray, n_heads: int) -> np.ndarray:
    """(tails, heads) indices of labels: `label` has one per known pair, then that of unknown pairs."""
    flags = np.full((len(tails), n_heads), label[-1])
    place = np.full(int(max(tails.max(), known.tails.max(initial=0))) + 1, -1)
    place[tails] = np.arange(len(tails))
    row = place[known.tails]
    flags[row[row >= 0], known.heads[row >= 0]] = label[:-1][row >= 0]
    return flags
