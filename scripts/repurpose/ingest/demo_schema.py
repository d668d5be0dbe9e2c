"""PrimeKG's schema as the demo graph plants it: node types, relations, counts and strength of signal."""

import math
from dataclasses import dataclass

from repurpose.core.errors import InputError

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

# A drug and a disease have two facets each, with mechanisms of their own; any other type has one facet,
# called like the type.
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

    `signal` is the probability that an edge joins two nodes of one mechanism, `exponent` the steepness of
    the nodes' popularity. Every node of the types in `covers` has an edge here, as far as the edges go. No
    pair of a relation in `excludes` stands here too, and no pair shares a mechanism of the two facets in
    `avoids`, unless a tiny graph has no other pairs left. With `main_only`, the first mechanism of a node
    alone counts. `focus` is the share of the mechanisms that most edges come from: as in life, few are
    within reach of drugs.
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


# The two largest relations, expression and drug interactions, are the vaguest, as in life: a method that
# weighs all edges alike is led astray by them. An exclusion looks back, so the order matters.
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
    """Nodes per type: PrimeKG's times `scale`, at least 4; raises InputError where `scale` is no size."""
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
