"""A planted knowledge graph in PrimeKG's schema, any size: synthetic, with a mechanism to be found.

Its edges are drawn from latent mechanisms. Each gene, pathway, phenotype and so on has one mechanism (some
genes have two). A disease has mechanisms as causes and mechanisms as symptoms; a drug has mechanisms that
it targets and mechanisms that it disturbs. Most edges join nodes that share a mechanism. A drug is
indicated where its target is the cause and it disturbs no symptom, and contraindicated where it disturbs a
symptom. The table does not contain the mechanisms: they have to be learned from the edges. Node degrees are
skewed and tell little about indications, because most of a node's popularity is drawn anew for each
relation.

Two sections: PrimeKG's schema and counts, and the drawing of the graph.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from repurpose.core.errors import InputError

# ---- PrimeKG's schema ----

# Counts of PrimeKG (Chandak et al. 2023, doi:10.1038/s41597-023-01960-3): kg.csv has 129,375 nodes and
# 8,100,498 rows, every edge both ways.
NODES = {
    "anatomy": 14035,
    "biological_process": 28642,
    "cellular_component": 4176,
    "disease": 17080,
    "drug": 7957,
    "effect/phenotype": 15311,
    "exposure": 818,
    "gene/protein": 27671,
    "molecular_function": 11169,
    "pathway": 2516,
}

# A facet is one aspect of a node type, with mechanisms of its own: drugs and diseases have two each, any
# other type has one of the same name.
FACETS = {node_type: node_type for node_type in NODES if node_type not in ("disease", "drug")} | {
    "disease cause": "disease",
    "disease symptom": "disease",
    "drug target": "drug",
    "drug side effect": "drug",
}
# Share of the nodes that belong to two mechanisms; a facet not named here has one mechanism per node.
SECOND_MECHANISM = dict.fromkeys(
    ("gene/protein", "disease cause", "disease symptom", "drug target", "drug side effect"), 0.15
)

FOCUS = 1 / 3  # share of the mechanisms that most indications come from
FEWEST_NODES = 4
LARGEST_FILL = 3  # a relation holds at most one in three of its possible pairs


@dataclass(frozen=True)
class Kind:
    """How the edges of one relation are drawn; `rows` is PrimeKG's count, both directions together.

    signal: the probability that the two nodes of an edge share a mechanism. exponent: how steep the nodes'
    popularity is. covers: node types of which every node has an edge here, if there are enough edges.
    excludes: relations whose pairs are not drawn again. avoids: two facets; no pair shares a mechanism of
    them, unless a tiny graph has no other pairs left. main_only: only the first mechanism of a node counts.
    focus: the share of the mechanisms that most edges come from: as in life, few are within reach of drugs.
    """

    relation: str
    display: str
    head: str  # facet
    tail: str  # facet
    rows: int
    signal: float = 0.9
    exponent: float = 0.75
    covers: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    avoids: tuple[str, str] | None = None
    main_only: bool = False
    focus: float = 1.0

    @property
    def head_type(self) -> str:
        """Node type of the heads."""
        return FACETS[self.head]

    @property
    def tail_type(self) -> str:
        """Node type of the tails."""
        return FACETS[self.tail]


_GENE = "gene/protein"
_PHENOTYPE = "effect/phenotype"
_CLASH = ("drug side effect", "disease symptom")


def _hierarchy(relation: str, facet: str, rows: int) -> Kind:
    return Kind(relation, "parent-child", facet, facet, rows)


def _annotation(relation: str, head: str, rows: int, covers: tuple[str, ...] = ()) -> Kind:
    return Kind(relation, "interacts with", head, _GENE, rows, covers=covers)


# The two largest relations, expression and drug interactions, carry the weakest signal, as in life: they
# mislead a method that gives all edges the same weight. The order matters: `excludes` names relations above.
KINDS = (
    Kind(
        "anatomy_protein_present",
        "expression present",
        "anatomy",
        _GENE,
        3036406,
        signal=0.3,
        covers=("anatomy", _GENE),
    ),
    Kind("drug_drug", "synergistic interaction", "drug target", "drug target", 2672628, signal=0.5),
    Kind("protein_protein", "ppi", _GENE, _GENE, 642150),
    Kind(
        "disease_phenotype_positive",
        "phenotype present",
        "disease symptom",
        _PHENOTYPE,
        300634,
        covers=(_PHENOTYPE,),
    ),
    _annotation("bioprocess_protein", "biological_process", 289610, ("biological_process",)),
    _annotation("cellcomp_protein", "cellular_component", 166804, ("cellular_component",)),
    Kind("disease_protein", "associated with", "disease cause", _GENE, 160822, covers=("disease",)),
    _annotation("molfunc_protein", "molecular_function", 139060, ("molecular_function",)),
    Kind("drug_effect", "side effect", "drug side effect", _PHENOTYPE, 129568),
    _hierarchy("bioprocess_bioprocess", "biological_process", 105772),
    _annotation("pathway_protein", "pathway", 85292, ("pathway",)),
    _hierarchy("disease_disease", "disease cause", 64388),
    Kind("contraindication", "contraindication", *_CLASH, 61350, signal=0.9, exponent=0.35),
    Kind("drug_protein", "target", "drug target", _GENE, 51306, covers=("drug",)),
    Kind(
        "anatomy_protein_absent",
        "expression absent",
        "anatomy",
        _GENE,
        39774,
        signal=0.0,
        excludes=("anatomy_protein_present",),
    ),
    _hierarchy("phenotype_phenotype", _PHENOTYPE, 37472),
    _hierarchy("anatomy_anatomy", "anatomy", 28064),
    _hierarchy("molfunc_molfunc", "molecular_function", 27148),
    Kind(
        "indication",
        "indication",
        "drug target",
        "disease cause",
        18776,
        signal=0.95,
        exponent=0.35,
        excludes=("contraindication",),
        avoids=_CLASH,
        main_only=True,
        focus=FOCUS,
    ),
    _hierarchy("cellcomp_cellcomp", "cellular_component", 9690),
    Kind("phenotype_protein", "associated with", _PHENOTYPE, _GENE, 6660),
    Kind(
        "off-label use",
        "off-label use",
        "drug target",
        "disease cause",
        5136,
        signal=0.6,
        exponent=0.35,
        excludes=("contraindication", "indication"),
        avoids=_CLASH,
        main_only=True,
        focus=FOCUS,
    ),
    _hierarchy("pathway_pathway", "pathway", 5070),
    Kind("exposure_disease", "linked to", "exposure", "disease cause", 4608, covers=("exposure",)),
    _hierarchy("exposure_exposure", "exposure", 4140),
    Kind("exposure_protein", "interacts with", "exposure", _GENE, 2424),
    Kind(
        "disease_phenotype_negative",
        "phenotype absent",
        "disease symptom",
        _PHENOTYPE,
        2386,
        signal=0.0,
        excludes=("disease_phenotype_positive",),
    ),
    Kind("exposure_bioprocess", "interacts with", "exposure", "biological_process", 3250),
    Kind("exposure_molfunc", "interacts with", "exposure", "molecular_function", 90),
    Kind("exposure_cellcomp", "interacts with", "exposure", "cellular_component", 20),
)


def node_counts(scale: float) -> dict[str, int]:
    """Nodes per type: PrimeKG's times `scale`, at least 4; raises InputError if `scale` is not positive."""
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"demo.scale is {scale}; set it to a number above 0, where 1 has PrimeKG's counts.")
    return {node_type: max(FEWEST_NODES, round(count * scale)) for node_type, count in NODES.items()}


def edge_count(kind: Kind, nodes: dict[str, int], scale: float) -> int:
    """Undirected edges of a relation: PrimeKG's times `scale`, at least 1, at most a third of all pairs.

    Nodes and edges both shrink linearly and pairs with the square, so a dense relation (drug_drug) meets
    the cap in a small graph.
    """
    heads, tails = nodes[kind.head_type], nodes[kind.tail_type]
    pairs = heads * (heads - 1) // 2 if kind.head_type == kind.tail_type else heads * tails
    return max(1, min(round(kind.rows // 2 * scale), pairs // LARGEST_FILL))


# ---- the drawing ----

MECHANISMS = 85  # at scale 1; shrinks with the square root, so that mechanisms keep members
FEWEST_MECHANISMS = 6
MAIN_SHARE = 0.7  # share of the edges of a node with two mechanisms that come from the first
SHARED_POPULARITY = 0.3  # correlation of a node's popularity in a relation with its popularity in general
OUT_OF_FOCUS = 0.1  # weight of a node whose mechanism a relation does not focus on
RANK_OFFSET = 5  # flattens the head of the Zipf law, else one node would hold every tenth edge
ROUNDS = 12  # of drawing by mechanism and popularity, before the last edges are drawn at random


@dataclass(frozen=True)
class Plant:
    """The planted graph with its latent mechanisms, which tests compare the table with.

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
    nodes = node_counts(scale)
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
        budget = edge_count(kind, nodes, scale)
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
    """Zipf weights (rank + 5)^-exponent; the rank correlates weakly with the node's shared popularity."""
    own = rng.standard_normal(len(shared))
    score = SHARED_POPULARITY * shared + math.sqrt(1 - SHARED_POPULARITY**2) * own
    rank = np.argsort(np.argsort(-score, kind="stable"), kind="stable")
    return (rank + RANK_OFFSET) ** -exponent


def _weighted(running: np.ndarray, at: np.ndarray) -> np.ndarray:
    # A draw may be rounded to the end of the last interval.
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
    """The first `budget` distinct keys of `propose(attempt, size)` that are not forbidden."""
    taken = np.empty(0, np.int64)
    attempt = 0
    while missing := budget - len(taken):
        keys = propose(attempt, 2 * missing)
        keys = keys[np.sort(np.unique(keys, return_index=True)[1])]
        keys = keys[~np.isin(keys, taken) & ~np.isin(keys, forbidden)]
        taken = np.concatenate([taken, keys[:missing]])
        attempt += 1
    return np.sort(taken)
