"""Every head x tail pair scored, ranked within its tail and within its head, and written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from repurpose.core import files
from repurpose.evaluation.calibration import probabilities
from repurpose.evaluation.ranks import MemberScorer, Scorer
from repurpose.graph.graph import Graph
from repurpose.pairs.pairs import Known

LISTED = 100  # heads of a tail that a member is said to list
CHUNK = 1 << 21  # pairs scored at once: 8 MB of float32
PAIR = [
    ("head_id", pa.string()),
    ("head_name", pa.string()),
    ("tail_id", pa.string()),
    ("tail_name", pa.string()),
    ("score", pa.float32()),
    ("probability", pa.float64()),
    ("rank", pa.int32()),
    ("negative_probability", pa.float32()),
    ("known", pa.string()),
    ("caution", pa.string()),
]
SCHEMA = pa.schema([*PAIR, ("rank_low", pa.int32()), ("rank_high", pa.int32()), ("listed_by", pa.int32())])


class Listener(Protocol):
    """Who is told all scores while they are ranked."""

    def add(self, tails: np.ndarray, stack: np.ndarray, heads: np.ndarray | None) -> None:
        """Scores (1 + members, m, h) of some tails (m,) with some heads (h,), None for all."""

    def hear(self, heads: np.ndarray) -> None:
        """The heads of the pairs that are kept and not known, one for each."""


@dataclass(frozen=True)
class About:
    """What is said of a pair beside its score.

    calibration: the curve from scores to probabilities (see `select_curve`). cautions: of each head and
    each tail, "" for none (see `experience`). demoted: per head, what is taken off its scores before they are
    ranked (see `popularity`); the probability is that of what is left. negative: probabilities of pairs to
    be known negatives, such as contraindications (see `contrary`); None where no model tells.
    """

    kg: Graph
    head_type: str
    tail_type: str
    known: Known
    calibration: Mapping[str, Any]
    cautions: tuple[np.ndarray, np.ndarray]
    negative: Scorer | None = None
    demoted: np.ndarray | None = None

    def ranked(self, scores: np.ndarray, heads: np.ndarray | None) -> np.ndarray:
        """What pairs are ranked by: scores whose last axis is that of `heads`, None for all, as demoted."""
        return (
            scores if self.demoted is None else scores - self.demoted[slice(None) if heads is None else heads]
        )

    def columns(self, heads: np.ndarray, tails: np.ndarray, scores: np.ndarray) -> dict[str, pa.Array]:
        """The columns of PAIR but the rank, one row for each pair."""
        ends = (self.head_type, heads, "head"), (self.tail_type, tails, "tail")
        found = {
            f"{side}_{name}": pa.array(column[node_type], pa.string()).take(pa.array(nodes))
            for node_type, nodes, side in ends
            for name, column in (("id", self.kg.node_ids), ("name", self.kg.node_names))
        }
        probability = probabilities(self.ranked(scores, heads), self.calibration)
        negative = self.negative(heads, tails) if self.negative else np.full(len(heads), np.nan, np.float32)
        contrary = np.where(negative > probability, "more like a known negative than like a treatment", "")
        words = (*(each[nodes] for each, nodes in zip(self.cautions, (heads, tails), strict=True)), contrary)
        return {
            **found,
            "score": scores,
            "probability": probability,
            "negative_probability": pa.array(negative, from_pandas=True),
            "known": _names(self.known, heads, tails, self.kg.count(self.head_type)),
            "caution": np.array(["; ".join(filter(None, all_)) for all_ in zip(*words, strict=True)], object),
        }


def rank(
    score: MemberScorer,
    about: About,
    *,
    per_tail: int,
    heads: np.ndarray | None = None,
    tails: np.ndarray | None = None,
    listeners: Sequence[Listener] = (),
    chunk: int = CHUNK,
) -> Iterator[pa.Table]:
    """Tables (SCHEMA) of the best `per_tail` heads of each tail, 0 for all, sorted by tail id and rank.

    heads, tails: ascending numbers of those that are ranked, None for all. A table covers as many tails as
    make about `chunk` pairs. Equal scores rank by head index. Known pairs are ranked with the others and
    flagged with the names of their relations. `rank_low` and `rank_high` are the best and the worst rank
    that a member alone gives, `listed_by` the number of members with the pair among their LISTED best.
    `score` stays the model's where heads are demoted. `listeners` are told all scores.
    """
    order = np.argsort(about.kg.node_ids[about.tail_type], kind="stable")
    if tails is not None:
        order = order[np.isin(order, tails)]
    step = max(1, chunk // about.kg.count(about.head_type))
    for start in range(0, len(order), step):
        part = order[start : start + step].astype(np.int32)
        found = score(part)
        stack = found if heads is None else found[:, :, heads]
        for each in listeners:
            each.add(part, stack, heads)
        scores, *members = stack
        chosen = best(about.ranked(scores, heads), per_tail)
        rows, place = np.divmod(np.arange(chosen.size), chosen.shape[1])
        ranks = [places(about.ranked(each, heads), chosen).ravel() for each in members] or [place + 1]
        own = chosen.ravel() if heads is None else heads[chosen.ravel()]
        columns = about.columns(own, part[rows], scores[rows, chosen.ravel()])
        for each in listeners:
            each.hear(own[columns["known"] == ""])
        columns |= {"rank": place + 1, "rank_low": np.min(ranks, axis=0), "rank_high": np.max(ranks, axis=0)}
        columns["listed_by"] = np.sum(np.array(ranks) <= LISTED, axis=0)
        yield table(columns, SCHEMA)


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


def save(
    tables: Iterator[pa.Table],
    parquet: str | Path,
    csv: str | Path,
    calibration: Mapping[str, Any] | None = None,
) -> int:
    """Write the tables as they come to a parquet and a csv file; returns the number of rows.

    calibration: of their probabilities, kept in the parquet's metadata. In the csv a text that a spreadsheet
    would take for a formula has an apostrophe before it.
    """
    rows, schema = 0, SCHEMA.with_metadata({"calibration": json.dumps(calibration)})
    with (
        files.replacing(parquet) as parquet_path,
        files.replacing(csv) as csv_path,
        pq.ParquetWriter(parquet_path, schema, compression="zstd") as parquet_file,
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


def table(columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """The columns that a schema names, in its order and its types."""
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _names(known: Known, heads: np.ndarray, tails: np.ndarray, n_heads: int) -> np.ndarray:
    """Names of the relations that join each pair, "" for an unknown one."""
    codes = known.tails * np.int64(n_heads) + known.heads
    wanted = tails * np.int64(n_heads) + heads
    place = np.searchsorted(codes, wanted)
    found = np.append(codes, -1)[place] == wanted
    return np.where(found, np.append(known.names, "")[place], "")
