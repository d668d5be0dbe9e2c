"""What an edges table holds, and the config that fits it: guesses that a person reads and corrects."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from repurpose.config.sections import EdgeColumns, GraphSettings, NodeColumns, Target
from repurpose.config.settings import merged
from repurpose.core.errors import InputError
from repurpose.graph import leaks
from repurpose.graph.graph import Graph, Relation
from repurpose.ingest import ingest, tables
from repurpose.ingest.formats import reading
from repurpose.ingest.ingest import Built

# Names of columns, in the order in which they are looked for; {} is one of the ENDS.
RELATION_NAMES = (
    "relation",
    "predicate",
    "metaedge",
    "edge_type",
    "relationship",
    "rel",
    "interaction",
    "type",
)
ENDS = (("x", "y"), ("head", "tail"), ("subject", "object"), ("source", "target"), ("start", "end"))
ENDS += (("from", "to"), ("node1", "node2"), ("entity1", "entity2"), ("h", "t"))
ID_NAMES = ("{}_id", "{}", "{}id", "{}_node", "{}_identifier")
TYPE_NAMES = ("{}_type", "{}_category", "{}_kind", "{}_label", "{}type")
NAME_NAMES = ("{}_name", "{}name")
NODE_ID_NAMES = ("node_id", "id", "identifier", "node", "curie")
NODE_TYPE_NAMES = ("node_type", "type", "category", "kind", "label", "labels")
NODE_NAME_NAMES = ("node_name", "name", "title")
# From so many edges on, wide vectors are worth their time; with them, the default learning rate is too high.
# These are the settings of benchmarks/recipe.yaml, with which Hetionet was measured (docs/recipe.md).
LARGE = 200_000
OF_LARGE = {
    "hgt": {"hidden_dim": 128, "embedding_dim": 768, "svd_dim": 128, "profile_dim": 512},
    "training": {"learning_rate": 0.003},
}
# What the names of types and relations say.
DRUG = re.compile(r"drug|compound|chemical|small_?molecule|substance|medication|molecule", re.I)
DISEASE = re.compile(r"disease|disorder|condition|indication|syndrome", re.I)
GENE = re.compile(r"gene|protein", re.I)
TREATS = re.compile(r"(?<!contra)indicat|treat|therap|\bCtD\b", re.I)
AGAINST = re.compile(r"contraindic|not_treat|no_treat|adverse|harm", re.I)
PARENT = re.compile(r"subclass|is_?a\b|parent|disease_disease|broader|child", re.I)
DIRECTED = re.compile(r"regulat|subclass|is_?a\b|parent|part_of|causes|>|affects|has_", re.I)


class Inspection(NamedTuple):
    """What was found: the graph and its ledger, and the keys of an overlay that reads the table so."""

    built: Built
    overlay: dict[str, Any]
    notes: list[str]
    format: str


def inspect(
    edges: Sequence[str], nodes: Sequence[str], given: Mapping[str, Any] = MappingProxyType({})
) -> Inspection:
    """Read the tables whole and guess columns and target.

    given: keys of an overlay, which are taken as they are and not guessed. Raises InputError for a file that
    cannot be read, or a table whose columns are not recognised.
    """
    given_graph = given.get("graph", {})
    settings = replace(GraphSettings(**given_graph), max_dropped_share=1.0)
    source = reading.source_of(edges[0], nodes)
    name = reading.format_of(source, settings).name
    if name == "table":
        if "columns" not in given_graph:
            columns = guess_columns(tables.header(source.edges[0]), edges[0], bool(source.nodes))
            settings = replace(settings, columns=columns)
        if source.nodes and "node_columns" not in given_graph:
            header = tables.header(source.nodes[0])
            settings = replace(
                settings, node_columns=guess_node_columns(header, nodes[0] if nodes else edges[0])
            )
    raw = reading.read(edges, nodes, settings)
    triples = ingest.count_triples(raw.edges, raw.settings, raw.nodes)
    target, notes = (Target(**given["target"]), []) if "target" in given else guess_target(triples)
    settings = raw.settings
    if "directed_relations" not in given_graph:
        among_same = dict.fromkeys(relation for relation, head, tail in triples if head == tail)
        directed = [relation for relation in among_same if DIRECTED.search(relation)]
        settings = replace(settings, directed_relations=directed)
    built = ingest.build(
        raw.edges,
        settings,
        target,
        raw.nodes,
        file=", ".join(edges),
        nodes_file=", ".join(nodes) or "the nodes table",
        files=raw.files,
        faults=raw.faults,
        stops_at_leaks=False,
    )
    overlay = overlay_of(edges, nodes, settings, target, built.kg, name)
    leaking = leaks.names_of(leaks.leaks_among(leaks.find_overlaps(built.kg, target), []))
    if leaking:
        overlay["graph"]["exclude_relations"] = leaking
        notes.append(f"left out, because they repeat treatments under other node types: {', '.join(leaking)}")
    return Inspection(built, merged(overlay, given), notes, name)


def guess_columns(header: Sequence[str], file: str, has_nodes: bool) -> EdgeColumns:
    """The columns by their names; raises InputError with the names if ids or the relation are not found."""
    for ends in ENDS:
        ids = [_first(header, [name.format(end) for name in ID_NAMES]) for end in ends]
        relation = _first(header, [name for name in RELATION_NAMES if name not in ids])
        if all(ids) and relation:
            types = [_first(header, [name.format(end) for name in TYPE_NAMES]) for end in ends]
            names = [_first(header, [name.format(end) for name in NAME_NAMES]) for end in ends]
            if not all(types):
                types = ["", ""]
                if not has_nodes:
                    raise InputError(
                        f"{file} has no columns of node types ({', '.join(header)}): give the nodes table too"
                    )
            return EdgeColumns(
                relation=relation,
                head_id=ids[0],
                head_type=types[0],
                head_name=names[0],
                tail_id=ids[1],
                tail_type=types[1],
                tail_name=names[1],
            )
    if _first(header, NODE_ID_NAMES) and _first(header, NODE_TYPE_NAMES):
        raise InputError(
            f"{file} looks like a table of nodes ({', '.join(header)}): give the edges table first, then the "
            "nodes table"
        )
    raise InputError(
        f"the columns of {file} are not recognised ({', '.join(header)}): name them in graph.columns of a "
        "file, and give it with --configfile"
    )


def guess_node_columns(header: Sequence[str], file: str) -> NodeColumns:
    """The columns of a nodes table by their names; raises InputError if id or type are not found."""
    node_id, node_type = _first(header, NODE_ID_NAMES), _first(header, NODE_TYPE_NAMES)
    if not (node_id and node_type):
        raise InputError(
            f"the columns of {file} are not recognised ({', '.join(header)}): name them in "
            "graph.node_columns of a file, and give it with --configfile"
        )
    return NodeColumns(type=node_type, id=node_id, name=_first(header, NODE_NAME_NAMES))


def _first(header: Sequence[str], names: Sequence[str]) -> str:
    """The first of the names that a header has, whatever the case; "" if it has none."""
    by_lower = {name.lower(): name for name in reversed(header)}
    return next((by_lower[name.lower()] for name in names if name.lower() in by_lower), "")


def guess_target(triples: Mapping[tuple[str, str, str], int]) -> tuple[Target, list[str]]:
    """The relation that most likely says which drug treats which disease, with its types and its opposite.

    triples: (relation, head type, tail type) -> rows. Raises InputError if no relation connects a type of
    drugs with a type of diseases.
    """
    scores: dict[tuple[str, str], float] = defaultdict(float)
    for (relation, first, second), rows in triples.items():
        for head, tail in ((first, second), (second, first)):
            if DRUG.search(head) and DISEASE.search(tail) and not DISEASE.search(head):
                scores[head, tail] += rows * (1000 if TREATS.search(relation) else 1)
    if not scores:
        kinds = sorted({f"{first} - {relation} - {second}" for relation, first, second in triples})
        raise InputError(
            "no relation connects a type of drugs with a type of diseases, by their names: write target "
            "(head_type, tail_type, positive, negative) into a file, and give it with --configfile; there "
            f"are {'; '.join(kinds[:20])}"
        )
    rows_of_type: dict[str, int] = defaultdict(int)
    for (_, first, second), rows in triples.items():
        rows_of_type[first] += rows
        rows_of_type[second] += rows
    # If treatments stand under two types, the one that other relations have too is meant.
    head, tail = max(scores, key=lambda ends: (scores[ends], rows_of_type[ends[0]]))
    between: dict[str, int] = defaultdict(int)
    for (relation, first, second), rows in triples.items():
        if {first, second} == {head, tail}:
            between[relation] += rows
    against = [relation for relation in between if AGAINST.search(relation)]
    positive = [relation for relation in between if TREATS.search(relation) and relation not in against]
    notes = []
    if not positive:
        positive = [
            max((r for r in between if r not in against), key=between.__getitem__, default=max(between))
        ]
        against = [relation for relation in against if relation not in positive]
        notes.append(
            f"no relation between {head} and {tail} has a name of a treatment: {positive[0]} is the most "
            "frequent"
        )
    left = sorted(set(between) - {*positive, *against})
    if left:
        notes.append(f"neither treatments nor their opposite, so left out of the graph: {', '.join(left)}")
    return Target(head_type=head, tail_type=tail, positive=positive, negative=against), notes


def overlay_of(
    edges: Sequence[str],
    nodes: Sequence[str],
    settings: GraphSettings,
    target: Target,
    kg: Graph,
    format_name: str,
) -> dict[str, Any]:
    """The keys that differ from the default config."""
    overlay: dict[str, Any] = {"edges": edges[0] if len(edges) == 1 else list(edges)}
    if nodes:
        overlay["nodes"] = nodes[0] if len(nodes) == 1 else list(nodes)
    section: dict[str, Any] = {}
    if format_name == "table":
        for key, found, usual in (
            ("columns", settings.columns, EdgeColumns()),
            ("node_columns", settings.node_columns, NodeColumns()),
        ):
            changed = {name: value for name, value in vars(found).items() if value != getattr(usual, name)}
            section |= {key: changed} if changed else {}
    if settings.directed_relations:
        section["directed_relations"] = list(settings.directed_relations)
    overlay["graph"] = section
    overlay["target"] = {
        "head_type": target.head_type,
        "tail_type": target.tail_type,
        "positive": target.positive,
        "negative": target.negative,
    }
    hierarchy = [r for r in _among(kg, target.tail_type, target.tail_type) if PARENT.search(r.relation)]
    if hierarchy:
        overlay["target"]["hierarchy"] = max(hierarchy, key=lambda kind: kind.edges).relation
    genes = [
        kind
        for node_type in kg.node_types
        if GENE.search(node_type) and node_type not in target.types
        for kind in _among(kg, target.tail_type, node_type)
    ]
    similar = max(genes or _among(kg, target.tail_type, None), key=lambda kind: kind.edges, default=None)
    overlay["training"] = {"contrastive": {"relations": [similar.relation] if similar else []}}
    is_large = sum(kind.edges for kind in kg.message_relations) >= LARGE
    return merged(overlay, OF_LARGE) if is_large else overlay


def _among(kg: Graph, first: str, second: str | None) -> list[Relation]:
    """The message relations between two types, or of one type with any."""
    return [
        kind
        for kind in kg.relations
        if kind.role == "message"
        and first in (kind.head_type, kind.tail_type)
        and (second is None or {first, second} == {kind.head_type, kind.tail_type})
    ]


def lines(found: Inspection) -> Iterator[str]:
    """The inspection as text."""
    kg, ledger = found.built.kg, found.built.ledger
    yield f"{ledger['file']}: format {found.format}, {ledger['rows']:,} rows, {ledger['kept']:,} edges"
    for entry in ledger["files"]:
        yield f"  {entry['file']}: {entry['rows']:,} rows, {entry['kept']:,} kept"
    yield ""
    yield "Node types"
    for node_type in kg.node_types:
        yield f"  {node_type:<40} {kg.count(node_type):>11,} nodes"
    shared = collisions(kg)
    if shared:
        yield f"  {shared:,} ids stand for nodes of several types, which are different nodes"
    yield ""
    yield "Relations (edges; -> from head to tail, -- without a direction; both: each is listed both ways)"
    mirrored = {entry["relation"]: entry for entry in ledger["relations"]}
    for kind in kg.relations:
        entry = mirrored[kind.relation]
        both = "both" if entry["mirrored"] > 0.9 * entry["kept"] else ""
        role = "" if kind.role == "message" else f"({kind.role})"
        yield f"  {kind.text:<70} {kind.edges:>11,} {both} {role}".rstrip()
    yield ""
    yield "Rows"
    dropped = {reason: count for reason, count in ledger["dropped"].items() if count}
    for reason, count in (dropped | {"mirrored": ledger["mirrored"], "excluded": ledger["excluded"]}).items():
        if count:
            yield f"  {count:>11,} {reason.replace('_', ' ')}"
    if "nodes_table" in ledger:
        entry = ledger["nodes_table"]
        counts = [f"{entry[name]:,}" for name in ("rows", "kept", "added")]
        yield "  {:>11} of the nodes table: {} nodes, {} of them without an edge".format(*counts)
    if found.notes or ledger["warnings"]:
        yield ""
        yield "Look at these"
        for sentence in (*found.notes, *ledger["warnings"]):
            yield f"  {sentence}"


def collisions(kg: Graph) -> int:
    """The number of ids that occur in several node types."""
    ids = np.concatenate([np.unique(kg.node_ids[t].astype(str)) for t in kg.node_types])
    return int((np.unique(ids, return_counts=True)[1] > 1).sum())
