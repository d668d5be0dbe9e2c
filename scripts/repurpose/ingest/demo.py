"""A planted knowledge graph in PrimeKG's schema, any size: synthetic, with a mechanism to be found.

Latent mechanisms stand behind it. Each gene, pathway, phenotype and so on belongs to one (some genes to
two); a disease has mechanisms as causes and mechanisms as symptoms, a drug has mechanisms that it targets
and mechanisms that it disturbs. Edges mostly join nodes of one mechanism. A drug is indicated where its
target is the cause and it disturbs no symptom, and contraindicated where it disturbs a symptom. Nothing of
this is in the table: it has to be learned from the edges. Node degrees are skewed and, because popularity
is drawn mostly anew for each relation, tell little about indications.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from repurpose.core.errors import InputError
from repurpose.ingest import demo_schema
from repurpose.ingest.demo_schema import FACETS, KINDS, SECOND_MECHANISM, Kind

MECHANISMS = 85  # at scale 1; shrinks with the square root, so that mechanisms keep members
FEWEST_MECHANISMS = 6
MAIN_SHARE = 0.7  # of the edges of a node with two mechanisms, the share that goes to the first
SHARED_POPULARITY = 0.3  # correlation of a node's popularity with what it has in common in all relations
OUT_OF_FOCUS = 0.1  # weight of a node whose mechanism a relation does not focus on
RANK_OFFSET = 5  # flattens the head of the Zipf law, else one node would hold every tenth edge
ROUNDS = 12  # of drawing by mechanism and popularity, before the last edges are drawn at random


@dataclass(frozen=True)
class Plant:
    """The planted graph with its secret: what tests compare the table with.

    `mechanisms` maps a facet to an (n, 2) array of mechanism numbers per node, the second equal to the
    first where the node has only one. `edges` maps a relation to its heads and tails (each undirected edge
    once, node numbers within the type, sorted).
    """

    nodes: dict[str, int]
    mechanisms: dict[str, np.ndarray]
    edges: dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class _Side:
    """One end of a relation: popularity of its n nodes, and its members by mechanism (m entries)."""

    mechanisms: np.ndarray  # (n, 2)
    popularity: np.ndarray  # (n,) running sum of weights
    members: np.ndarray  # (m,) nodes, grouped by mechanism
    membership: np.ndarray  # (m,) running sum of weights
    bounds: np.ndarray  # (mechanisms + 1,) running sum of weights before each mechanism

    def pick(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Nodes drawn by popularity."""
        return _weighted(self.popularity, rng.random(size) * self.popularity[-1])

    def pick_within(self, rng: np.random.Generator, mechanisms: np.ndarray) -> np.ndarray:
        """One member of each given mechanism drawn by popularity; -1 where it has no member."""
        low, high = self.bounds[mechanisms], self.bounds[mechanisms + 1]
        drawn = self.members[_weighted(self.membership, low + rng.random(len(low)) * (high - low))]
        return np.where(high > low, drawn, -1)

    def mechanism_of(self, rng: np.random.Generator, nodes: np.ndarray) -> np.ndarray:
        """For each node one of its mechanisms, the first with probability MAIN_SHARE."""
        return self.mechanisms[nodes, (rng.random(len(nodes)) >= MAIN_SHARE).astype(np.intp)]


def plant(scale: float, seed: int) -> pa.Table:
    """The planted graph as a table like PrimeKG's kg.csv, every edge in both directions.

    Columns relation, display_relation, x_index, x_id, x_type, x_name, x_source and the same for y; texts
    are dictionary encoded. An id is a running number within its type, so ids repeat across types; x_index
    counts through all nodes. At `scale` 1 it has PrimeKG's 129,375 nodes and 8,100,498 rows. The same scale
    and seed give the same table. Raises InputError for a scale of 0 or less, or a negative seed.
    """
    return to_table(planted(scale, seed))


def planted(scale: float, seed: int) -> Plant:
    """The graph of `plant` with the latent mechanisms behind it; raises InputError as `plant` does."""
    nodes = demo_schema.node_counts(scale)
    if seed < 0:
        raise InputError(f"demo.seed is {seed}; set it to a whole number from 0 up.")
    rng = np.random.default_rng([seed, 0])
    count = max(FEWEST_MECHANISMS, round(MECHANISMS * math.sqrt(scale)))
    mechanisms = {facet: _assign(rng, nodes[FACETS[facet]], count, facet) for facet in FACETS}
    shared = {node_type: rng.standard_normal(n) for node_type, n in nodes.items()}
    edges: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for position, kind in enumerate(KINDS):
        # A stream per relation: a change to one relation leaves the draws of the others as they are.
        stream = np.random.default_rng([seed, 1 + position])
        budget = demo_schema.edge_count(kind, nodes, scale)
        edges[kind.relation] = _draw_relation(stream, kind, budget, mechanisms, count, shared, edges)
    return Plant(nodes, mechanisms, edges)


def shares_mechanism(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether two (n, 2) arrays of mechanisms have one in common, row by row: (n,) of bool."""
    return (first[:, :, None] == second[:, None, :]).any(axis=(1, 2))


def to_table(graph: Plant) -> pa.Table:
    """The table of `plant` from its graph: relation by relation, first from head to tail, then back."""
    types = list(graph.nodes)
    starts = np.cumsum([0, *graph.nodes.values()])[:-1].astype(np.int32)
    edges = [graph.edges[kind.relation] for kind in KINDS]
    ends = np.array([[types.index(t) for t in (kind.head_type, kind.tail_type)] for kind in KINDS], np.int8)
    lengths = np.array([len(heads) for heads, _ in edges])
    # Several relations share a text of display, and a dictionary must not repeat one.
    displays = list(dict.fromkeys(kind.display for kind in KINDS))
    of_display = np.array([displays.index(kind.display) for kind in KINDS], np.int8)
    of_relation = np.repeat(np.arange(len(KINDS), dtype=np.int8), 2 * lengths)
    ids = [str(number) for number in range(1, max(graph.nodes.values()) + 1)]
    names = [f"{t} {number:04d}" for t, n in graph.nodes.items() for number in range(1, n + 1)]
    columns = {
        "relation": _texts(of_relation, [kind.relation for kind in KINDS]),
        "display_relation": _texts(of_display[of_relation], displays),
    }
    for letter, step in (("x", 1), ("y", -1)):
        numbers = np.concatenate([end for pair in edges for end in pair[::step]]).astype(np.int32)
        of_type = np.repeat(ends[:, ::step].ravel(), np.repeat(lengths, 2))
        index = starts[of_type] + numbers
        columns[f"{letter}_index"] = pa.array(index)
        columns[f"{letter}_id"] = _texts(numbers, ids)
        columns[f"{letter}_type"] = _texts(of_type, types)
        columns[f"{letter}_name"] = _texts(index, names)
        columns[f"{letter}_source"] = _texts(np.zeros(len(index), np.int8), ["demo"])
    return pa.table(columns)


def _texts(codes: np.ndarray, values: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes), values)


def _assign(rng: np.random.Generator, n: int, count: int, facet: str) -> np.ndarray:
    """Mechanisms of n nodes (n, 2): all mechanisms equally often, a share of the nodes with a second one."""
    main = rng.permutation(n) % count
    other = (main + rng.integers(1, count, n)) % count
    has_second = rng.random(n) < SECOND_MECHANISM.get(facet, 0.0)
    return np.stack([main, np.where(has_second, other, main)], axis=1)


def _side(mechanisms: np.ndarray, count: int, weights: np.ndarray) -> _Side:
    of_entry = mechanisms.T.ravel()
    entry_weights = np.concatenate([weights * MAIN_SHARE, weights * (1 - MAIN_SHARE)])
    order = np.argsort(of_entry, kind="stable")
    membership = np.cumsum(entry_weights[order])
    ends = np.searchsorted(of_entry[order], np.arange(count + 1), side="left")
    bounds = np.concatenate([[0.0], membership])[ends]
    return _Side(mechanisms, np.cumsum(weights), order % len(weights), membership, bounds)


def _weights(rng: np.random.Generator, shared: np.ndarray, exponent: float) -> np.ndarray:
    """Zipf weights (rank + 5)^-exponent, by a rank that owes a little to the node's shared popularity."""
    own = rng.standard_normal(len(shared))
    score = SHARED_POPULARITY * shared + math.sqrt(1 - SHARED_POPULARITY**2) * own
    rank = np.argsort(np.argsort(-score, kind="stable"), kind="stable")
    return (rank + RANK_OFFSET) ** -exponent


def _weighted(running: np.ndarray, at: np.ndarray) -> np.ndarray:
    # Rounding may put a draw on the very end of the last interval.
    return np.minimum(np.searchsorted(running, at, side="right"), len(running) - 1)


def _partners(
    rng: np.random.Generator, nodes: np.ndarray, side: _Side, other: _Side, signal: float
) -> np.ndarray:
    """A partner on the `other` side for each node: of its mechanism with probability `signal`."""
    anywhere = other.pick(rng, len(nodes))
    within = other.pick_within(rng, side.mechanism_of(rng, nodes))
    return np.where((rng.random(len(nodes)) < signal) & (within >= 0), within, anywhere)


def _draw_relation(
    rng: np.random.Generator,
    kind: Kind,
    budget: int,
    mechanisms: dict[str, np.ndarray],
    count: int,
    shared: dict[str, np.ndarray],
    earlier: dict[str, tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails of `budget` different edges, sorted."""
    facets = {facet: mechanisms[facet] for facet in (kind.head, kind.tail)}
    if kind.main_only:
        facets = {facet: of_node[:, [0, 0]] for facet, of_node in facets.items()}
    sides = {
        facet: _side(
            of_node,
            count,
            _weights(rng, shared[FACETS[facet]], kind.exponent)
            * np.where(of_node[:, 0] < math.ceil(kind.focus * count), 1.0, OUT_OF_FOCUS),
        )
        for facet, of_node in facets.items()
    }
    head, tail = sides[kind.head], sides[kind.tail]
    n_heads, n_tails = len(head.popularity), len(tail.popularity)

    def propose(attempt: int, size: int) -> np.ndarray:
        if attempt == 0:
            heads, tails = _cover(rng, kind, head, tail)
        elif attempt <= ROUNDS:
            heads = head.pick(rng, size)
            tails = _partners(rng, heads, head, tail, kind.signal)
        else:
            heads, tails = rng.integers(0, n_heads, size), rng.integers(0, n_tails, size)
        if kind.avoids and attempt <= ROUNDS:
            clash = shares_mechanism(mechanisms[kind.avoids[0]][heads], mechanisms[kind.avoids[1]][tails])
            heads, tails = heads[~clash], tails[~clash]
        if kind.head_type == kind.tail_type:
            heads, tails = np.minimum(heads, tails), np.maximum(heads, tails)
            heads, tails = heads[heads != tails], tails[heads != tails]
        return heads * n_tails + tails

    taken = [earlier[relation] for relation in kind.excludes]
    forbidden = np.concatenate([heads * n_tails + tails for heads, tails in taken] or [np.empty(0, np.int64)])
    return np.divmod(_fill(budget, propose, forbidden), n_tails)


def _cover(rng: np.random.Generator, kind: Kind, head: _Side, tail: _Side) -> tuple[np.ndarray, np.ndarray]:
    """One edge for every node of the types that the relation covers, in random order."""
    none = np.empty(0, np.int64)
    heads = rng.permutation(len(head.popularity)) if kind.head_type in kind.covers else none
    tails = rng.permutation(len(tail.popularity)) if kind.tail_type in kind.covers else none
    partners = _partners(rng, heads, head, tail, kind.signal)
    return (
        np.concatenate([heads, _partners(rng, tails, tail, head, kind.signal)]),
        np.concatenate([partners, tails]),
    )


def _fill(budget: int, propose: Callable[[int, int], np.ndarray], forbidden: np.ndarray) -> np.ndarray:
    """The first `budget` different keys that `propose(attempt, size)` brings and that are not forbidden."""
    taken = np.empty(0, np.int64)
    attempt = 0
    while missing := budget - len(taken):
        keys = propose(attempt, 2 * missing)
        keys = keys[np.sort(np.unique(keys, return_index=True)[1])]
        keys = keys[~np.isin(keys, taken) & ~np.isin(keys, forbidden)]
        taken = np.concatenate([taken, keys[:missing]])
        attempt += 1
    return np.sort(taken)
