"""Leaks under other node types: message relations whose edges, by id, repeat the pairs to predict.

A node is identified by its type and its id, so drug D1 and Drug D1 are two nodes. If a treatment is in the
table under both types, one copy becomes a labelled pair and the other stays in the graph as a message edge.
Here the ends of message edges are compared with the labelled pairs by id only, for all types and in both
directions. Ids that are bare numbers may agree by accident (a gene and a disease with the id 3091), so each
overlap is reported with the overlap expected by chance.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import gammainc

from repurpose.config.sections import Target
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph, Relation

CHANCE = 1e-6  # an overlap with a smaller probability is no accident
LEAST_SHARE = 0.01  # of the labelled pairs; a smaller overlap does not stop a run
# A leak has at least this many times the expected overlap. Ids that are numbered group by group reach 5 times
# by chance, so 10 times are required. 2 times are enough with further evidence (see `is_leak`).
TIMES = 10
TIMES_OF_SAME = 2
LABELS = ("positive", "negative")


@dataclass(frozen=True)
class Overlap:
    """The overlap, by ids, of a message relation with the labelled pairs of one key of the target.

    label: the key, "positive" or "negative". edges: number of edges of the relation. labelled: number of
    distinct pairs of the key. pairs: how many of these an edge of the relation connects. expected: the
    expectation of `pairs` if the relation's edges were shuffled with all degrees kept. same_ends: for how
    many of `pairs` each end of another type is certainly the same thing, because its id is no bare number or
    its name agrees too. is_named: whether the relation has the same name as a relation of the key.
    """

    relation: str
    head_type: str
    tail_type: str
    edges: int
    label: str
    labelled: int
    pairs: int
    expected: float
    same_ends: int
    is_named: bool

    @property
    def is_beyond_chance(self) -> bool:
        """Whether the overlap is large enough to matter and very improbable by chance (Poisson)."""
        # The regularised lower gamma function is the probability of `pairs` or more.
        return self.pairs >= LEAST_SHARE * self.labelled and bool(
            self.pairs and gammainc(self.pairs, max(self.expected, 1e-300)) < CHANCE
        )

    @property
    def is_leak(self) -> bool:
        """Whether the relation repeats the labelled pairs under other types.

        An overlap beyond chance is a leak if it is TIMES the expected one. TIMES_OF_SAME is enough if it is
        at least half of the possible overlap, or if half of the pairs certainly have the same ends. In these
        two cases a relation named like a target relation is always a leak: a small table cannot exclude
        chance.
        """
        is_half = 2 * self.pairs >= min(self.edges, self.labelled)
        is_same = 2 * self.same_ends >= self.pairs
        if self.is_named and self.pairs and (is_half or is_same):
            return True
        times = TIMES_OF_SAME if is_half or is_same else TIMES
        return self.is_beyond_chance and self.pairs >= times * self.expected


def triple(relation: str, head_type: str, tail_type: str) -> str:
    """A relation with its types, as written in graph.exclude_relations and graph.keep_relations."""
    return f"{relation} ({head_type}, {tail_type})"


def is_listed(relation: str, head_type: str, tail_type: str, entries: Sequence[str]) -> bool:
    """Whether one of `entries` is the relation's name, or the relation with its types in either order."""
    spellings = relation, triple(relation, head_type, tail_type), triple(relation, tail_type, head_type)
    return any(spelling in entries for spelling in spellings)


def find_overlaps(kg: Graph, target: Target) -> list[Overlap]:
    """The overlaps of all message relations that could have one or are named like a target relation."""
    ends = target.types
    positions = {
        (node_type, side): _positions_of(kg.node_ids[ends[side]], kg.node_ids[node_type])
        for node_type in kg.node_types
        for side in (0, 1)
    }
    overlaps = []
    for label in LABELS:
        names = getattr(target, label)
        heads, tails = _labelled(kg, ends, names)
        for index in kg.of_role("message") if len(heads) else ():
            relation = kg.relations[index]
            pairs, expected, same_ends = _compare(kg, index, ends, (heads, tails), positions)
            is_named = relation.relation in names
            if expected or is_named:
                about = (relation.relation, relation.head_type, relation.tail_type, relation.edges)
                counts = (len(heads), pairs, expected, same_ends)
                overlaps.append(Overlap(*about, label, *counts, is_named))
    return overlaps


def describe(overlaps: Sequence[Overlap], kept: Sequence[str]) -> list[dict[str, Any]]:
    """The overlaps for JSON, each with whether it is a leak and whether graph.keep_relations lists it."""
    return [
        {
            **{key: value for key, value in asdict(overlap).items() if key != "is_named"},
            "leak": overlap.is_leak,
            "kept": is_listed(overlap.relation, overlap.head_type, overlap.tail_type, kept),
        }
        for overlap in overlaps
    ]


def leaks_among(overlaps: Sequence[Overlap], kept: Sequence[str]) -> list[Overlap]:
    """The overlaps that are leaks, without those of graph.keep_relations."""
    return [overlap for overlap in _not_kept(overlaps, kept) if overlap.is_leak]


def names_of(overlaps: Sequence[Overlap]) -> list[str]:
    """The relations of overlaps, as graph.exclude_relations names them."""
    return list(dict.fromkeys(triple(each.relation, each.head_type, each.tail_type) for each in overlaps))


def check(overlaps: Sequence[Overlap], kept: Sequence[str], excluded: Sequence[str], file: str) -> None:
    """Raise InputError, with the config line to add, if a relation outside graph.keep_relations is a leak."""
    leaking = leaks_among(overlaps, kept)
    if not leaking:
        return
    worst = max(leaking, key=lambda overlap: (overlap.is_named, overlap.label == "positive", overlap.pairs))
    names = names_of(leaking)
    without, within = (json.dumps([*listed, *names], ensure_ascii=False) for listed in (excluded, kept))
    others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    raise InputError(
        f"{_statement(worst)}, which would stay in the graph as message edges{others}: give "
        f"each entity one node type in {file}, or leave the relation out with graph: {{exclude_relations: "
        f"{without}}}, or, if it is no leak, keep it with graph: {{keep_relations: {within}}}"
    )


def warnings(overlaps: Sequence[Overlap], kept: Sequence[str]) -> Iterator[str]:
    """A sentence for each non-leak that is named like a target relation or overlaps more than by chance."""
    for overlap in _not_kept(overlaps, kept):
        if not overlap.is_leak and (overlap.is_named or overlap.is_beyond_chance):
            yield f"{_statement(overlap)}, which stays in the graph as message edges"


def _not_kept(overlaps: Sequence[Overlap], kept: Sequence[str]) -> list[Overlap]:
    return [
        overlap
        for overlap in overlaps
        if not is_listed(overlap.relation, overlap.head_type, overlap.tail_type, kept)
    ]


def _statement(overlap: Overlap) -> str:
    key = f"target.{overlap.label}"
    which = f" of {key} also connects" if overlap.is_named else " connects"
    types = " and ".join(
        name if name == name.strip() else json.dumps(name) for name in (overlap.head_type, overlap.tail_type)
    )
    return (
        f"the relation {overlap.relation}{which} {types} ({overlap.edges:,} edges; {overlap.pairs:,} of the "
        f"{overlap.labelled:,} pairs of {key} by their ids, {overlap.expected:.3g} expected by chance)"
    )


def _labelled(kg: Graph, ends: tuple[str, str], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails of the distinct pairs of the target's types that are edges of relations in `names`."""
    width = np.int64(max(kg.count(ends[1]), 1))
    codes = [np.zeros(0, np.int64)]
    for relation, heads, tails in zip(kg.relations, kg.heads, kg.tails, strict=True):
        if relation.relation in names and (relation.head_type, relation.tail_type) == ends:
            codes.append(heads * width + tails)
        if relation.relation in names and (relation.tail_type, relation.head_type) == ends:
            codes.append(tails * width + heads)
    return np.divmod(np.unique(np.concatenate(codes)), width)


def _positions_of(ids: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The position of each of `ids` in `among`, -1 if it is not there."""
    positions = pc.index_in(pa.array(ids, pa.string()), value_set=pa.array(among, pa.string()))
    return positions.fill_null(-1).to_numpy().astype(np.int64)


def _compare(
    kg: Graph,
    index: int,
    ends: tuple[str, str],
    labelled: tuple[np.ndarray, np.ndarray],
    positions: Mapping[tuple[str, int], np.ndarray],
) -> tuple[int, float, int]:
    """Labelled pairs that the relation connects: observed, expected by chance, and with certainly equal ends.

    positions: (node type, side) -> for every node of the target's type on that side, the position of its id
    in the node type or -1.
    """
    relation, heads, tails = kg.relations[index], kg.heads[index], kg.tails[index]
    types = relation.head_type, relation.tail_type
    first, second = _chance_factors(kg, relation, heads, tails)
    is_connected = is_certain = np.zeros(len(labelled[0]), bool)
    chance = np.zeros(len(labelled[0]))
    keys = None
    for sides in ((0, 1), (1, 0)):
        # Once with the edge's head as the pair's head, once the other way round.
        indices = [
            positions[node_type, side][labelled[side]] for node_type, side in zip(types, sides, strict=True)
        ]
        possible = np.flatnonzero((indices[0] >= 0) & (indices[1] >= 0))
        if not len(possible):
            continue
        head, tail = indices[0][possible], indices[1][possible]
        chance[possible] += first[head] * second[tail]
        keys = _sorted_keys(kg, relation, heads, tails) if keys is None else keys
        wanted = tail * kg.count(relation.head_type) + head
        nearest = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = possible[keys[nearest] == wanted]
        is_connected = is_connected | np.isin(np.arange(len(is_connected)), hit)
        same = np.ones(len(hit), bool)
        for node_type, side, position in zip(types, sides, indices, strict=True):
            if node_type != ends[side]:
                same &= _is_same(kg, (node_type, position[hit]), (ends[side], labelled[side][hit]))
        is_certain = is_certain | np.isin(np.arange(len(is_certain)), hit[same])
    return int(is_connected.sum()), float(np.minimum(chance, 1).sum()), int(is_certain.sum())


def _sorted_keys(kg: Graph, relation: Relation, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    # The edges of a graph are sorted by tail, then head, so the keys are sorted too.
    return tails * np.int64(kg.count(relation.head_type)) + heads


def _chance_factors(
    kg: Graph, relation: Relation, heads: np.ndarray, tails: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Factors for each head and each tail; their product is the expected number of edges between the two."""
    first = np.bincount(heads, minlength=kg.count(relation.head_type)).astype(float)
    second = np.bincount(tails, minlength=kg.count(relation.tail_type)).astype(float)
    if relation.is_symmetric:
        # Head and tail of a symmetric edge are interchangeable, and `_compare` counts each pair in both
        # directions.
        first = second = (first + second) / 2
    return first, second / max(len(heads), 1)


def _is_same(kg: Graph, nodes: tuple[str, np.ndarray], others: tuple[str, np.ndarray]) -> np.ndarray:
    """Whether nodes (type, indices) and others of equal ids are the same: ids have letters or names agree."""
    (node_type, index), (other_type, other_index) = nodes, others
    cells = zip(
        kg.node_names[node_type][index],
        kg.node_names[other_type][other_index],
        kg.node_ids[node_type][index],
        strict=True,
    )
    same = [
        any(map(str.isalpha, id_)) or (name != id_ and name.strip().casefold() == other.strip().casefold())
        for name, other, id_ in cells
    ]
    return np.array(same, bool)
