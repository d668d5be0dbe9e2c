"""A person's questions about the candidates of a run: which drugs, which diseases, why this pair."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.candidates import candidates, evidence, experience, influence
from repurpose.candidates.influence import Influence
from repurpose.classifier import pair_model
from repurpose.core import files, threads
from repurpose.core.errors import InputError
from repurpose.evaluation import calibration
from repurpose.graph import graph, paths
from repurpose.graph.target import Target
from repurpose.pairs import pairs
from repurpose.vectors import embeddings
from repurpose.vectors.vectors import Vectors

FILES = ("nodes.parquet", "edges.parquet", "relations.json")


class Run:
    """What a finished run knows of one device: graph, vectors, model, candidates."""

    def __init__(self, results: Path, device: str) -> None:
        self.results, self.device = results, device
        certificate = files.read_json(results / "pairs" / "certificate.json")
        self.target = Target(**certificate["target"])
        self.types = self.target.types
        self.kg = graph.load(*(results / "graph" / name for name in FILES))
        vectors_in = results / "embeddings" / device / "embeddings.parquet"
        embedded = embeddings.read(vectors_in)
        self.vectors, self.origin = embeddings.aligned(embedded, self.kg, vectors_in), embedded.metadata
        vectors = Vectors.from_rows(self.vectors, self.types)
        self.rows = vectors.heads, vectors.tails
        folder = results / "classifier" / device
        trained = files.read_json(folder / "metrics.json")
        self.model = pair_model.load(folder / "model.ubj", folder / "kernel.safetensors", trained)
        self.members = len(trained["members"])
        self.score = pair_model.members(self.model, vectors, trained["members"])
        labelled = pairs.label(self.kg, self.target)
        self.treated = pairs.treated(labelled)
        cautions = experience.of_both(self.kg, self.types, self.rows, self.treated)
        known = pairs.known(self.kg, *self.types)
        negative = pair_model.known_negative(folder / "negatives.json", vectors, 1)
        curve = calibration.select_curve(trained["calibration"], 0.0, folder / "metrics.json")
        self.about = candidates.About(self.kg, *self.types, known, curve, cautions, negative)

    def heads_of(self, tail: int, top: int, with_known: bool) -> pa.Table:
        """The best heads of a tail, those that a relation joins to it left out unless asked for."""
        known = 0 if with_known else int((self.about.known.tails == tail).sum())
        (found,) = candidates.rank(self.score, self.about, per_tail=top + known, tails=np.array([tail]))
        return _kept(found, top, with_known)

    def tails_of(self, head: int, top: int, with_known: bool) -> pa.Table:
        """The best tails of a head, among those that the run kept of it."""
        found = files.read_table(self.results / "candidates" / self.device / "by_head.parquet")
        own = found.filter(pc.equal(found["head_id"], self.kg.node_ids[self.types[0]][head]))
        return _kept(own, top, with_known)

    def pair(self, head: int, tail: int) -> dict[str, Any]:
        """One pair's row, whatever its rank, its dossier, and of how many heads and models that is."""
        (found,) = candidates.rank(self.score, self.about, per_tail=0, tails=np.array([tail]))
        row = found.filter(pc.equal(found["head_id"], self.kg.node_ids[self.types[0]][head]))
        (found,) = self.explained(row, 5, 5)
        return {**found, "of": self.kg.count(self.types[0]), "members": self.members}

    def _influence(self) -> Influence | None:
        """What the model makes of paths; None of vectors from elsewhere."""
        encoder = self.results / "embeddings" / self.device / "encoder.safetensors"
        if not encoder.exists():
            return None
        return influence.read(
            self.kg, self.types, self.vectors, self.origin, encoder, self.model, threads.current()
        )

    def explained(self, rows: pa.Table, n_paths: int, n_like: int) -> list[dict[str, Any]]:
        """Rows of candidates with their dossiers."""
        network = paths.network(self.kg)
        witness = evidence.Witness(self.kg, *self.types, self.rows, self.treated, network, self._influence())
        dossiers = witness.of_rows(rows, n_paths, n_like)
        return [{**row, **found} for row, found in zip(rows.to_pylist(), dossiers, strict=True)]


def device_of(results: Path, wanted: str | None) -> str:
    """The device to ask: the one given, or the first that passed its gate.

    Raises InputError where it has no candidates.
    """
    found = passed(results)
    if wanted and wanted not in found:
        raise InputError(
            f"{wanted} has no candidates; devices that passed their gate: {', '.join(found) or 'none'}"
        )
    if not found:
        raise InputError("no device passed its gate, so there are no candidates: see report.html")
    return wanted or found[0]


def passed(results: Path) -> list[str]:
    """The devices that passed their gate; raises InputError where no run has finished."""
    if not (results / "summary.json").exists():
        raise InputError(f"{results} has no summary.json: run the workflow first, or give --results")
    return files.read_json(results / "summary.json")["passed"]


def listed(rows: Sequence[Mapping[str, Any]], side: str) -> str:
    """Candidates as lines of text, the other end of each by name."""
    table = [("rank", "models", "probability", side, "id", "known", "path that the score rests on most")]
    for row in rows:
        spread = f"{row['rank_low']}-{row['rank_high']}" if row.get("rank_low") else ""
        leading = paths.leading(row["paths"])
        way = leading["text"] + _change(leading["change"]) if leading else ""
        name, known = row[f"{side}_name"], row["known"] or ""
        caution = f" ({row['caution']})" if row["caution"] else ""
        table.append(
            (
                str(row["rank"]),
                spread,
                f"{row['probability']:.2g}",
                name,
                row[f"{side}_id"],
                known,
                way + caution,
            )
        )
    widths = [min(40, max(len(line[at]) for line in table)) for at in range(6)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[6]]).rstrip()
        for line in table
    )


def dossier(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """A pair's reasons as lines of text, with what each device says of it: device -> `Run.pair`."""
    row = next(iter(rows.values()))
    lines = [
        f"{row['head_name']} ({row['head_id']}) for {row['tail_name']} ({row['tail_id']})",
        f"known: {row['known'] or 'no relation joins them'}",
    ]
    for device, own in rows.items():
        spread = f", {own['rank_low']} to {own['rank_high']} by its models" if own["rank_low"] else ""
        lines.append(
            f"{device}: rank {own['rank']} of {own['of']}{spread}; probability {own['probability']:.2g}, "
            f"score {own['score']:.3f}{_contrary(own)}"
        )
    listed, members = (sum(own[key] for own in rows.values()) for key in ("listed_by", "members"))
    if members > 1:
        lines.append(f"among the {candidates.LISTED} best by {listed} of {members} models")
    lines += [f"caution: {row['caution']}"] if row["caution"] else []
    lines.append("paths:" if row["paths"] else "paths: none of up to three edges")
    lines += [f"  {way['score']:.2g}  {way['text']}{_change(way['change'])}" for way in row["paths"]]
    lines.append(f"nearest known treatments of it: {_similar(row['heads_of_tail'])}")
    lines.append(f"nearest that it is known to treat: {_similar(row['tails_of_head'])}")
    for side in ("head", "tail"):
        if row[f"{side}_attention"]:
            lines.append(
                f"of {row[f'{side}_name']} its encoder reads most: {_seen(row[f'{side}_attention'])}"
            )
    return "\n".join(lines)


def _change(change: float | None) -> str:
    return "" if change is None else f"  (score {change:+.2f} without it)"


def _seen(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{each['name']} ({each['relation']}, {each['weight']:.2g})" for each in rows)


def _contrary(row: Mapping[str, Any]) -> str:
    chance = row["negative_probability"]
    return "" if chance is None else f"; probability of a known negative {chance:.2g}"


def _similar(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{each['name']} ({each['similarity']:.2f})" for each in rows) or "none"


def _kept(rows: pa.Table, top: int, with_known: bool) -> pa.Table:
    return (rows if with_known else rows.filter(pc.equal(rows["known"], "")))[:top]
