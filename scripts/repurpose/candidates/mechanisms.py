"""Score the paths of explanations against known mechanisms, such as those of DrugMechDB.

A mechanism says by which nodes a head acts on a tail. The places of the paths that go through these nodes say
how well the paths are ordered. The form of the files is that of DrugMechDB's indication_paths.yaml (Gonzalez-
Cavazos et al., "DrugMechDB: A Curated Database of Drug Mechanisms", Scientific Data 2023).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.graph.paths import Path as GraphPath
from repurpose.ingest import identifiers
from repurpose.ingest.identifiers import Identifiers

CUTS = (1, 3, 5, 10)
HEAD_KEYS, TAIL_KEYS = ("drugbank", "drug_mesh", "drug"), ("disease_mesh", "disease")
FORM = "a list of entries with graph (drug, disease) and nodes (id, name), as in DrugMechDB's paths"


class Mechanism(NamedTuple):
    """A mechanism as a file has it: ids and names of the head, of the tail and of each node in between."""

    head: tuple[str, ...]
    tail: tuple[str, ...]
    between: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Matched:
    """Mechanisms of pairs of a graph, one entry per pair; several mechanisms of a pair are taken together.

    nodes: node numbers between head and tail, of each pair. entries: in the file. unknown_pairs: entries
    whose head or tail the graph lacks. without_nodes: entries of whose nodes in between the graph has none.
    """

    heads: np.ndarray
    tails: np.ndarray
    nodes: tuple[frozenset[int], ...]
    entries: int
    unknown_pairs: int
    without_nodes: int


def read(path: str | Path) -> list[Mechanism]:
    """The mechanisms in a YAML or JSON file; raises InputError if it has another form."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = json.loads(text) if str(path).endswith(".json") else yaml.load(text, _Loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read ({reason}); give {FORM}") from error
    if not isinstance(content, list) or not content:
        raise InputError(f"{path} is no list of mechanisms; give {FORM}")
    return [_mechanism(entry, number, path) for number, entry in enumerate(content, 1)]


# Libyaml is much faster on a large file. Neither loader makes any object but texts, numbers and lists.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _mechanism(entry: Any, number: int, path: str | Path) -> Mechanism:
    about, nodes = (entry.get(key) for key in ("graph", "nodes")) if isinstance(entry, dict) else (None, None)
    if not isinstance(about, dict) or not isinstance(nodes, list):
        raise InputError(f"entry {number} of {path} has no graph or no nodes; give {FORM}")
    head, tail = (_texts(about.get(key) for key in keys) for keys in (HEAD_KEYS, TAIL_KEYS))
    if not head or not tail:
        raise InputError(f"entry {number} of {path} names no drug or no disease; give {FORM}")
    known = {text.casefold() for text in (*head, *tail)}
    named = (_texts([node.get("id"), node.get("name")]) for node in nodes if isinstance(node, dict))
    return Mechanism(head, tail, tuple(each for each in named if each and each[0].casefold() not in known))


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(
        str(value).strip() for value in values if isinstance(value, str | int) and str(value).strip()
    )


def match(
    mechanisms: Sequence[Mechanism], kg: Graph, types: tuple[str, str], same: Identifiers = identifiers.NONE
) -> Matched:
    """The mechanisms whose head, tail and some node in between are in the graph.

    types: those of heads and tails. same: ids that are replaced by others. A node is found by its id, by its
    id without what is in front of the last colon, or by its name. Raises InputError if no pair is found.
    """
    head_type, tail_type = types
    places = {node_type: _places(kg, node_type) for node_type in kg.node_types}
    found: dict[tuple[int, int], set[int]] = {}
    unknown_pairs = without_nodes = 0
    for mechanism in mechanisms:
        head = _find(mechanism.head, head_type, places, same)
        tail = _find(mechanism.tail, tail_type, places, same)
        if head is None or tail is None:
            unknown_pairs += 1
            continue
        between = {
            kg.span(node_type).start + index
            for texts in mechanism.between
            for node_type in kg.node_types
            if (index := _find(texts, node_type, places, same)) is not None
        }
        between -= {kg.span(head_type).start + head, kg.span(tail_type).start + tail}
        if not between:
            without_nodes += 1
            continue
        found.setdefault((tail, head), set()).update(between)
    if not found:
        ids = ", ".join(mechanisms[0].head[:2])
        raise InputError(
            f"none of the {len(mechanisms):,} mechanisms is of a pair of the graph: the file has ids like "
            f"{ids}, and the graph {kg.node_ids[head_type][0]}; a table of ids (columns id, same_as) can "
            "connect them"
        )
    pairs = sorted(found)
    return Matched(
        np.array([head for _, head in pairs]),
        np.array([tail for tail, _ in pairs]),
        tuple(frozenset(found[pair]) for pair in pairs),
        len(mechanisms),
        unknown_pairs,
        without_nodes,
    )


def _places(kg: Graph, node_type: str) -> dict[str, int]:
    """The index of each id of a type, and of each name that one node alone has."""
    by_name: dict[str, int] = {}
    for index, name in enumerate(kg.node_names[node_type].tolist()):
        folded = str(name).casefold()
        by_name[folded] = -1 if folded in by_name else index
    ids = {str(node_id): index for index, node_id in enumerate(kg.node_ids[node_type].tolist())}
    return {**{name: index for name, index in by_name.items() if index >= 0}, **ids}


def _find(
    texts: Sequence[str], node_type: str, places: Mapping[str, Mapping[str, int]], same: Identifiers
) -> int | None:
    """The index of a node by the first of its ids and names that the graph has."""
    for text in same.replaced(node_type, texts):
        for spelling in (text, text.rpartition(":")[2], text.casefold()):
            if spelling in places[node_type]:
                return places[node_type][spelling]
    return None


def place(ways: Sequence[GraphPath], nodes: frozenset[int], *, whole: bool) -> int:
    """The place, from 1, of the first path through the nodes of a mechanism; 0 if there is none.

    whole: whether all inner nodes of the path must be nodes of the mechanism, or at least one.
    """
    is_met = all if whole else any
    return next(
        (number for number, way in enumerate(ways, 1) if is_met(node in nodes for node in way.nodes[1:-1])), 0
    )


def summary(
    ways: Sequence[Sequence[GraphPath]], nodes: Sequence[frozenset[int]], *, whole: bool
) -> dict[str, Any]:
    """Hits and the mean reciprocal rank of the first path through a pair's mechanism, over pairs with a path.

    `by_chance`: the share of the pairs' paths that are such paths, which is `hits@1` of paths in any order.
    """
    listed = [(paths, mechanism) for paths, mechanism in zip(ways, nodes, strict=True) if paths]
    places = np.array([place(paths, mechanism, whole=whole) for paths, mechanism in listed])
    shares = [np.mean([place([way], mechanism, whole=whole) for way in paths]) for paths, mechanism in listed]
    count = len(listed)
    hits = {f"hits@{cut}": float(((places > 0) & (places <= cut)).sum() / max(count, 1)) for cut in CUTS}
    reciprocal = np.where(places > 0, 1 / np.maximum(places, 1), 0)
    return {
        "pairs": count,
        "without_paths": len(ways) - count,
        **hits,
        "mrr": float(reciprocal.sum() / max(count, 1)),
        "by_chance": float(np.mean(shares)) if shares else 0.0,
    }
