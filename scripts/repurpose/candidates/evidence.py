"""The explanation of a pair: paths in the graph, similar known treatments, attention of the encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from repurpose.candidates import candidates
from repurpose.candidates.counterfactual import CounterfactualScorer
from repurpose.candidates.reasons import REASONS, Reasoner
from repurpose.config.sections import Target
from repurpose.core import cells, files
from repurpose.graph import paths
from repurpose.graph.graph import Graph, Relation
from repurpose.graph.names import shown
from repurpose.graph.sources import EdgeSources

CSV_FIELDS = (
    "head_id",
    "head_name",
    "tail_id",
    "tail_name",
    "rank_of_drug_for_disease",
    "probability",
    "caution",
)
ATTENDED = pa.list_(
    pa.struct(
        [("id", pa.string()), ("name", pa.string()), ("relation", pa.string()), ("weight", pa.float32())]
    )
)
SIMILAR = pa.list_(pa.struct([("id", pa.string()), ("name", pa.string()), ("similarity", pa.float32())]))
ORIGIN = pa.struct([("sources", pa.list_(pa.string())), ("publications", pa.list_(pa.string()))])
PATH = pa.struct(
    [
        ("score", pa.float32()),
        ("change", pa.float32()),
        ("text", pa.string()),
        ("nodes", pa.list_(pa.string())),
        ("ids", pa.list_(pa.string())),
        ("types", pa.list_(pa.string())),
        ("relations", pa.list_(pa.string())),
        ("arrows", pa.list_(pa.int8())),
        ("origins", pa.list_(ORIGIN)),
    ]
)
SCHEMA = pa.schema(
    [
        *candidates.SCHEMA,
        ("paths", pa.list_(PATH)),
        ("heads_of_tail", SIMILAR),
        ("tails_of_head", SIMILAR),
        ("head_attention", ATTENDED),
        ("tail_attention", ATTENDED),
        ("reasons", REASONS),
    ]
)

# The same for people, a row for each path.
CSV_SCHEMA = pa.schema(
    [
        *(candidates.SCHEMA.field(name) for name in CSV_FIELDS),
        ("main_reason", pa.string()),
        ("path", pa.string()),
        ("change", pa.float32()),
        ("sources", pa.string()),
        ("publications", pa.string()),
    ]
)


@dataclass(frozen=True)
class Explainer:
    """Explains pairs of heads and tails.

    vectors: of the heads and of the tails. treated: heads and tails of the known treatments. counterfactuals:
    None for embeddings that come without their encoder. reasoner: None for a score of the embeddings alone.
    sources: None for a graph whose table does not say where edges come from.
    """

    kg: Graph
    target: Target
    vectors: tuple[np.ndarray, np.ndarray]
    treated: tuple[np.ndarray, np.ndarray]
    network: paths.Network
    counterfactuals: CounterfactualScorer | None = None
    reasoner: Reasoner | None = None
    sources: EdgeSources | None = None

    def ends(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Head and tail indices, int64, of rows with the columns head_id and tail_id."""
        heads, tails = (
            # Of one array, to_numpy refuses nulls: an id that the graph lacks is an error.
            pc.index_in(
                rows[f"{side}_id"].combine_chunks(),
                value_set=pa.array(self.kg.node_ids[node_type], pa.string()),
            )
            .to_numpy()
            .astype(np.int64)
            for side, node_type in zip(("head", "tail"), self.target.types, strict=True)
        )
        return heads, tails

    def ways(self, heads: np.ndarray, tails: np.ndarray, count: int) -> list[list[paths.Path]]:
        """The `count` best paths of each pair; the search from a tail is shared by its pairs."""
        first_head, first_tail = (self.kg.span(node_type).start for node_type in self.target.types)
        result: list[list[paths.Path]] = [[] for _ in heads]
        order = np.argsort(tails, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(tails[order])) + 1):
            if len(rows):
                end = int(tails[rows[0]]) + first_tail
                best = paths.best(self.network, heads[rows] + first_head, end, count)
                for row, ways_of_pair in zip(rows, best, strict=True):
                    result[row] = ways_of_pair
        return result

    def explain_rows(self, rows: pa.Table, n_paths: int, n_similar: int) -> list[dict[str, Any]]:
        """Candidates (rows) with the fields of their explanations added."""
        explanations = self.explain(*self.ends(rows), n_paths, n_similar)
        return [
            {**row, **explanation} for row, explanation in zip(rows.to_pylist(), explanations, strict=True)
        ]

    def explain(
        self, heads: np.ndarray, tails: np.ndarray, n_paths: int, n_similar: int
    ) -> list[dict[str, Any]]:
        """For each pair its best `n_paths` paths, and the `n_similar` most similar (cosine) treatments.

        heads_of_tail: heads that are known to treat the tail; tails_of_head: tails that the head is known to
        treat; both without the pair's own ends. head_attention, tail_attention: the `n_similar` neighbours
        with the most attention in the encoder's last layer. change: counterfactual score change of each path,
        in the part of the score that reads embeddings. Attention and change are None without
        `counterfactuals`. reasons: see `Reasoner.reasons`; `n_paths` of them, [] without a reasoner.
        """
        first_head, first_tail = (self.kg.span(node_type).start for node_type in self.target.types)
        treated_heads, treated_tails = self.treated
        reasons = self.reasoner.reasons(heads, tails, n_paths) if self.reasoner else [[] for _ in heads]
        return [
            {
                "paths": described,
                "heads_of_tail": self._similar(0, head, treated_heads[treated_tails == tail], n_similar),
                "tails_of_head": self._similar(1, tail, treated_tails[treated_heads == head], n_similar),
                "head_attention": self._attended(head + first_head, n_similar),
                "tail_attention": self._attended(tail + first_tail, n_similar),
                "reasons": reasons_of_pair,
            }
            for described, head, tail, reasons_of_pair in zip(
                self._describe_all(self.ways(heads, tails, n_paths)),
                heads.tolist(),
                tails.tolist(),
                reasons,
                strict=True,
            )
        ]

    def _describe_all(self, ways: Sequence[Sequence[paths.Path]]) -> list[list[dict[str, Any]]]:
        """Describe the paths of each pair; the counterfactual changes are computed in one batch."""
        flat = [way for ways_of_pair in ways for way in ways_of_pair]
        scored = self.counterfactuals.changes(flat) if self.counterfactuals else [None] * len(flat)
        changes = iter(scored)
        return [
            [{**self.describe(way), "change": next(changes)} for way in ways_of_pair] for ways_of_pair in ways
        ]

    def describe(self, path: paths.Path) -> dict[str, Any]:
        """A path with names in place of indices: nodes, relations, and both as one line of text.

        arrows: of each edge 1 if its arrow points along the path, -1 if against it, 0 if it has none.
        origins: see `origins`.
        """
        placed = [self._locate(node) for node in path.nodes]
        names = [self.kg.node_names[node_type][index] for node_type, index in placed]
        relations = [self.kg.relations[index] for index in path.relations]
        arrows = [arrow(*edge) for edge in zip(relations, path.forward, strict=True)]
        words = [names[0]]
        for relation, direction, name in zip(relations, arrows, names[1:], strict=True):
            before, after = {0: ("-", "-"), 1: ("-", "->"), -1: ("<-", "-")}[direction]
            words.append(f"{before}[{shown(relation.relation)}]{after} {name}")
        return {
            "score": path.score,
            "text": " ".join(words),
            "nodes": names,
            "ids": [self.kg.node_ids[node_type][index] for node_type, index in placed],
            "types": [node_type for node_type, _ in placed],
            "relations": [relation.relation for relation in relations],
            "arrows": arrows,
            "origins": self.origins(path),
        }

    def origins(self, path: paths.Path) -> list[dict[str, list[str]]]:
        """Sources and publications of each edge of a path; [] if the table tells none of any edge."""
        if self.sources is None:
            return []
        places = [self._locate(node)[1] for node in path.nodes]
        told = [
            self.sources.of(relation, *((start, end) if forward else (end, start)))
            for relation, forward, (start, end) in zip(
                path.relations, path.forward, pairwise(places), strict=True
            )
        ]
        return (
            [{"sources": list(origin.sources), "publications": list(origin.publications)} for origin in told]
            if any(map(any, told))
            else []
        )

    def _locate(self, node: int) -> tuple[str, int]:
        """Node type and index of a node number."""
        for node_type in self.kg.node_types:
            span = self.kg.span(node_type)
            if node < span.stop:
                return node_type, node - span.start
        raise IndexError(f"the graph has no node {node}")

    def _attended(self, node: int, count: int) -> list[dict[str, Any]] | None:
        if self.counterfactuals is None:
            return None
        result = []
        for neighbour, relation, weight in self.counterfactuals.encoder.attended(node, count):
            node_type, index = self._locate(neighbour)
            result.append(
                {
                    "id": self.kg.node_ids[node_type][index],
                    "name": self.kg.node_names[node_type][index],
                    "relation": self.kg.relations[relation].relation,
                    "weight": weight,
                }
            )
        return result

    def _similar(self, side: int, node: int, others: np.ndarray, count: int) -> list[dict[str, Any]]:
        others = others[others != node]
        vectors, node_type = self.vectors[side], self.target.types[side]
        length = np.maximum(np.linalg.norm(vectors[others], axis=1) * np.linalg.norm(vectors[node]), 1e-12)
        similarity = vectors[others] @ vectors[node] / length
        return [
            {
                "id": self.kg.node_ids[node_type][others[position]],
                "name": self.kg.node_names[node_type][others[position]],
                "similarity": float(similarity[position]),
            }
            for position in np.argsort(-similarity, kind="stable")[:count]
        ]


def write(rows: Sequence[Mapping[str, Any]], parquet: str | Path, csv: str | Path) -> None:
    """Write explained candidates (see `Explainer.explain_rows`), and a csv file with a row for each path.

    In the csv file sources and publications are those of the edges in their order, "/" between edges and ", "
    within one; a pair without a path has one row. A text that a spreadsheet would read as a formula gets an
    apostrophe in front.
    """
    files.write_table(parquet, pa.Table.from_pylist(list(rows), SCHEMA))
    lines = [
        {
            **{name: row[name] for name in CSV_FIELDS},
            "main_reason": row["reasons"][0]["text"] if row["reasons"] else "",
            "path": path.get("text", ""),
            "change": path.get("change"),
            **{
                name: " / ".join(", ".join(origin[name]) for origin in path.get("origins", ()))
                for name in ORIGIN.names
            },
        }
        for row in rows
        for path in row["paths"] or [{}]
    ]
    with files.replacing(csv) as temporary:
        pyarrow.csv.write_csv(
            cells.table_without_formulas(pa.Table.from_pylist(lines, CSV_SCHEMA)), temporary
        )


def origins_in_words(path: Mapping[str, Any]) -> list[str]:
    """Where the edges of a path come from, a line for each edge of which something is known."""
    lines = []
    names = zip(path["nodes"], path["relations"], path["nodes"][1:], strict=False)
    for (start, relation, end), origin in zip(names, path["origins"], strict=False):
        told = [", ".join(origin[key]) for key in ("sources", "publications") if origin[key]]
        if told:
            lines.append(f"{start} - {shown(relation)} - {end}: {'; '.join(told)}")
    return lines


def arrow(relation: Relation, forward: bool) -> int:
    """1 if the arrow of an edge points along a path, -1 if against it, 0 if the relation is symmetric.

    forward: whether the path runs from the edge's head to its tail. The arrow runs as in the user's table.
    """
    return 0 if relation.is_symmetric else 1 if forward != relation.turned else -1
