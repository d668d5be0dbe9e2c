"""Neighbour sampling: the small part of the graph from which the embeddings of some nodes are computed.

Hamilton et al., "Inductive Representation Learning on Large Graphs", NeurIPS 2017, over all relations
at once: a node draws among all its incoming edges, because attention is one softmax over all of them.
Random numbers depend on (seed, batch, hop, node) alone, so a batch does not depend on earlier batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from repurpose.core import streams
from repurpose.hgt.messages import Messages, Numbered, Rows
from repurpose.kernels import parallel
from repurpose.kernels.compiled import inlined, loop

ALL = -1  # the fan-out that takes every neighbour


@dataclass(frozen=True)
class Level:
    """The messages that one layer reads; they connect `nodes`, of which those at `kept` receive them.

    nodes: numbers (n,) in the whole graph, ascending and so sorted by type: type t has the positions
    bounds[t] to bounds[t + 1] - 1. messages: between positions. kept: positions, ascending.
    """

    nodes: np.ndarray
    bounds: list[int]
    messages: Messages
    kept: np.ndarray


@dataclass(frozen=True)
class Batch:
    """One level per layer, the first layer first; each layer reads the nodes that the one before it kept.

    nodes: those whose embeddings the batch gives, ascending. bounds: of these nodes, by type.
    """

    levels: tuple[Level, ...]
    nodes: np.ndarray
    bounds: list[int]

    @property
    def inputs(self) -> np.ndarray:
        """The nodes whose inputs the first layer reads, int64."""
        return self.levels[0].nodes.astype(np.int64)

    def positions(self, nodes: np.ndarray) -> np.ndarray:
        """Positions in `self.nodes` of nodes, given by their numbers in the whole graph."""
        return np.searchsorted(self.nodes, nodes)


class Sampler:
    """Draws batches from all message edges of a graph.

    bounds: nodes of type t have the numbers bounds[t] to bounds[t + 1] - 1. fanout: neighbours that
    a node draws, per hop, the hop from the seeds first; `ALL` takes every neighbour.
    """

    def __init__(self, numbered: Numbered, bounds: Sequence[int], fanout: Sequence[int], seed: int) -> None:
        self.numbered, self.fanout, self.seed = numbered, tuple(fanout), seed
        self.node_types = np.asarray(bounds, np.int64)
        self.hidden = np.zeros(numbered.undirected, np.uint8)
        self.of_row = np.zeros(len(numbered.whole.rows), np.int32)
        self.of_node = np.zeros(numbered.whole.nodes, np.int32)

    def batch(self, seeds: np.ndarray, hidden: np.ndarray, number: int) -> Batch:
        """Draw the batch that gives the embeddings of `seeds`, without the edges numbered in `hidden`.

        number: of the batch; the same number draws the same neighbours.
        """
        wanted = np.unique(seeds).astype(np.int32)
        nodes, levels = wanted, []
        self.hidden[hidden] = 1
        try:
            for hop, fanout in enumerate(self.fanout):
                levels.append(
                    self._level(
                        nodes,
                        fanout,
                        np.uint64(streams.seed_of(self.seed, "neighbours of a batch", number, hop)),
                    )
                )
                nodes = levels[-1].nodes
        finally:
            self.hidden[hidden] = 0
        return Batch(tuple(reversed(levels)), wanted, self._bounds(wanted))

    def neighbourhood(self, nodes: np.ndarray) -> Level:
        """All messages that the ascending `nodes` receive."""
        return self._level(nodes, ALL, np.uint64(0))

    def _level(self, targets: np.ndarray, fanout: int, key: np.uint64) -> Level:
        whole, rows_of = self.numbered.whole, self.numbered.whole.rows
        degree = whole.target_ptr[targets + 1] - whole.target_ptr[targets]
        slots = _pointer(degree if fanout == ALL else np.minimum(degree, fanout))
        entries = np.empty(slots[-1], np.int64)
        parallel.run(_pick, parallel.balanced(slots), targets, whole.target_ptr, slots, key, entries)
        sizes = np.empty(len(targets), np.int64)
        edge, sends = self.numbered.target_edge, whole.target_rows
        rows = _visible(entries, slots, edge, self.hidden, sends, sizes)
        active = _distinct(rows, self.of_row)
        nodes = _distinct(np.concatenate([targets, rows_of.node[active]]), self.of_node)
        kept = self.of_node[targets]
        received = np.zeros(len(nodes), np.int64)
        received[kept] = sizes
        target_rows = self.of_row[rows]
        target_of_message = np.repeat(kept, sizes)
        of_active = self.of_node[rows_of.node[active]]
        type_bounds = np.searchsorted(active, rows_of.type_bounds)
        by_node = _group(of_active, np.arange(len(active), dtype=np.int32), len(nodes))
        local = Messages(
            Rows(of_active, type_bounds, *by_node),
            _pointer(received),
            target_rows,
            *_group(target_rows, target_of_message, len(active)),
        )
        return Level(nodes, self._bounds(nodes), local, kept)

    def _bounds(self, nodes: np.ndarray) -> list[int]:
        return np.searchsorted(nodes, self.node_types).tolist()


def by_edge_type(level: Level, types: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """The messages of a level as (2, E) source and target positions within their node types, per edge type.

    types: source and target node type of each edge type.
    """
    messages = level.messages
    edge_type = messages.rows.edge_type[messages.target_rows]
    target = np.repeat(np.arange(messages.nodes, dtype=np.int32), np.diff(messages.target_ptr))
    bounds, order = _group(edge_type, np.arange(len(edge_type), dtype=np.int32), len(types))
    result = []
    for (first, last), (source_type, target_type) in zip(pairwise(bounds.tolist()), types, strict=True):
        entries = order[first:last]
        sources = messages.rows.node[messages.target_rows[entries]] - level.bounds[source_type]
        result.append(np.stack([sources, target[entries] - level.bounds[target_type]]).astype(np.int64))
    return result


def _pointer(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


@inlined()
def _random(key, node, draw, below):
    """A random whole number in 0..below - 1 that depends on key, node and draw alone.

    The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014); the upper half of a product replaces the
    remainder.
    """
    x = (
        key
        + np.uint64(node) * np.uint64(0x9E3779B97F4A7C15)
        + np.uint64(draw) * np.uint64(0xD1B54A32D192ED03)
    )
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return np.int64(((x >> np.uint64(32)) * np.uint64(below)) >> np.uint64(32))


@loop()
def _pick(first, last, targets, target_ptr, slots, key, entries):
    """entries[slots[i]:slots[i + 1]] = distinct entries of node targets[i], all equally likely.

    Floyd's algorithm (Bentley and Floyd, CACM 1987): for each of the last k positions j, take a random
    position up to j, or j itself if that one is taken already.
    """
    for i in range(first, last):
        start, degree = target_ptr[targets[i]], target_ptr[targets[i] + 1] - target_ptr[targets[i]]
        begin, size = slots[i], slots[i + 1] - slots[i]
        if size == degree:
            for s in range(size):
                entries[begin + s] = start + s
            continue
        for s in range(size):
            j = degree - size + s
            chosen = start + _random(key, targets[i], s, j + 1)
            taken = False
            for before in range(begin, begin + s):
                taken |= entries[before] == chosen
            entries[begin + s] = start + j if taken else chosen


@loop()
def _visible(entries, slots, edge, hidden, sends, sizes):
    """Rows of the entries whose edge is not hidden; sizes[i] = number of these entries of target i."""
    rows = np.empty(len(entries), np.int32)
    count = 0
    for i in range(len(sizes)):
        before = count
        for at in range(slots[i], slots[i + 1]):
            if not hidden[edge[entries[at]]]:
                rows[count] = sends[entries[at]]
                count += 1
        sizes[i] = count - before
    return rows[:count]


@loop()
def _distinct(values, position):
    """The distinct values, ascending; writes position[value] = index of the value among them.

    The content of `position` is undefined for values that do not occur.
    """
    distinct = np.empty(len(values), np.int32)
    for value in values:
        position[value] = -1
    count = 0
    for value in values:
        if position[value] == -1:
            position[value] = 0
            distinct[count] = value
            count += 1
    distinct = np.sort(distinct[:count])
    for i in range(count):
        position[distinct[i]] = i
    return distinct


@loop()
def _group(keys, values, count):
    """CSR of values by key 0..count - 1; the values of a key keep their order."""
    indptr = np.zeros(count + 1, np.int64)
    for key in keys:
        indptr[key + 1] += 1
    for i in range(count):
        indptr[i + 1] += indptr[i]
    to = indptr[:-1].copy()
    grouped = np.empty(len(values), np.int32)
    for i in range(len(values)):
        grouped[to[keys[i]]] = values[i]
        to[keys[i]] += 1
    return indptr, grouped
