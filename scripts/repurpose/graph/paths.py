"""The best paths between two nodes of a graph: short ones through nodes of low degree.

Paths use message relations only, so no path contains a known pair of the target. The score of a path is the
product over its edges of (degree of one end x degree of the other end) ^ -DAMPING, with degrees within the
edge's relation (the path-degree product of Himmelstein & Baranzini, "Heterogeneous network edge prediction",
PLoS Comput. Biol. 2015).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from repurpose.graph.graph import Graph

DAMPING = 0.4
LONGEST = 3  # edges


class Network(NamedTuple):
    """All message edges, each stored in both directions and sorted by its start node, as CSR.

    indptr: (nodes + 1,); other: node number of the end; relation: relation index; forward: whether the start
    is the head of the edge; weight: the edge's factor in a path's score.
    """

    indptr: np.ndarray
    other: np.ndarray
    relation: np.ndarray
    forward: np.ndarray
    weight: np.ndarray


class Path(NamedTuple):
    """A path: its score, its node numbers in order, and the relation and direction of each edge."""

    score: float
    nodes: tuple[int, ...]
    relations: tuple[int, ...]
    forward: tuple[bool, ...]


def network(kg: Graph, edges: Sequence[np.ndarray] | None = None) -> Network:
    """The network of all message edges of a graph, or only of `edges` ((2, E) per message relation)."""
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
            ends = (np.bincount(indices, minlength=nodes)[indices] for indices in (head, tail))
        weight = (np.multiply(*ends, dtype=np.float64) ** -DAMPING).astype(np.float32)
        for start, other, forward in ((head, tail, True), (tail, head, False)):
            values = start, other, np.full(len(start), index, np.int16), np.full(len(start), forward), weight
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    start, *others = (np.concatenate([*column, np.zeros(0, np.int64)]) for column in columns)
    order = np.argsort(start, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(start, minlength=nodes))])
    other, relation, forward, weight = (column[order] for column in others)
    types = np.int32, np.int16, bool, np.float32
    return Network(
        indptr,
        *(column.astype(t) for column, t in zip((other, relation, forward, weight), types, strict=True)),
    )


def best(network: Network, starts: np.ndarray, end: int, count: int) -> list[list[Path]]:
    """The `count` best paths of two or three edges from each of `starts` to `end`, the best first.

    starts, end: node numbers. No path visits a node twice. Among equal scores, lower node numbers come first.
    """
    first = _edges(network, np.array([end]))[0]
    # Nodes one edge and two edges away from the end: node, score, and the edges of the path to the end.
    near = network.other[first].astype(np.int64), network.weight[first], first[:, None]
    is_neighbour = np.zeros(len(network.indptr) - 1, bool)
    from_starts, owner = _edges(network, starts)
    is_neighbour[network.other[from_starts]] = True
    second, first_index = _edges(network, near[0])
    middle = network.other[second]
    kept = np.flatnonzero(is_neighbour[middle] & (middle != end) & (middle != near[0][first_index]))
    far = (
        middle[kept].astype(np.int64),
        network.weight[second[kept]] * near[1][first_index[kept]],
        np.stack([second[kept], first[first_index[kept]]], axis=1),
    )
    result: list[list[Path]] = [[] for _ in starts]
    for reached in (near, far):
        highest = _highest(*reached, count)
        for start_index, path in _join(network, starts, from_starts, owner, highest, end, count):
            result[start_index].append(path)
    return [
        sorted(paths, key=lambda path: (-path.score, path.nodes, path.relations))[:count] for paths in result
    ]


def leading(dossier_paths: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The path of a dossier whose removal lowers the score most; the first one if no change is known.

    dossier_paths: the best first, each with its `change`, the counterfactual score change or None. Returns
    None for an empty list.
    """
    return min(dossier_paths, key=lambda path: path["change"] or 0.0, default=None)


def _edges(network: Network, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the network of all edges of `nodes`, and of each edge's node within `nodes`."""
    counts = network.indptr[nodes + 1] - network.indptr[nodes]
    owner = np.repeat(np.arange(len(nodes)), counts)
    before = np.cumsum(counts) - counts
    return network.indptr[nodes][owner] + np.arange(len(owner)) - before[owner], owner


def _highest(
    node: np.ndarray, score: np.ndarray, edges: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The `count` highest scores of each node, sorted by node."""
    order = np.lexsort((-score, node))
    rank = np.arange(len(order)) - np.searchsorted(node[order], node[order])
    kept = order[rank < count]
    return node[kept], score[kept], edges[kept]


def _join(
    network: Network,
    starts: np.ndarray,
    from_starts: np.ndarray,
    owner: np.ndarray,
    reached: tuple[np.ndarray, np.ndarray, np.ndarray],
    end: int,
    count: int,
) -> Iterator[tuple[int, Path]]:
    """Join the edges of the starts with the nodes reached from the end; yields (index of the start, path)."""
    node, score, edges_to_end = reached
    low, high = (np.searchsorted(node, network.other[from_starts], side) for side in ("left", "right"))
    row = np.repeat(np.arange(len(from_starts)), high - low)
    match = low[row] + np.arange(len(row)) - (np.cumsum(high - low) - (high - low))[row]
    total = network.weight[from_starts[row]] * score[match]
    start_index = owner[row]
    order = np.lexsort((-total, start_index))
    rank = np.arange(len(order)) - np.searchsorted(start_index[order], start_index[order])
    # Some of these paths return to their start and are dropped, so twice as many are tried.
    for pick in order[rank < 2 * count]:
        edges = [from_starts[row[pick]], *edges_to_end[match[pick]]]
        # The first edge leads away from the start; the other edges are stored in the direction from the end.
        nodes = [int(starts[start_index[pick]]), int(network.other[edges[0]])]
        nodes += [_start_of(network, edge) for edge in edges[1:]]
        if len(set(nodes)) == len(nodes) and nodes[-1] == end:
            relations = tuple(int(network.relation[edge]) for edge in edges)
            forward = [bool(network.forward[edges[0]]), *(not network.forward[edge] for edge in edges[1:])]
            yield int(start_index[pick]), Path(float(total[pick]), tuple(nodes), relations, tuple(forward))


def _start_of(network: Network, edge: int) -> int:
    return int(np.searchsorted(network.indptr, edge, side="right") - 1)
