"""Look up candidates by drug, disease or pair in a finished run."""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from repurpose.candidates import candidates, evidence, finished, reasons
from repurpose.candidates.additions import Addition, AdditionFiles, added
from repurpose.candidates.described import Description, with_tail
from repurpose.candidates.finished import DeviceFiles, FinishedDevice
from repurpose.config.sections import Target
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import annotations, paths
from repurpose.graph.annotations import Annotations
from repurpose.pairs import repeats, reviews

FUSED_BEHIND = 60  # the constant of reciprocal rank fusion, as published
MOST_LETTERS = 24  # of a tail's name over its column
PAIR_PATHS, PAIR_SIMILAR = 5, 5  # in the explanation of a single pair


class Run:
    """A device of a finished run, ready for look-ups.

    correct_popularity, seed: the settings that the candidates were ranked with (see
    `FinishedDevice.annotator`).
    """

    def __init__(self, results: Path, device: str, *, correct_popularity: float, seed: int) -> None:
        self.candidates, self.ranking = results / "candidates" / device, (correct_popularity, seed)
        target = Target(**files.read_json(results / "pairs" / "certificate.json")["target"])
        self.results, self.target = results, target
        self.answer_from(finished.load(DeviceFiles.in_results(results, device), target))

    def answer_from(self, device: FinishedDevice) -> None:
        """Answer from this device, whose graph may have more tails than that of the files."""
        self.device, self.kg = device, device.kg
        self.annotator = device.annotator(*self.ranking)
        self.additions = self._additions(self.results)
        self.about = next((each for each in self.additions if isinstance(each, Annotations)), None)

    @classmethod
    def as_ranked(cls, results: Path, device: str) -> "Run":
        """The run with the settings in its candidates file; raises InputError if that file has none."""
        path = results / "candidates" / device / "candidates.parquet"
        ranking = (pq.read_schema(path).metadata or {}).get(b"ranking")
        if ranking is None:
            raise InputError(f"{path} is of an earlier version of this workflow; {files.rebuild_hint(path)}")
        return cls(results, device, **json.loads(ranking))

    def with_tail(self, described: Description) -> "Run":
        """The same run with a node that the graph lacks as its last tail (see `described.with_tail`)."""
        larger = copy.copy(self)
        larger.answer_from(with_tail(self.device, described))
        return larger

    def heads_of_all(
        self, tails: Sequence[int], top: int, among: np.ndarray | None = None
    ) -> list[dict[str, Any]]:
        """The best heads of several tails together, those that are new for at least one of them.

        The lists are joined by reciprocal ranks (Cormack, Clarke, Buettcher, "Reciprocal rank fusion", SIGIR
        2009): `fused` is the sum over the tails of 1 / (FUSED_BEHIND + rank). Each row has the `ranks` of the
        head and what it is `known` for, by tail id. among: see `heads_of`.
        """
        rows: dict[str, dict[str, Any]] = {}
        for tail in tails:
            ranking = candidates.rank(self.device.score, self.annotator, per_tail=0, tails=np.array([tail]))
            tail_id = self.kg.node_ids[self.target.tail_type][tail]
            for row in self._among(next(ranking), 0, among).to_pylist():
                joined = rows.setdefault(
                    row["head_id"],
                    {
                        "head_id": row["head_id"],
                        "head_name": row["head_name"],
                        "fused": 0.0,
                        "ranks": {},
                        "known": {},
                    },
                )
                joined["ranks"][tail_id] = row["rank_of_drug_for_disease"]
                joined["fused"] += 1 / (FUSED_BEHIND + row["rank_of_drug_for_disease"])
                if row["known"]:
                    joined["known"][tail_id] = row["known"]
        new = [row for row in rows.values() if len(row["known"]) < len(tails)]
        return sorted(new, key=lambda row: (-row["fused"], row["head_id"]))[:top]

    def heads_of(self, tail: int, top: int, with_known: bool, among: np.ndarray | None = None) -> pa.Table:
        """The best heads of a tail; known pairs only if `with_known`.

        among: the heads to list, None for all; their ranks are those among all heads.
        rank_of_disease_for_drug is that of candidates.parquet, null for a pair that the file does not have:
        to compute it, all tails would have to be scored.
        """
        known = 0 if with_known else int((self.annotator.known.tails == tail).sum())
        per_tail = top + known if among is None else 0
        ranking = candidates.rank(
            self.device.score, self.annotator, per_tail=per_tail, tails=np.array([tail])
        )
        rows = self._among(next(ranking), 0, among)
        return self._with_additions(self._with_head_ranks(_kept(rows, top, with_known), tail))

    def tails_of(self, head: int, top: int, with_known: bool, among: np.ndarray | None = None) -> pa.Table:
        """The best tails of a head among those in by_head.parquet; known pairs only if `with_known`.

        among: the tails to list, None for all.
        """
        rows = self._of_head(files.read_table(self.candidates / "by_head.parquet"), head)
        return self._with_additions(_kept(self._among(rows, 1, among), top, with_known))

    def nodes_with(self, conditions: Sequence[str], side: int) -> np.ndarray | None:
        """The heads (side 0) or tails (side 1) for which the conditions hold (see `Annotations.chosen`).

        None without conditions. Raises InputError if the run has no annotations, or for a condition on nodes
        of the other side.
        """
        if not conditions:
            return None
        if self.about is None:
            raise InputError("the candidates have no annotations to filter by: see annotations.table")
        name = annotations.SIDES[side]
        others = [condition for condition in conditions if not condition.startswith(f"{name}_")]
        if others:
            raise InputError(
                f"{others[0]} is not about the nodes that are listed; these have {name}_ in front"
            )
        return self.about.chosen(conditions, self.target.types)[name]

    def known_of(self, node: int, side: int) -> int:
        """The number of known pairs of a head (side 0) or a tail (side 1)."""
        known = self.annotator.known
        return int(((known.heads, known.tails)[side] == node).sum())

    def pair(self, head: int, tail: int) -> dict[str, Any]:
        """One pair with its rank and explanation; `of`: number of heads, `members`: of the ensemble."""
        ranking = candidates.rank(self.device.score, self.annotator, per_tail=0, tails=np.array([tail]))
        rows = self._with_additions(self._with_head_ranks(self._of_head(next(ranking), head), tail))
        (row,) = self.explained(rows, PAIR_PATHS, PAIR_SIMILAR)
        return {**row, "of": self.annotator.heads, "members": len(self.device.metrics["members"])}

    def explained(self, rows: pa.Table, n_paths: int, n_similar: int) -> list[dict[str, Any]]:
        """Candidates (rows) with their explanations."""
        return self.device.explainer.explain_rows(rows, n_paths, n_similar)

    def _with_head_ranks(self, rows: pa.Table, tail: int) -> pa.Table:
        name, tail_id = "rank_of_disease_for_drug", self.kg.node_ids[self.target.tail_type][tail]
        with (self.candidates / "candidates.parquet").open("rb") as file:
            listed = pq.read_table(file, columns=["head_id", name], filters=[("tail_id", "=", tail_id)])
        ranks = listed[name].take(pc.index_in(rows["head_id"], value_set=listed["head_id"]))
        return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), ranks)

    def _additions(self, results: Path) -> list[Addition]:
        """Annotations, reviews and repeats if the candidates have them: files of another config may be there.

        No pair is left out of answers, whatever its review.
        """
        path = self.candidates / "candidates.parquet"
        names = pq.read_schema(path).names if path.exists() else []
        others = {*candidates.SCHEMA.names, *reviews.COLUMNS, repeats.COLUMN}
        found = AdditionFiles(
            results / "graph" / "annotations.parquet" if set(names) - others else None,
            results / "pairs" / "reviews.parquet" if reviews.COLUMNS[0] in names else None,
            results / "pairs" / "repeats.parquet" if repeats.COLUMN in names else None,
        )
        return found.load(self.kg.node_ids, self.target.types)

    @property
    def annotated_columns(self) -> list[str]:
        """The columns of annotations that rows have."""
        return self.about.columns if self.about else []

    def _with_additions(self, rows: pa.Table) -> pa.Table:
        return added(rows, self.additions)

    def _among(self, rows: pa.Table, side: int, nodes: np.ndarray | None) -> pa.Table:
        """The rows whose head (side 0) or tail (side 1) is one of the nodes, None for all."""
        if nodes is None:
            return rows
        ids = pa.array(self.kg.node_ids[self.target.types[side]][nodes], pa.string())
        return rows.filter(pc.is_in(rows[f"{annotations.SIDES[side]}_id"], value_set=ids))

    def _of_head(self, rows: pa.Table, head: int) -> pa.Table:
        return rows.filter(pc.equal(rows["head_id"], self.kg.node_ids[self.target.head_type][head]))


def listed(rows: Sequence[Mapping[str, Any]], side: str, shown_type: str, about: Sequence[str] = ()) -> str:
    """Candidates as lines of text; side: the end of the pairs that is shown, "head" or "tail", with its type.

    about: the columns of annotations; those of this side are shown. The last column is the main reason: the
    metapath or vote that raises the score most.
    """
    rank = "rank_of_drug_for_disease" if side == "head" else "rank_of_disease_for_drug"
    columns: dict[str, list[str]] = {
        "rank": [str(row[rank]) for row in rows],
        "models": [f"{row['rank_low']}-{row['rank_high']}" if row.get("rank_low") else "" for row in rows],
        "probability": [f"{row['probability']:.2g}" for row in rows],
        shown_type: [row[f"{side}_name"] for row in rows],
        "id": [row[f"{side}_id"] for row in rows],
        "known": [row["known"] or "" for row in rows],
        "review": [row.get("review", "") for row in rows],
        "repeats": [row.get(repeats.COLUMN, "") for row in rows],
        **{title: [row[name] for row in rows] for title, name in annotations.of_side(about, side).items()},
    }
    kept = {title: cells for title, cells in columns.items() if any(cells)}
    widths = [min(40, max(map(len, (title, *cells)))) for title, cells in kept.items()]
    last = ["main reason", *(_main_reason(row) for row in rows)]
    lines = zip(*([title, *cells] for title, cells in kept.items()), strict=True)
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=True)), reason]).rstrip()
        for line, reason in zip(lines, last, strict=True)
    )


def listed_together(rows: Sequence[Mapping[str, Any]], tails: Mapping[str, str], shown_type: str) -> str:
    """The candidates of several tails as lines of text; tails: id -> name."""
    title = ["place", shown_type, "id", *(name[:MOST_LETTERS] for name in tails.values())]
    lines = [title] + [
        [
            str(place),
            row["head_name"],
            row["head_id"],
            *(f"{row['ranks'][tail]}{' known' if tail in row['known'] else ''}" for tail in tails),
        ]
        for place, row in enumerate(rows, 1)
    ]
    widths = [min(40, max(map(len, cells))) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def introduced(known: int, shown_type: str) -> str:
    """What a list of new candidates leaves out, and what its columns mean."""
    pairs = f"{known} known pair{'' if known == 1 else 's'}"
    verbs = "is not shown but counts" if known == 1 else "are not shown but count"
    left_out = f"{pairs} {verbs} in the ranks (--known shows them). " if known else ""
    return (
        f"{left_out}models: the lowest and the highest rank by the models that are averaged; probability: "
        f"docs/evaluation.md. --pair has the whole explanation of one {shown_type}."
    )


def _main_reason(row: Mapping[str, Any]) -> str:
    """The strongest reason of a row, or else the path that its score rests on, with the row's caution."""
    text, leading = "", paths.leading(row["paths"])
    if row["reasons"]:
        (text,) = reasons.shown(row["reasons"][:1])
    elif leading:
        text = leading["text"] + _change(leading["change"])
    return text + (f" ({row['caution']})" if row["caution"] else "")


def dossier(rows: Mapping[str, Mapping[str, Any]], about: Sequence[str] = ()) -> str:
    """The explanation of a pair as lines of text, with each device's rank.

    rows: device -> `Run.pair`. about: the columns of annotations.
    """
    row = next(iter(rows.values()))
    lines = [
        f"{row['head_name']} ({row['head_id']}) for {row['tail_name']} ({row['tail_id']})",
        f"known: {row['known'] or 'no relation connects them'}",
    ]
    for device, ranked in rows.items():
        spread = (
            f", {ranked['rank_low']} to {ranked['rank_high']} by its models" if ranked["rank_low"] else ""
        )
        lines.append(
            f"{device}: rank {ranked['rank_of_drug_for_disease']} of {ranked['of']}{spread}; "
            f"probability {ranked['probability']:.2g}, score {ranked['score']:.3f}{_known_negative(ranked)}"
        )
    listed, members = (sum(ranked[key] for ranked in rows.values()) for key in ("listed_by", "members"))
    if members > 1:
        lines.append(f"among the {candidates.LISTED} best by {listed} of {members} models")
    lines += [f"caution: {row['caution']}"] if row["caution"] else []
    if row.get(repeats.COLUMN):
        lines.append(f"known in other words: {row[repeats.COLUMN]}")
    if row.get("review"):
        lines.append(f"reviewed: {row['review']}; {row['review_note']}".rstrip("; "))
    for side in annotations.SIDES:
        said = [f"{title} {row[name]}" for title, name in annotations.of_side(about, side).items()]
        lines += [f"about {row[f'{side}_name']}: {'; '.join(said)}"] if said else []
    if row["reasons"]:
        lines.append("metapaths and votes that raise the score most, with what they add to it:")
        lines += [f"  {line}" for line in reasons.shown(row["reasons"])]
    lines.append(
        "paths, each with its weight in the graph:" if row["paths"] else "paths: none of up to three edges"
    )
    for way in row["paths"]:
        lines.append(f"  {way['score']:.2g}  {way['text']}{_change(way['change'])}")
        lines += [f"      {line}" for line in evidence.origins_in_words(way)]
    lines.append(f"most similar known treatments of {row['tail_name']}: {_similar(row['heads_of_tail'])}")
    lines.append(f"most similar that {row['head_name']} is known to treat: {_similar(row['tails_of_head'])}")
    for side in ("head", "tail"):
        if row[f"{side}_attention"]:
            attended = _attended(row[f"{side}_attention"])
            lines.append(f"edges of {row[f'{side}_name']} with the highest attention: {attended}")
    return "\n".join(lines)


def _change(change: float | None) -> str:
    return "" if change is None else f"  (score {change:+.2f} without it)"


def _attended(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{row['name']} ({row['relation']}, {row['weight']:.2g})" for row in rows)


def _known_negative(row: Mapping[str, Any]) -> str:
    chance = row["negative_probability"]
    return "" if chance is None else f"; probability of a known negative {chance:.2g}"


def _similar(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{row['name']} ({row['similarity']:.2f})" for row in rows) or "none"


def _kept(rows: pa.Table, top: int, with_known: bool) -> pa.Table:
    return (rows if with_known else rows.filter(pc.equal(rows["known"], "")))[:top]
