"""From a raw edges table to the graph, with a ledger of every row that is not an edge of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from repurpose.core.errors import InputError
from repurpose.graph import leaks
from repurpose.graph.graph import Graph, Relation
from repurpose.graph.target import Target
from repurpose.ingest import edges, ledger, numbering
from repurpose.ingest.numbering import Nodes, Rows


@dataclass(frozen=True)
class Settings:
    """The config section `graph`; a name column may be "": nodes are then named by their ids."""

    columns: Mapping[str, str]
    node_columns: Mapping[str, str]
    directed_relations: Sequence[str]
    exclude_relations: Sequence[str]
    keep_relations: Sequence[str]
    node_types: Sequence[str]
    missing: Sequence[str]
    max_dropped_share: float


def build(
    table: pa.Table,
    settings: Settings,
    target: Target,
    nodes_table: pa.Table | None = None,
    *,
    file: str = "the edges table",
    nodes_file: str = "the nodes table",
) -> tuple[Graph, dict[str, Any]]:
    """Turn an edges table, and a table of nodes where there is one, into the graph and its ledger.

    The tables hold text columns named as `settings` says. Every node that a row names with type and id
    is in the graph, also if the row itself is dropped. Relations between the target's types run from head
    type to tail type, directed or not, because they become pairs. The order of rows does not matter.
    Raises InputError, with `file` in its sentence, where settings or target name what the table lacks,
    where a relation loses more than `max_dropped_share` of its rows, and where a relation that would stay
    in the graph repeats target pairs under other types.
    """
    rows = numbering.encode(table, settings.columns, nodes_table, settings.node_columns, settings.missing)
    spelled = ledger.count_missing(table, settings.columns, settings.missing, file)
    if nodes_table is not None:
        spelled += ledger.count_missing(
            nodes_table, settings.node_columns, settings.missing, nodes_file, sides=[""]
        )
    _check_relation_names(rows.relation_values, settings, target, file)
    listed, usable = _type_masks(rows, settings.node_types, file)
    nodes = numbering.number(rows, usable)
    outcome = ledger.outcomes(rows, nodes, listed)
    ends = (target.head_type, target.tail_type)
    distinct = edges.collect(rows, nodes, outcome == ledger.SOUND, settings.directed_relations, ends)
    entries = ledger.entries(rows, outcome, distinct)
    ledger.check_losses(entries, settings.max_dropped_share, file, ledger.missing_note(spelled, file))
    kg = _graph(rows, nodes, distinct, settings, target)
    _check_target(kg, target, file)
    _check_triples(kg, rows.relation_values, settings, file)
    overlaps = leaks.find_overlaps(kg, target)
    leaks.check(overlaps, settings.keep_relations, settings.exclude_relations, file)
    account = {"file": file, **ledger.totals(entries)}
    account |= {"nodes": {name: kg.count(name) for name in kg.node_types}, "relations": entries}
    account["missing"] = spelled
    repeated = leaks.warnings(overlaps, settings.keep_relations)
    account["warnings"] = [*ledger.missing_warnings(spelled), *repeated]
    if nodes_table is not None:
        account["nodes_table"] = {"file": nodes_file, **ledger.of_nodes(rows, nodes, listed, usable)}
    return kg, account


def _type_masks(rows: Rows, node_types: Sequence[str], file: str) -> tuple[np.ndarray, np.ndarray]:
    """Masks (types + 1,) over the type codes: listed by graph.node_types; listed and in the edges table.

    The last place of both is False: the code -1 points there.
    """
    found = np.zeros(len(rows.type_values) + 1, dtype=bool)
    found[rows.types[0]] = found[rows.types[1]] = True
    found_names = [name for name, is_found in zip(rows.type_values, found, strict=False) if is_found]
    for name in node_types:
        if name not in found_names:
            raise InputError(
                f"graph.node_types lists {name}, a type that {file} does not have: "
                f"choose from {_listing(found_names)}"
            )
    listed = np.append(np.isin(rows.type_values, list(node_types) or rows.type_values), False)
    return listed, listed & found


def _graph(rows: Rows, nodes: Nodes, distinct: edges.Edges, settings: Settings, target: Target) -> Graph:
    parts = {
        name: slice(start, stop)
        for name, start, stop in zip(rows.type_values, nodes.starts[:-1], nodes.starts[1:], strict=True)
        if start < stop
    }
    relations = []
    for (code, head, tail), heads in zip(distinct.triples, distinct.heads, strict=True):
        name, head_type, tail_type = (
            rows.relation_values[code],
            rows.type_values[head],
            rows.type_values[tail],
        )
        joins = target.joins(head_type, tail_type)
        if joins:
            role = "target" if name in (*target.positive, *target.negative) else "excluded"
        else:
            is_out = leaks.is_listed(name, head_type, tail_type, settings.exclude_relations)
            role = "excluded" if is_out else "message"
        directed = name in settings.directed_relations and not joins
        relations.append(Relation(head_type, name, tail_type, len(heads), role, directed))
    return Graph(
        tuple(parts),
        {name: nodes.ids[part] for name, part in parts.items()},
        {name: nodes.names[part] for name, part in parts.items()},
        tuple(relations),
        tuple(distinct.heads),
        tuple(distinct.tails),
    )


def _check_relation_names(names: Sequence[str], settings: Settings, target: Target, file: str) -> None:
    for name in settings.directed_relations:
        if name not in names:
            raise _no_relation("directed_relations", name, names, file)
    ends = target.head_type, target.tail_type
    for name in (*target.positive, *target.negative):
        if leaks.is_listed(name, *ends, settings.exclude_relations):
            raise InputError(
                f"{name} stands in graph.exclude_relations and in target: take it out of one of them"
            )


def _check_triples(kg: Graph, names: Sequence[str], settings: Settings, file: str) -> None:
    """Raise InputError unless each entry of both keys is a relation, or one with its types in brackets."""
    kinds = [(kind.relation, kind.head_type, kind.tail_type) for kind in kg.relations]
    for key in ("exclude_relations", "keep_relations"):
        for entry in getattr(settings, key):
            if entry not in names and not any(leaks.is_listed(*kind, [entry]) for kind in kinds):
                alike = [leaks.triple(*kind) for kind in kinds if entry.startswith(f"{kind[0]} (")]
                raise _no_relation(key, entry, alike or names, file)


def _no_relation(key: str, name: str, names: Sequence[str], file: str) -> InputError:
    return InputError(
        f"graph.{key} lists {name}, a relation that {file} does not have: choose from {_listing(names)}"
    )


def _check_target(kg: Graph, target: Target, file: str) -> None:
    for key in ("head_type", "tail_type"):
        if getattr(target, key) not in kg.node_types:
            raise InputError(
                f"target.{key} is {getattr(target, key)}, a type of which the graph of {file} has no node: "
                f"choose from {_listing(kg.node_types)}"
            )
    joining = [kind.relation for kind in kg.relations if target.joins(kind.head_type, kind.tail_type)]
    between = f"between {target.head_type} and {target.tail_type}"
    for key in ("positive", "negative"):
        for name in getattr(target, key):
            if joining and name not in joining:
                raise InputError(
                    f"target.{key} lists {name}, which {file} does not have {between}: "
                    f"choose from {_listing(joining)}"
                )
            if not joining:
                triples = [f"{kind.relation} ({kind.head_type}, {kind.tail_type})" for kind in kg.relations]
                raise InputError(
                    f"{file} has no relation {between}, not {name} of target.{key} either: "
                    f"choose the target from its relations, {_listing(triples)}"
                )


def _listing(names: Sequence[str]) -> str:
    """All names, or the first thirty and how many there are."""
    shown = ", ".join(sorted(names)[:30])
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"
