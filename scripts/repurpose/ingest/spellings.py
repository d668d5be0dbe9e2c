"""Warnings about names that look like slips: two spellings of one thing, types from mixed-up columns."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from repurpose.config.sections import Target
from repurpose.graph.graph import Graph
from repurpose.ingest.numbering import Nodes, Rows

FEW_NODES = 3
SHOWN = 5  # names that a sentence lists
ALIKE = "differ in spelling only: if they are the same, give them one name"


def warnings(kg: Graph, target: Target, file: str) -> Iterator[str]:
    """A sentence for each kind of slip in the names of types, relations and ids."""
    yield from _types(kg, target, file)
    yield from _relations(kg, target, file)
    yield from _ids(kg, file)


def _types(kg: Graph, target: Target, file: str) -> Iterator[str]:
    few = [t for t in kg.node_types if kg.count(t) < FEW_NODES and t not in target.types]
    if few:
        yield (
            f"{file}: node types with fewer than {FEW_NODES} nodes: {listing(few)}: if they are no types, "
            "columns of some rows are mixed up"
        )
    for same in alike(kg.node_types):
        counts = ", ".join(f"{t!r} ({kg.count(t):,} nodes)" for t in same)
        yield f"{file}: the node types {counts} {ALIKE}"


def _relations(kg: Graph, target: Target, file: str) -> Iterator[str]:
    edges: dict[str, int] = defaultdict(int)
    for kind in kg.relations:
        edges[kind.relation] += kind.edges
    for same in alike(list(edges)):
        counts = ", ".join(f"{name!r} ({edges[name]:,} edges)" for name in same)
        yield f"{file}: the relations {counts} {ALIKE}"
    for key in ("positive", "negative"):
        keys = {spelling(name): name for name in getattr(target, key)}
        for kind in kg.relations:
            named = keys.get(spelling(kind.relation))
            if named and kind.role == "excluded" and target.connects(kind.head_type, kind.tail_type):
                yield (
                    f"{file}: {kind.relation!r} connects {target.head_type} and {target.tail_type} and is "
                    f"not in target.{key}, which has {named!r}: its {kind.edges:,} pairs are left out; did "
                    "you mean it too?"
                )


def _ids(kg: Graph, file: str) -> Iterator[str]:
    """Ids of one type that differ from another by case, blanks inside or a final .0 only."""
    for node_type in kg.node_types:
        ids = kg.node_ids[node_type]
        plain = [re.sub(r"\.0$", "", str(node_id)).casefold() for node_id in ids]
        values, counts = np.unique(plain, return_counts=True)
        repeated = set(values[counts > 1].tolist())
        if repeated:
            pairs = [str(node_id) for node_id, text in zip(ids, plain, strict=True) if text in repeated]
            yield (
                f"{file}: {len(pairs):,} ids of the type {node_type} differ from another one only in upper "
                f"and lower case or by a final .0 ({listing(pairs)}): if they are the same nodes, write them "
                "alike"
            )


def unused_types(rows: Rows, nodes: Nodes, usable: np.ndarray, file: str, nodes_file: str) -> Iterator[str]:
    """A sentence if rows of the nodes table have a type that the edges table lacks.

    usable: bool (types + 1,), types in graph.node_types that are in the edges table.
    """
    types = rows.types[2]
    lost = types[(types >= 0) & ~usable[types]]
    if len(lost):
        counts = np.bincount(lost, minlength=len(rows.type_values))
        names = [f"{rows.type_values[code]} ({counts[code]:,})" for code in np.flatnonzero(counts)]
        yield (
            f"{nodes_file}: {len(lost):,} of {len(types):,} rows have a type that {file} does not have, so "
            f"they are left out: {listing(names)}; its types are {listing(_used(rows, usable))}"
        )


def _used(rows: Rows, usable: np.ndarray) -> list[str]:
    return [name for name, is_used in zip(rows.type_values, usable, strict=False) if is_used]


def alike(names: Sequence[str]) -> list[list[str]]:
    """Groups of names that are the same but for case, blanks, punctuation and the prefix biolink."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[spelling(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def spelling(name: str) -> str:
    """A name without case, blanks, punctuation and the prefix biolink; the name itself if nothing is left."""
    return re.sub(r"[\W_]+", "", name.removeprefix("biolink:").casefold()) or name


def listing(names: Sequence[str]) -> str:
    """The first names and how many more there are."""
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN:,} more"
