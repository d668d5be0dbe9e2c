"""The demo graph: a synthetic knowledge graph of any size in PrimeKG's schema, with planted mechanisms.

The edges are drawn from latent mechanisms. Each gene, pathway, phenotype and so on has one mechanism (some
genes have two). A disease has mechanisms as causes and mechanisms as symptoms. A drug has mechanisms that it
targets and mechanisms that it disturbs. Most edges connect nodes that share a mechanism. A drug is indicated
for a disease if its target is the cause and it disturbs no symptom, and contraindicated if it disturbs a
symptom.

The table does not contain the mechanisms: a model must learn them from the edges. Node degrees are skewed,
but they predict indications poorly, because most of a node's popularity is drawn independently for each
relation.

There are two sections: PrimeKG's schema and counts, and how the graph is drawn.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from repurpose.core import streams
from repurpose.core.errors import InputError

# ---- PrimeKG's schema ----

# Counts of PrimeKG (Chandak et al. 2023, doi:10.1038/s41597-023-01960-3): kg.csv has 129,375 nodes and
# 8,100,498 rows, with every edge in both directions.
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

# A facet is one aspect of a node type and has its own mechanisms. Drugs and diseases have two facets each;
# any other type has one, with the name of the type.
FACETS = {node_type: node_type for node_type in NODES if node_type not in ("disease", "drug")} | {
    "disease cause": "disease",
    "disease symptom": "disease",
    "drug target": "drug",
    "drug side effect": "drug",
}
# Share of the nodes that have two mechanisms; in a facet not named here every node has one.
SECOND_MECHANISM = dict.fromkeys(
    ("gene/protein", "disease cause", "disease symptom", "drug target", "drug side effect"), 0.15
)

FOCUS = 1 / 3  # share of the mechanisms from which most indications come
FEWEST_NODES = 4
LARGEST_FILL = 3  # a relation holds at most one in three of its possible pairs


@dataclass(frozen=True)
class RelationSpec:
    """How the edges of one relation are drawn; `rows` is PrimeKG's count, both directions together.

    head, tail: facets. signal: the probability that the two nodes of an edge share a mechanism. exponent:
    exponent of the Zipf law of the nodes' popularity. covers: node types of which every node has an edge, if
    there are enough edges. excludes: relations whose pairs are not drawn again. avoids: two facets in which
    the nodes of a pair share no mechanism, unless a tiny graph has no other pairs left. main_only: only the
    first mechanism of a node counts. focus: the share of the mechanisms from which most edges come; as in
    reality, drugs can reach few.
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


def _hierarchy(relation: str, facet: str, rows: int) -> RelationSpec:
    return RelationSpec(relation, "parent-child", facet, facet, rows)


def _annotation(relation: str, head: str, rows: int, covers: tuple[str, ...] = ()) -> RelationSpec:
    return RelationSpec(relation, "interacts with", head, _GENE, rows, covers=covers)


# The two largest relations, expression and drug interactions, have weak signals, as in reality: they mislead
# a method that gives all edges the same weight. The order matters, because `excludes` names relations above.
RELATIONS = (
    RelationSpec(
        "anatomy_protein_present",
        "expression present",
        "anatomy",
        _GENE,
        3036406,
        signal=0.3,
        covers=("anatomy", _GENE),
    ),
    RelationSpec("drug_drug", "synergistic interaction", "drug target", "drug target", 2672628, signal=0.5),
    RelationSpec("protein_protein", "ppi", _GENE, _GENE, 642150),
    RelationSpec(
        "disease_phenotype_positive",
        "phenotype present",
        "disease symptom",
        _PHENOTYPE,
        300634,
        covers=(_PHENOTYPE,),
    ),
    _annotation("bioprocess_protein", "biological_process", 289610, ("biological_process",)),
    _annotation("cellcomp_protein", "cellular_component", 166804, ("cellular_component",)),
    RelationSpec("disease_protein", "associated with", "disease cause", _GENE, 160822, covers=("disease",)),
    _annotation("molfunc_protein", "molecular_function", 139060, ("molecular_function",)),
    RelationSpec("drug_effect", "side effect", "drug side effect", _PHENOTYPE, 129568),
    _hierarchy("bioprocess_bioprocess", "biological_process", 105772),
    _annotation("pathway_protein", "pathway", 85292, ("pathway",)),
    _hierarchy("disease_disease", "disease cause", 64388),
    RelationSpec("contraindication", "contraindication", *_CLASH, 61350, signal=0.9, exponent=0.35),
    RelationSpec("drug_protein", "target", "drug target", _GENE, 51306, covers=("drug",)),
    RelationSpec(
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
    RelationSpec(
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
    RelationSpec("phenotype_protein", "associated with", _PHENOTYPE, _GENE, 6660),
    RelationSpec(
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
    RelationSpec("exposure_disease", "linked to", "exposure", "disease cause", 4608, covers=("exposure",)),
    _hierarchy("exposure_exposure", "exposure", 4140),
    RelationSpec("exposure_protein", "interacts with", "exposure", _GENE, 2424),
    RelationSpec(
        "disease_phenotype_negative",
        "phenotype absent",
        "disease symptom",
        _PHENOTYPE,
        2386,
        signal=0.0,
        excludes=("disease_phenotype_positive",),
    ),
    RelationSpec("exposure_bioprocess", "interacts with", "exposure", "biological_process", 3250),
    RelationSpec("exposure_molfunc", "interacts with", "exposure", "molecular_function", 90),
    RelationSpec("exposure_cellcomp", "interacts with", "exposure", "cellular_component", 20),
)


def node_counts(scale: float) -> dict[str, int]:
    """Nodes per type: PrimeKG's count times `scale`, at least 4; raises InputError unless `scale` > 0."""
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"demo.scale is {scale}; set it to a number above 0, where 1 has PrimeKG's counts.")
    return {node_type: max(FEWEST_NODES, round(count * scale)) for node_type, count in NODES.items()}


def edge_count(spec: RelationSpec, nodes: dict[str, int], scale: float) -> int:
    """Undirected edges of a relation: PrimeKG's times `scale`, at least 1, at most a third of all pairs.

    The numbers of nodes and edges shrink linearly with the scale, but the number of pairs shrinks with its
    square. So a dense relation (drug_drug) reaches the limit in a small graph.
    """
    heads, tails = nodes[spec.head_type], nodes[spec.tail_type]
    pairs = heads * (heads - 1) // 2 if spec.head_type == spec.tail_type else heads * tails
    return max(1, min(round(spec.rows // 2 * scale), pairs // LARGEST_FILL))


# ---- drawing the graph ----

MECHANISMS = 85  # at scale 1; shrinks with the square root of the scale, so that mechanisms keep members
FEWEST_MECHANISMS = 6
MAIN_SHARE = 0.7  # share of the edges of a node with two mechanisms that come from the first
SHARED_POPULARITY = 0.3  # correlation of a node's popularity in a relation with its general popularity
OUT_OF_FOCUS = 0.1  # weight of a node whose mechanism is outside the focus of a relation
RANK_OFFSET = 5  # flattens the top of the Zipf law, or one node would have every tenth edge
ROUNDS = 12  # of drawing by mechanism and popularity; after them the remaining edges are drawn uniformly


@dataclass(frozen=True)
class PlantedGraph:
    """The demo graph with its latent mechanisms, which are for tests and benchmarks only.

    `nodes` maps a node type to its number of nodes. `mechanisms` maps a facet to the mechanism numbers (n, 2)
    of its nodes; both are equal if a node has only one. `edges` maps a relation to heads and tails: node
    numbers within the type, sorted, each undirected edge once.
    """

    nodes: dict[str, int]
    mechanisms: dict[str, np.ndarray]
    edges: dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class _Side:
    """One end of a relation: the popularity of its n nodes, and the members of its mechanisms (m entries)."""

    mechanisms: np.ndarray  # (n, 2)
    popularity: np.ndarray  # (n,) cumulative sum of weights
    members: np.ndarray  # (m,) nodes, grouped by mechanism
    membership: np.ndarray  # (m,) cumulative sum of the weights of the members
    bounds: np.ndarray  # (mechanisms + 1,) cumulative sum of weights before each mechanism

    def pick(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Nodes, drawn in proportion to popularity."""
        return _weighted(self.popularity, rng.random(size) * self.popularity[-1])

    def pick_within(self, rng: np.random.Generator, mechanisms: np.ndarray) -> np.ndarray:
        """For each mechanism one member, drawn in proportion to popularity; -1 if it has no member."""
        low, high = self.bounds[mechanisms], self.bounds[mechanisms + 1]
        drawn = self.members[_weighted(self.membership, low + rng.random(len(low)) * (high - low))]
        return np.where(high > low, drawn, -1)

    def mechanism_of(self, rng: np.random.Generator, nodes: np.ndarray) -> np.ndarray:
        """For each node one of its mechanisms: the first with probability MAIN_SHARE, else the second."""
        return self.mechanisms[nodes, (rng.random(len(nodes)) >= MAIN_SHARE).astype(np.intp)]


def plant_table(scale: float, seed: int) -> pa.Table:
    """Draw the demo graph and return it as a table like PrimeKG's kg.csv, with every edge in both directions.

    The columns are relation, display_relation, x_index, x_id, x_type, x_name, x_source and the same for y;
    texts are dictionary-encoded. An id is a number that starts at 1 in each type, so ids repeat across types;
    x_index counts through all nodes. At `scale` 1 the graph has PrimeKG's 129,375 nodes and 8,100,498 rows.
    The same scale and seed give the same table. Raises InputError for a scale of 0 or less, or a negative
    seed.
    """
    return to_table(plant_graph(scale, seed))


def plant_graph(scale: float, seed: int) -> PlantedGraph:
    """Draw the graph of `plant_table` with its latent mechanisms; raises InputError as `plant_table` does."""
    nodes = node_counts(scale)
    if seed < 0:
        raise InputError(f"demo.seed is {seed}; set it to a whole number from 0 up.")
    rng = streams.demo_generator(seed, "nodes of the demo graph", 0)
    count = max(FEWEST_MECHANISMS, round(MECHANISMS * math.sqrt(scale)))
    mechanisms = {facet: _assign(rng, nodes[FACETS[facet]], count, facet) for facet in FACETS}
    shared = {node_type: rng.standard_normal(n) for node_type, n in nodes.items()}
    edges: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for position, spec in enumerate(RELATIONS):
        # One random stream per relation, so that a change to one relation does not change the others.
        stream = streams.demo_generator(seed, "edges of the demo graph", 1 + position)
        budget = edge_count(spec, nodes, scale)
        edges[spec.relation] = _draw_relation(stream, spec, budget, mechanisms, count, shared, edges)
    return PlantedGraph(nodes, mechanisms, edges)


def shares_mechanism(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether the rows of two (n, 2) arrays have a mechanism in common: bool (n,)."""
    return (first[:, :, None] == second[:, None, :]).any(axis=(1, 2))


def to_table(graph: PlantedGraph) -> pa.Table:
    """The table of a graph: for each relation all edges from head to tail, then all from tail to head."""
    types = list(graph.nodes)
    starts = np.cumsum([0, *graph.nodes.values()])[:-1].astype(np.int32)
    edges = [graph.edges[spec.relation] for spec in RELATIONS]
    ends = np.array(
        [[types.index(t) for t in (spec.head_type, spec.tail_type)] for spec in RELATIONS], np.int8
    )
    lengths = np.array([len(heads) for heads, _ in edges])
    # Several relations have the same display text, but the values of a dictionary must be distinct.
    displays = list(dict.fromkeys(spec.display for spec in RELATIONS))
    display_codes = np.array([displays.index(spec.display) for spec in RELATIONS], np.int8)
    relation_codes = np.repeat(np.arange(len(RELATIONS), dtype=np.int8), 2 * lengths)
    ids = [str(number) for number in range(1, max(graph.nodes.values()) + 1)]
    names = [f"{t} {number:04d}" for t, n in graph.nodes.items() for number in range(1, n + 1)]
    columns = {
        "relation": _texts(relation_codes, [spec.relation for spec in RELATIONS]),
        "display_relation": _texts(display_codes[relation_codes], displays),
    }
    for letter, step in (("x", 1), ("y", -1)):
        numbers = np.concatenate([end for pair in edges for end in pair[::step]]).astype(np.int32)
        type_codes = np.repeat(ends[:, ::step].ravel(), np.repeat(lengths, 2))
        index = starts[type_codes] + numbers
        columns[f"{letter}_index"] = pa.array(index)
        columns[f"{letter}_id"] = _texts(numbers, ids)
        columns[f"{letter}_type"] = _texts(type_codes, types)
        columns[f"{letter}_name"] = _texts(index, names)
        columns[f"{letter}_source"] = _texts(np.zeros(len(index), np.int8), ["demo"])
    return pa.table(columns)


def _texts(codes: np.ndarray, values: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes), values)


def _assign(rng: np.random.Generator, n: int, count: int, facet: str) -> np.ndarray:
    """Mechanisms of n nodes, (n, 2): equally many nodes per mechanism, and a second one for some nodes."""
    main = rng.permutation(n) % count
    other = (main + rng.integers(1, count, n)) % count
    has_second = rng.random(n) < SECOND_MECHANISM.get(facet, 0.0)
    return np.stack([main, np.where(has_second, other, main)], axis=1)


def _side(mechanisms: np.ndarray, count: int, weights: np.ndarray) -> _Side:
    entry_mechanisms = mechanisms.T.ravel()
    entry_weights = np.concatenate([weights * MAIN_SHARE, weights * (1 - MAIN_SHARE)])
    order = np.argsort(entry_mechanisms, kind="stable")
    membership = np.cumsum(entry_weights[order])
    ends = np.searchsorted(entry_mechanisms[order], np.arange(count + 1), side="left")
    bounds = np.concatenate([[0.0], membership])[ends]
    return _Side(mechanisms, np.cumsum(weights), order % len(weights), membership, bounds)


def _weights(rng: np.random.Generator, shared: np.ndarray, exponent: float) -> np.ndarray:
    """Zipf weights (rank + RANK_OFFSET)^-exponent; ranks correlate weakly with nodes' shared popularity."""
    independent = rng.standard_normal(len(shared))
    score = SHARED_POPULARITY * shared + math.sqrt(1 - SHARED_POPULARITY**2) * independent
    rank = np.argsort(np.argsort(-score, kind="stable"), kind="stable")
    return (rank + RANK_OFFSET) ** -exponent


def _weighted(cumulative: np.ndarray, draws: np.ndarray) -> np.ndarray:
    # A draw may be rounded up to the end of the last interval.
    return np.minimum(np.searchsorted(cumulative, draws, side="right"), len(cumulative) - 1)


def _partners(
    rng: np.random.Generator, nodes: np.ndarray, side: _Side, other: _Side, signal: float
) -> np.ndarray:
    """For each node a partner on the `other` side, with probability `signal` from its own mechanism."""
    anywhere = other.pick(rng, len(nodes))
    within = other.pick_within(rng, side.mechanism_of(rng, nodes))
    return np.where((rng.random(len(nodes)) < signal) & (within >= 0), within, anywhere)


def _draw_relation(
    rng: np.random.Generator,
    spec: RelationSpec,
    budget: int,
    mechanisms: dict[str, np.ndarray],
    count: int,
    shared: dict[str, np.ndarray],
    earlier: dict[str, tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails of `budget` distinct edges, sorted by head, then tail."""
    facets = {facet: mechanisms[facet] for facet in (spec.head, spec.tail)}
    if spec.main_only:
        facets = {facet: numbers[:, [0, 0]] for facet, numbers in facets.items()}
    sides = {
        facet: _side(
            numbers,
            count,
            _weights(rng, shared[FACETS[facet]], spec.exponent)
            * np.where(numbers[:, 0] < math.ceil(spec.focus * count), 1.0, OUT_OF_FOCUS),
        )
        for facet, numbers in facets.items()
    }
    head, tail = sides[spec.head], sides[spec.tail]
    n_heads, n_tails = len(head.popularity), len(tail.popularity)

    def propose(attempt: int, size: int) -> np.ndarray:
        if attempt == 0:
            heads, tails = _cover(rng, spec, head, tail)
        elif attempt <= ROUNDS:
            heads = head.pick(rng, size)
            tails = _partners(rng, heads, head, tail, spec.signal)
        else:
            heads, tails = rng.integers(0, n_heads, size), rng.integers(0, n_tails, size)
        if spec.avoids and attempt <= ROUNDS:
            clash = shares_mechanism(mechanisms[spec.avoids[0]][heads], mechanisms[spec.avoids[1]][tails])
            heads, tails = heads[~clash], tails[~clash]
        if spec.head_type == spec.tail_type:
            heads, tails = np.minimum(heads, tails), np.maximum(heads, tails)
            heads, tails = heads[heads != tails], tails[heads != tails]
        return heads * n_tails + tails

    taken = [earlier[relation] for relation in spec.excludes]
    forbidden = np.concatenate([heads * n_tails + tails for heads, tails in taken] or [np.empty(0, np.int64)])
    return np.divmod(_fill(budget, propose, forbidden), n_tails)


def _cover(
    rng: np.random.Generator, spec: RelationSpec, head: _Side, tail: _Side
) -> tuple[np.ndarray, np.ndarray]:
    """One edge for every node of the types that the relation covers, in a random order."""
    none = np.empty(0, np.int64)
    heads = rng.permutation(len(head.popularity)) if spec.head_type in spec.covers else none
    tails = rng.permutation(len(tail.popularity)) if spec.tail_type in spec.covers else none
    partners = _partners(rng, heads, head, tail, spec.signal)
    return (
        np.concatenate([heads, _partners(rng, tails, tail, head, spec.signal)]),
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
