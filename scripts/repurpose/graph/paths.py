"""The best paths between two nodes of a graph: short ones, through nodes that few others share.

Only message relations are walked, so no path passes by a known pair of the target. The score of a path is
the product over its edges of (degree of one end x degree of the other) ^ -DAMPING, degrees being those of the
edge's relation: Himmelstein & Baranzini, "Heterogeneous network edge prediction", PLoS Comput. Biol. 2015.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from repurpose.graph.graph import Graph

DAMPING = 0.4
LONGEST = 3  # edges


class Network(NamedTuple):
    """All message edges from both of their ends, sorted by the end they are seen from.

    indptr: (nodes + 1,); other: the node at the other end; relation: number of the relation; forward: whether
    the edge runs from here to there; weight: what it counts in a path's score. Nodes are numbered through.
    """

    indptr: np.ndarray
    other: np.ndarray
    relation: np.ndarray
    forward: np.ndarray
    weight: np.ndarray


class Path(NamedTuple):
    """A path: its score, its nodes in order, and for each edge relation and direction."""

    score: float
    nodes: tuple[int, ...]
    relations: tuple[int, ...]
    forward: tuple[bool, ...]


def network(kg: Graph, edges: Sequence[np.ndarray] | None = None) -> Network:
    """The message edges of a graph as paths walk them, or `edges`: some of each relation, (2, E)."""
    nodes = kg.nodes
    columns: list[list[np.ndarray]] = [[] for _ in range(5)]
    edges = kg.message_edges() if edges is None else edges
    for index, edge, offset in zip(kg.of_role("message"), edges, kg.offsets(), strict=True):
        head, tail = edge + offset
        relation = kg.relations[index]
        if relation.is_symmetric:
            degree = np.bincount(np.concatenate([head, tail]), minlength=nodes)
            ends = degree[head], degree[tail]
        else:
            ends = (np.bincount(each, minlength=nodes)[each] for each in (head, tail))
        weight = (np.multiply(*ends, dtype=np.float64) ** -DAMPING).astype(np.float32)
        for here, there, forward in ((head, tail, True), (tail, head, False)):
            of_all = here, there, np.full(len(here), index, np.int16), np.full(len(here), forward), weight
            for column, part in zip(columns, of_all, strict=True):
                column.append(part)
    here, *others = (np.concatenate([*column, np.zeros(0, np.int64)]) for column in columns)
    order = np.argsort(here, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(here, minlength=nodes))])
    other, relation, forward, weight = (each[order] for each in others)
    types = np.int32, np.int16, bool, np.float32
    return Network(
        indptr, *(each.astype(t) for each, t in zip((other, relation, forward, weight), types, strict=True))
    )


def best(found: Network, starts: np.ndarray, end: int, count: int) -> list[list[Path]]:
    """For each of some nodes its `count` best paths to `end` of two or three edges, the best first.

    A path meets no node twice. Of equal scores the path with the lower numbers comes first.
    """
    first = _edges(found, np.array([end]))[0]
    # What can be reached from the end in one edge, and in two: node, score, edges from the node on.
    near = found.other[first].astype(np.int64), found.weight[first], first[:, None]
    wanted = np.zeros(len(found.indptr) - 1, bool)
    seen, owner = _edges(found, starts)
    wanted[found.other[seen]] = True
    second, of_first = _edges(found, near[0])
    middle = found.other[second]
    kept = np.flatnonzero(wanted[middle] & (middle != end) & (middle != near[0][of_first]))
    far = (
        middle[kept].astype(np.int64),
        found.weight[second[kept]] * near[1][of_first[kept]],
        np.stack([second[kept], first[of_first[kept]]], axis=1),
    )
    result: list[list[Path]] = [[] for _ in starts]
    for reached in (near, far):
        for at, path in _joined(found, starts, seen, owner, _highest(*reached, count), end, count):
            result[at].append(path)
    return [
        sorted(each, key=lambda path: (-path.score, path.nodes, path.relations))[:count] for each in result
    ]


def leading(ways: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Of a dossier's paths the one that the score rests on most, the first where that is not known.

    ways: the best first, each with its `change` (see `evidence`). None where there is none.
    """
    return min(ways, key=lambda way: way["change"] or 0.0, default=None)


def _edges(found: Network, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of all edges of some nodes, and which of these each belongs to."""
    counts = found.indptr[nodes + 1] - found.indptr[nodes]
    owner = np.repeat(np.arange(len(nodes)), counts)
    before = np.cumsum(counts) - counts
    return found.indptr[nodes][owner] + np.arange(len(owner)) - before[owner], owner


def _highest(
    node: np.ndarray, score: np.ndarray, edges: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The `count` highest scores of each node, sorted by node."""
    order = np.lexsort((-score, node))
    place = np.arange(len(order)) - np.searchsorted(node[order], node[order])
    kept = order[place < count]
    return node[kept], score[kept], edges[kept]


def _joined(
    found: Network,
    starts: np.ndarray,
    seen: np.ndarray,
    owner: np.ndarray,
    reached: tuple[np.ndarray, np.ndarray, np.ndarray],
    end: int,
    count: int,
) -> Iterator[tuple[int, Path]]:
    """Edges of the starts joined with what is reached from the end; number of the start, and path."""
    node, score, rest = reached
    low, high = (np.searchsorted(node, found.other[seen], side) for side in ("left", "right"))
    own = np.repeat(np.arange(len(seen)), high - low)
    place = low[own] + np.arange(len(own)) - (np.cumsum(high - low) - (high - low))[own]
    total = found.weight[seen[own]] * score[place]
    at = owner[own]
    order = np.lexsort((-total, at))
    rank = np.arange(len(order)) - np.searchsorted(at[order], at[order])
    # A path may come back to where it started: twice as many are looked at as are wanted.
    for pick in order[rank < 2 * count]:
        edges = [seen[own[pick]], *rest[place[pick]]]
        # The first edge is seen from the start; the others from the end, hence backwards.
        nodes = [int(starts[at[pick]]), int(found.other[edges[0]])]
        nodes += [int(_seen_from(found, edge)) for edge in edges[1:]]
        if len(set(nodes)) == len(nodes) and nodes[-1] == end:
            relations = tuple(int(found.relation[edge]) for edge in edges)
            forward = [bool(found.forward[edges[0]]), *(not found.forward[edge] for edge in edges[1:])]
            yield int(at[pick]), Path(float(total[pick]), tuple(nodes), relations, tuple(forward))


def _seen_from(found: Network, edge: int) -> int:
    return int(np.searchsorted(found.indptr, edge, side="right") - 1)
