"""The lists, nodes and dossiers that the page's explorer shows, as arrays for `packing.pack`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from repurpose.core import files
from repurpose.graph.annotations import Annotations
from repurpose.graph.names import shown
from repurpose.report.packing import pack, smallest

PAIR_COLUMNS = ["head_id", "tail_id", "probability", "rank_of_drug_for_disease", "rank_of_disease_for_drug"]
PAIR_COLUMNS += ["negative_probability", "known", "contraindicated", "other_relation", "caution"]
# The rank in the lists of heads and of tails.
RANKS = {"head": "rank_of_disease_for_drug", "tail": "rank_of_drug_for_disease"}
# Columns that candidates have only if the config asks for them.
ADDED_COLUMNS = ["review", "review_note", "repeats"]
RANGE_COLUMNS = ["rank_low", "rank_high", "listed_by"]
# A probability is stored as -ln(p) in steps of 1 / SCALE, which keeps it to 0.013 %.
SCALE = 4000
FLAGS = ("contraindicated", "other_relation")
COORDINATES = 65535
IS_TREATMENT = pc.field("label") == 1
PUBLICATIONS = 3  # of an edge in the page; evidence.parquet has more
NO_PERCENT = 255  # a contraindication probability that is not known


class Side(NamedTuple):
    """The heads or the tails of the ranking: ids by index, and the number of known treatments of each."""

    node_type: str
    ids: np.ndarray
    treatments: np.ndarray


@dataclass(frozen=True)
class Nodes:
    """All nodes by type, in the order of node numbers: an index plus the nodes of earlier types."""

    ids: Mapping[str, np.ndarray]
    names: Mapping[str, np.ndarray]

    @cached_property
    def first(self) -> dict[str, int]:
        """The first node number of each type."""
        counts = [len(ids) for ids in self.ids.values()]
        return dict(zip(self.ids, np.cumsum([0, *counts[:-1]]).tolist(), strict=True))

    @cached_property
    def number(self) -> dict[tuple[str, str], int]:
        """The node number of each type and id."""
        return {
            (node_type, node_id): first + index
            for node_type, first in self.first.items()
            for index, node_id in enumerate(self.ids[node_type].tolist())
        }


class Ranking(NamedTuple):
    """The files of the ranking that the page shows, and what is said about it.

    name: of the device, or "pooled". candidates: candidates.parquet. others: candidates of other devices.
    first: the device that passed first, whose by_head, listed and evidence files follow: lists of heads and
    explanations of pooled candidates are those of this one run.
    """

    name: str
    candidates: Path
    others: Sequence[Path]
    first: str
    by_head: Path
    listed: Path
    evidence: Path


class Texts:
    """Texts that many pairs share, each kept once; number 0 is the empty text."""

    def __init__(self) -> None:
        self.texts = [""]
        self.number_of_text = {"": 0}

    def numbers(self, column: pa.ChunkedArray) -> np.ndarray:
        """The number of each text of a column."""
        encoded = pc.dictionary_encode(column.combine_chunks())
        new = [self.number(text or "") for text in encoded.dictionary.to_pylist()]
        return np.array([*new, 0])[encoded.indices.fill_null(len(new)).to_numpy(zero_copy_only=False)]

    def number(self, text: str) -> int:
        """The number of a text."""
        if text not in self.number_of_text:
            self.number_of_text[text] = len(self.texts)
            self.texts.append(text)
        return self.number_of_text[text]


def packs(
    ranking: Ranking,
    nodes: Nodes,
    relations: Sequence[str],
    sides: tuple[Side, Side],
    top: int,
    repeated: Mapping[str, Any] | None,
    about: Annotations | None = None,
    beaten_by: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The packed data of the page by name: `lists` (read first), `nodes` and `dossiers` (read when needed).

    relations: names by position in relations.json. sides: heads and tails. repeated: id, name,
    share and places of a head that most lists of untreated tails have, or None. about: annotations of heads
    and tails, None for none. beaten_by: see `metric_tables.beaten_by`.
    """
    heads, tails = sides
    texts = Texts()
    columns = [*PAIR_COLUMNS, *_added_columns(ranking.candidates)]
    table = read_best(ranking.candidates, "tail", [*columns, *RANGE_COLUMNS], top)
    calibration = json.loads((table.schema.metadata or {}).get(b"calibration", b"null"))
    others = [files.batches(path, ["head_id", "tail_id", RANKS["tail"]]) for path in ranking.others]
    of_heads = read_best(ranking.by_head, "head", columns, top)
    dossiers = Dossiers(nodes, heads, tails)
    dossiers.add_listed(files.read_table(ranking.listed), relations)
    dossiers.add_explained(files.read_table(ranking.evidence))
    lists = {
        "device": ranking.name,
        "first": ranking.first,
        "top": top,
        "heads": {**_described_side(nodes, heads), "about": _about(about, "head")},
        "tails": {**_described_side(nodes, tails), "about": _about(about, "tail")},
        "separator": about.separator if about else "",
        "of_tails": lists_of_tails(with_other_runs(table, others), heads, tails, top, texts),
        "of_heads": lists_of_heads(of_heads, heads, tails, top, texts),
        "texts": texts.texts,
        "reliability": reliability(calibration),
        "repeated": repeated,
        "beaten_by": dict(beaten_by or {"treated": "", "untreated": ""}),
    }
    contents = {"lists": lists, "nodes": _without_sides(nodes, sides), "dossiers": dossiers.packed()}
    return {name: pack(content) for name, content in contents.items()}


def _added_columns(candidates: str | Path) -> list[str]:
    """Those of ADDED_COLUMNS that the candidates have."""
    return [name for name in ADDED_COLUMNS if name in pq.read_schema(candidates).names]


def packed_map(drawn: pa.Table, nodes: Nodes, sides: tuple[Side, Side]) -> str:
    """The map of one device, from map.parquet: coordinates of all nodes, nearest nodes of heads and tails.

    Coordinates are whole numbers from 0 to COORDINATES. A type without any vector is not drawn.
    """
    types = list(nodes.ids)
    total = sum(len(ids) for ids in nodes.ids.values())
    first = np.array([nodes.first[node_type] for node_type in types])
    places = np.full((total, 2), np.nan)
    type_of_row = pc.index_in(drawn["node_type"], value_set=pa.array(types, pa.string())).to_numpy()
    number = first[type_of_row] + drawn["node_index"].to_numpy()
    places[number] = np.stack([drawn["x"].to_numpy(), drawn["y"].to_numpy()], axis=1)
    low, high = np.nanmin(places, axis=0), np.nanmax(places, axis=0)
    scaled = np.round((places - low) / np.maximum(high - low, 1e-12) * COORDINATES)
    is_placed = np.isfinite(scaled).all(axis=1)
    nearest = []
    for side in sides:
        of_type = drawn.filter(pc.equal(drawn["node_type"], side.node_type))["nearest"]
        if len(of_type) and not of_type.null_count:
            flat = pc.list_flatten(of_type).to_numpy()
            count = len(flat) // len(of_type)
            nearest.append({"type": types.index(side.node_type), "count": count, "node": smallest(flat)})
    return pack(
        {
            "x": np.where(is_placed, scaled[:, 0], 0).astype(np.uint16),
            "y": np.where(is_placed, scaled[:, 1], 0).astype(np.uint16),
            "is_placed": is_placed.astype(np.uint8),
            "nearest": nearest,
        }
    )


def read_best(path: str | Path, owner: str, columns: Sequence[str], top: int) -> pa.Table:
    """The pairs of a table of candidates that `best_of_each` may need, for the lists of "head" or "tail".

    Filtered while they are read, with a limit that is raised until each list has its new pairs: with
    `candidates.per_tail: 0` the file holds every pair of the graph.
    """
    rank, limit, rows = RANKS[owner], 2 * top, -1
    while True:
        is_needed = (pc.field(rank) <= 2 * top) | ((pc.field("known") == "") & (pc.field(rank) <= limit))
        table = files.read_table(path, columns, where=is_needed)
        new = (
            table.filter(pc.equal(table["known"], "")).group_by(f"{owner}_id").aggregate([([], "count_all")])
        )
        has_all = pc.min(new["count_all"]).as_py() or 0
        lists = pc.count_distinct(table[f"{owner}_id"]).as_py()
        if table.num_rows == rows or (has_all >= top and new.num_rows == lists):
            return table
        limit, rows = 2 * limit, table.num_rows


def _described_side(nodes: Nodes, side: Side) -> dict[str, Any]:
    return {**_described(nodes, side.node_type), "treatments": smallest(side.treatments)}


def _about(about: Annotations | None, side: str) -> list[dict[str, Any]]:
    """Annotations of a side: `name` of a column, distinct `texts`, per node the number of one (`code`)."""
    result = []
    for name, of_nodes in (about.texts[side] if about else {}).items():
        texts, codes = np.unique(of_nodes.astype(str), return_inverse=True)
        result.append({"name": name, "texts": texts.tolist(), "code": smallest(codes)})
    return result


def _described(nodes: Nodes, node_type: str) -> dict[str, Any]:
    """Type, ids and names of the nodes of a type for the page; a name that is the id is left out."""
    ids, names = nodes.ids[node_type].tolist(), nodes.names[node_type].tolist()
    return {
        "type": shown(node_type),
        "ids": ids,
        "names": [name if name and name != node_id else "" for name, node_id in zip(names, ids, strict=True)],
    }


def _without_sides(nodes: Nodes, sides: tuple[Side, Side]) -> dict[str, Any]:
    """All types of nodes; those of heads and tails refer to `lists`, which has them already."""
    key_of_type = {side.node_type: key for side, key in zip(sides, ("heads", "tails"), strict=True)}
    return {
        "types": [
            {"type": shown(node_type), "of": key_of_type[node_type]}
            if node_type in key_of_type
            else _described(nodes, node_type)
            for node_type in nodes.ids
        ]
    }


def side(nodes: Nodes, node_type: str, treatments: np.ndarray) -> Side:
    """One end of the ranked pairs; treatments: indices of its nodes, one per known treatment."""
    ids = nodes.ids[node_type]
    return Side(node_type, ids, np.bincount(treatments, minlength=len(ids)))


def lists_of_tails(table: pa.Table, heads: Side, tails: Side, top: int, texts: Texts) -> dict[str, Any]:
    """The lists of all tails, from candidates.parquet: see `_lists`; ranks have a range over the models."""
    return _lists(table, (tails, "tail"), (heads, "head"), top, texts)


def lists_of_heads(table: pa.Table, heads: Side, tails: Side, top: int, texts: Texts) -> dict[str, Any]:
    """The lists of all heads, from by_head.parquet: see `_lists`."""
    return _lists(table, (heads, "head"), (tails, "tail"), top, texts)


def _lists(
    table: pa.Table, owner: tuple[Side, str], partner: tuple[Side, str], top: int, texts: Texts
) -> dict[str, Any]:
    """The `top` best new partners of each owner, and up to `top` known ones that rank among or above them.

    `start` (owners + 1): where each owner's list begins. Of each pair: `partner` (index), `rank` in this
    list, `other_rank` in the partner's list (0 if it is not known), `low` and `high` (the range of the rank
    over the models), `listed_by` (runs), `probability` (in steps of 1 / SCALE), `flags` (bits of FLAGS),
    `percent` (the contraindication probability), `known`, `caution` and those of ADDED_COLUMNS
    that the table has (numbers of texts).
    """
    (owners, own), (partners, other) = owner, partner
    index = {
        side: pc.index_in(table[f"{side}_id"], value_set=pa.array(node.ids, pa.string())).to_numpy()
        for side, node in ((own, owners), (other, partners))
    }
    ranks = table[RANKS[own]].to_numpy()
    rows = best_of_each(index[own], ranks, pc.equal(table["known"], "").to_numpy(), top)
    begins = np.searchsorted(index[own][rows], np.arange(len(owners.ids) + 1))
    pairs = table.take(pa.array(rows))
    result = {
        "start": begins.astype(np.uint32),
        "partner": smallest(index[other][rows]),
        "rank": smallest(ranks[rows]),
        "other_rank": smallest(pc.fill_null(pairs[RANKS[other]], 0).to_numpy()),
        "probability": _steps(pairs["probability"].to_numpy()),
        "flags": sum(
            pc.fill_null(pairs[name], False).to_numpy(zero_copy_only=False).astype(np.uint8) << bit
            for bit, name in enumerate(FLAGS)
        ).astype(np.uint8),
        "percent": _percent(pairs["negative_probability"]),
        "known": smallest(texts.numbers(pairs["known"])),
        "caution": smallest(texts.numbers(pairs["caution"])),
    }
    result |= {
        name: smallest(texts.numbers(pairs[name])) for name in ADDED_COLUMNS if name in table.column_names
    }
    if "rank_low" in table.column_names:
        result |= {
            name: smallest(pairs[column].to_numpy())
            for name, column in zip(("low", "high", "listed_by"), RANGE_COLUMNS, strict=True)
        }
    return result


def best_of_each(owners: np.ndarray, ranks: np.ndarray, is_new: np.ndarray, top: int) -> np.ndarray:
    """Rows (positions) of the `top` best new pairs of each owner, sorted by owner and rank.

    Up to `top` known pairs of each owner are among them, if they rank among or above the new ones.
    """
    order = np.lexsort((ranks, owners))
    owners, is_new = owners[order], is_new[order]
    begins = np.searchsorted(owners, owners)
    new_so_far = np.concatenate([[0], np.cumsum(is_new)])
    new_before = new_so_far[:-1] - new_so_far[begins]
    known_before = np.arange(len(order)) - begins - new_before
    return order[(new_before < top) & (is_new | (known_before < top))]


def _steps(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities in steps of 1 / SCALE of -ln(p), as uint16."""
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.round(-np.log(probabilities) * SCALE)
    return np.nan_to_num(np.clip(steps, 0, 65535), nan=65535).astype(np.uint16)


def _percent(column: pa.ChunkedArray) -> np.ndarray:
    """Probabilities in whole per cent, NO_PERCENT for null, as uint8."""
    values = np.asarray(column.to_numpy(), dtype=float) * 100
    return np.where(np.isfinite(values), np.round(values), NO_PERCENT).astype(np.uint8)


def with_other_runs(table: pa.Table, others: Sequence[Iterable[pa.RecordBatch]]) -> pa.Table:
    """The candidates of one run, with ranges of ranks that include those of other runs.

    others: for each other device its head_id, tail_id and rank_of_drug_for_disease, in batches. A pair that
    another run does not list counts as ranked behind that run's list. listed_by: the runs that list the pair.
    """
    if not others:
        return table
    low, high = (table[name].to_numpy().copy() for name in ("rank_low", "rank_high"))
    listed = np.ones(table.num_rows, int)
    for other in others:
        rank, is_listed = _ranks_in(other, table)
        low, high = np.minimum(low, rank), np.maximum(high, rank)
        listed += is_listed
    for name, values in zip(RANGE_COLUMNS, (low, high, listed), strict=True):
        field = pa.field(name, pa.int32())
        place = table.schema.get_field_index(name)
        table = table.set_column(place, field, pa.array(values, pa.int32()))
    return table


def _ranks_in(run: Iterable[pa.RecordBatch], table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The rank of each pair of `table` in the list of another run, and whether that run lists the pair."""
    pairs = pd.MultiIndex.from_frame(table.select(["head_id", "tail_id"]).to_pandas())
    rank = np.zeros(len(pairs), np.int64)
    last: dict[str, int] = {}
    for batch in run:
        rows = batch.to_pandas()
        for tail, rank_of_last in rows.groupby("tail_id")[RANKS["tail"]].max().items():
            last[tail] = max(last.get(tail, 0), rank_of_last)
        place = pairs.get_indexer(pd.MultiIndex.from_frame(rows[["head_id", "tail_id"]]))
        rank[place[place >= 0]] = rows[RANKS["tail"]].to_numpy()[place >= 0]
    behind = np.array([last.get(tail, 0) + 1 for tail in table["tail_id"].to_pylist()], np.int64)
    return np.where(rank > 0, rank, behind), rank > 0


class Dossiers:
    """The dossiers of the page as flat arrays, sorted by tail, then by head.

    Counts come before what is counted: `paths` and `reasons` of each dossier, `edges` of each path. Of each
    path there is the `change` of the score without it (NaN if it is not known), of each inner node the node
    number (`inner`), of each edge a text (`relation`) and its `arrow` (1 along the path, 0 none, 2 against),
    if the graph has them also texts with its `source` and its first `publications` (| between them).
    Of each reason there are `text`, `share`, and one text that names the `voters`.
    """

    def __init__(self, nodes: Nodes, heads: Side, tails: Side) -> None:
        self.nodes, self.heads, self.tails = nodes, heads, tails
        self.of_pair: dict[tuple[int, int], Mapping[str, Any]] = {}

    def add_listed(self, listed: pa.Table, relations: Sequence[str]) -> None:
        """Add pairs with paths and reasons alone, from listed.parquet; relations: names by position."""
        for row in listed.to_pylist():
            paths = [
                {
                    "change": None,
                    "inner": path["nodes"][1:-1],
                    "relations": [relations[number] for number in path["relations"]],
                    "arrows": path["arrows"],
                    "origins": path["origins"],
                }
                for path in row["paths"]
            ]
            self.of_pair[row["tail_index"], row["head_index"]] = {**row, "paths": paths}

    def add_explained(self, evidence: pa.Table) -> None:
        """Add explained pairs, from evidence.parquet; they replace those that are there."""
        first_head, first_tail = (self.nodes.first[side.node_type] for side in (self.heads, self.tails))
        for row in evidence.to_pylist():
            head = self.nodes.number[self.heads.node_type, row["head_id"]] - first_head
            tail = self.nodes.number[self.tails.node_type, row["tail_id"]] - first_tail
            paths = [
                {
                    **path,
                    "inner": [
                        self.nodes.number[place]
                        for place in list(zip(path["types"], path["ids"], strict=True))[1:-1]
                    ],
                }
                for path in row["paths"]
            ]
            self.of_pair[tail, head] = {**row, "paths": paths}

    def packed(self) -> dict[str, Any]:
        """The arrays."""
        pairs = sorted(self.of_pair)
        rows = [self.of_pair[pair] for pair in pairs]
        paths = [path for row in rows for path in row["paths"]]
        reasons = [reason for row in rows for reason in row["reasons"]]
        similar = {name: [row.get(name) or [] for row in rows] for name in ("heads_of_tail", "tails_of_head")}
        texts = Texts()
        number = texts.number
        types = list(self.nodes.ids)
        result = {
            "head_type": types.index(self.heads.node_type),
            "tail_type": types.index(self.tails.node_type),
            "tail": _packed(tail for tail, _ in pairs),
            "head": _packed(head for _, head in pairs),
            "paths": _packed(len(row["paths"]) for row in rows),
            "edges": _packed(len(path["arrows"]) for path in paths),
            "change": np.array(
                [np.nan if path["change"] is None else path["change"] for path in paths], np.float32
            ),
            "inner": _packed(node for path in paths for node in path["inner"]),
            "relation": _packed(number(shown(name)) for path in paths for name in path["relations"]),
            "arrow": _packed(arrow % 3 for path in paths for arrow in path["arrows"]),
            **self._origins(paths, texts),
            "reasons": _packed(len(row["reasons"]) for row in rows),
            "text": _packed(number(reason["text"]) for reason in reasons),
            "share": np.array([reason["share"] for reason in reasons], np.float32),
            "voters": _packed(number(", ".join(reason["voters"])) for reason in reasons),
            **{
                name: {
                    "count": _packed(len(found) for found in of_rows),
                    "node": _packed(
                        self.nodes.number[node_type, node["id"]] for found in of_rows for node in found
                    ),
                    "similarity": np.array(
                        [node["similarity"] for found in of_rows for node in found], np.float32
                    ),
                }
                for (name, of_rows), node_type in zip(
                    similar.items(), (self.heads.node_type, self.tails.node_type), strict=True
                )
            },
        }
        return {**result, "texts": texts.texts}

    @staticmethod
    def _origins(paths: Sequence[Mapping[str, Any]], texts: Texts) -> dict[str, np.ndarray]:
        """Of each edge one text with its sources and one with its publications; {} if no edge has any."""
        if not any(path["origins"] for path in paths):
            return {}
        told = [
            origin
            for path in paths
            for origin in path["origins"] or [{"sources": [], "publications": []}] * len(path["arrows"])
        ]
        return {
            "source": _packed(texts.number(", ".join(origin["sources"])) for origin in told),
            "publications": _packed(
                texts.number("|".join(origin["publications"][:PUBLICATIONS])) for origin in told
            ),
        }


def _packed(values: Iterable[int]) -> np.ndarray:
    return smallest(np.fromiter(values, np.int64))


def reliability(calibration: Mapping[str, Any] | None) -> dict[str, list[dict[str, float]]]:
    """Bins of the calibration, of tails without and with a known treatment."""
    result = {}
    of_treated = (calibration or {}).get("treated") or {}
    for name, section in (("untreated", calibration or {}), ("treated", of_treated)):
        bins = (section.get("reliability") or {}).get("bins") or []
        result[name] = [
            {key: row[key] for key in ("predicted", "observed", "low", "high", "pairs", "positives")}
            for row in bins
        ]
    return result
