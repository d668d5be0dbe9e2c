"""Leaks under another spelling: message relations that join, by id, the very pairs that are to be predicted.

A node is its type and its id: drug D1 and Drug D1 are two nodes, and a treatment that stands under both types
leaves the graph once and stays in it once. Here the ends of edges are compared by id alone, whatever their
types and in either direction, with the labelled pairs. Ids that are bare numbers may also repeat by accident
(a gene and a disease called 3091), so each overlap is given with the overlap expected by chance.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import gammainc

from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph, Relation
from repurpose.graph.target import Target

CHANCE = 1e-6  # an overlap that chance brings less often than this is no accident
LEAST_SHARE = 0.01  # of the labelled pairs: fewer are not worth a run's stop
TIMES = 10  # the overlap by chance, where ids are bare numbers: those given out group by group come to five
TIMES_OF_SAME = 2  # the same where the ids or the names leave no doubt that the ends are the same things
LABELS = ("positive", "negative")


@dataclass(frozen=True)
class Overlap:
    """What a message relation has in common with the labelled pairs of one key of the target, by their ids.

    edges: those of the relation. labelled: distinct pairs of the key, `pairs` of which an edge of the
    relation joins. expected: the same if the relation's edges were dealt out at random, all degrees kept.
    same_ends: for how many of `pairs` an end of another type is the same thing for certain: its id is no bare
    number, or its name agrees too. is_named: whether the relation has the name of one of the key's relations.
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
        """Whether chance would hardly bring so large an overlap (Poisson), large enough to matter."""
        # The regularised lower gamma function: the probability of `pairs` or more.
        return self.pairs >= LEAST_SHARE * self.labelled and bool(
            self.pairs and gammainc(self.pairs, max(self.expected, 1e-300)) < CHANCE
        )

    @property
    def is_leak(self) -> bool:
        """Whether the relation repeats the labelled pairs under other types.

        Beyond chance, an overlap counts if it is TIMES the expected one, or TIMES_OF_SAME where it is half of
        what it could be or the ends are the same things. A relation with the name of a target's needs no
        proof against chance, which a small table cannot give.
        """
        is_half = 2 * self.pairs >= min(self.edges, self.labelled)
        is_same = 2 * self.same_ends >= self.pairs
        if self.is_named and self.pairs and (is_half or is_same):
            return True
        times = TIMES_OF_SAME if is_half or is_same else TIMES
        return self.is_beyond_chance and self.pairs >= times * self.expected


def triple(relation: str, head_type: str, tail_type: str) -> str:
    """A relation between two types as graph.exclude_relations and graph.keep_relations may write it."""
    return f"{relation} ({head_type}, {tail_type})"


def is_listed(relation: str, head_type: str, tail_type: str, entries: Sequence[str]) -> bool:
    """Whether one of `entries` is the relation's name, or the relation with its types in either order."""
    ways = relation, triple(relation, head_type, tail_type), triple(relation, tail_type, head_type)
    return any(way in entries for way in ways)


def overlaps(kg: Graph, target: Target) -> list[Overlap]:
    """The overlaps of all message relations that could have one, or that have a target relation's name."""
    ends = target.types
    where = {
        (node_type, side): _positions(kg.node_ids[ends[side]], kg.node_ids[node_type])
        for node_type in kg.node_types
        for side in (0, 1)
    }
    found = []
    for label in LABELS:
        names = getattr(target, label)
        heads, tails = _labelled(kg, ends, names)
        for index in kg.of_role("message") if len(heads) else ():
            kind = kg.relations[index]
            pairs, expected, same_ends = _compare(kg, index, ends, (heads, tails), where)
            is_named = kind.relation in names
            if expected or is_named:
                about = (kind.relation, kind.head_type, kind.tail_type, kind.edges, label, len(heads))
                found.append(Overlap(*about, pairs, expected, same_ends, is_named))
    return found


def described(found: Sequence[Overlap], kept: Sequence[str]) -> list[dict[str, Any]]:
    """The overlaps for JSON, each with whether it is a leak and whether graph.keep_relations lists it."""
    return [
        {
            **{key: value for key, value in asdict(each).items() if key != "is_named"},
            "leak": each.is_leak,
            "kept": is_listed(each.relation, each.head_type, each.tail_type, kept),
        }
        for each in found
    ]


def check(found: Sequence[Overlap], kept: Sequence[str], excluded: Sequence[str], file: str) -> None:
    """Raise InputError, with the line of config to add, where a relation that is not kept is a leak."""
    leaking = [each for each in _of_others(found, kept) if each.is_leak]
    if not leaking:
        return
    worst = max(leaking, key=lambda each: (each.is_named, each.label == "positive", each.pairs))
    names = dict.fromkeys(triple(each.relation, each.head_type, each.tail_type) for each in leaking)
    without, within = (json.dumps([*listed, *names], ensure_ascii=False) for listed in (excluded, kept))
    others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    raise InputError(
        f"{_statement(worst)}, which would stay in the graph as messages{others}: give what is one thing one "
        f"node type in {file}, or leave it out with graph: {{exclude_relations: {without}}}, or, if it is no "
        f"leak, keep it with graph: {{keep_relations: {within}}}"
    )


def warnings(found: Sequence[Overlap], kept: Sequence[str]) -> Iterator[str]:
    """A sentence on each relation that is no leak but has a target's name, or has more than chance brings."""
    for each in _of_others(found, kept):
        if not each.is_leak and (each.is_named or each.is_beyond_chance):
            yield f"{_statement(each)}, which stays in the graph as messages"


def _of_others(found: Sequence[Overlap], kept: Sequence[str]) -> list[Overlap]:
    return [each for each in found if not is_listed(each.relation, each.head_type, each.tail_type, kept)]


def _statement(each: Overlap) -> str:
    key = f"target.{each.label}"
    which = f" of {key} also joins" if each.is_named else " joins"
    types = " and ".join(
        name if name == name.strip() else json.dumps(name) for name in (each.head_type, each.tail_type)
    )
    return (
        f"the relation {each.relation}{which} {types} ({each.edges:,} edges; {each.pairs:,} of the "
        f"{each.labelled:,} pairs of {key} by their ids, {each.expected:.3g} expected by chance)"
    )


def _labelled(kg: Graph, ends: tuple[str, str], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails of the distinct pairs that relations of these names join between the target's types."""
    width = np.int64(max(kg.count(ends[1]), 1))
    codes = [np.zeros(0, np.int64)]
    for kind, heads, tails in zip(kg.relations, kg.heads, kg.tails, strict=True):
        if kind.relation in names and (kind.head_type, kind.tail_type) == ends:
            codes.append(heads * width + tails)
        if kind.relation in names and (kind.tail_type, kind.head_type) == ends:
            codes.append(tails * width + heads)
    return np.divmod(np.unique(np.concatenate(codes)), width)


def _positions(ids: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Where each of `ids` stands in `among`, -1 where it does not."""
    found = pc.index_in(pa.array(ids, pa.string()), value_set=pa.array(among, pa.string()))
    return found.fill_null(-1).to_numpy().astype(np.int64)


def _compare(
    kg: Graph,
    index: int,
    ends: tuple[str, str],
    labelled: tuple[np.ndarray, np.ndarray],
    where: Mapping[tuple[str, int], np.ndarray],
) -> tuple[int, float, int]:
    """How many labelled pairs the relation joins, how many by chance, and how many with the same ends.

    where: (node type, side) -> for every node of the target's type of that side its position in the type.
    """
    kind, heads, tails = kg.relations[index], kg.heads[index], kg.tails[index]
    types, (first, second) = (kind.head_type, kind.tail_type), _degrees(kg, kind, heads, tails)
    joined = certain = np.zeros(len(labelled[0]), bool)
    chance = np.zeros(len(labelled[0]))
    keys = None
    for sides in ((0, 1), (1, 0)):
        # The edge's head is the pair's head, then the other way round.
        at = [where[node_type, side][labelled[side]] for node_type, side in zip(types, sides, strict=True)]
        possible = np.flatnonzero((at[0] >= 0) & (at[1] >= 0))
        if not len(possible):
            continue
        head, tail = at[0][possible], at[1][possible]
        chance[possible] += first[head] * second[tail]
        keys = _sorted_keys(kg, kind, heads, tails) if keys is None else keys
        wanted = tail * kg.count(kind.head_type) + head
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = possible[keys[place] == wanted]
        joined = joined | np.isin(np.arange(len(joined)), hit)
        same = np.ones(len(hit), bool)
        for node_type, side, position in zip(types, sides, at, strict=True):
            if node_type != ends[side]:
                same &= _is_same(kg, (node_type, position[hit]), (ends[side], labelled[side][hit]))
        certain = certain | np.isin(np.arange(len(certain)), hit[same])
    return int(joined.sum()), float(np.minimum(chance, 1).sum()), int(certain.sum())


def _sorted_keys(kg: Graph, kind: Relation, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    # A graph's edges are sorted by tail, then head: so are these.
    return tails * np.int64(kg.count(kind.head_type)) + heads


def _degrees(
    kg: Graph, kind: Relation, heads: np.ndarray, tails: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Factors per node of both types: their product is the number of edges that chance would put there."""
    first = np.bincount(heads, minlength=kg.count(kind.head_type)).astype(float)
    second = np.bincount(tails, minlength=kg.count(kind.tail_type)).astype(float)
    if kind.is_symmetric:
        # Which end of such an edge is called its head says nothing. Each pair is asked for both ways round.
        first = second = (first + second) / 2
    return first, second / max(len(heads), 1)


def _is_same(kg: Graph, one: tuple[str, np.ndarray], other: tuple[str, np.ndarray]) -> np.ndarray:
    """Whether nodes (type, positions) are others of the same ids: these have letters, or the names agree."""
    (here, at), (there, place) = one, other
    cells = zip(kg.node_names[here][at], kg.node_names[there][place], kg.node_ids[here][at], strict=True)
    same = [
        any(map(str.isalpha, id_)) or (name != id_ and name.strip().casefold() == named.strip().casefold())
        for name, named, id_ in cells
    ]
    return np.array(same, bool)
