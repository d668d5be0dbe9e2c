"""Why a pair may be worth a look: paths, what is like the drug and like the disease, what is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from repurpose.candidates import candidates
from repurpose.candidates.influence import Influence
from repurpose.graph import paths
from repurpose.graph.graph import Graph

SEEN = pa.list_(
    pa.struct(
        [("id", pa.string()), ("name", pa.string()), ("relation", pa.string()), ("weight", pa.float32())]
    )
)
LIKE = pa.list_(pa.struct([("id", pa.string()), ("name", pa.string()), ("similarity", pa.float32())]))
PATH = pa.struct(
    [
        ("score", pa.float32()),
        ("change", pa.float32()),
        ("text", pa.string()),
        ("nodes", pa.list_(pa.string())),
        ("relations", pa.list_(pa.string())),
    ]
)
SCHEMA = pa.schema(
    [
        *candidates.SCHEMA,
        ("paths", pa.list_(PATH)),
        ("heads_of_tail", LIKE),
        ("tails_of_head", LIKE),
        ("head_attention", SEEN),
        ("tail_attention", SEEN),
    ]
)


@dataclass(frozen=True)
class Witness:
    """What dossiers are made from.

    rows: vectors of the head type and of the tail type. treated: known treatments, their heads and tails.
    influence: what the model makes of paths, None where the vectors' encoder is not known.
    """

    kg: Graph
    head_type: str
    tail_type: str
    rows: tuple[np.ndarray, np.ndarray]
    treated: tuple[np.ndarray, np.ndarray]
    network: paths.Network
    influence: Influence | None = None

    def of_rows(self, rows: pa.Table, n_paths: int, n_like: int) -> list[dict[str, Any]]:
        """The dossiers of candidates, given by the ids of their ends."""
        ends = []
        for node_type, side in ((self.head_type, "head"), (self.tail_type, "tail")):
            place = {node: at for at, node in enumerate(self.kg.node_ids[node_type])}
            ends.append(np.array([place[node] for node in rows[f"{side}_id"].to_pylist()], np.int64))
        return self.dossiers(*ends, n_paths, n_like)

    def dossiers(
        self, heads: np.ndarray, tails: np.ndarray, n_paths: int, n_like: int
    ) -> list[dict[str, Any]]:
        """For each pair its best `paths`, and the `n_like` nearest (cosine) of two kinds of nodes.

        heads_of_tail: heads that the tail is known to be treated by; tails_of_head: tails that the head is
        known to treat. The pair's own ends are not among them. head_attention, tail_attention: the `n_like`
        neighbours that the encoder's last layer reads most. These and a path's `change`, that of the score
        where its edges are taken away, are None without `influence`.
        """
        first = [self.kg.span(node_type).start for node_type in (self.head_type, self.tail_type)]
        ways: list[list[paths.Path]] = [[] for _ in heads]
        for tail in np.unique(tails):
            at = np.flatnonzero(tails == tail)
            found = paths.best(self.network, heads[at] + first[0], int(tail) + first[1], n_paths)
            for row, each in zip(at, found, strict=True):
                ways[row] = each
        treated_heads, treated_tails = self.treated
        return [
            {
                "paths": described,
                "heads_of_tail": self._like(0, head, treated_heads[treated_tails == tail], n_like),
                "tails_of_head": self._like(1, tail, treated_tails[treated_heads == head], n_like),
                "head_attention": self._attended(head + first[0], n_like),
                "tail_attention": self._attended(tail + first[1], n_like),
            }
            for described, head, tail in zip(
                self._all_described(ways), heads.tolist(), tails.tolist(), strict=True
            )
        ]

    def _all_described(self, ways: Sequence[Sequence[paths.Path]]) -> list[list[dict[str, Any]]]:
        """The paths of each pair for readers, with what the model makes of them: of all at once."""
        flat = [way for each in ways for way in each]
        changes = iter(self.influence.changes(flat) if self.influence else [None] * len(flat))
        return [[{**self.described(way), "change": next(changes)} for way in each] for each in ways]

    def described(self, path: paths.Path) -> dict[str, Any]:
        """A path for readers: names and relations in order, and the same as one line of text."""
        names = [self._name(node) for node in path.nodes]
        relations = [self.kg.relations[index] for index in path.relations]
        words = [names[0]]
        for relation, forward, name in zip(relations, path.forward, names[1:], strict=True):
            plain = relation.is_symmetric
            low, high = ("-", "-") if plain else ("-", "->") if forward else ("<-", "-")
            words.append(f"{low}[{relation.relation}]{high} {name}")
        return {
            "score": path.score,
            "text": " ".join(words),
            "nodes": names,
            "relations": [relation.relation for relation in relations],
        }

    def _place(self, node: int) -> tuple[str, int]:
        for node_type in self.kg.node_types:
            span = self.kg.span(node_type)
            if node < span.stop:
                return node_type, node - span.start
        raise IndexError(f"the graph has no node {node}")

    def _name(self, node: int) -> str:
        node_type, at = self._place(node)
        return self.kg.node_names[node_type][at]

    def _attended(self, node: int, count: int) -> list[dict[str, Any]] | None:
        if self.influence is None:
            return None
        result = []
        for other, relation, weight in self.influence.recoder.attended(node, count):
            node_type, at = self._place(other)
            result.append(
                {
                    "id": self.kg.node_ids[node_type][at],
                    "name": self.kg.node_names[node_type][at],
                    "relation": self.kg.relations[relation].relation,
                    "weight": weight,
                }
            )
        return result

    def _like(self, side: int, node: int, others: np.ndarray, count: int) -> list[dict[str, Any]]:
        others = others[others != node]
        rows, node_type = self.rows[side], (self.head_type, self.tail_type)[side]
        length = np.maximum(np.linalg.norm(rows[others], axis=1) * np.linalg.norm(rows[node]), 1e-12)
        similar = rows[others] @ rows[node] / length
        return [
            {
                "id": self.kg.node_ids[node_type][others[at]],
                "name": self.kg.node_names[node_type][others[at]],
                "similarity": float(similar[at]),
            }
            for at in np.argsort(-similar, kind="stable")[:count]
        ]


def table(rows: pa.Table, dossiers: Sequence[dict[str, Any]]) -> pa.Table:
    """Candidates with their dossiers behind: SCHEMA."""
    frame = rows.select(candidates.SCHEMA.names).to_pylist()
    return pa.Table.from_pylist(
        [{**row, **found} for row, found in zip(frame, dossiers, strict=True)], SCHEMA
    )
