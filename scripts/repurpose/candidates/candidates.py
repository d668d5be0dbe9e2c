"""Rank every head x tail pair within its tail, annotate the best pairs, and write them."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from repurpose.candidates.additions import Addition, added, fields
from repurpose.config.sections import Target
from repurpose.core import cells, files
from repurpose.evaluation import calibration
from repurpose.evaluation.ranks import MemberScorer, Scorer
from repurpose.graph.graph import Graph
from repurpose.pairs import pairs
from repurpose.pairs.pairs import Known

LISTED = 100  # best heads of a tail that count as listed by an ensemble member
CHUNK = 1 << 21  # pairs scored at a time: 8 MB of float32
# rank_of_drug_for_disease: place of the head in the list of the tail. rank_of_disease_for_drug: place of the
# tail in the list of the head. quantile: share of the heads ranked for the tail that rank below this one.
PAIR = [
    ("head_id", pa.string()),
    ("head_name", pa.string()),
    ("tail_id", pa.string()),
    ("tail_name", pa.string()),
    ("score", pa.float32()),
    ("probability", pa.float64()),
    ("rank_of_drug_for_disease", pa.int32()),
    ("quantile", pa.float64()),
    ("rank_of_disease_for_drug", pa.int32()),
    ("negative_probability", pa.float32()),
    ("known", pa.string()),
    ("contraindicated", pa.bool_()),
    ("other_relation", pa.bool_()),
    ("caution", pa.string()),
]
SCHEMA = pa.schema([*PAIR, ("rank_low", pa.int32()), ("rank_high", pa.int32()), ("listed_by", pa.int32())])


class Collector(Protocol):
    """Collects figures of all pairs while they are ranked, so that no score matrix is kept."""

    def add(self, tails: np.ndarray, stack: np.ndarray, heads: np.ndarray | None) -> None:
        """Add scores (2 + members, m, h) of tails (m,) with heads (h,), None for all (see `MemberScorer`)."""

    def add_listed(self, heads: np.ndarray) -> None:
        """The heads of the kept pairs that are not known, one entry per pair."""


@dataclass(frozen=True)
class Annotator:
    """Turns scored pairs into rows: ids, names, probability, known relations, cautions.

    calibration: the curve from scores to probabilities (see `calibration.select_curve`). treated: of each
    tail, whether it has a known treatment. support: of each tail (see `pair_model.support`). cautions: of
    each head and of each tail, "" for none (see `applicability`). negative: computes the probability of pairs
    to be known negatives (see `contraindications`); None without such a model. penalties: float32 (heads,),
    subtracted from the scores of a head before they are ranked and calibrated (see `popularity`); None for no
    correction.
    """

    kg: Graph
    target: Target
    known: Known
    calibration: Mapping[str, Any]
    treated: np.ndarray
    support: np.ndarray
    cautions: tuple[np.ndarray, np.ndarray]
    negative: Scorer | None = None
    penalties: np.ndarray | None = None

    @property
    def heads(self) -> int:
        """Number of nodes of the head type."""
        return self.kg.count(self.target.head_type)

    @cached_property
    def known_by_kind(self) -> tuple[Known, Known]:
        """See `pairs.known_by_kind`."""
        return pairs.known_by_kind(self.kg, self.target)

    def adjusted(self, scores: np.ndarray, heads: np.ndarray | None) -> np.ndarray:
        """Scores minus the penalties of their heads; the last axis is that of `heads`, None for all heads."""
        if self.penalties is None:
            return scores
        return scores - self.penalties[slice(None) if heads is None else heads]

    def log_odds(self, scores: np.ndarray, heads: np.ndarray | None, tails: np.ndarray) -> np.ndarray:
        """Calibrated log-odds, float64, of pairs (n,), or of tails (m,) with heads (h,), None for all.

        Lists of tails with known treatments have a curve of their own, if the calibration has one. In other
        lists, the log-odds rise with the support of the tail.
        """
        adjusted, of_tails = self.adjusted(scores, heads), (-1, *[1] * (scores.ndim - 1))
        support = self.support[tails].reshape(of_tails)
        result = calibration.log_odds(adjusted, self.calibration, support)
        if not self.calibration.get("treated"):
            return result
        is_treated = self.treated[tails].reshape(of_tails)
        return np.where(is_treated, calibration.log_odds(adjusted, self.calibration["treated"]), result)

    def columns(self, heads: np.ndarray, tails: np.ndarray, scores: np.ndarray) -> dict[str, pa.Array]:
        """The columns of PAIR except the ranks and the quantile, one row per pair."""
        probability = calibration.probabilities_of(self.log_odds(scores, heads, tails))
        return self.described(heads, tails, scores, probability)

    def described(
        self, heads: np.ndarray, tails: np.ndarray, scores: np.ndarray, probability: np.ndarray
    ) -> dict[str, pa.Array]:
        """The same columns of pairs whose probability is given."""
        ends = (self.target.head_type, heads, "head"), (self.target.tail_type, tails, "tail")
        names = {
            f"{side}_{name}": pa.array(column[node_type], pa.string()).take(pa.array(nodes))
            for node_type, nodes, side in ends
            for name, column in (("id", self.kg.node_ids), ("name", self.kg.node_names))
        }
        negative = self.negative(heads, tails) if self.negative else np.full(len(heads), np.nan, np.float32)
        likeness = np.where(negative > probability, "more like a known negative than like a treatment", "")
        of_nodes = (texts[nodes] for texts, nodes in zip(self.cautions, (heads, tails), strict=True))
        cautions = ["; ".join(filter(None, texts)) for texts in zip(*of_nodes, likeness, strict=True)]
        contraindicated, others = self.known_by_kind
        return {
            **names,
            "score": scores,
            "probability": probability,
            "negative_probability": pa.array(negative, from_pandas=True),
            "known": _relation_names(self.known, heads, tails, self.heads),
            "contraindicated": _find(contraindicated, heads, tails, self.heads)[1],
            "other_relation": _find(others, heads, tails, self.heads)[1],
            "caution": np.array(cautions, object),
        }


def rank(
    score: MemberScorer,
    annotator: Annotator,
    *,
    per_tail: int,
    heads: np.ndarray | None = None,
    tails: np.ndarray | None = None,
    collectors: Sequence[Collector] = (),
    chunk: int = CHUNK,
) -> Iterator[pa.Table]:
    """Yield tables (SCHEMA) of the best `per_tail` heads of each tail, 0 for all, sorted by tail id and rank.

    heads, tails: ascending indices of the nodes to rank, None for all. collectors: receive all scores. chunk:
    about as many pairs are in one table. Heads with equal scores are ranked by index.

    Known pairs are ranked with the others; the column `known` has the names of their relations.
    `rank_of_disease_for_drug` is null: it is known when all tails are scored (`by_head.HeadRanks`).
    `rank_low`, `rank_high`: best and worst rank by a single ensemble member. `listed_by`: number of members
    with the pair among their LISTED best. `score`: the model's score, before any penalty.
    """
    for block in tail_blocks(annotator, tails, chunk):
        stack = score(block)
        stack = stack if heads is None else stack[:, :, heads]
        for collector in collectors:
            collector.add(block, stack, heads)
        scores, _, *member_scores = stack
        columns = best(annotator.adjusted(scores, heads), per_tail)
        rows, place = np.divmod(np.arange(columns.size), columns.shape[1])
        member_ranks = [
            places(annotator.adjusted(member, heads), columns).ravel() for member in member_scores
        ]
        ranks = np.array(member_ranks or [place + 1])
        kept_heads = columns.ravel() if heads is None else heads[columns.ravel()]
        fields = annotator.columns(kept_heads, block[rows], scores[rows, columns.ravel()])
        for collector in collectors:
            collector.add_listed(kept_heads[fields["known"] == ""])
        fields |= ranks_in_tails(place + 1, scores.shape[1], ranks)
        yield table(fields, SCHEMA)


def ranks_in_tails(rank: np.ndarray, ranked_heads: int, ranks: np.ndarray) -> dict[str, Any]:
    """The columns of ranks and the quantile of pairs (n,); ranks: by single members or runs, (members, n)."""
    return {
        "rank_of_drug_for_disease": rank,
        "quantile": quantile(rank, ranked_heads),
        "rank_of_disease_for_drug": pa.nulls(len(rank), pa.int32()),
        "rank_low": ranks.min(axis=0),
        "rank_high": ranks.max(axis=0),
        "listed_by": np.sum(ranks <= LISTED, axis=0),
    }


def quantile(rank: np.ndarray, ranked_heads: int) -> np.ndarray:
    """Share of the heads ranked for a tail that rank below the head with this rank, 1 being the best."""
    return (ranked_heads - rank) / ranked_heads


def tail_blocks(annotator: Annotator, tails: np.ndarray | None, chunk: int) -> Iterator[np.ndarray]:
    """Blocks of the tails to rank, int32, in the order of their ids; a block has about `chunk` pairs."""
    tail_order = np.argsort(annotator.kg.node_ids[annotator.target.tail_type], kind="stable")
    if tails is not None:
        tail_order = tail_order[np.isin(tail_order, tails)]
    step = max(1, chunk // annotator.heads)
    for start in range(0, len(tail_order), step):
        yield tail_order[start : start + step].astype(np.int32)


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """Columns (m, count) of the `count` highest scores of each row (m, n), highest first; 0 for all.

    Equal scores are ordered by column.
    """
    rows, columns = scores.shape
    if not 0 < count < columns:
        return np.argsort(-scores, axis=1, kind="stable")
    lowest = np.partition(scores, columns - count, axis=1)[:, columns - count]
    row, column = np.nonzero(scores >= lowest[:, None])
    order = np.lexsort((column, -scores[row, column], row))
    # With columns that tie with the lowest kept score there can be more than `count`: take the first ones.
    first = np.searchsorted(row, np.arange(rows))
    return column[order][first[:, None] + np.arange(count)]


def places(scores: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The rank of `columns` (m, k) in each row of scores (m, n): 1 plus the number of higher scores."""
    ascending = np.sort(scores, axis=1)
    wanted = np.take_along_axis(scores, columns, axis=1)
    pairs = zip(ascending, wanted, strict=True)
    return (
        1
        + scores.shape[1]
        - np.stack([np.searchsorted(row, wanted_scores, side="right") for row, wanted_scores in pairs])
    )


def ranks_in_rows(scores: np.ndarray) -> np.ndarray:
    """The rank of each column in its row of float32 scores (m, n), int32, from 1; equal ones in column order.

    A stable argsort takes three times as long. Here each score and its column are one integer: the bits of a
    float32 number, read as an integer, are in the order of the numbers (in reverse, if they are negative).
    """
    bits = (np.float32(0) - scores).view(np.int32)  # -0.0 becomes 0.0
    keys = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64) << 32
    keys |= np.arange(scores.shape[1])
    keys.sort(axis=1)
    ranks = np.arange(1, scores.shape[1] + 1, dtype=np.int32)
    result = np.empty(scores.shape, np.int32)
    np.put_along_axis(result, keys & 0xFFFFFFFF, ranks[None], axis=1)
    return result


def save(
    tables: Iterator[pa.Table],
    parquet: str | Path,
    csv: str | Path,
    metadata: Mapping[str, Any] | None = None,
    complete: Callable[[pa.Table], pa.Table] | None = None,
    additions: Sequence[Addition] = (),
) -> int:
    """Write the tables, one after the other, to a parquet and a csv file; returns the number of rows.

    complete: fills columns of each table when the last one is there; until then they are in a temporary file.
    additions: their columns come behind those of SCHEMA.
    metadata: stored in the parquet file, each value as JSON. In the csv file, a text that a spreadsheet would
    read as a formula gets an apostrophe in front.
    """
    rows = 0
    schema = pa.schema([*SCHEMA, *fields(additions)])
    schema = schema.with_metadata({key: json.dumps(value) for key, value in (metadata or {}).items()})
    with (
        files.replacing(parquet) as parquet_path,
        files.replacing(csv) as csv_path,
        pq.ParquetWriter(parquet_path, schema, compression="zstd") as parquet_file,
        pyarrow.csv.CSVWriter(csv_path, schema) as csv_file,
    ):
        for table in _completed(tables, complete, Path(parquet).parent) if complete else tables:
            table = added(table, additions)
            parquet_file.write_table(table)
            csv_file.write_table(cells.table_without_formulas(table))
            rows += table.num_rows
    return rows


def _completed(
    tables: Iterator[pa.Table], complete: Callable[[pa.Table], pa.Table], folder: Path
) -> Iterator[pa.Table]:
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "incomplete.parquet"
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as file:
            for table in tables:
                file.write_table(table)
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                yield complete(file.read_row_group(number))


def table(columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """A table of the columns that the schema names, in its order and types."""
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _relation_names(known: Known, heads: np.ndarray, tails: np.ndarray, n_heads: int) -> np.ndarray:
    """Names of the relations between the two nodes of each pair, "" for an unknown pair."""
    place, is_known = _find(known, heads, tails, n_heads)
    return np.where(is_known, np.append(known.names, "")[place], "")


def _find(known: Known, heads: np.ndarray, tails: np.ndarray, n_heads: int) -> tuple[np.ndarray, np.ndarray]:
    """For each pair its place among the known pairs, and whether it is one of them."""
    known_codes = known.tails * np.int64(n_heads) + known.heads
    codes = tails * np.int64(n_heads) + heads
    place = np.searchsorted(known_codes, codes)
    return place, np.append(known_codes, -1)[place] == codes
