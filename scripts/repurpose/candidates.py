"""Every head x tail pair scored, ranked within its tail and written, a block of tails at a time."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from repurpose import files
from repurpose.calibration import probabilities
from repurpose.graph import Graph
from repurpose.pairs import Known
from repurpose.ranks import TailScorer

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


class OfHeads:
    """The best `count` tails of each head, from blocks of tails as they come."""

    def __init__(self, heads: int, count: int) -> None:
        self.heads, self.count = heads, count
        self.limits = np.full(heads, -np.inf, np.float32)  # what a further tail has to exceed
        self.found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.waiting = 0

    def add(self, tails: np.ndarray, scores: np.ndarray) -> None:
        """Take in scores (m, heads) of some tails (m,); of equal scores those that came first are kept."""
        tail, head = np.nonzero(scores > self.limits)
        self.found.append((head, tails[tail], scores[tail, head]))
        self.waiting += len(head)
        if self.waiting > self.heads * self.count:
            self._merge()

    def table(
        self,
        kg: Graph,
        head_type: str,
        tail_type: str,
        known: Known,
        calibration: Mapping[str, Any],
    ) -> pa.Table:
        """SCHEMA, sorted by head id and rank; a rank is that of the tail for the head."""
        self._merge()
        head, tail, score = self.found[0]
        places = np.arange(len(head)) - np.searchsorted(head, head)
        order = np.lexsort((places, np.argsort(np.argsort(kg.node_ids[head_type], kind="stable"))[head]))
        columns = (each[order] for each in (head, tail, score, places))
        return _table(_texts(kg, head_type, tail_type), *columns, known, calibration)

    def _merge(self) -> None:
        head, tail, score = (np.concatenate(column) for column in zip(*self.found, strict=True))
        order = np.lexsort((-score, head))
        head, tail, score = (column[order] for column in (head, tail, score))
        begun = np.searchsorted(head, np.arange(self.heads))
        is_kept = np.arange(len(head)) - begun[head] < self.count
        self.found, self.waiting = [tuple(column[is_kept] for column in (head, tail, score))], 0
        last = begun + self.count - 1
        is_full = np.append(begun[1:], len(head)) > last
        self.limits[is_full] = score[last[is_full]]


def rank(
    score: TailScorer,
    kg: Graph,
    head_type: str,
    tail_type: str,
    known: Known,
    calibration: Mapping[str, Any],
    *,
    per_tail: int,
    of_heads: OfHeads | None = None,
    chunk: int = CHUNK,
) -> Iterator[pa.Table]:
    """Tables (SCHEMA) of the best `per_tail` heads of each tail, 0 for all, sorted by tail id and rank.

    A table covers as many tails as make about `chunk` pairs. Equal scores rank by head index. Known
    pairs are ranked with the others and flagged with the names of their relations. `of_heads` is told
    all scores.
    """
    n_heads, order = kg.count(head_type), np.argsort(kg.node_ids[tail_type], kind="stable")
    texts = _texts(kg, head_type, tail_type)
    step = max(1, chunk // n_heads)
    for start in range(0, len(order), step):
        tails = order[start : start + step].astype(np.int32)
        scores = score(tails)
        if of_heads:
            of_heads.add(tails, scores)
        heads = best(scores, per_tail)
        chosen = np.take_along_axis(scores, heads, axis=1).ravel()
        rows, places = np.divmod(np.arange(heads.size), heads.shape[1])
        yield _table(texts, heads.ravel(), tails[rows], chosen, places, known, calibration)


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
    """Write the tables as they come to a parquet and a csv file; returns the number of rows.

    In the csv a text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    rows = 0
    with (
        files.replacing(parquet) as parquet_path,
        files.replacing(csv) as csv_path,
        pq.ParquetWriter(parquet_path, SCHEMA, compression="zstd") as parquet_file,
        pyarrow.csv.CSVWriter(csv_path, SCHEMA) as csv_file,
    ):
        for table in tables:
            parquet_file.write_table(table)
            csv_file.write_table(_inert(table))
            rows += table.num_rows
    return rows


def _inert(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            text = pc.replace_substring_regex(table[field.name], r"^([=+\-@\t\r])", r"'\1")
            table = table.set_column(place, field, text)
    return table


def _texts(kg: Graph, *node_types: str) -> list[pa.Array]:
    """Ids and names of the nodes of each type."""
    tables = kg.node_ids, kg.node_names
    return [pa.array(column[node_type], pa.string()) for node_type in node_types for column in tables]


def _table(
    texts: Sequence[pa.Array],
    heads: np.ndarray,
    tails: np.ndarray,
    scores: np.ndarray,
    places: np.ndarray,
    known: Known,
    calibration: Mapping[str, Any],
) -> pa.Table:
    """Pairs, one row each, as SCHEMA; `places` count from 0."""
    columns = [
        *(text.take(heads) for text in texts[:2]),
        *(text.take(tails) for text in texts[2:]),
        scores,
        probabilities(scores, calibration).astype(np.float32),
        (places + 1).astype(np.int32),
        _names(known, heads, tails, len(texts[0])),
    ]
    return pa.table([pa.array(column) for column in columns], schema=SCHEMA)


def _names(known: Known, heads: np.ndarray, tails: np.ndarray, n_heads: int) -> np.ndarray:
    """Names of the relations that join each pair, "" for an unknown one."""
    codes = known.tails * np.int64(n_heads) + known.heads
    wanted = tails * np.int64(n_heads) + heads
    place = np.searchsorted(codes, wanted)
    found = np.append(codes, -1)[place] == wanted
    return np.where(found, np.append(known.names, "")[place], "")
