"""Every head x tail pair scored, ranked within its tail and within its head, and written."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

CHUNK = 1 << 21  # pairs scored at once: 8 MB of float32
PAIR = [
    ("head_id", pa.string()),
    ("head_name", pa.string()),
    ("tail_id", pa.string()),
    ("tail_name", pa.string()),
    ("score", pa.float32()),
    ("probability", pa.float32()),
    ("rank", pa.int32()),
    ("known", pa.string()),
    ("caution", pa.string()),
]
SCHEMA = pa.schema([*PAIR, ("rank_low", pa.int32()), ("rank_high", pa.int32())])
BY_HEAD = pa.schema(PAIR)
# Per head: for how many tails it is among the best that are not known, which share of all that is, how many
# tails it is known with, its mean score.
POPULARITY = pa.schema(
    [
        ("head_id", pa.string()),
        ("head_name", pa.string()),
        ("listed", pa.int64()),
        ("share", pa.float64()),
        ("known_tails", pa.int64()),
        ("mean_score", pa.float64()),
    ]
)

# Numbers of tails (m,) to finite scores with every head, (1 + members, m, heads), higher is better: of the
# model, then of each of its members.
MemberScorer = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class About:
    """What is said of a pair beside its score.

    cautions: of each head and each tail, "" for none (see `experience`).
    """

    kg: Graph
    head_type: str
    tail_type: str
    known: Known
    calibration: Mapping[str, Any]
    cautions: tuple[np.ndarray, np.ndarray]

    def columns(self, heads: np.ndarray, tails: np.ndarray, scores: np.ndarray) -> dict[str, pa.Array]:
        """The columns of PAIR but the rank, one row for each pair."""
        ends = (self.head_type, heads, "head"), (self.tail_type, tails, "tail")
        found = {
            f"{side}_{name}": pa.array(column[node_type], pa.string()).take(pa.array(nodes))
            for node_type, nodes, side in ends
            for name, column in (("id", self.kg.node_ids), ("name", self.kg.node_names))
        }
        own, other = (each[nodes] for each, nodes in zip(self.cautions, (heads, tails), strict=True))
        return {
            **found,
            "score": scores,
            "probability": probabilities(scores, self.calibration).astype(np.float32),
            "known": _names(self.known, heads, tails, self.kg.count(self.head_type)),
            "caution": np.array(
                ["; ".join(filter(None, both)) for both in zip(own, other, strict=True)], object
            ),
        }


class OfHeads:
    """The best `count` tails of each head, from blocks of tails as they come."""

    def __init__(self, heads: int, count: int) -> None:
        self.heads, self.count = heads, count
        self.limits = np.full(heads, -np.inf, np.float32)  # what a further tail has to exceed
        self.found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.waiting = 0
        # How many tails there were, what they scored together, and for how many of them each head is listed.
        self.tails, self.total, self.listed = 0, np.zeros(heads), np.zeros(heads, np.int64)

    def add(self, tails: np.ndarray, scores: np.ndarray, heads: np.ndarray | None = None) -> None:
        """Take in scores (m, h) of some tails (m,) with some heads (h,), None for all.

        Of equal scores those that came first are kept.
        """
        self.tails += len(tails)
        self.total[slice(None) if heads is None else heads] += scores.sum(axis=0, dtype=np.float64)
        tail, column = np.nonzero(scores > (self.limits if heads is None else self.limits[heads]))
        head = column if heads is None else heads[column]
        self.found.append((head, tails[tail], scores[tail, column]))
        self.waiting += len(head)
        if self.waiting > self.heads * self.count:
            self._merge()

    def table(self, about: About) -> pa.Table:
        """BY_HEAD, sorted by head id and rank; a rank is that of the tail for the head."""
        self._merge()
        head, tail, score = self.found[0]
        places = np.arange(len(head)) - np.searchsorted(head, head)
        ids = about.kg.node_ids[about.head_type]
        order = np.lexsort((places, np.argsort(np.argsort(ids, kind="stable"))[head]))
        head, tail, score, places = (each[order] for each in (head, tail, score, places))
        columns = about.columns(head, tail, score) | {"rank": (places + 1).astype(np.int32)}
        return _table(columns, BY_HEAD)

    def popularity(self, about: About) -> pa.Table:
        """POPULARITY, the head that is listed for the most tails first; among equals by id."""
        ids, names = (column[about.head_type] for column in (about.kg.node_ids, about.kg.node_names))
        order = np.lexsort((np.argsort(np.argsort(ids, kind="stable")), -self.listed))
        known = np.bincount(about.known.heads, minlength=self.heads)
        columns = {
            "head_id": ids[order],
            "head_name": names[order],
            "listed": self.listed[order],
            "share": self.listed[order] / max(self.tails, 1),
            "known_tails": known[order],
            "mean_score": self.total[order] / max(self.tails, 1),
        }
        return _table(columns, POPULARITY)

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
    score: MemberScorer,
    about: About,
    *,
    per_tail: int,
    heads: np.ndarray | None = None,
    tails: np.ndarray | None = None,
    demoted: np.ndarray | None = None,
    of_heads: OfHeads | None = None,
    chunk: int = CHUNK,
) -> Iterator[pa.Table]:
    """Tables (SCHEMA) of the best `per_tail` heads of each tail, 0 for all, sorted by tail id and rank.

    heads, tails: ascending numbers of those that are ranked, None for all. A table covers as many tails as
    make about `chunk` pairs. Equal scores rank by head index. Known pairs are ranked with the others and
    flagged with the names of their relations. `rank_low` and `rank_high` are the best and the worst rank
    that a member alone gives. demoted: per head, what is taken off its scores before they are ranked;
    `score` and `probability` stay the model's. `of_heads` is told all scores.
    """
    order = np.argsort(about.kg.node_ids[about.tail_type], kind="stable")
    if tails is not None:
        order = order[np.isin(order, tails)]
    step = max(1, chunk // about.kg.count(about.head_type))
    for start in range(0, len(order), step):
        part = order[start : start + step].astype(np.int32)
        found = score(part)
        scores, *members = found if heads is None else found[:, :, heads]
        if of_heads:
            of_heads.add(part, scores, heads)
        less = 0 if demoted is None else demoted if heads is None else demoted[heads]
        chosen = best(scores - less, per_tail)
        rows, place = np.divmod(np.arange(chosen.size), chosen.shape[1])
        ranks = [places(each - less, chosen).ravel() for each in members] or [place + 1]
        own = chosen.ravel() if heads is None else heads[chosen.ravel()]
        columns = about.columns(own, part[rows], scores[rows, chosen.ravel()])
        if of_heads:
            of_heads.listed += np.bincount(own[columns["known"] == ""], minlength=of_heads.heads)
        columns |= {"rank": place + 1, "rank_low": np.min(ranks, axis=0), "rank_high": np.max(ranks, axis=0)}
        yield _table(columns, SCHEMA)


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


def places(scores: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The rank of some columns (m, k) of each row of scores (m, n): 1 and how many are higher."""
    ascending = np.sort(scores, axis=1)
    own = np.take_along_axis(scores, columns, axis=1)
    pairs = zip(ascending, own, strict=True)
    return 1 + scores.shape[1] - np.stack([np.searchsorted(row, each, side="right") for row, each in pairs])


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


def _table(columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> pa.Table:
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _names(known: Known, heads: np.ndarray, tails: np.ndarray, n_heads: int) -> np.ndarray:
    """Names of the relations that join each pair, "" for an unknown one."""
    codes = known.tails * np.int64(n_heads) + known.heads
    wanted = tails * np.int64(n_heads) + heads
    place = np.searchsorted(codes, wanted)
    found = np.append(codes, -1)[place] == wanted
    return np.where(found, np.append(known.names, "")[place], "")
